// The run folder's side of the border: key files in, secrets out, COMMIT in.
#include <algorithm>
#include <charconv>

#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/site/errors.hpp"
#include "site/border_state.hpp"

namespace concordat::site {

using federation::SitePhase;

namespace {

constexpr std::uint64_t max_manifest_bytes = 64U << 20U;

// "step-000120" -> 120.
std::uint64_t step_of(std::string_view generation) {
  std::uint64_t step = 0;
  std::size_t dash = generation.rfind('-');
  if (dash == std::string_view::npos) return 0;
  std::from_chars(generation.data() + dash + 1, generation.data() + generation.size(), step);
  return step;
}

}  // namespace

// A job whose run folder was lost, or whose newer generations are damaged, announces a round that
// is over and whose aggregate is in no inbox any more: it would wait for ever. Seen twice, so that
// folders that are just being removed do not count.
void BorderLoop::State::look_back() {
  std::optional<ExchangeId> found;
  for (const ExchangeId& id : folder.in_outbox()) {
    if (found || id >= exchange()) break;
    if (!folder.has_closed(id) && !folder.key_nonces(id).empty()) found = id;
  }
  announces_lost = found == left_behind ? found : std::nullopt;
  left_behind = found;
  // With a donor what is missing comes from there; what was committed is brought to its end first.
  if (!announces_lost || plan.donor || folder.has_commit(exchange())) return;
  throw Error(
      errors::too_far_behind,
      {.what = "a training job announces a round whose aggregate is not here any more",
       .where = folder.outbox(*found).string(),
       .found = "exchange " + found->text(),
       .expected =
           "exchange " + exchange().text() + ", or the inbox of every exchange from there on",
       .remedy = "its log names generations that it passed over. The run folder was lost or is an "
                 "older copy: restore checkpoints and inbox as they were, or name a donor in "
                 "federation.donor"});
}

// The ranks have said which state they hold: fresh keys, then `ready`.
bool BorderLoop::State::start_round() {
  if (round->machine.phase() != SitePhase::idle) return false;
  std::vector<std::string> nonces = folder.key_nonces(exchange());
  if (nonces.empty()) return false;
  KeyFile key = folder.read_key(exchange(), nonces.front());

  auto stored = secrets.load(exchange());
  BorderSecrets mine = stored ? decode_border_secrets(stored->view()) : fresh_secrets(seams.random);
  if (!stored) save_secrets(mine);
  kill_point("border.keys_saved");

  const Round number = exchange().round;
  ledger::Entry state = ledger::state_entry(number, key.state_digest, key.generation);
  if (auto index = ledger.find(state.key)) {
    // A restarted job may name a newer generation; the state has to be the one of then.
    std::string before = ledger.entry(*index).entry.at("state");
    if (before != key.state_digest.hex()) {
      throw Error(errors::state_differs, {.what = "the ranks changed the state of a round",
                                          .where = folder.outbox(exchange()).string(),
                                          .found = key.state_digest.hex(),
                                          .expected = before + " as in the ledger",
                                          .remedy = "restore the generation of that round"});
    }
  } else {
    ledger.append(state);
  }
  ledger.checkpoint();

  federation::ReadyBody ready;
  ready.round = number;
  ready.state = key.state_digest;
  ready.ledger = ledger.head();
  const federation::Chain& chain = round->machine.terms().previous;
  if (!chain.heads.empty()) {
    std::uint64_t before = chain.heads[own.value()].size;
    if (before > 0) ready.consistency = ledger.consistency_proof(before, ready.ledger.size);
  }
  ready.mask = mine.mask.seal_key();
  ready.share = mine.share.seal_key();
  accept({{}, 0, federation::Start{ready}}, "border.start_journaled");
  say("ranks are ready, state " + key.state_digest.hex().substr(0, 16));
  return true;
}

bool BorderLoop::State::answer_keys() {
  bool answered = false;
  const federation::SiteExchange& machine = round->machine;
  auto answer = [&](const ExchangeId& id, const std::string& nonce, const KeyFile& key,
                    const RankSecrets& theirs) {
    folder.write_secrets(id, nonce, seal_secrets(id, nonce, key.public_key, theirs, seams.random));
    kill_point("border.secrets_written");
    answered = true;
  };
  const bool taking_part = machine.phase() >= SitePhase::going &&
                           machine.phase() <= SitePhase::closed && !machine.missed();
  if (taking_part) {
    for (const std::string& nonce : folder.key_nonces(exchange())) {
      if (folder.has_secrets(exchange(), nonce)) continue;
      KeyFile key = folder.read_key(exchange(), nonce);
      if (key.state_digest != machine.own_ready().state) {
        throw Error(errors::state_differs,
                    {.what = "a restarted job holds another state than this site's ready",
                     .where = (folder.outbox(exchange()) / ("key-" + nonce)).string(),
                     .found = key.state_digest.hex(),
                     .expected = machine.own_ready().state.hex(),
                     .remedy = "restore the generation of this round"});
      }
      // Once COMMIT stands nobody may mask again, so nobody gets seeds again.
      bool may_mask = machine.phase() == SitePhase::going && !folder.has_commit(exchange());
      answer(exchange(), nonce, key,
             may_mask
                 ? secrets_for_ranks(machine, load_secrets(), keys)
                 : secrets_after_commit(peers.federation(), exchange(), machine.manifest_digest(),
                                        own, machine.manifest().sites(), keys));
    }
  }
  // A job that begins with an older generation repeats every exchange from there on whose sum is
  // still here.
  for (const ExchangeId& id : folder.in_outbox()) {
    const auto past = taken_part.find(id);
    if (past == taken_part.end() || !folder.has_closed(id)) continue;
    for (const std::string& nonce : folder.key_nonces(id)) {
      if (folder.has_secrets(id, nonce)) continue;
      answer(id, nonce, folder.read_key(id, nonce),
             secrets_after_commit(peers.federation(), id, past->second.manifest, own,
                                  past->second.participants, keys));
    }
  }
  return answered;
}

bool BorderLoop::State::take_commit() {
  if (round->machine.phase() != SitePhase::going || !folder.has_commit(exchange())) return false;
  round->blocks.emplace(folder, round->machine.terms(), round->machine.manifest_digest(),
                        round->machine.own_ready().state, tree_file());
  const CommitRecord& commit = round->blocks->commit();
  const border::FrameTable& table = round->blocks->table();
  write_checkpoint_entry(commit);
  ledger.append(ledger::commit_entry({exchange(), commit.manifest, table.root, table.num_leaves(),
                                      commit.ranges.size(), static_cast<std::uint32_t>(commit.lane),
                                      commit.try_nonce, commit.generation}));
  kill_point("border.commit_recorded");
  accept({{}, 0, federation::Committed{table}}, "border.commit_journaled");
  say("commit taken, " + std::to_string(table.num_leaves()) + " blocks");
  return true;
}

void BorderLoop::State::write_checkpoint_entry(const CommitRecord& commit) {
  FileSystem::Path file = folder.checkpoints() / commit.generation / "manifest.json";
  if (!seams.fs.exists(file)) {
    throw Error(errors::bad_run_file,
                {.what = "COMMIT names a generation that is not there",
                 .where = (folder.outbox(exchange()) / "COMMIT").string(),
                 .found = "no " + file.string(),
                 .expected = "the end-of-round generation " + commit.generation,
                 .remedy = "restore the run folder's checkpoints: without this generation the site "
                           "cannot go on from what it committed"});
  }
  Digest digest = crypto::sha256(read_file(seams.fs, file, max_manifest_bytes));
  ledger.append(ledger::checkpoint_entry(plan.agreement.agreement.run, commit.generation,
                                         step_of(commit.generation), exchange().round,
                                         round->machine.own_ready().state, digest));
}

}  // namespace concordat::site
