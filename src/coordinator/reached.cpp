#include "coordinator/reached.hpp"

#include <algorithm>
#include <charconv>

#include "concordat/coordinator/errors.hpp"

namespace concordat::coordinator {
namespace {

constexpr std::string_view title = "concordat reached v1\n";
constexpr std::uint64_t max_bytes = 64U << 10U;

[[noreturn]] void bad(const FileSystem::Path& path, std::string found) {
  throw Error(errors::bad_journal,
              {.what = "this does not say how far each site is",
               .where = path.string(),
               .found = std::move(found),
               .expected = "a first line \"concordat reached v1\", then a round for each site",
               .remedy = "remove the file: it is made again from the journals"});
}

}  // namespace

Reached::Reached(const CoordinatorFolder& folder, std::uint32_t num_sites)
    : fs_(folder.files()), path_(folder.reached()), rounds_(num_sites) {
  if (!fs_.exists(path_)) return;
  const Bytes bytes = read_file(fs_, path_, max_bytes);
  const std::string text = to_string(bytes);
  if (!text.starts_with(title)) bad(path_, "another first line");
  const char* at = text.data() + title.size();
  const char* end = text.data() + text.size();
  for (Round& round : rounds_) {
    std::uint32_t value = 0;
    const auto [next, problem] = std::from_chars(at, end, value);
    if (problem != std::errc() || next == end || *next != '\n') bad(path_, "no round in a line");
    round = Round(value);
    at = next + 1;
  }
  if (at != end) bad(path_, "more lines than sites");
  known_ = true;
}

Round Reached::oldest() const { return *std::min_element(rounds_.begin(), rounds_.end()); }

bool Reached::raise(SiteId site, Round round) {
  Round& known = rounds_.at(site.value());
  if (round <= known) return false;
  known = round;
  return true;
}

void Reached::save() {
  std::string text(title);
  for (const Round round : rounds_) text += std::to_string(round.value()) + "\n";
  write_atomically(fs_, path_, as_bytes(text));
  known_ = true;
}

}  // namespace concordat::coordinator
