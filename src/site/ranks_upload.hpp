// Masking a site's update into the run folder, up to the commit; and the outer step after the
// closing.
#pragma once

#include "concordat/device/exec.hpp"
#include "site/outer_state.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {

/// What every rank knows about the exchange under way.
struct ExchangeJob {
  comm::Communicator& comm;
  RunFolder& folder;
  const OuterTerms& terms;
  std::uint64_t num_elements = 0;
  ExchangeId exchange{};
  /// Where the update is made into masked codes; null: here.
  device::Exec* quantises = nullptr;
};

/// Quantises, masks and writes this rank's blocks into a new try, then commits. Collective.
/// @pre secrets with pair seeds; no COMMIT. Memory: one block.
/// @throws Error(exact.not_finite | exact.lane_could_wrap | ...), agreed; no COMMIT then.
CommitRecord upload(const ExchangeJob& job, const OuterState& state, const RoundInputs& inputs,
                    const RankSecrets& secrets, const Digest& state_digest,
                    const std::string& generation, crypto::SecureRandom& random);

/// CLOSED is there: verifies the aggregate and applies it to the slice. Collective.
/// @throws Error(site.block_digest | site.state_differs | exact.sum_out_of_range), agreed; the
/// state is unchanged then.
void apply_closing(const ExchangeJob& job, OuterState& state, const RoundInputs& inputs,
                   const RankSecrets& secrets, const CommitRecord& commit);

/// Whether the exchange is closed and went without this site. Collective.
bool was_missed(const ExchangeJob& job);

/// The outer step of an exchange that went without this site: as above, but nothing of `theta` is
/// in the sum. What it is away from the shared model stays in it, and error feedback is as it was.
/// @pre was_missed().
void apply_missed(const ExchangeJob& job, OuterState& state, std::span<float> theta,
                  const Digest& state_digest);

}  // namespace concordat::site
