#include "concordat/ledger/ledger.hpp"

#include <map>
#include <mutex>

#include "concordat/crypto/merkle.hpp"
#include "concordat/ledger/verify.hpp"
#include "ledger/line_reader.hpp"

namespace concordat::ledger {
namespace {

[[noreturn]] void conflict(const Entry& entry, std::uint64_t index) {
  throw Error(errors::conflict,
              {.what = "the key was used for other content",
               .where = "entry " + entry.key,
               .found = "a new " + entry.kind + " entry",
               .expected = "the content of entry " + std::to_string(index),
               .remedy = "an act is recorded once: find out why it is repeated differently"});
}

}  // namespace

struct Ledger::State {
  FileSystem& fs;
  FileSystem::Path folder;
  std::string origin;
  const crypto::SigningKey& key;
  Clock& clock;
  std::unique_ptr<File> file;
  std::vector<Digest> leaves;
  std::vector<std::uint64_t> offsets;  // offsets[i]: first byte of line i; the last: end of file
  std::map<std::string, std::uint64_t, std::less<>> known;  // key to index
  crypto::MerkleBuilder tree;
  std::string scope;  // of the run that is open
  Head signed_head;
  std::string signed_note;
  std::vector<std::string> notes;
  bool broken = false;
  mutable std::mutex mutex;

  FileSystem::Path log_path() const { return folder / "log.jsonl"; }
  FileSystem::Path checkpoint_path() const { return folder / "checkpoint"; }

  void add(std::string_view line, const Entry& entry) {
    known.emplace(entry.key, leaves.size());
    leaves.push_back(crypto::merkle_leaf(as_bytes(line)));
    tree.add(leaves.back());
    offsets.push_back(offsets.back() + line.size() + 1);
  }

