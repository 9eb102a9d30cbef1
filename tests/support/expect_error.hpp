// EXPECT_ERROR(statement, code): it throws Error with this code. EXPECT_ERROR_SAYS also wants a
// text in the message, such as the name of the file.
#pragma once

#include <gtest/gtest.h>

#include "concordat/core/error.hpp"

#define EXPECT_ERROR_SAYS(statement, wanted, text)                                        \
  try {                                                                                   \
    statement;                                                                            \
    ADD_FAILURE() << "no error: " #statement;                                             \
  } catch (const ::concordat::Error& error_) {                                            \
    EXPECT_EQ(error_.code().name, (wanted).name) << error_.what();                        \
    EXPECT_NE(std::string(error_.what()).find(text), std::string::npos) << error_.what(); \
  }

#define EXPECT_ERROR(statement, wanted) EXPECT_ERROR_SAYS(statement, wanted, "")
