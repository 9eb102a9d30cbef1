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

#include <optional>
#include <utility>

#include "concordat/comm/communicator.hpp"

namespace concordat::comm {

/// Collective over `comm`. Returns if every rank passed nullptr. Otherwise every rank throws the
/// Error of the lowest rank that has one: same code, severity and exit code, `where` naming it.
void agree(Communicator& comm, const Error* mine);

/// Collective over `comm`. Runs `work` on every rank and agrees on its outcome. An exception that
/// is no Error goes out through comm.fail(), for the others to see as comm.peer_failed.
template <typename Work>
void agreed(Communicator& comm, Work&& work) {
  std::optional<Error> mine;
  try {
    std::forward<Work>(work)();
  } catch (const Error& error) {
    if (error.code() == errors::peer_failed || error.code() == errors::stalled) throw;
    mine = error;
  } catch (const std::exception& error) {
    comm.fail(error);
    throw;
  }
  agree(comm, mine ? &*mine : nullptr);
}

}  // namespace concordat::comm
