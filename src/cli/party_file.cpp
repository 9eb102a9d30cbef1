#include "cli/party_file.hpp"

#include <sstream>

#include "cli/schema.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"

namespace concordat::cli {
namespace {

bool has_section(const std::string& file, const std::string& section) {
  try {
    std::istringstream in(read_text(posix_files(), file, 1U << 20U));
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with(section)) return true;
    }
  } catch (const Error&) {
    // Reading it as a configuration says what is wrong.
  }
  return false;
}

}  // namespace

bool is_coordinator_file(const std::string& file) { return has_section(file, "[coordinator]"); }

void require_site_file(const std::string& file) {
  if (!is_coordinator_file(file)) return;
  throw Error(errors::usage,
              {.what = "this is a coordinator's configuration, and a site's is asked for",
               .where = file,
               .found = "a section [coordinator]",
               .expected = "SITE.toml, with a section [site]",
               .remedy = "give the site's file; the coordinator's goes to 'concordat "
                         "coordinate' and 'concordat slurm init --role=coordinator "
                         "--coordinator=" +
                         file + "'"});
}

Config load_coordinator(const std::string& file, const Args& flags) {
  if (has_section(file, "[site]")) {
    throw Error(errors::usage,
                {.what = "this is a site's configuration, and a coordinator's is asked for",
                 .where = file,
                 .found = "a section [site]",
                 .expected = "COORDINATOR.toml, with a section [coordinator]",
                 .remedy = "give the coordinator's file; the site's goes to 'concordat "
                           "train', 'concordat border' and 'concordat slurm init "
                           "--role=site|border --site=" +
                           file + "'"});
  }
  return Config::load(coordinator_schema(), file, flags);
}

}  // namespace concordat::cli
