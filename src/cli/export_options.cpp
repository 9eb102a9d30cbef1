#include "cli/export_options.hpp"

#include <iostream>
#include <memory>

#include "cli/site_command.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/log.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

[[noreturn]] void usage(std::string_view command, std::string what, std::string found,
                        std::string expected) {
  throw Error(errors::usage, {.what = std::move(what),
                              .where = "concordat " + std::string(command),
                              .found = std::move(found),
                              .expected = std::move(expected),
                              .remedy = "concordat " + std::string(command) + " --help"});
}

std::string required_flag(std::string_view command, Args& args, std::string_view name) {
  auto value = take_flag(args, name);
  if (value && *value != "true") return *value;
  usage(command, "a flag is missing", "nothing", "--" + std::string(name) + "=...");
}

Dtype dtype_flag(std::string_view command, Args& args) {
  const std::string text = take_flag(args, "dtype").value_or("bf16");
  if (text == "bf16") return Dtype::bf16;
  if (text == "f32") return Dtype::f32;
  usage(command, "bad value for --dtype", text, "bf16 or f32");
}

/// A line of the log a gigabyte.
class Reporter {
 public:
  void operator()(std::uint64_t done, std::uint64_t total) {
    if (!progress_) {
      progress_ = std::make_shared<observe::Progress>(
          system_clock(),
          observe::ProgressOptions{
              .what = "byte", .unit = "bytes", .total = static_cast<std::int64_t>(total)});
    }
    if (done < next_line_) return;
    next_line_ += gigabyte;
    progress_->advance(static_cast<std::int64_t>(done), static_cast<std::int64_t>(done));
    log::info(progress_->line("written"));
  }

 private:
  static constexpr std::uint64_t gigabyte = std::uint64_t{1} << 30U;
  std::shared_ptr<observe::Progress> progress_;
  std::uint64_t next_line_ = gigabyte;
};

}  // namespace

site::ExportOptions take_export_options(std::string_view command, Args& args) {
  constexpr std::uint64_t most = std::uint64_t{1} << 60U;
  site::ExportOptions options;
  options.out = required_flag(command, args, "out");
  options.dtype = dtype_flag(command, args);
  if (auto text = take_flag(args, "shard-size")) {
    options.shard_bytes = whole_number(command, "shard-size", *text, 1, most);
  }
  if (auto text = take_flag(args, "max-length")) {
    options.max_length =
        static_cast<std::int64_t>(whole_number(command, "max-length", *text, 1, 1U << 30U));
  }
  options.progress = Reporter();
  return options;
}

void print_exported(const std::string& source, const site::ExportOptions& options,
                    const site::Exported& done) {
  for (const auto& skipped : done.skipped) {
    log::warn("generation " + skipped.name + " was passed over: " + skipped.reason);
  }
  std::cout << "exported    " << source << ", " << done.generation << "\nwritten     "
            << options.out.string() << ": " << done.num_tensors << " tensors, "
            << observe::short_bytes(done.num_bytes) << " in " << done.num_files
            << (done.num_files == 1 ? " file\n" : " files\n");
}

}  // namespace concordat::cli
