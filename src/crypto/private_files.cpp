// Who may touch a key file, and what a site may be called.
#include <unistd.h>

#include <cstdio>

#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/key_files.hpp"

namespace concordat::crypto {

namespace {

void require_owner(unsigned owner, const FileSystem::Path& path) {
  if (owner == ::geteuid()) return;
  throw Error(errors::open_permissions, {.what = "a private path belongs to another user",
                                         .where = path.string(),
                                         .found = "user id " + std::to_string(owner),
                                         .expected = "user id " + std::to_string(::geteuid()),
                                         .remedy = "run as the owner of the site folder"});
}

std::string text_of_mode(unsigned mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", mode);
  return text;
}

void require_closed(unsigned mode, const std::string& wanted, const FileSystem::Path& path) {
  if ((mode & 0077U) == 0) return;
  throw Error(errors::open_permissions,
              {.what = "group or others may touch a private path",
               .where = path.string(),
               .found = "mode " + text_of_mode(mode),
               .expected = "mode " + wanted + " or less",
               .remedy = "chmod " + wanted + " " + path.string() +
                         ", and make new keys if somebody may have read them"});
}

}  // namespace

void require_private(FileSystem& fs, const FileSystem::Path& path) {
  require_owner(fs.owner(path), path);
  require_closed(fs.mode(path), fs.is_directory(path) ? "0700" : "0600", path);
}

void require_private(File& file, const FileSystem::Path& path) {
  require_owner(file.owner(), path);
  require_closed(file.mode(), "0600", path);
}

const FileSystem::Path& require_own_folder(FileSystem& fs, const FileSystem::Path& path) {
  if (!fs.exists(path)) return path;
  // A link to scratch space is common: what counts is the folder that it names.
  const FileSystem::Path folder = std::filesystem::weakly_canonical(path);
  require_owner(fs.owner(folder), folder);
  if (unsigned mode = fs.mode(folder); (mode & 0022U) != 0) {
    throw Error(errors::open_permissions,
                {.what = "group or others may write in the folder of a member",
                 .where = folder.string(),
                 .found = "mode " + text_of_mode(mode),
                 .expected = "mode 0755 or less",
                 .remedy = "chmod go-w " + folder.string() +
                           ", and look whether keys, ledger and journal are as you left them"});
  }
  return path;
}

void require_site_name(std::string_view name, std::string_view where) {
  bool good = !name.empty() && name.size() <= 32 && name[0] >= 'a' && name[0] <= 'z';
  for (char c : name) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
  }
  if (good) return;
  throw Error(concordat::errors::usage,
              {.what = "a name is not usable",
               .where = std::string(where),
               .found = "\"" + std::string(name.substr(0, 64)) + "\"",
               .expected = "1 to 32 of a-z, 0-9 and '-', beginning with a letter",
               .remedy = "choose another name"});
}

}  // namespace concordat::crypto
