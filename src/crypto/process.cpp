#include "concordat/crypto/process.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace concordat::crypto {

bool disable_core_dumps() noexcept {
  rlimit none{0, 0};
  bool limited = ::setrlimit(RLIMIT_CORE, &none) == 0;
  // A core pattern with a pipe ignores the limit of 0 on some systems; a process that is not
  // dumpable is left alone by both, and its memory is closed to others of the same user.
  bool hidden = ::prctl(PR_SET_DUMPABLE, 0) == 0;
  return limited && hidden;
}

}  // namespace concordat::crypto
