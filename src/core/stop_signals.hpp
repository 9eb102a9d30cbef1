// What the handlers of stop requests do, without the signals: for core/stop.cpp and its test.
#pragma once

#include <chrono>
#include <cstdint>

namespace concordat::stop_signals {

/// A TERM or INT sooner after the one that counts is the same request. Slurm sends a cancelled
/// job's TERM to every process, and srun and mpirun send theirs on, late on a busy machine.
inline constexpr std::chrono::seconds same_request{10};
/// One this long after it is a request of its own again. A batch system tells a preempted job twice
/// (when its grace begins, and when it ends); that must not end a save that is still at work.
inline constexpr std::chrono::seconds new_request{30};

/// What a handler does when a TERM or INT comes at this monotonic time, above 0: keeps the request,
/// or ends the process as ExitCode::saved. Async-signal-safe; from any thread.
void came(std::int64_t now_ns) noexcept;

}  // namespace concordat::stop_signals
