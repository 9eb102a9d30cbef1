// RanksExchange: what the ranks of a site do at the end of a round. They mask their update into the
// run folder, wait for the border to close the exchange, and take the outer step.
//
//   RanksExchange exchange(comm, seams, run_folder, terms_of(agreement), space, trainer.layout());
//   auto restored = engine.restore(exchange.named_state());
//   if (restored) exchange.resume(Round(restored->position.round)); else exchange.start(weights);
//   exchange.announce(generation);                          // at job start and after every round
//   ... H inner steps, trainer.read_weights(weights), save(exchange.named_state()) ...
//   if (exchange.run(weights, tokens, generation, stop) == ExchangeEnd::closed) {
//     trainer.write_weights(weights);                       // the new shared model
//     exchange.announce(generation);
//   }
//
// A round's end-of-round generation must be durable before run(): it holds the named state (phi,
// moments, error feedback, scales: as they were when the round began) and the weights after the
// inner steps, from which a restarted job repeats everything after COMMIT. Nothing is masked twice:
// where COMMIT exists run() goes on to wait for the closing.
//
// Everything is collective over `comm`; errors are agreed. Threads: one host thread. Memory per
// rank: its slice of phi, moments, error and update, and buffers of one block.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/comm/communicator.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"
#include "concordat/core/ids.hpp"
#include "concordat/crypto/random.hpp"
#include "concordat/exact/outer.hpp"
#include "concordat/exact/scales.hpp"
#include "concordat/federation/agreement.hpp"
#include "concordat/parallel/canonical_space.hpp"

namespace concordat::device {
struct Exec;
}

namespace concordat::site {

/// What the arithmetic of the outer state depends on: all of it stands in the run agreement.
struct OuterTerms {
  exact::OuterSettings outer{};
  exact::ScaleRule scales{};
  exact::Quantiser first_round{};
  exact::Quantiser later_rounds{};
  std::uint32_t weight_cap = 1;
  int block_log2 = 20;
  const exact::Quantiser& quantiser_of(Round round) const {
    return round == Round{0} ? first_round : later_rounds;
  }
};
OuterTerms terms_of(const federation::RunAgreement& agreement);

/// The digest of the state that round 0 starts from, for `train --check` and the agreement.
/// `local_weights` are the initial weights in the layout's local flat space. Collective.
Digest initial_state_digest(comm::Communicator& comm, const OuterTerms& terms,
                            const parallel::CanonicalSpace& space,
                            const parallel::LocalLayout& layout, const Tensor& local_weights);

struct ExchangeSeams {
  FileSystem& fs;
  Clock& clock;
  crypto::SecureRandom& random;
};

enum class ExchangeEnd {
  closed,   ///< the outer step is taken; round() advanced
  missed,   ///< the round went on without this site: catch_up() is next
  stopped,  ///< asked to stop while waiting: exit 75 and run the same command again
};

/// Asked about twice a second during waits, on every rank at the same points; may be collective.
/// The same answer on all ranks.
using StopAsked = std::function<bool()>;

class RanksExchange {
 public:
  /// Everything given but `layout` must outlive this. Rank 0 checks the run folder.
  RanksExchange(comm::Communicator& comm, const ExchangeSeams& seams,
                const FileSystem::Path& run_folder, const OuterTerms& terms,
                const parallel::CanonicalSpace& space, const parallel::LocalLayout& layout);
  ~RanksExchange();

  /// From now on updates are made into masked codes by this back end's op (docs/cuda.md): with the
  /// same bits, but what comes to the host is masked. `exec` must outlive this.
  void quantise_on(device::Exec& exec);

  /// Round 0: phi is `local_weights` ([layout.num_local] f32), moments and error are 0.
  void start(const Tensor& local_weights);
  /// After a restore filled named_state(): the state is that of the beginning of `round`.
  void resume(Round round);

  /// The round whose state a donor gave and the border put into the run folder; nullopt without
  /// one. Collective.
  std::optional<Round> donated();
  /// Takes that state: what round() starts from, as the participants cosigned it, with no error
  /// feedback. @pre donated(). @throws Error(site.state_differs), agreed.
  void take_donated();
  /// Removes what the donor gave, once a generation holds it.
  void forget_donated();

  /// The tensors that a generation holds besides the trainer's: "outer/phi", "outer/m", "outer/v",
  /// "outer/error", "outer/scales". Views of the state: they are restored in place.
  std::vector<checkpoint::NamedTensor> named_state();

  Round round() const;
  /// State digest at the beginning of round(). Cost: hashes the slice once per round.
  const Digest& state_digest();
  /// Copies the shared model of round() into `local_weights`.
  void read_shared_model(const Tensor& local_weights);

  /// Rank 0 writes key-NONCE for the exchange of round(): the border learns that a job with this
  /// state runs. After the last round this alone proves the final state.
  void announce(const std::string& generation);

  /// Whether this round's upload is committed already.
  bool committed();

  /// Whether the exchange of round() is closed and went without this site: a look at the inbox by
  /// rank 0, and two collectives.
  bool missed();
  /// Whether the inbox has a closing record of round(), so that missed() is worth asking. Not
  /// collective; for rank 0.
  bool seems_over() const;
  /// Takes the outer step of a round that this site missed and advances round(). `local_weights` is
  /// this site's model now and becomes what the next round starts from: it moves by as much as the
  /// shared model, so that steps taken since this site last took part count in its next update.
  /// @pre missed(). @throws as run().
  void catch_up(const Tensor& local_weights);

  /// The exchange of round(), from masking to the outer step. On return `closed`, `local_weights`
  /// holds what the next round starts from. `tokens` are those of the round, all ranks together.
  /// @pre announce() was called in this round. @throws Error(exact.not_finite | exact.weight |
  /// exact.sum_out_of_range | site.block_digest | site.state_differs | ...), agreed.
  ExchangeEnd run(const Tensor& local_weights, std::uint64_t tokens, const std::string& generation,
                  const StopAsked& stop);

  /// Removes the outbox and inbox of exchanges before `round`: those that no kept generation would
  /// repeat.
  void forget_before(Round round);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace concordat::site
