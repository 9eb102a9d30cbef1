#include "unit/site/border_world.hpp"

#include <algorithm>

#include "concordat/audit/audit.hpp"
#include "concordat/border/frames.hpp"
#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/merkle.hpp"
#include "concordat/parallel/state_digest.hpp"

namespace concordat::site::testing {
namespace {

using border::BlockPlace;
using border::BlockVector;

constexpr std::uint64_t num_elements = 2500;
constexpr int block_log2 = 10;

std::string name_of(std::uint32_t site, std::uint32_t num_sites) {
  return site == num_sites ? "hub" : std::string("site") + static_cast<char>('a' + site);
}

federation::SignedRoster make_roster(const std::vector<crypto::SiteKeys>& keys) {
  federation::Roster roster;
  roster.name = "test";
  roster.address = "hub:7443";
  for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
    roster.sites.push_back(federation::member_from(keys[i].public_keys(), "DE"));
  }
  roster.coordinator = federation::member_from(keys.back().public_keys(), "EU");
  Bytes document = encode(roster);
  federation::Signatures signatures;
  for (const crypto::SiteKeys& one : keys) {
    signatures.push_back(federation::sign_document(federation::DocumentKind::roster, document,
                                                   one.name, one.signing));
  }
  return federation::open_roster(document, signatures, "roster.json");
}

federation::SignedAgreement make_agreement(const federation::SignedRoster& roster,
                                           const std::vector<crypto::SiteKeys>& keys,
                                           std::uint32_t rounds) {
  federation::RunAgreement run;
  run.run = "demo";
  run.rounds = rounds;
  run.inner_steps = 1;
  run.scales.summed_rates = 0.01;
  run.weight_cap = 1000;
  run.block_log2 = block_log2;
  run.num_elements = num_elements;
  run.initial_state = KnownRanks::state_of(0);
  run.roster = roster.digest;
  Bytes document = encode(run);
  federation::Signatures signatures;
  for (const crypto::SiteKeys& one : keys) {
    signatures.push_back(federation::sign_document(federation::DocumentKind::agreement, document,
                                                   one.name, one.signing));
  }
  return federation::open_agreement(document, signatures, roster, "agreement.json");
}

std::uint64_t lanes_in(std::uint64_t block) {
  std::uint64_t size = std::uint64_t{1} << block_log2;
  return std::min(size, num_elements - block * size);
}

}  // namespace

KnownRanks::KnownRanks(FileSystem& fs, FileSystem::Path run, SiteId id,
                       const federation::RunAgreement& terms)
    : folder_(fs, std::move(run)), id_(id), agreement_(terms) {}

std::uint16_t KnownRanks::code(SiteId site, std::uint32_t round, std::uint64_t index) {
  return static_cast<std::uint16_t>((index * 7 + site.value() * 31 + round * 13) % 256);
}

std::vector<float> KnownRanks::outer(const std::string& vector, std::uint32_t round) {
  const std::uint64_t count = vector == "scales" ? 3 : num_elements;
  std::vector<float> values;
  for (std::uint64_t i = 0; i < count; ++i) {
    values.push_back(static_cast<float>(vector.size()) + 0.25F * static_cast<float>(round) +
                     0.001F * static_cast<float>(i));
  }
  return values;
}

Digest KnownRanks::state_of(std::uint32_t round) {
  static std::map<std::uint32_t, Digest>& known = *new std::map<std::uint32_t, Digest>;
  const auto before = known.find(round);
  if (before != known.end()) return before->second;
  std::vector<parallel::VectorLeaves> vectors;
  for (const char* name : {"model", "m", "scales"}) {
    const std::vector<float> values = outer(name, round);
    const std::uint64_t length = values.size() == 3 ? 1 : std::uint64_t{1} << block_log2;
    std::vector<Digest> leaves;
    for (std::uint64_t at = 0; at < values.size(); at += length) {
      const std::uint64_t count = std::min(length, values.size() - at);
      leaves.push_back(
          parallel::state_leaf(name, static_cast<std::int64_t>(leaves.size()),
                               {reinterpret_cast<const std::uint8_t*>(&values[at]), 4 * count}));
    }
    vectors.push_back({name, leaves});
  }
  return known[round] = parallel::state_root(Round{round}, num_elements, block_log2, vectors);
}