  LoggedEntry read(std::uint64_t index) const {
    const std::uint64_t begin = offsets[index];
    Bytes line(offsets[index + 1] - begin - 1);
    file->read_at(begin, line);
    return from_line(to_string(line), log_path().string() + ":" + std::to_string(index + 1));
  }
  void load();
  void check_against_checkpoint();
  void cut_tail(std::uint64_t file_bytes);
  std::vector<Entry> in_scope(std::span<const Entry> given);
  std::vector<std::uint64_t> append(std::span<const Entry> entries);
};

void Ledger::State::load() {
  offsets.push_back(0);
  if (!fs.exists(log_path())) {
    fs.make_directories(folder);
    fs.open(log_path(), OpenMode::append)->sync();
    fs.sync_directory(folder);
  }
  LineReader reader(fs, log_path());
  std::string_view line;
  while (reader.next(line)) {
    // Pages that a power cut left unwritten read as zeros. The writer escapes every zero byte and
    // what was acknowledged was synced, so everything from here on was never acknowledged.
    if (line.find('\0') != line.npos) break;
    const std::string where = log_path().string() + ":" + std::to_string(leaves.size() + 1);
    const LoggedEntry logged = from_line(line, where);
    if (logged.index != leaves.size() || known.contains(logged.entry.key)) {
      throw Error(errors::malformed,
                  {.what = "the entry is out of its place or stands twice",
                   .where = where,
                   .found = "index " + std::to_string(logged.index) + ", key " + logged.entry.key,
                   .expected = "index " + std::to_string(leaves.size()) + " and a new key",
                   .remedy = "restore the ledger from a copy"});
    }
    add(line, logged.entry);
  }
  check_against_checkpoint();
  cut_tail(reader.file_bytes());
  file = fs.open(log_path(), OpenMode::append);
  // What was found may be in the page cache alone: an append whose fsync failed, or a kill before
  // it. From here on it counts as written.
  file->sync();
}

void Ledger::State::check_against_checkpoint() {
  if (!fs.exists(checkpoint_path())) {
    if (!leaves.empty())
      notes.push_back("the ledger in " + folder.string() + " has " + std::to_string(leaves.size()) +
                      " entries and no checkpoint yet");
    return;
  }
  signed_note = read_text(fs, checkpoint_path(), 1U << 20U);
  signed_head =
      open_checkpoint(signed_note, origin, key.verify_key(), checkpoint_path().string()).head;
  const bool shorter = signed_head.size > leaves.size();
  if (shorter ||
      crypto::merkle_root(std::span(leaves).first(signed_head.size)) != signed_head.root) {
    throw Error(errors::rolled_back,
                {.what = shorter ? "the log lost entries that its checkpoint covers"
                                 : "an entry that the checkpoint covers was changed",
                 .where = log_path().string(),
                 .found = std::to_string(leaves.size()) + " entries",
                 .expected = "the tree of " + std::to_string(signed_head.size) +
                             " entries with root " + signed_head.root.hex(),
                 .remedy = "restore log.jsonl and checkpoint together from a copy; `concordat "
                           "audit` names the line"});
  }
}

void Ledger::State::cut_tail(std::uint64_t file_bytes) {
  if (file_bytes == offsets.back()) return;
  auto writable = fs.open(log_path(), OpenMode::read_write);
  writable->resize(offsets.back());
  writable->sync();
  notes.push_back("cut " + std::to_string(file_bytes - offsets.back()) +
                  " bytes of an entry that was being written when the machine stopped, at the "
                  "end of " +
                  log_path().string());
}

/// The entries with the keys that they have in the log.
std::vector<Entry> Ledger::State::in_scope(std::span<const Entry> given) {
  std::vector<Entry> entries(given.begin(), given.end());
  for (Entry& entry : entries) {
    if (entry.kind == kinds::agreement) {
      scope = run_scope(digest_from_hex(entry.at("agreement"), entry.key));
    } else {
      entry.key.insert(0, scope);
    }
  }
  return entries;
}

std::vector<std::uint64_t> Ledger::State::append(std::span<const Entry> entries) {
  if (broken) {
    throw Error(errors::broken, {.what = "an earlier append failed",
                                 .where = log_path().string(),
                                 .found = {},
                                 .expected = {},
                                 .remedy = "open the ledger again"});
  }
  const std::int64_t now = clock.unix_seconds();
  std::vector<std::uint64_t> indices;
  std::vector<std::pair<const Entry*, std::string>> fresh;
  std::map<std::string_view, std::size_t> fresh_keys;
  std::string text;
  for (const Entry& entry : entries) {
    if (const auto found = known.find(entry.key); found != known.end()) {
      // What a key stands for is the entry without its place and time.
      if (read(found->second).entry != entry) conflict(entry, found->second);
      indices.push_back(found->second);
      continue;
    }
    if (const auto found = fresh_keys.find(entry.key); found != fresh_keys.end()) {
      if (*fresh[found->second].first != entry) conflict(entry, leaves.size() + found->second);
      indices.push_back(leaves.size() + found->second);
      continue;
    }
    const std::uint64_t index = leaves.size() + fresh.size();
    fresh_keys.emplace(entry.key, fresh.size());
    fresh.emplace_back(&entry, to_line({index, now, entry}));
    text += fresh.back().second;
    text += '\n';
    indices.push_back(index);
  }
  if (fresh.empty()) return indices;
  try {
    file->write(as_bytes(text));
    file->sync();
  } catch (...) {
    broken = true;
    throw;
  }
  for (const auto& [entry, line] : fresh) add(line, *entry);
  return indices;
}

Ledger::Ledger(std::unique_ptr<State> state) : state_(std::move(state)) {}
Ledger::Ledger(Ledger&&) noexcept = default;
Ledger& Ledger::operator=(Ledger&&) noexcept = default;
Ledger::~Ledger() = default;

Ledger Ledger::open(FileSystem& fs, const FileSystem::Path& folder, std::string origin,
                    const crypto::SigningKey& log_key, Clock& clock) {
  CONCORDAT_REQUIRE(!origin.empty() && origin.find_first_of(" \n+") == origin.npos, origin);
  auto state = std::unique_ptr<State>(new State{.fs = fs,
                                                .folder = folder,
                                                .origin = std::move(origin),
                                                .key = log_key,
                                                .clock = clock,
                                                .file = {},
                                                .leaves = {},
                                                .offsets = {},
                                                .known = {},
                                                .tree = {},
                                                .scope = {},
                                                .signed_head = {},
                                                .signed_note = {},
                                                .notes = {},
                                                .broken = false,
                                                .mutex = {}});
  state->load();
  return Ledger(std::move(state));
}

std::uint64_t Ledger::append(const Entry& entry) { return append(std::span(&entry, 1)).front(); }

std::vector<std::uint64_t> Ledger::append(std::span<const Entry> entries) {
  const std::scoped_lock lock(state_->mutex);
  return state_->append(state_->in_scope(entries));
}

std::uint64_t Ledger::append_keyed(const Entry& entry) {
  CONCORDAT_REQUIRE(entry.kind != kinds::agreement, entry.key);
  const std::scoped_lock lock(state_->mutex);
  return state_->append(std::span(&entry, 1)).front();
}

Written<Decision> Ledger::write(const Decision& decision) {
  return std::move(write(std::span(&decision, 1)).front());
}

std::vector<Written<Decision>> Ledger::write(std::span<const Decision> decisions) {
  std::vector<Entry> entries;
  entries.reserve(decisions.size());
  for (const Decision& decision : decisions) entries.push_back(decision_entry(decision));
  const std::vector<std::uint64_t> indices = append(entries);
  std::vector<Written<Decision>> written;
  written.reserve(decisions.size());
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    const Decision& decision = decisions[i];
    if (!decision.permitted) {
      throw Error(errors::refused,
                  {.what = "the policy refuses to let this cross the border",
                   .where = decision.id + ", ledger entry " + std::to_string(indices[i]),
                   .found = decision.reason,
                   .expected = "what roster, run agreement and manifest entail (rule " +
                               decision.rule + ")",
                   .remedy = {}});
    }
    written.push_back(Written<Decision>(decision, indices[i]));
  }
  return written;
}

