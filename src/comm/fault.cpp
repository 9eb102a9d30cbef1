#include "comm/fault.hpp"

#include <algorithm>

namespace concordat::comm {

Bytes encode(const Fault& fault, std::size_t max_bytes) {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(fault.rank));
  out.u32(static_cast<std::uint32_t>(fault.exit_code));
  out.sized(std::string_view(fault.text).substr(0, max_bytes - 12));
  return std::move(out).bytes();
}

Fault decode_fault(ByteView bytes) {
  ByteReader in(bytes, "fault channel");
  Fault fault;
  fault.rank = static_cast<int>(in.u32());
  fault.exit_code = static_cast<int>(in.u32());
  fault.text = in.sized_string(bytes.size());
  return fault;
}

Error peer_failed_error(const Fault& fault, int this_rank) {
  ErrorCode code = errors::peer_failed;
  code.exit = static_cast<ExitCode>(fault.exit_code);
  const bool self = fault.rank == this_rank;
  return Error(code, {.what = self ? "this rank failed before" : "another rank failed",
                      .where = "rank " + std::to_string(fault.rank),
                      .found = fault.text,
                      .remedy = "see the message of that rank"});
}

}  // namespace concordat::comm
