// `concordat schedule`: a pipeline schedule drawn as text, before any rank runs it.
#include <cstdio>
#include <iostream>

#include "cli/command.hpp"
#include "concordat/core/error.hpp"
#include "concordat/train/schedule_drawing.hpp"

namespace concordat::cli {
namespace {

constexpr std::uint64_t most_stages = 256;
constexpr std::uint64_t most_micro_batches = 4096;
constexpr std::uint64_t most_chunks = 64;

std::string help() {
  return "concordat schedule: draws a pipeline schedule and says what it costs.\n\n"
         "usage:\n"
         "  concordat schedule --stages=P --micro-batches=M [--schedule=NAME] [--chunks=V]\n"
         "        [--forward=F] [--backward-input=B] [--backward-weight=W] [--width=COLUMNS]\n\n"
         "One line per stage (a pipeline rank), time along the line, dots where it waits:\n"
         "  F3  forward of micro-batch 3\n"
         "  B3  gradient of its input, which the stage before waits for\n"
         "  W3  gradient of its weights, which nobody waits for\n"
         "  F3.1 is in chunk 1: with V chunks a stage has V parts of the model, P parts apart.\n\n"
         "NAME (default 1f1b), what it is for, and the time it adds to M (F + B + W):\n"
         "  gpipe        all forwards, then all backwards            (P-1)(F+B)    holds M\n"
         "  1f1b         a backward as soon as there is one          (P-1)(F+B)    holds P\n"
         "  interleaved  1f1b over V > 1 chunks; P divides M; V      (P-1)(F+B)/V  holds P + "
         "(P-1)/V\n"
         "               times the messages\n"
         "  zb-h1        1f1b with W put off into the waits          (P-1)(F+B-W)  holds P\n"
         "               (W no longer than F and B, M >= P)\n"
         "'holds' counts micro-batches whose activations the busiest stage keeps.\n\n"
         "F, B and W (default 1) are the times of a whole stage for one micro-batch in any unit: "
         "a\n"
         "backward is about twice a forward, so B = W = F. W = 0 gives the textbook's bubble of\n"
         "gpipe and 1f1b, (P-1)/M. Messages take no time here. In a site's configuration:\n"
         "[train] schedule and chunks, [layout] pp for P; M is batch / dp / micro_batch.\n";
}

int whole(const Flags& flags, const char* name, const char* fallback, std::uint64_t low,
          std::uint64_t high) {
  return static_cast<int>(whole_number("schedule", name, flags.value(name, fallback), low, high));
}

double time_of(const Flags& flags, const char* name) {
  return real_number("schedule", name, flags.value(name, "1"), 0.0, 1000.0);
}

/// @throws Error(usage) if all are 0.
void require_work(const train::CallTimes& times) {
  if (times.forward + times.backward_input + times.backward_weight > 0.0) return;
  throw Error(errors::usage, {.what = "a schedule whose calls take no time",
                              .where = "concordat schedule",
                              .found = "--forward=0 --backward-input=0 --backward-weight=0",
                              .expected = "one of them above 0",
                              .remedy = "concordat schedule --help"});
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

int run(const Args& args) {
  const Flags flags("schedule", args,
                    {"stages", "micro-batches", "schedule", "chunks", "forward", "backward-input",
                     "backward-weight", "width"});
  flags.expect_positional({});
  flags.required("stages");
  flags.required("micro-batches");
  const int stages = whole(flags, "stages", "", 1, most_stages);
  const int micro_batches = whole(flags, "micro-batches", "", 1, most_micro_batches);
  const int chunks = whole(flags, "chunks", "1", 1, most_chunks);
  const int width = whole(flags, "width", "120", 20, 100000);
  const std::string name = flags.value("schedule", "1f1b");
  const train::CallTimes times{.forward = time_of(flags, "forward"),
                               .backward_input = time_of(flags, "backward-input"),
                               .backward_weight = time_of(flags, "backward-weight")};
  require_work(times);
  const train::Schedule schedule = train::schedule_named(name, stages, micro_batches, chunks);
  const train::ScheduleReport report = train::check(schedule, times);

  std::cout << name << ": " << stages << (stages == 1 ? " stage, " : " stages, ") << micro_batches
            << (micro_batches == 1 ? " micro-batch" : " micro-batches");
  if (chunks > 1) std::cout << ", " << chunks << " chunks a stage";
  std::cout << "; F " << number(times.forward) << ", B " << number(times.backward_input) << ", W "
            << number(times.backward_weight) << "\n\n"
            << train::draw(report, width) << '\n';
  const double busy = report.busy / stages;
  std::cout << "time            " << number(report.duration) << ", of which each stage works "
            << number(busy) << '\n';
  std::cout << "bubble          " << number(100.0 * report.bubble) << " % of the work, "
            << number(100.0 * (report.duration - busy) / report.duration) << " % of the time";
  std::cout << "\npeak in flight ";
  for (const int peak : report.peak_in_flight) {
    std::cout << ' ' << number(static_cast<double>(peak) / chunks);
  }
  std::cout << " micro-batches on stages 0 to " << stages - 1 << '\n';
  return 0;
}

}  // namespace

const Command schedule_command{"schedule", "draw a pipeline schedule: bubble, peak in flight", help,
                               run};

}  // namespace concordat::cli
