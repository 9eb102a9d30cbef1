// The rounds of a federated training job: inner steps, exchange, outer step.
#pragma once

#include "concordat/site/training_job.hpp"
#include "site/engine.hpp"
#include "site/job_control.hpp"

namespace concordat::site {

/// Collective. Returns done when the state after the last round is proved to the border, or saved.
ExitCode train_federated(Engine& engine, JobControl& control, const FederationTerms& terms,
                         const JobSeams& seams);

}  // namespace concordat::site
