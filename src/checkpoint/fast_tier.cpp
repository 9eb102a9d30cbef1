#include "checkpoint/fast_tier.hpp"

#include "checkpoint/generations.hpp"

namespace concordat::checkpoint {

namespace {

constexpr const char* record_name = "FAST";

}  // namespace

bool leads_node(comm::Communicator& comm, const std::string& node) {
  const auto all = comm.all_gather_bytes(as_bytes(node));
  for (int rank = 0; rank < comm.rank(); ++rank) {
    if (to_string(all[static_cast<std::size_t>(rank)]) == node) return false;
  }
  return true;
}

std::optional<FastRecord> read_fast_record(FileSystem& fs, const Path& slow_folder) {
  const Path path = slow_folder / record_name;
  if (!fs.exists(path)) return std::nullopt;
  try {
    const std::string text = read_text(fs, path, 4096);
    const auto space = text.find(' ');
    if (space == std::string::npos || text.back() != '\n') return std::nullopt;
    FastRecord record{.name = text.substr(0, space),
                      .manifest = digest_from_hex(text.substr(space + 1, text.size() - space - 2),
                                                  path.string())};
    if (!parse_generation(record.name)) return std::nullopt;
    return record;
  } catch (const Error&) {
    return std::nullopt;  // torn or damaged
  }
}

void write_fast_record(FileSystem& fs, const Path& slow_folder, const FastRecord& record) {
  write_atomically(fs, slow_folder / record_name,
                   as_bytes(record.name + " " + record.manifest.hex() + "\n"));
}

void remove_fast_record(FileSystem& fs, const Path& slow_folder) {
  if (fs.remove(slow_folder / record_name)) fs.sync_directory(slow_folder);
}

void give_fast_name(FileSystem& fs, const Path& folder, const Draft& draft) {
  // One of this name is of another course: the record does not name it.
  fs.remove_all(folder / draft.name);
  fs.rename(draft.folder, folder / draft.name);
  fs.sync_directory(folder);
}

void keep_only(FileSystem& fs, const Path& folder, const std::string& keep) {
  for (const auto& name : list_generations(fs, folder)) {
    if (name != keep) remove_generation(fs, folder, name);
  }
}

}  // namespace concordat::checkpoint
