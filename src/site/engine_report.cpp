// What a job says about its steps: the line in the log, metrics.jsonl, the gauges.
#include <cstdio>
#include <memory>

#include "concordat/core/log.hpp"
#include "concordat/observe/memory.hpp"
#include "concordat/observe/metrics.hpp"
#include "concordat/observe/progress.hpp"
#include "concordat/observe/prometheus.hpp"
#include "concordat/train/peak.hpp"
#include "site/engine.hpp"

namespace concordat::site {
namespace {

std::string number(const char* pattern, double value) {
  char text[32];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string size(std::int64_t bytes) {
  return observe::short_bytes(static_cast<std::uint64_t>(bytes));
}

std::string listing(const train::MemoryEstimate& memory) {
  return size(memory.total()) + ": weights " + size(memory.weights) + ", gradients " +
         size(memory.gradients) + ", optimizer " + size(memory.optimizer) + ", activations " +
         size(memory.activations) + ", scratch " + size(memory.scratch) + ", copies for products " +
         size(memory.copies) + ", for checkpoints " + size(memory.saving);
}

observe::Fields fields_of(const train::StepReport& r, std::int64_t round, double mfu, bool scaled) {
  observe::Fields fields{{"step", r.step},
                         {"round", round},
                         {"loss", r.loss},
                         {"rate", r.rate},
                         {"gradient_norm", r.gradient_norm},
                         {"tokens", r.tokens},
                         {"tokens_per_s", r.tokens_per_s},
                         {"flops_per_s", r.flops_per_s},
                         {"resident_bytes", observe::process_memory().resident_bytes}};
  if (mfu > 0.0) fields.emplace_back("mfu", mfu);
  if (scaled) {
    fields.emplace_back("loss_scale", r.loss_scale);
    fields.emplace_back("skipped", r.skipped);
  }
  return fields;
}

std::string detail_of(const train::StepReport& r, double mfu, bool scaled) {
  std::string text = "loss " + number("%.3f", r.loss) + "  rate " + number("%.2e", r.rate) +
                     "  norm " + number("%.3f", r.gradient_norm) + "  " +
                     observe::short_count(r.flops_per_s) + "FLOP/s";
  if (mfu > 0.0) text += "  MFU " + number("%.1f", 100.0 * mfu) + " %";
  if (scaled) text += "  scale " + observe::short_count(r.loss_scale);
  return text;
}

}  // namespace

double Engine::peak_of_the_site() {
  double peak = settings_.local.peak.flops_per_s;
  if (settings_.local.peak.measured) {
    comm_.barrier();
    peak = train::product_rate(session_.exec(), clock_, trainer_.settings().compute);
  }
  comm::all_reduce_host<double>(comm_, std::span(&peak, 1), comm::ReduceOp::sum);
  return peak;
}

void Engine::announce(double peak) {
  const train::TrainSettings& t = trainer_.settings();
  if (session_.backend().name() == "cuda") {
    log::info("computes on " + session_.backend().instructions_in_use());
  }
  log::info("a token takes " + observe::short_count(model::flops_per_token(t.model, t.length)) +
            " model FLOPs: 6 N + 12 layers width length, N without the embedding look-up");
  if (peak > 0.0) {
    log::info("MFU is the share of " + observe::short_count(peak) + "FLOP/s, " +
              (settings_.local.peak.measured ? "products alone as measured now"
                                             : "train.peak times the ranks"));
  }
  if (t.compute != Dtype::f32 && !session_.backend().multiplies(t.compute)) {
    log::info("this processor does not multiply in " + settings_.local.precision +
              ": weights are stored in it, and products are in fp32");
  }
  log::info("memory of a rank, predicted: " +
            listing(job_memory(t, mesh_.shape(), session_.backend(), extra_bytes_)));
}

void Engine::report_steps(std::int64_t total_steps) {
  const double peak = peak_of_the_site();
  if (comm_.rank() != 0) return;
  announce(peak);
  metrics_ = std::make_shared<observe::MetricsWriter>(fs_, settings_.run_folder() / "metrics.jsonl",
                                                      clock_);
  auto gauges =
      std::make_shared<observe::PrometheusFile>(fs_, settings_.run_folder() / "metrics.prom");
  auto progress = std::make_shared<observe::Progress>(
      clock_, observe::ProgressOptions{.total = total_steps, .start = trainer_.next_step()});
  auto units = std::make_shared<std::int64_t>(0);
  auto worked = std::make_shared<double>(0.0);  // seconds in steps: not in waits for other sites
  trainer_.on_step([=, this](const train::StepReport& r) {
    const bool scaled = trainer_.settings().compute == Dtype::f16;
    const double mfu = peak > 0.0 ? r.flops_per_s / peak : 0.0;
    const bool first = *units == 0;
    *units += r.tokens;
    *worked += r.seconds;
    metrics_->append("step", fields_of(r, r.step / settings_.inner_steps, mfu, scaled));
    if (first) report_memory(*metrics_);
    if (r.skipped) {
      log::warn("step " + std::to_string(r.step) +
                " was skipped: its gradient is not finite at a loss scale of " +
                observe::short_count(r.loss_scale) + ", which is halved");
    }
    const bool last = r.step + 1 == total_steps;
    if ((r.step + 1) % settings_.local.log_every != 0 && !last) return;
    progress->advance(r.step + 1, *units, *worked);
    log::info(progress->line(detail_of(r, mfu, scaled)));
    observe::Labels site{{"site", settings_.name}, {"run", settings_.run}};
    gauges->set("concordat_step", "Inner steps done", site, static_cast<double>(r.step + 1));
    gauges->set("concordat_loss_nats", "Training loss per token", site, r.loss);
    gauges->set("concordat_tokens_per_second", "Training rate", site, r.tokens_per_s);
    gauges->write();
  });
}

void Engine::report_memory(observe::MetricsWriter& metrics) const {
  const auto predicted =
      job_memory(trainer_.settings(), mesh_.shape(), session_.backend(), extra_bytes_);
  train::MemoryEstimate held = trainer_.memory_in_use();
  held.saving = predicted.saving;
  const observe::ProcessMemory now = observe::process_memory();
  const std::uint64_t grown = now.peak_bytes - std::min(now.peak_bytes, resident_at_start_);
  log::info("memory of this rank after its first step: " + listing(held));
  log::info("the process grew by " + observe::short_bytes(grown) + " at its peak, predicted " +
            size(predicted.total()));
  metrics.append("memory", {{"predicted_bytes", predicted.total()},
                            {"held_bytes", held.total()},
                            {"grown_bytes", grown},
                            {"peak_resident_bytes", now.peak_bytes}});
}

}  // namespace concordat::site
