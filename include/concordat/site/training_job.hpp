// The training job of a site: what `mpirun -n N concordat train SITE.toml` runs on every rank.
//
//   comm::Split split = runtime.split({comm::Role::train, "alba"});
//   JobSeams seams{posix_files(), system_clock(), crypto::system_random()};
//   ExitCode code = run_training(settings, terms, *split.ranks, seams);
//
// Alone, it takes rounds * inner_steps steps. In a federation every round ends with the exchange:
// the ranks mask their update into the run folder's outbox, the site's border takes it from there,
// and the aggregate comes back through the inbox; the ranks open no socket.
//
// Restart: the same command continues from the newest generation that verifies; a COMMIT that was
// made is never made again. Stops: USR1, TERM, STOP, SAVE and the batch system's end time are
// honoured at step boundaries and in every wait; then all is saved and the result is `saved`.
// Collective over `comm`. Failure: Error, agreed over the ranks.
#pragma once

#include <optional>

#include "concordat/comm/communicator.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"
#include "concordat/crypto/random.hpp"
#include "concordat/federation/agreement.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::site {

struct JobSeams {
  FileSystem& fs;
  Clock& clock;
  crypto::SecureRandom& random;
};

/// The signed terms of the federation that this run belongs to.
struct FederationTerms {
  federation::SignedRoster roster;
  federation::SignedAgreement agreement;
};

ExitCode run_training(const SiteSettings& settings, const std::optional<FederationTerms>& terms,
                      comm::Communicator& comm, const JobSeams& seams);

}  // namespace concordat::site