void KnownRanks::keep_generation(std::uint32_t round) {
  std::vector<checkpoint::NamedTensor> tensors;
  const auto add = [&](const std::string& vector, const std::string& name) {
    const std::vector<float> values = outer(vector, round);
    const auto count = static_cast<std::int64_t>(values.size());
    Tensor tensor = host_tensor(Dtype::f32, {count});
    std::ranges::copy(values, tensor.span<float>().begin());
    tensors.push_back(
        checkpoint::named_slice(name, count, Dtype::f32, tensor,
                                {.begin_block = 0, .end_block = 3, .begin = 0, .end = count}));
  };
  add("model", "outer/phi");
  add("m", "outer/m");
  add("m", "outer/error");
  add("scales", "outer/scales");
  const auto comm = comm::self_communicator();
  checkpoint::save_generation(
      *comm, posix_files(), folder_.checkpoints(), {.step = 1000 + round, .round = round}, tensors,
      {{std::string(checkpoint::keys::state_digest), state_of(round).hex()}}, {.keep = 100});
}

Digest KnownRanks::state() const { return state_of(round_); }

void KnownRanks::write_key() {
  key_ = crypto::OpeningKey::generate(crypto::system_random());
  nonce_ = make_nonce(crypto::system_random());
  folder_.write_key(exchange(), nonce_, {key_->seal_key(), state(), 2, "none"});
  key_written_ = true;
}

void KnownRanks::step() {
  if (away) return;
  if (!key_written_) write_key();
  if (round_ == agreement_.rounds) return;
  if (auto closed = folder_.read_closed(exchange())) {
    check_aggregate(*closed);
    if (!closed->took_part) ++missed_;
    ++round_;
    key_written_ = false;
    return;
  }
  if (folder_.has_commit(exchange()) || hold_commit) return;
  auto sealed = folder_.read_secrets(exchange(), nonce_);
  if (sealed) commit(open_secrets(exchange(), nonce_, *key_, *sealed));
}

