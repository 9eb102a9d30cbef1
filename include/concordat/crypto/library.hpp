// The cryptographic library of this process.
#pragma once

#include <string>

namespace concordat::crypto {

/// Name and version of the library that is loaded, such as "OpenSSL 3.0.15".
std::string library_in_use();

}  // namespace concordat::crypto
