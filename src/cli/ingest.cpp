// `concordat ingest`: turns a folder of text into an encrypted dataset of a site.
#include <iostream>

#include "cli/command.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/log.hpp"
#include "concordat/core/stop.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/crypto/random.hpp"
#include "concordat/governance/ingest.hpp"
#include "concordat/ledger/recorder.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat ingest: turns a folder of text files into an encrypted dataset.\n\n"
         "usage:\n"
         "  concordat ingest --site FOLDER --name DATASET --source TEXTS --language CODE\n"
         "        --purpose TEXT [--validation-permille N] [--tokenizer FILE]\n"
         "        [--format text|llmc|nanogpt|megatron] [--vocabulary N] [--separator ID]\n\n"
         "FOLDER is the site's folder (with keys/). TEXTS holds UTF-8 files named *.txt, one\n"
         "document each; subfolders too. Exact duplicates are dropped; N of a thousand documents\n"
         "(default 50) are held out for validation, chosen by their content. The tokens are\n"
         "written to FOLDER/data/DATASET in encrypted shards; no plaintext is written anywhere.\n"
         "They are bytes, or those of FILE: a byte-level BPE tokenizer.json with the pattern of\n"
         "GPT-2 or Llama 3, or a sentencepiece tokenizer.model; a copy is kept with the dataset.\n"
         "Token files of other trainers are read with --format: llmc (*.bin with its header),\n"
         "nanogpt (*.bin, 16-bit ids alone), megatron (NAME.bin and NAME.idx). Documents are what\n"
         "stands between separators, or what the index says. N and ID default to GPT-2's or\n"
         "Llama 3's where the format says which; megatron needs both.\n"
         "What was done goes into the site's ledger. While the site's border runs it is the\n"
         "ledger's only writer: ingest hands the entry to it and waits for its index. TERM, USR1\n"
         "or a file STOP in FOLDER/handover end the wait with 75: the dataset and the entry are\n"
         "durable, and the same command shows the index later.\n";
}

std::string count(std::uint64_t value, const std::string& what) {
  return std::to_string(value) + " " + what;
}

data::SourceFormat format_of(const std::string& name) {
  if (name == "text") return data::SourceFormat::text;
  if (name == "llmc") return data::SourceFormat::llmc;
  if (name == "nanogpt") return data::SourceFormat::nanogpt;
  if (name == "megatron") return data::SourceFormat::megatron;
  throw Error(errors::usage, {.what = "bad value for --format",
                              .where = "concordat ingest",
                              .found = name,
                              .expected = "text, llmc, nanogpt or megatron",
                              .remedy = "concordat ingest --help"});
}

constexpr std::chrono::milliseconds look_pause{50};
constexpr std::chrono::seconds say_every{5};

/// Waits for the border, if one runs, to write the entry. Nullopt when asked to stop.
std::optional<ledger::Answer> record(ledger::SiteRecorder& recorder, const ledger::Entry& entry) {
  auto answer = recorder.record(entry);
  if (answer) return answer;
  Clock& clock = system_clock();
  StopRequests stops(posix_files(), recorder.folder(), clock);
  const auto begin = clock.monotonic();
  auto next_line = begin;
  while (!(answer = recorder.look(entry))) {
    const StopKind stop = stops.poll();
    if (stop == StopKind::stop || stop == StopKind::requeue) return std::nullopt;
    if (clock.monotonic() >= next_line) {
      next_line += say_every;
      const auto waited =
          std::chrono::duration_cast<std::chrono::seconds>(clock.monotonic() - begin);
      log::info("the dataset is complete; its entry waits for the ledger's writer (" +
                recorder.writer().value_or("it has just ended") + "), " +
                std::to_string(waited.count()) + " s so far");
    }
    clock.sleep(look_pause);
  }
  return answer;
}

int run(const Args& args) {
  Flags flags("ingest", args,
              {"site", "name", "source", "language", "purpose", "validation-permille", "tokenizer",
               "format", "vocabulary", "separator"});
  flags.expect_positional({});
  if (!crypto::disable_core_dumps()) log::warn("core dumps could not be switched off");
  std::filesystem::path site = flags.required("site");
  auto permille = static_cast<std::uint32_t>(whole_number(
      "ingest", "validation-permille", flags.value("validation-permille", "50"), 0, 500));
  governance::IngestRequest request{.options = {.name = flags.required("name"),
                                                .source = flags.required("source"),
                                                .folder = site / "data" / flags.required("name"),
                                                .validation_permille = permille},
                                    .language = flags.required("language"),
                                    .purpose = flags.required("purpose")};
  request.options.format = format_of(flags.value("format", "text"));
  request.options.tokenizer = flags.value("tokenizer", "");
  if (flags.given("vocabulary")) {
    request.options.vocabulary = static_cast<std::uint32_t>(whole_number(
        "ingest", "vocabulary", flags.required("vocabulary"), 2, data::max_vocabulary));
  }
  if (flags.given("separator")) {
    request.options.separator = static_cast<std::uint32_t>(whole_number(
        "ingest", "separator", flags.required("separator"), 0, data::max_vocabulary - 1));
  }
  crypto::require_site_name(request.options.name, "--name");
  if (!posix_files().exists(site / "keys")) {
    throw Error(errors::not_found,
                {.what = "the site has no keys, with which its data is encrypted",
                 .where = (site / "keys").string(),
                 .found = "no such folder",
                 .expected = "the site's key folder",
                 .remedy = "concordat keys create --name NAME --folder " +
                           (site / "keys").string() + ", or correct --site"});
  }
  auto keys = crypto::load_site_keys(posix_files(), site / "keys");
  posix_files().make_directories(site / "data");
  // Two at once would write into one staging folder.
  RoleLock lock(site / "data" / ("." + request.options.name + ".lock"), "ingest");
  ledger::SiteRecorder recorder(
      posix_files(), site, "ingest", [&](const ledger::SiteRecorder::Work& work) {
        auto ledger = ledger::Ledger::open(posix_files(), site / "ledger",
                                           ledger::log_origin(keys.name, keys.log.verify_key()),
                                           keys.log, system_clock());
        for (const std::string& note : ledger.recovery_notes()) log::info(note);
        work(ledger);
      });
  auto done = governance::ingest(
      posix_files(), [&](const ledger::Entry& entry) { return record(recorder, entry); }, request,
      keys.data_key.view(), crypto::system_random());
  const data::DatasetManifest& m = done.manifest;
  std::cout << (done.already_there ? "already there:" : "ingested") << " dataset " << m.name << ": "
            << count(m.num_documents, "documents") << " (" << observe::short_bytes(m.num_bytes)
            << "), " << count(m.num_duplicates, "exact duplicates dropped") << ", "
            << count(m.num_tokens(data::Split::train), "training and ")
            << count(m.num_tokens(data::Split::validation), "validation tokens") << " in "
            << count(m.shards.size(), "encrypted shards") << "; "
            << (done.entry ? "ledger entry " + std::to_string(done.entry->index)
                           : "its ledger entry waits for the border; run the same command again")
            << '\n';
  if (m.vocabulary.kind != data::Vocabulary::bytes) {
    std::cout << "for the run's configuration, [model] tokenizer = \"" << m.vocabulary.id()
              << "\", vocab at least " << m.vocabulary.size << '\n';
  }
  return static_cast<int>(done.entry ? ExitCode::done : ExitCode::saved);
}

}  // namespace

const Command ingest_command{"ingest", "turn a folder of text into an encrypted dataset", help,
                             run};

}  // namespace concordat::cli