Head Ledger::head() const {
  const std::scoped_lock lock(state_->mutex);
  return {state_->leaves.size(), state_->tree.root()};
}

std::string Ledger::checkpoint() {
  const std::scoped_lock lock(state_->mutex);
  const Head head{state_->leaves.size(), state_->tree.root()};
  if (state_->signed_note.empty() || head != state_->signed_head) {
    const std::string note = sign_checkpoint({state_->origin, head}, state_->key);
    write_atomically(state_->fs, state_->checkpoint_path(), as_bytes(note));
    state_->signed_note = note;
    state_->signed_head = head;
  }
  return state_->signed_note;
}

std::vector<Digest> Ledger::inclusion_proof(std::uint64_t index, std::uint64_t size) const {
  const std::scoped_lock lock(state_->mutex);
  CONCORDAT_REQUIRE(index < size && size <= state_->leaves.size(),
                    std::to_string(index) + " of " + std::to_string(size));
  return crypto::inclusion_path(std::span(state_->leaves).first(size), index);
}

std::vector<Digest> Ledger::consistency_proof(std::uint64_t old_size,
                                              std::uint64_t new_size) const {
  const std::scoped_lock lock(state_->mutex);
  CONCORDAT_REQUIRE(old_size > 0 && old_size <= new_size && new_size <= state_->leaves.size(),
                    std::to_string(old_size) + " to " + std::to_string(new_size));
  return crypto::consistency_path(std::span(state_->leaves).first(new_size), old_size);
}

Digest Ledger::root_at(std::uint64_t size) const {
  const std::scoped_lock lock(state_->mutex);
  CONCORDAT_REQUIRE(size <= state_->leaves.size(), std::to_string(size));
  return crypto::merkle_root(std::span(state_->leaves).first(size));
}

std::optional<std::uint64_t> Ledger::find(std::string_view key) const {
  const std::scoped_lock lock(state_->mutex);
  const auto found = state_->known.find(state_->scope + std::string(key));
  if (found == state_->known.end()) return std::nullopt;
  return found->second;
}

bool Ledger::has_key(std::string_view key) const {
  const std::scoped_lock lock(state_->mutex);
  return state_->known.contains(key);
}

bool Ledger::knows_run(std::string_view scope) const {
  CONCORDAT_REQUIRE(!scope.empty() && scope_of(std::string(scope) + "x") == scope,
                    std::string(scope));
  const std::string begin = "agreement/" + std::string(scope.substr(0, scope.size() - 1));
  const std::scoped_lock lock(state_->mutex);
  const auto found = state_->known.lower_bound(begin);
  return found != state_->known.end() && found->first.starts_with(begin);
}

LoggedEntry Ledger::entry(std::uint64_t index) const {
  const std::scoped_lock lock(state_->mutex);
  CONCORDAT_REQUIRE(index < state_->leaves.size(), std::to_string(index));
  return state_->read(index);
}

const std::string& Ledger::origin() const { return state_->origin; }

const std::vector<std::string>& Ledger::recovery_notes() const { return state_->notes; }

}  // namespace concordat::ledger
