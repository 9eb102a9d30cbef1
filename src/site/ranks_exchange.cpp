#include "concordat/site/ranks_exchange.hpp"

#include <optional>

#include "concordat/comm/agree.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/keys.hpp"
#include "concordat/parallel/reshard.hpp"
#include "concordat/site/errors.hpp"
#include "site/outer_state.hpp"
#include "site/ranks_upload.hpp"
#include "site/run_folder.hpp"
#include "site/run_records.hpp"
#include "site/state_import.hpp"
#include "site/wait.hpp"

namespace concordat::site {

namespace {

ExchangeId exchange_of(Round round) { return {round, Fragment{0}, Attempt{0}}; }

/// An empty tensor has no place in a plan.
std::vector<Tensor> list_of(const Tensor& tensor) {
  return tensor.empty() ? std::vector<Tensor>{} : std::vector<Tensor>{tensor};
}

}  // namespace

struct RanksExchange::Parts {
  Parts(comm::Communicator& c, const ExchangeSeams& s, const FileSystem::Path& run_folder,
        const OuterTerms& t, const parallel::CanonicalSpace& space,
        const parallel::LocalLayout& layout)
      : comm(c),
        seams(s),
        terms(t),
        state(t, space, c.rank(), c.size()),
        num_elements(static_cast<std::uint64_t>(space.num_elements())) {
    // Rank 0 first: it makes what is missing and checks owner and mode.
    comm::agreed(comm, [&] {
      if (comm.rank() == 0) folder.emplace(seams.fs, run_folder);
    });
    comm::agreed(comm, [&] {
      if (comm.rank() != 0) folder.emplace(seams.fs, run_folder);
    });
    const parallel::LocalLayout slice = parallel::layout_of(state.slice());
    to_slice = parallel::ReshardPlan::make(comm, layout.owned, slice.held);
    to_layout = parallel::ReshardPlan::make(comm, slice.owned, layout.held);
  }

  ExchangeJob job() { return {comm, *folder, terms, num_elements, exchange_of(round), quantises}; }
  std::optional<CommitRecord> read_commit();
  void check_commit(const CommitRecord& commit, const Digest& digest) const;
  std::optional<RankSecrets> wait_for_secrets(const StopAsked& stop);

