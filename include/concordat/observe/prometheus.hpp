// Prometheus textfile: the newest values of a role, for node_exporter's textfile collector.
//
//   observe::PrometheusFile gauges(posix_files(), run_folder / "metrics.prom");
//   gauges.set("concordat_loss_nats", "Training loss", {{"site", "alba"}}, 2.31);
//   gauges.write();                              // replaces the file atomically
//
// Threads: one thread. Names are checked (Bug); label values are escaped.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "concordat/core/file.hpp"

namespace concordat::observe {

using Labels = std::vector<std::pair<std::string, std::string>>;

class PrometheusFile {
 public:
  PrometheusFile(FileSystem& fs, FileSystem::Path path) : fs_(fs), path_(std::move(path)) {}
  /// @pre name and label names match [a-zA-Z_][a-zA-Z0-9_]*.
  void set(const std::string& name, const std::string& help, const Labels& labels, double value);
  std::string text() const;
  void write();

 private:
  struct Family {
    std::string help;
    std::map<std::string, double> samples;  // by label text
  };
  FileSystem& fs_;
  FileSystem::Path path_;
  std::map<std::string, Family> families_;
};

}  // namespace concordat::observe
