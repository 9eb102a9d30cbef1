// The machine behind the seams of the file checks: what is asked of it beside the file seam.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "cli/doctor_checks.hpp"
#include "concordat/core/file_time.hpp"

namespace concordat::cli::doctor {
namespace {

struct Type {
  unsigned long magic;
  const char* name;
};
// From the kernel's and the vendors' headers.
constexpr std::array<Type, 20> types{
    {{0xEF53, "ext4"},         {0x58465342, "xfs"},    {0x9123683E, "btrfs"},
     {0x2FC12FC1, "zfs"},      {0x01021994, "tmpfs"},  {0x858458F6, "ramfs"},
     {0x794C7630, "overlay"},  {0x6969, "nfs"},        {0xFF534D42, "cifs"},
     {0xFE534D42, "smb2"},     {0x517B, "smb"},        {0x0BD00BD0, "lustre"},
     {0x47504653, "gpfs"},     {0x19830326, "beegfs"}, {0x00C36400, "ceph"},
     {0xAAD7AAEA, "panfs"},    {0x65735546, "fuse"},   {0x01021997, "9p"},
     {0x6A656A63, "virtiofs"}, {0xF2F52010, "f2fs"}}};

std::string type_of(const Path& path) {
  struct statfs status {};
  if (::statfs(path.c_str(), &status) != 0) return "unknown";
  const auto magic = static_cast<unsigned long>(status.f_type) & 0xFFFF'FFFFUL;
  for (const Type& type : types) {
    if (type.magic == magic) return type.name;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "type 0x%lx", magic);
  return text.data();
}

/// A child of this process that does nothing but try the lock: after a fork beside other threads
/// only calls that are safe in signal handlers are.
bool held_for_child(const Path& path) {
  const std::string name = path.string();
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) ::_exit(2);
    ::_exit(::flock(fd, LOCK_SH | LOCK_NB) == 0 ? 1 : 0);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return false;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

FileSeams machine_files() {
  return {posix_files(), system_clock(), type_of, modified_unix_seconds, held_for_child};
}

}  // namespace concordat::cli::doctor
