// Who may touch a key file, and what a site may be called.
#include <unistd.h>

#include <cstdio>

#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/key_files.hpp"

namespace concordat::crypto {

void require_private(FileSystem& fs, const FileSystem::Path& path) {
  const bool folder = fs.is_directory(path);
  const std::string wanted = folder ? "0700" : "0600";
  if (unsigned owner = fs.owner(path); owner != ::geteuid()) {
    throw Error(errors::open_permissions, {.what = "a private path belongs to another user",
                                           .where = path.string(),
                                           .found = "user id " + std::to_string(owner),
                                           .expected = "user id " + std::to_string(::geteuid()),
                                           .remedy = "run as the owner of the site folder"});
  }
  unsigned mode = fs.mode(path);
  if ((mode & 0077U) != 0) {
    char text[16];
    std::snprintf(text, sizeof text, "%04o", mode);
    throw Error(errors::open_permissions,
                {.what = "group or others may touch a private path",
                 .where = path.string(),
                 .found = std::string("mode ") + text,
                 .expected = "mode " + wanted + " or less",
                 .remedy = "chmod " + wanted + " " + path.string() +
                           ", and make new keys if somebody may have read them"});
  }
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
