#include "cli/check.hpp"

#include "cli/site_command.hpp"
#include "concordat/core/error.hpp"
#include "concordat/observe/progress.hpp"
#include "concordat/site/run_check.hpp"

namespace concordat::cli {
namespace {

constexpr std::uint64_t most_ranks = 1'000'000;

std::string size(std::int64_t bytes) {
  return observe::short_bytes(static_cast<std::uint64_t>(bytes));
}

}  // namespace

std::string check_text(const Args& args, const std::optional<std::string>& ranks) {
  if (args.empty()) {
    throw Error(errors::usage, {.what = "a configuration file is missing",
                                .where = "concordat train --check",
                                .found = "nothing",
                                .expected = "FILE.toml",
                                .remedy = "concordat train --help"});
  }
  // A federation's common file names no site: who checks does not matter to the result.
  Args flags(args.begin() + 1, args.end());
  const SiteConfig read = read_site_config(site_schema(SiteNeeded::no), args[0], flags);
  const Config& config = read.config;
  site::SiteSettings settings = site_settings(config);
  federation::RunAgreement terms = agreement_from(config);
  const int num_ranks =
      ranks ? static_cast<int>(whole_number("train --check", "ranks", *ranks, 1, most_ranks))
            : settings.layout.model_ranks();
  site::RunCheck c = site::check_run(settings, terms, num_ranks);
  std::string text;
  auto row = [&](std::string label, const std::string& value) {
    label.resize(16, ' ');
    text += label + value + "\n";
  };
  row("layout", c.mesh.text() + ", batch " + std::to_string(settings.local.batch) +
                    " sequences of " + std::to_string(settings.inner.length) + " tokens, " +
                    std::to_string(settings.local.micro_batch) + " at once");
  if (settings.local.reproducible) {
    row("reproducible", "logical micro-batches of " + std::to_string(c.logical_unit) +
                            " sequences in " + std::to_string(c.logical_groups) + " groups");
  }
  row("model", std::string(model::name_of(settings.model.family)) +
                   (settings.model.tied ? ", tied head" : ""));
  row("parameters",
      std::to_string(c.num_elements) + " in " + std::to_string(c.num_tensors) + " tensors");
  row("blocks", std::to_string(c.num_blocks) + " of 2^" + std::to_string(terms.block_log2) +
                    " elements, " + std::to_string(c.num_spans) + " spans with a scale each");
  row("memory a rank", size(c.memory.total()) + ": weights " + size(c.memory.weights) +
                           ", gradients " + size(c.memory.gradients) + ", optimizer " +
                           size(c.memory.optimizer) + ", activations " +
                           size(c.memory.activations) + ", scratch " + size(c.memory.scratch) +
                           ", copies for products " + size(c.memory.copies) + ", for checkpoints " +
                           size(c.memory.saving));
  row("outer state", size(c.outer_bytes) + " over all ranks");
  if (read.terms) {
    const federation::RunAgreement& agreed = read.terms->agreement.agreement;
    row("agreement",
        "run " + agreed.run +
            (agreed.initial_state == c.initial_state
                 ? ": its initial state is this one"
                 : ": its initial state is ANOTHER one, " + agreed.initial_state.hex()));
  }
  const bool alone = !read.terms && config.given("site.name");
  const std::string crossing =
      size(static_cast<std::int64_t>(c.upload_bytes)) + " masked out and as much in (" +
      size(static_cast<std::int64_t>(c.first_upload_bytes)) + " in round 0), ";
  row("a round", std::to_string(terms.inner_steps) + " inner steps, " +
                     (alone ? "alone: nothing crosses a border, " : "then " + crossing) +
                     std::to_string(terms.rounds) + " rounds");
  row("initial state", c.initial_state.hex());
  return text;
}

}  // namespace concordat::cli
