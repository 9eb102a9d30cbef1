// Saving while training goes on: the snapshot at a step boundary, the rest at later ones.
#include <algorithm>
#include <cstdio>

#include "concordat/core/kill_point.hpp"
#include "concordat/core/log.hpp"
#include "concordat/core/seconds.hpp"
#include "concordat/observe/progress.hpp"
#include "site/engine.hpp"

namespace concordat::site {
namespace {

std::string text_of(double number) {
  char text[32];
  std::snprintf(text, sizeof text, number < 0.1 ? "%.3f s" : "%.2f s", number);
  return text;
}

}  // namespace

checkpoint::Metadata Engine::metadata_now(checkpoint::Metadata metadata) const {
  metadata[std::string(checkpoint::keys::layout)] = layout_text();
  metadata[std::string(checkpoint::keys::reproducible)] = reproducible_text();
  metadata[std::string(checkpoint::keys::instruction_set)] =
      session_.backend().instructions_in_use();
  metadata[std::string(checkpoint::keys::threads_per_rank)] =
      std::to_string(settings_.local.threads);
  metadata[std::string(checkpoint::keys::data_cursor)] = std::to_string(trainer_.data_cursor());
  metadata[std::string(checkpoint::keys::rng_seed)] = std::to_string(settings_.seed);
  write_loss_scale(metadata);
  metadata[std::string(checkpoint::keys::effective_config)] = settings_.effective_toml;
  return metadata;
}

void Engine::begin_save(std::uint64_t round, const std::vector<checkpoint::NamedTensor>& extra,
                        checkpoint::Metadata metadata, SaveHooks hooks) {
  if (saver_.in_flight()) {
    if (comm_.rank() == 0) {
      log::info("training waits for the checkpoint that is being written: the next is due");
    }
    finish_save();
  }
  const auto start = clock_.monotonic();
  const train::HostState now = trainer_.state_to_copy(state_);
  saving_ = {.hooks = std::move(hooks),
             .position = {.step = static_cast<std::uint64_t>(trainer_.next_step()), .round = round},
             .snapshot = {},
             .pause = {}};
  saver_.begin(saving_.position, tensors(now, extra), metadata_now(std::move(metadata)),
               {.keep = settings_.checkpoint.keep,
                .keep_every = static_cast<std::uint64_t>(settings_.checkpoint.keep_every),
                .alignment = static_cast<std::uint64_t>(settings_.checkpoint.alignment),
                .pins = saving_.hooks.pins,
                .before_publish = saving_.hooks.before_publish});
  saving_.snapshot = saving_.pause = clock_.monotonic() - start;
  kill_point("train.snapshot");
}

void Engine::poll_save(bool all_written) {
  if (!saver_.in_flight()) return;
  const auto start = clock_.monotonic();
  const auto saved = saver_.poll(all_written);
  saving_.pause += clock_.monotonic() - start;
  if (saved) report_saved(*saved);
}

void Engine::finish_save() {
  if (!saver_.in_flight()) return;
  const auto start = clock_.monotonic();
  const auto saved = saver_.finish();
  saving_.pause += clock_.monotonic() - start;
  if (saved) report_saved(*saved);
}

void Engine::report_saved(const checkpoint::Saved& saved) {
  if (comm_.rank() == 0) {
    for (const std::string& name : saved.set_aside) {
      log::warn("generation " + name + " is of a course that this run did not go on from: it is " +
                "kept as set-aside-" + name);
    }
    log::info("saved " + saved.name + ": " + observe::short_bytes(saved.bytes) + ", snapshot " +
              text_of(seconds(saving_.snapshot)) + ", written in " + text_of(saved.write_seconds));
    if (metrics_) {
      metrics_->append("save", {{"step", saving_.position.step},
                                {"round", saving_.position.round},
                                {"generation", saved.name},
                                {"bytes", saved.bytes},
                                {"snapshot_s", seconds(saving_.snapshot)},
                                {"pause_s", seconds(saving_.pause)},
                                {"write_s", saved.write_seconds}});
    }
  }
  if (saving_.hooks.published) saving_.hooks.published(saved);
  kill_point("train.saved");
}

void Engine::write_loss_scale(checkpoint::Metadata& metadata) const {
  const train::LossScaleState& now = trainer_.loss_scale();
  metadata[std::string(checkpoint::keys::precision)] =
      std::string(name_of(trainer_.settings().compute));
  // Scales are whole powers of two.
  metadata[std::string(checkpoint::keys::loss_scale)] =
      std::to_string(static_cast<std::int64_t>(now.scale));
  metadata[std::string(checkpoint::keys::loss_scale_good_steps)] = std::to_string(now.good_steps);
  metadata[std::string(checkpoint::keys::skipped_steps)] = std::to_string(now.skipped);
}

}  // namespace concordat::site