// Two ranks: the first has block 0, the second the others.
void KnownRanks::commit(const RankSecrets& secrets) {
  ASSERT_EQ(secrets.seeds.size() + 1, secrets.participants.size());
  privacy::MaskContext context{secrets.federation, exchange(), secrets.manifest, id_};
  CommitRecord record;
  record.try_nonce = nonce_;
  record.manifest = secrets.manifest;
  record.state_digest = state();
  record.block_log2 = block_log2;
  record.num_elements = num_elements;
  record.generation = "step-00000" + std::to_string(round_ + 1);
  std::uint64_t num_blocks = agreement_.num_blocks();
  record.ranges = {{0, 1}, {1, num_blocks}};
  FileSystem& fs = folder_.files();
  fs.make_directories(folder_.try_folder(exchange(), nonce_));
  std::unique_ptr<File> files[2] = {
      fs.open(folder_.blocks_file(exchange(), nonce_, 0), OpenMode::truncate),
      fs.open(folder_.blocks_file(exchange(), nonce_, 1), OpenMode::truncate)};
  for (std::uint64_t block = 0; block < num_blocks; ++block) {
    ByteWriter lanes;
    for (std::uint64_t i = 0; i < lanes_in(block); ++i) {
      std::uint16_t lane = code(id_, round_, (block << block_log2) + i);
      lanes.u16(exceed ? static_cast<std::uint16_t>(lane + 50'000) : lane);
    }
    Bytes bytes = std::move(lanes).bytes();
    privacy::mask_block(context, secrets.seeds, privacy::update_vector, BlockIndex{block},
                        exact::Lane::u16, bytes);
    files[block == 0 ? 0 : 1]->write(bytes);
    record.leaves.push_back(border::block_leaf({BlockVector::update, block}, bytes));
  }
  ByteWriter lane;
  lane.u32(weight(id_));
  Bytes bytes = std::move(lane).bytes();
  privacy::mask_block(context, secrets.seeds, privacy::weight_vector, BlockIndex{0},
                      exact::Lane::u32, bytes);
  fs.open(folder_.weight_file(exchange(), nonce_), OpenMode::truncate)->write(bytes);
  record.weight_leaf = border::block_leaf({BlockVector::weight, 0}, bytes);
  const FileSystem::Path generation = folder_.checkpoints() / record.generation;
  if (!lose_generation) {
    fs.make_directories(generation);
    write_atomically(fs, generation / "manifest.json", as_bytes(record.generation));
  }
  folder_.write_commit(exchange(), record);
}

void KnownRanks::check_aggregate(const ClosedRecord& closed) {
  std::uint64_t total = 0;
  for (const SiteId site : closed.survivors) total += weight(site);
  EXPECT_EQ(closed.total_weight, total);
  EXPECT_GE(closed.survivors.size(), 3U);
  EXPECT_EQ(closed.took_part,
            round_ != donated_ && std::ranges::binary_search(closed.survivors, id_));
  EXPECT_EQ(closed.state_digest, state());
  Bytes sums = read_file(folder_.files(), folder_.aggregate_blocks(exchange()));
  ASSERT_EQ(sums.size(), 2 * num_elements);
  ByteReader in(sums, "sums");
  std::uint64_t wrong = 0;
  for (std::uint64_t index = 0; index < num_elements; ++index) {
    std::uint32_t expected = 0;
    for (const SiteId site : closed.survivors) expected += code(site, round_, index);
    if (in.u16() != expected) ++wrong;
  }
  EXPECT_EQ(wrong, 0U) << "of " << num_elements << " sums in round " << round_;
  Bytes leaves = read_file(folder_.files(), folder_.aggregate_leaves(exchange()));
  crypto::MerkleBuilder tree;
  for (std::size_t at = 0; at < leaves.size(); at += 32) {
    tree.add(digest_from(ByteView(leaves).subspan(at, 32), "leaves"));
  }
  EXPECT_EQ(tree.root(), closed.aggregate_root);
}

RankSecrets KnownRanks::ask_again(const ExchangeId& id, const std::function<void()>& turn) {
  auto key = crypto::OpeningKey::generate(crypto::system_random());
  std::string nonce = make_nonce(crypto::system_random());
  Digest before = state_of(id.round.value());
  folder_.write_key(id, nonce, {key.seal_key(), before, 2, "none"});
  for (int i = 0; i < 200 && !folder_.has_secrets(id, nonce); ++i) turn();
  auto sealed = folder_.read_secrets(id, nonce);
  if (!sealed) throw Bug("a restarted job got no answer");
  return open_secrets(id, nonce, key, *sealed);
}

BorderWorld::BorderWorld(std::uint32_t rounds, std::uint32_t num_sites,
                         std::chrono::milliseconds deadline_, std::uint32_t keep_rounds_)
    : roster(), agreement(), deadline(deadline_), keep_rounds(keep_rounds_) {
  log::set_level(log::Level::error);
  for (std::uint32_t i = 0; i <= num_sites; ++i) keys.push_back(keys_of(name_of(i, num_sites)));
  roster = make_roster(keys);
  agreement = make_agreement(roster, keys, rounds);
  start_hub();
  for (std::uint32_t i = 0; i < num_sites; ++i) {
    files.push_back(std::make_unique<testing_support::FaultyFiles>());
    posix_files().make_directories(site_folder(i));
    ends.push_back(road.site(SiteId{i}));
    roads.push_back(std::make_unique<DamagedRoad>(*ends.back()));
    ranks.emplace_back(hub_files, site_folder(i) / "runs" / "demo", SiteId{i}, agreement.agreement);
  }
  borders.resize(num_sites);
  ended.resize(num_sites, false);
  for (std::uint32_t i = 0; i < num_sites; ++i) start_border(i);
}

BorderWorld::~BorderWorld() {
  borders.clear();
  hub.reset();
}

FileSystem::Path BorderWorld::site_folder(std::uint32_t site) const {
  return root.path() / name_of(site, static_cast<std::uint32_t>(keys.size() - 1));
}

void BorderWorld::start_hub() {
  hub.reset();
  coordinator::CoordinatorPlan plan;
  plan.folder = root.path() / "hub";
  plan.roster = roster;
  plan.agreement = agreement;
  plan.deadline = deadline;
  plan.keep_rounds = keep_rounds;
  plan.poll_wait = std::chrono::milliseconds(0);
  posix_files().make_directories(plan.folder);
  hub = std::make_unique<coordinator::CoordinatorLoop>(
      coordinator::CoordinatorSeams{hub_files, clock, crypto::system_random(), road, budget},
      std::move(plan), keys.back());
}

void BorderWorld::start_border(std::uint32_t site) {
  borders[site].reset();
  BorderPlan plan;
  plan.site_folder = site_folder(site);
  plan.run_folder = site_folder(site) / "runs" / "demo";
  plan.roster = roster;
  plan.agreement = agreement;
  plan.fetch_wait = std::chrono::milliseconds(0);
  if (donor.contains(site)) plan.donor = donor.at(site);
  if (donate_to.contains(site)) plan.donate_to = donate_to.at(site);
  plan.scales_per_block = {1, 1, 1};
  plan.hash_per_turn_bytes = hash_per_turn_bytes;
  borders[site] = std::make_unique<BorderLoop>(
      BorderSeams{*files[site], clock, crypto::system_random(), *roads[site]}, std::move(plan),
      keys[site]);
}

void BorderWorld::turn() {
  for (std::uint32_t i = 0; i < borders.size(); ++i) {
    if (!borders[i] || ended[i]) continue;
    try {
      if (!borders[i]->turn()) ended[i] = borders[i]->exit_code() == ExitCode::done;
    } catch (const Error& error) {
      // A full disk is how these tests crash a border; anything else is a failure.
      if (!(error.code() == concordat::errors::disk_full)) throw;
      borders[i].reset();
      ++crashes;
    }
  }
  for (KnownRanks& one : ranks) one.step();
  if (!hub_ended && !hub->turn()) hub_ended = true;
}

void BorderWorld::turn_until(const std::function<bool()>& condition, int limit) {
  for (int i = 0; i < limit; ++i) {
    if (condition()) return;
    turn();
  }
  FAIL() << "nothing came of it: " << hub->status();
}

void BorderWorld::run_to_end(int limit) {
  auto all_ended = [&] { return std::find(ended.begin(), ended.end(), false) == ended.end(); };
  for (int i = 0; i < limit && !all_ended(); ++i) {
    turn();
    for (std::uint32_t site = 0; site < borders.size(); ++site) {
      if (borders[site]) continue;
      files[site]->heal();
      start_border(site);
    }
  }
  ASSERT_TRUE(all_ended()) << hub->status();
}

std::string BorderWorld::audit() const {
  audit::AuditInput input;
  auto add = [&](SiteId id, const crypto::SiteKeys& key, const FileSystem::Path& folder) {
    input.parties.push_back({id, key.name, folder / "ledger", key.log.verify_key()});
    input.roster.push_back({id, key.name, key.signing.verify_key()});
  };
  for (std::uint32_t i = 0; i + 1 < keys.size(); ++i) add(SiteId{i}, keys[i], site_folder(i));
  add(coordinator_id, keys.back(), root.path() / "hub");
  input.federation = roster.federation();
  input.agreement = agreement.digest;
  input.minimum = agreement.agreement.minimum;
  input.colluding = agreement.agreement.colluding;
  audit::AuditReport report = audit::run_audit(posix_files(), input);
  return report.verified() ? std::string() : report.text();
}

}  // namespace concordat::site::testing
