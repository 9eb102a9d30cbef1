#include "concordat/comm/agree.hpp"

#include <mutex>
#include <set>

namespace concordat::comm {

namespace {

/// Error codes name themselves by views of static strings; those that come from another rank need
/// a home for the rest of the process. Never destroyed.
std::string_view interned(const std::string& name) {
  static auto& mutex = *new std::mutex;
  static auto& names = *new std::set<std::string>;
  std::lock_guard lock(mutex);
  return *names.insert(name).first;
}

constexpr std::size_t max_text = 1U << 16U;

void write_text(ByteWriter& out, const std::string& text) {
  out.sized(std::string_view(text).substr(0, max_text));
}

Bytes encode_error(const Error* error) {
  ByteWriter out;
  if (error == nullptr) return {};
  out.u8(dynamic_cast<const AgreedError*>(error) != nullptr ? 1 : 0);
  write_text(out, std::string(error->code().name));
  out.u8(static_cast<std::uint8_t>(error->severity()));
  out.u32(static_cast<std::uint32_t>(error->exit_code()));
  const auto& fields = error->fields();
  for (const auto* text :
       {&fields.what, &fields.where, &fields.found, &fields.expected, &fields.remedy}) {
    write_text(out, *text);
  }
  return std::move(out).bytes();
}

}  // namespace

void agree(Communicator& comm, const Error* mine) {
  const auto all = comm.all_gather_bytes(encode_error(mine));
  for (int r = 0; r < comm.size(); ++r) {
    const auto& bytes = all[static_cast<std::size_t>(r)];
    if (bytes.empty()) continue;
    ByteReader in(bytes, "agreement");
    const bool agreed_before = in.u8() == 1;
    ErrorCode code{interned(in.sized_string(max_text)), Severity::process, ExitCode::internal};
    code.severity = static_cast<Severity>(in.u8());
    code.exit = static_cast<ExitCode>(in.u32());
    ErrorFields fields;
    for (auto* text :
         {&fields.what, &fields.where, &fields.found, &fields.expected, &fields.remedy}) {
      *text = in.sized_string(max_text);
    }
    if (comm.size() > 1 && !agreed_before) {
      fields.where =
          "rank " + std::to_string(r) + (fields.where.empty() ? "" : ", ") + fields.where;
    }
    throw AgreedError(code, std::move(fields), r == comm.rank());
  }
}

}  // namespace concordat::comm
