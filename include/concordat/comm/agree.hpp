// Collective error agreement: either nobody has an error or everybody throws the same one.
//
//   agreed(comm, [&] { file = fs.open(path, OpenMode::read); });   // all throw if one cannot
//
//   std::optional<Error> mine;                                     // the same by hand
//   try { ... } catch (const Error& e) { mine = e; }
//   agree(comm, mine ? &*mine : nullptr);
//
// A rank must not unwind past the next collective alone, or the others wait for it. Put an
// agreement behind each piece of work that can fail on some ranks only.
#pragma once

#include <utility>

#include "concordat/comm/communicator.hpp"

namespace concordat::comm {

/// What agree() throws: the same on all ranks but for origin().
class AgreedError final : public Error {
 public:
  AgreedError(const ErrorCode& code, ErrorFields fields, bool origin)
      : Error(code, std::move(fields)), origin_(origin) {}
  /// True on the rank whose error this was; it is the one to report it.
  bool origin() const { return origin_; }

 private:
  bool origin_;
};

/// Collective over `comm`. Returns if every rank passed nullptr. Otherwise every rank throws the
/// AgreedError of the lowest rank that has one: same code, severity and exit code, `where` naming
/// the rank. Severity round or request leaves the group usable.
void agree(Communicator& comm, const Error* mine);

/// Collective over `comm`. Runs `work` on every rank and agrees on its outcome. An exception that
/// is no Error goes out through comm.fail(), for the others to see as comm.peer_failed.
template <typename Work>
void agreed(Communicator& comm, Work&& work) {
  try {
    std::forward<Work>(work)();
  } catch (const Error& error) {
    if (error.code() == errors::peer_failed || error.code() == errors::stalled) throw;
    agree(comm, &error);
  } catch (const std::exception& error) {
    comm.fail(error);
    throw;
  }
  agree(comm, nullptr);
}

}  // namespace concordat::comm
