#include "concordat/train/schedule.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/train/errors.hpp"

namespace concordat::train {

namespace {
[[noreturn]] void refuse(std::string_view name, std::string what, std::string found,
                         std::string expected, std::string remedy) {
  throw Error(errors::bad_settings, {.what = std::move(what),
                                     .where = "schedule " + std::string(name),
                                     .found = std::move(found),
                                     .expected = std::move(expected),
                                     .remedy = std::move(remedy)});
}
}  // namespace

std::string to_string(const Call& call) {
  static constexpr const char* kNames[] = {"F", "B", "W", "sf", "rf", "sb", "rb"};
  std::string text = kNames[static_cast<int>(call.kind)] + std::to_string(call.micro_batch.value());
  if (call.chunk.value() != 0) text += "." + std::to_string(call.chunk.value());
  return text;
}

const std::vector<Call>& Schedule::calls(Stage stage) const {
  CONCORDAT_REQUIRE(stage.value() >= 0 && stage.value() < num_stages(),
                    "stage " + std::to_string(stage.value()));
  return calls_[static_cast<std::size_t>(stage.value())];
}

void require_schedule(std::string_view name, int stages, int micro_batches, int chunks) {
  if (std::find(schedule_names.begin(), schedule_names.end(), name) == schedule_names.end()) {
    refuse(name, "there is no pipeline schedule of this name", std::string(name),
           "gpipe, 1f1b, interleaved or zb-h1",
           "'concordat schedule --help' tells what each is for");
  }
  if (stages < 1 || micro_batches < 1 || chunks < 1) {
    refuse(name, "a pipeline schedule of nothing",
           std::to_string(stages) + " stages, " + std::to_string(micro_batches) +
               " micro-batches, " + std::to_string(chunks) + " chunks",
           "at least one of each", "correct the number");
  }
  if (name != "interleaved") {
    if (chunks == 1) return;
    refuse(name, "the schedule has one chunk a stage", std::to_string(chunks) + " chunks",
           "chunks = 1", "leave chunks at 1, or choose schedule = interleaved");
  }
  if (chunks == 1) {
    refuse(name, "the schedule needs several chunks a stage", "1 chunk",
           "2 chunks or more; with one it would be 1f1b",
           "raise chunks, or choose schedule = 1f1b");
  }
  if (micro_batches % stages != 0) {
    const int below = micro_batches / stages * stages;
    refuse(
        name, "the schedule deals micro-batches out in groups of one for each stage",
        std::to_string(micro_batches) + " micro-batches over " + std::to_string(stages) + " stages",
        "a multiple of " + std::to_string(stages) + ", such as " +
            (below > 0 ? std::to_string(below) + " or " : std::string()) +
            std::to_string(below + stages),
        "change batch or micro_batch so that they fit, or choose schedule = 1f1b or zb-h1");
  }
}

Schedule schedule_named(std::string_view name, int stages, int micro_batches, int chunks) {
  require_schedule(name, stages, micro_batches, chunks);
  if (name == "gpipe") return gpipe(stages, micro_batches);
  if (name == "1f1b") return one_f_one_b(stages, micro_batches);
  if (name == "zb-h1") return zb_h1(stages, micro_batches);
  return interleaved_one_f_one_b(stages, micro_batches, chunks);
}

}  // namespace concordat::train
