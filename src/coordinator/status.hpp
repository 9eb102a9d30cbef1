// `status.json`: what the coordinator is doing, for `concordat status` and for people.
#pragma once

#include "coordinator/desk.hpp"

namespace concordat::coordinator {

struct StatusPage {
  std::string name;  ///< of the coordinator
  DeskStatus desk;
  std::vector<std::string> connected;
  std::string spool{};  ///< absolute folder of the spool road; empty: none is served
  std::uint64_t peak_in_flight_bytes = 0;
  std::uint64_t peak_resident_bytes = 0;  ///< of the process: VmHWM
  std::int64_t unix_seconds = 0;
  std::string end;  ///< "", "done", "saved" or an error's code
  bool operator==(const StatusPage&) const = default;
};

/// One flat JSON object of texts.
std::string to_json(const StatusPage& page);

/// "round 3 of 12: uploading, waiting for brio (site 1)".
std::string line_of(const DeskStatus& status);

}  // namespace concordat::coordinator
