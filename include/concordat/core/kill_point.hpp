// Named points at which a test kills the process, as SIGKILL from outside would.
//
//   journal.append(record);
//   kill_point("border.after_cosign");   // a restart has to go on from here
//   road.send(envelope);
//
//   CONCORDAT_KILL_AT=border.after_cosign:2 concordat border site.toml   // dies the second time
//
// Cost: in builds without CONCORDAT_KILL_POINTS (release builds) an empty call; else one
// string comparison when the variable is set. Threads: safe from any.
#pragma once

#include <string_view>

namespace concordat {

/// Raises SIGKILL on this process when CONCORDAT_KILL_AT is `name:count` and this is the count-th
/// call with that name in this process (a plain `name` means the first). Else does nothing.
void kill_point(std::string_view name);

/// Whether this build has kill points; tests that need them skip when it has not.
bool kill_points_compiled();

}  // namespace concordat
