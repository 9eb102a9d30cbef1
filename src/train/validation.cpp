// Loss on held-out windows.
#include <numbers>

#include "concordat/train/errors.hpp"
#include "concordat/train/executor.hpp"
#include "concordat/train/trainer.hpp"

namespace concordat::train {
namespace {

std::int64_t units_of(std::int64_t sequences, std::int64_t unit) {
  return (sequences + unit - 1) / unit;
}

}  // namespace

ValidationReport Trainer::validate(ValidationData& data) { return *validate(data, {}); }

std::optional<ValidationReport> Trainer::validate(ValidationData& data,
                                                  const std::function<bool()>& stop) {
  const auto windows = static_cast<std::int64_t>(data.num_windows());
  if (windows == 0) {
    throw Error(
        errors::bad_settings,
        {.what = "there is nothing to validate on",
         .where = "validation split",
         .found = "0 windows",
         .expected = "at least one of " + std::to_string(settings_.length.value()) + " tokens",
         .remedy = "ingest more text or shorten inner.length"});
  }
  stage_.open_validation();
  // Groups of windows as there are groups of a step, so that the loss depends on no more than its.
  const auto length = static_cast<std::size_t>(settings_.length.value());
  // What all ranks ask they ask equally often, also those with a window less.
  const std::int64_t most = units_of(share_of(windows, plan_.num_groups, 0).count, plan_.unit);
  const std::int64_t units_of_a_step =
      std::max<std::int64_t>(1, units_of(settings_.batch / plan_.num_groups, plan_.unit));
  std::vector<std::int32_t> tokens;
  std::int64_t bytes = 0;
  for (int group = 0; group < plan_.groups.count(); ++group) {
    const Share mine = share_of(windows, plan_.num_groups, plan_.first_group + group);
    for (std::int64_t unit = 0; unit < most; ++unit) {
      if (stop && unit % units_of_a_step == 0 && stop()) return std::nullopt;
      const std::int64_t done = unit * plan_.unit;
      const std::int64_t count = std::min(plan_.unit, mine.count - done);
      if (count <= 0) continue;
      MicroBatches batch(exec_, {.sequences = count,
                                 .per_micro_batch = count,
                                 .length = settings_.length,
                                 .vocab = settings_.model.vocab,
                                 .cp = mesh_.shape().cp,
                                 .cp_rank = mesh_.coords().cp});
      tokens.resize(static_cast<std::size_t>(count) * (length + 1));
      for (std::int64_t i = 0; i < count; ++i) {
        const auto window =
            std::span(tokens).subspan(static_cast<std::size_t>(i) * (length + 1), length + 1);
        data.window(static_cast<std::uint64_t>(mine.begin + done + i), window);
        bytes += data.num_bytes(window.subspan(1));
      }
      batch.fill(exec_, 0, tokens);
      evaluate(stage_, batch[0], mesh_, exec_, group);
    }
  }
  const double nats = total_loss();
  // The ranks of the cp axis counted the same windows.
  comm::all_reduce_host<std::int64_t>(mesh_.axis(parallel::Axis::dp), std::span(&bytes, 1),
                                      comm::ReduceOp::sum);

  ValidationReport report;
  report.tokens = windows * settings_.length.value();
  report.bytes = bytes;
  report.nats_per_token = nats / static_cast<double>(report.tokens);
  report.bits_per_byte = bytes == 0 ? 0.0 : nats / std::numbers::ln2 / static_cast<double>(bytes);
  return report;
}

}  // namespace concordat::train