  comm::Communicator& comm;
  ExchangeSeams seams;
  OuterTerms terms;
  OuterState state;
  std::uint64_t num_elements;
  std::optional<RunFolder> folder;
  parallel::ReshardPlan to_slice, to_layout;
  Round round{0};
  std::optional<Digest> digest;
  std::optional<crypto::OpeningKey> key;  ///< rank 0, of the newest announcement
  std::string nonce;
  device::Exec* quantises = nullptr;
};

RanksExchange::RanksExchange(comm::Communicator& comm, const ExchangeSeams& seams,
                             const FileSystem::Path& run_folder, const OuterTerms& terms,
                             const parallel::CanonicalSpace& space,
                             const parallel::LocalLayout& layout)
    : parts_(std::make_unique<Parts>(comm, seams, run_folder, terms, space, layout)) {}

RanksExchange::~RanksExchange() = default;

void RanksExchange::quantise_on(device::Exec& exec) { parts_->quantises = &exec; }

void RanksExchange::start(const Tensor& local_weights) {
  Parts& p = *parts_;
  p.state.begin();
  parallel::execute(p.to_slice, p.comm, list_of(local_weights), list_of(p.state.phi()));
  p.round = Round{0};
  p.digest.reset();
}

void RanksExchange::resume(Round round) {
  parts_->round = round;
  parts_->digest.reset();
}

std::optional<Round> RanksExchange::donated() {
  Parts& p = *parts_;
  Bytes text;
  comm::agreed(p.comm, [&] {
    if (p.comm.rank() != 0) return;
    if (const auto record = read_imported(p.seams.fs, p.folder->root())) {
      ByteWriter out;
      out.u32(record->exchange.round.value());
      text = std::move(out).bytes();
    }
  });
  p.comm.broadcast_bytes(text, 0);
  if (text.empty()) return std::nullopt;
  return Round(ByteReader(text, "donated round").u32());
}

void RanksExchange::take_donated() {
  Parts& p = *parts_;
  comm::agreed(p.comm, [&] { p.state.read_import(p.seams.fs, p.folder->root()); });
  const std::optional<ImportedRecord> record = read_imported(p.seams.fs, p.folder->root());
  CONCORDAT_REQUIRE(record.has_value(), "donated() comes first");
  p.round = record->exchange.round;
  p.digest.reset();
  const Digest& found = state_digest();
  comm::agreed(p.comm, [&] {
    if (found == record->state) return;
    throw Error(errors::state_differs,
                {.what = "the state that a donor gave is not on the disk as it was checked",
                 .where = import_folder(p.folder->root()).string(),
                 .found = found.hex(),
                 .expected = record->state.hex(),
                 .remedy = "check the disk; remove the folder and have the state given again"});
  });
}

void RanksExchange::forget_donated() {
  Parts& p = *parts_;
  comm::agreed(p.comm, [&] {
    if (p.comm.rank() == 0) remove_import(p.seams.fs, p.folder->root());
  });
}

std::vector<checkpoint::NamedTensor> RanksExchange::named_state() {
  return parts_->state.named_tensors();
}

Round RanksExchange::round() const { return parts_->round; }

const Digest& RanksExchange::state_digest() {
  if (!parts_->digest) parts_->digest = parts_->state.digest(parts_->comm, parts_->round);
  return *parts_->digest;
}

void RanksExchange::read_shared_model(const Tensor& local_weights) {
  Parts& p = *parts_;
  parallel::execute(p.to_layout, p.comm, list_of(p.state.phi()), list_of(local_weights));
}

void RanksExchange::announce(const std::string& generation) {
  Parts& p = *parts_;
  const Digest& digest = state_digest();
  comm::agreed(p.comm, [&] {
    if (p.comm.rank() != 0) return;
    // What a job announced that could not go on is not true any more.
    for (const ExchangeId& older : p.folder->in_outbox()) {
      if (older >= exchange_of(p.round) || p.folder->has_closed(older)) continue;
      p.seams.fs.remove_all(p.folder->outbox(older));
    }
    p.key = crypto::OpeningKey::generate(p.seams.random);
    p.nonce = make_nonce(p.seams.random);
    p.folder->write_key(exchange_of(p.round), p.nonce,
                        {.public_key = p.key->seal_key(),
                         .state_digest = digest,
                         .num_ranks = static_cast<std::uint32_t>(p.comm.size()),
                         .generation = generation});
    kill_point("ranks.announced");
  });
}

std::optional<CommitRecord> RanksExchange::Parts::read_commit() {
  Bytes text;
  comm::agreed(comm, [&] {
    if (comm.rank() != 0) return;
    const auto commit = folder->read_commit(exchange_of(round));
    if (!commit) return;
    const std::string record = encode_commit(exchange_of(round), *commit);
    text.assign(record.begin(), record.end());
  });
  comm.broadcast_bytes(text, 0);
  if (text.empty()) return std::nullopt;
  return decode_commit(exchange_of(round), to_string(text), "COMMIT");
}

bool RanksExchange::committed() { return parts_->read_commit().has_value(); }

void RanksExchange::Parts::check_commit(const CommitRecord& commit, const Digest& expected) const {
  const bool same_shape = commit.num_elements == num_elements &&
                          commit.block_log2 == terms.block_log2 &&
                          commit.lane == terms.quantiser_of(round).lane;
  if (commit.state_digest == expected && same_shape) return;
  throw Error(
      errors::state_differs,
      {.what = "this round was committed from another state",
       .where = (folder->outbox(exchange_of(round)) / "COMMIT").string(),
       .found = "state " + expected.hex(),
       .expected = "state " + commit.state_digest.hex() + ", generation " + commit.generation,
       .remedy = "restore that generation's folder"});
}

std::optional<RankSecrets> RanksExchange::Parts::wait_for_secrets(const StopAsked& stop) {
  const ExchangeId exchange = exchange_of(round);
  const auto there = [&] {
    return folder->has_secrets(exchange, nonce) || folder->has_closed(exchange);
  };
  // A border that closes the exchange takes its answers away, and then answers again.
  std::optional<Bytes> sealed;
  const auto answered = [&] {
    sealed = folder->read_secrets(exchange, nonce);
    return sealed.has_value();
  };
  if (!wait_until(comm, seams.clock, there, stop)) return std::nullopt;
  // Closed without an answer: either it went without this site, or the answer is on its way.
  if (was_missed(job())) return std::nullopt;
  if (!wait_until(comm, seams.clock, answered, stop)) return std::nullopt;
  Bytes plain;
  comm::agreed(comm, [&] {
    if (comm.rank() != 0) return;
    const RankSecrets opened = open_secrets(exchange, nonce, *key, *sealed);
    const crypto::SecretBytes encoded = encode_secrets(opened);
    plain.assign(encoded.view().begin(), encoded.view().end());
  });
  comm.broadcast_bytes(plain, 0);
  RankSecrets secrets = decode_secrets(plain);
  crypto::cleanse(plain);
  kill_point("ranks.secrets");
  return secrets;
}

bool RanksExchange::missed() { return was_missed(parts_->job()); }

bool RanksExchange::seems_over() const {
  return parts_->folder->has_closed(exchange_of(parts_->round));
}

void RanksExchange::catch_up(const Tensor& local_weights) {
  Parts& p = *parts_;
  Tensor theta;
  if (p.state.slice().count() > 0) theta = host_tensor(Dtype::f32, {p.state.slice().count()});
  parallel::execute(p.to_slice, p.comm, list_of(local_weights), list_of(theta));
  const Digest digest = state_digest();
  apply_missed(p.job(), p.state, theta.empty() ? std::span<float>() : theta.span<float>(), digest);
  p.round = p.round.next();
  p.digest.reset();
  parallel::execute(p.to_layout, p.comm, list_of(theta), list_of(local_weights));
  kill_point("ranks.caught_up");
}

ExchangeEnd RanksExchange::run(const Tensor& local_weights, std::uint64_t tokens,
                               const std::string& generation, const StopAsked& stop) {
  Parts& p = *parts_;
  CONCORDAT_REQUIRE(p.comm.rank() != 0 || p.key, "announce() comes first");
  const std::uint32_t cap = p.terms.weight_cap;
  const auto counted = static_cast<std::uint32_t>(std::min<std::uint64_t>(tokens, 0xffff'ffffU));
  comm::agreed(p.comm, [&] { exact::check_weight({counted, cap}); });
  Tensor theta;
  if (p.state.slice().count() > 0) theta = host_tensor(Dtype::f32, {p.state.slice().count()});
  parallel::execute(p.to_slice, p.comm, list_of(local_weights), list_of(theta));

  std::optional<CommitRecord> commit = p.read_commit();
  const Digest digest = state_digest();
  if (commit) comm::agreed(p.comm, [&] { p.check_commit(*commit, digest); });
  const std::optional<RankSecrets> secrets = p.wait_for_secrets(stop);
  if (!secrets) return missed() ? ExchangeEnd::missed : ExchangeEnd::stopped;
  const RoundInputs inputs{.rounding_key = secrets->rounding_key,
                           .weight = {counted, cap},
                           .theta = theta.empty() ? std::span<float>() : theta.span<float>()};
  const ExchangeJob job = p.job();
  if (!commit) {
    commit = upload(job, p.state, inputs, *secrets, digest, generation, p.seams.random);
  }
  const auto closed = [&] { return p.folder->has_closed(job.exchange); };
  if (!wait_until(p.comm, p.seams.clock, closed, stop)) return ExchangeEnd::stopped;
  kill_point("ranks.closed");
  apply_closing(job, p.state, inputs, *secrets, *commit);
  p.round = p.round.next();
  p.digest.reset();
  parallel::execute(p.to_layout, p.comm, list_of(theta), list_of(local_weights));
  kill_point("ranks.applied");
  return ExchangeEnd::closed;
}

void RanksExchange::forget_before(Round round) {
  Parts& p = *parts_;
  comm::agreed(p.comm, [&] {
    if (p.comm.rank() != 0) return;
    // Downward until nothing is there: folders are removed in the order in which they were made.
    for (std::uint32_t r = round.value(); r-- > 0;) {
      const ExchangeId exchange = exchange_of(Round{r});
      if (!p.seams.fs.exists(p.folder->outbox(exchange)) &&
          !p.seams.fs.exists(p.folder->inbox(exchange))) {
        return;
      }
      p.folder->remove_exchange(exchange);
    }
  });
}

Digest initial_state_digest(comm::Communicator& comm, const OuterTerms& terms,
                            const parallel::CanonicalSpace& space,
                            const parallel::LocalLayout& layout, const Tensor& local_weights) {
  OuterState state(terms, space, comm.rank(), comm.size());
  state.begin();
  const auto plan =
      parallel::ReshardPlan::make(comm, layout.owned, parallel::layout_of(state.slice()).held);
  parallel::execute(plan, comm, list_of(local_weights), list_of(state.phi()));
  return state.digest(comm, Round{0});
}

}  // namespace concordat::site
