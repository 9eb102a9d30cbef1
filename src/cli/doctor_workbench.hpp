// Workbench: a folder for the files of the doctor's checks.
#pragma once

#include <unistd.h>

#include <string>

#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"

namespace concordat::cli::doctor {

/// The folder of the checks, gone with everything in it when they are over.
class Workbench {
 public:
  Workbench(FileSystem& fs, const Path& below)
      : fs_(fs), path_(below / (".concordat-doctor-" + std::to_string(::getpid()))) {
    fs_.remove_all(path_);
    fs_.make_directories(path_);
  }
  ~Workbench() {
    try {
      fs_.remove_all(path_);
    } catch (const Error&) {
      // A full or broken disk: the finding is there already, and the folder says whose it is.
    }
  }
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;
  const Path& path() const { return path_; }

 private:
  FileSystem& fs_;
  Path path_;
};

}  // namespace concordat::cli::doctor
