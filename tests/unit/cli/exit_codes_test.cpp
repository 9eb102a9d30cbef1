// What scripts and batch systems rely on: the name, severity and exit code of every error. A change
// here is a change of an interface; docs/running.md must say it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "concordat/border/errors.hpp"
#include "concordat/checkpoint/errors.hpp"
#include "concordat/comm/errors.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/core/error.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/data/errors.hpp"
#include "concordat/device/errors.hpp"
#include "concordat/exact/errors.hpp"
#include "concordat/federation/errors.hpp"
#include "concordat/ledger/errors.hpp"
#include "concordat/model/errors.hpp"
#include "concordat/parallel/errors.hpp"
#include "concordat/privacy/errors.hpp"
#include "concordat/site/errors.hpp"
#include "concordat/train/errors.hpp"

namespace concordat {
namespace {

struct Row {
  const ErrorCode& code;
  std::string_view name;
  Severity severity;
  int exit;
};

const Row table[] = {
    {border::errors::not_authentic, "border.not_authentic", Severity::request, 65},
    {border::errors::unknown_peer, "border.unknown_peer", Severity::request, 65},
    {border::errors::equivocation, "border.equivocation", Severity::request, 65},
    {border::errors::exchange_closed, "border.exchange_closed", Severity::request, 65},
    {border::errors::no_header, "border.no_header", Severity::request, 65},
    {border::errors::decision_mismatch, "border.decision_mismatch", Severity::process, 77},
    {border::errors::crossing_refused, "border.crossing_refused", Severity::process, 77},
    {border::errors::peer_refused, "border.peer_refused", Severity::request, 65},
    {border::errors::road_down, "border.road_down", Severity::request, 75},
    {border::errors::road_waits, "border.road_waits", Severity::request, 75},
    {border::errors::road_stopped, "border.road_stopped", Severity::request, 75},
    {border::errors::road_abused, "border.road_abused", Severity::request, 65},
    {border::errors::over_budget, "border.over_budget", Severity::process, 64},
    {border::errors::receipts_damaged, "border.receipts_damaged", Severity::process, 65},
    {border::errors::bad_address, "border.bad_address", Severity::process, 64},
    {checkpoint::errors::none_verifies, "checkpoint.none_verifies", Severity::process, 65},
    {checkpoint::errors::mismatch, "checkpoint.mismatch", Severity::process, 64},
    {checkpoint::errors::digest_mismatch, "checkpoint.digest_mismatch", Severity::process, 65},
    {checkpoint::errors::hdf5_failed, "checkpoint.hdf5_failed", Severity::process, 65},
    {checkpoint::errors::newer_version, "checkpoint.newer_version", Severity::process, 65},
    {comm::errors::letter_refused, "comm.letter_refused", Severity::process, 65},
    {comm::errors::peer_failed, "comm.peer_failed", Severity::process, 70},
    {comm::errors::stalled, "comm.stalled", Severity::process, 70},
    {comm::errors::mpi_failed, "comm.mpi_failed", Severity::process, 70},
    {comm::errors::launcher_mismatch, "comm.launcher_mismatch", Severity::process, 64},
    {comm::errors::cannot_pin, "comm.cannot_pin", Severity::process, 64},
    {comm::errors::mpi_unsuitable, "comm.mpi_unsuitable", Severity::process, 64},
    {coordinator::errors::not_passed_on, "coordinator.not_passed_on", Severity::request, 77},
    {coordinator::errors::relay_full, "coordinator.relay_full", Severity::request, 75},
    {coordinator::errors::not_coordinator, "coordinator.not_coordinator", Severity::process, 64},
    {coordinator::errors::bad_journal, "coordinator.bad_journal", Severity::process, 65},
    {coordinator::errors::journal_lost, "coordinator.journal_lost", Severity::process, 65},
    {coordinator::errors::behind, "coordinator.behind", Severity::request, 65},
    {coordinator::errors::out_of_order, "coordinator.out_of_order", Severity::request, 65},
    {coordinator::errors::not_open, "coordinator.not_open", Severity::request, 75},
    {coordinator::errors::aggregate_gone, "coordinator.aggregate_gone", Severity::request, 65},
    {coordinator::errors::upload_damaged, "coordinator.upload_damaged", Severity::process, 65},
    {concordat::errors::usage, "core.usage", Severity::process, 64},
    {concordat::errors::malformed, "core.malformed", Severity::request, 65},
    {concordat::errors::config_unknown_key, "core.config_unknown_key", Severity::process, 64},
    {concordat::errors::config_bad_value, "core.config_bad_value", Severity::process, 64},
    {concordat::errors::config_missing_key, "core.config_missing_key", Severity::process, 64},
    {concordat::errors::io_failed, "core.io_failed", Severity::process, 65},
    {concordat::errors::not_found, "core.not_found", Severity::process, 65},
    {concordat::errors::already_exists, "core.already_exists", Severity::process, 65},
    {concordat::errors::disk_full, "core.disk_full", Severity::process, 65},
    {concordat::errors::in_use, "core.in_use", Severity::process, 64},
    {crypto::errors::open_failed, "crypto.open_failed", Severity::request, 65},
    {crypto::errors::bad_signature, "crypto.bad_signature", Severity::request, 65},
    {crypto::errors::bad_key, "crypto.bad_key", Severity::request, 65},
    {crypto::errors::open_permissions, "crypto.open_permissions", Severity::process, 64},
    {crypto::errors::bad_key_file, "crypto.bad_key_file", Severity::process, 65},
    {crypto::errors::journal_damaged, "crypto.journal_damaged", Severity::process, 65},
    {crypto::errors::sealed_file_damaged, "crypto.sealed_file_damaged", Severity::process, 65},
    {crypto::errors::library_failed, "crypto.library_failed", Severity::process, 70},
    {data::errors::not_utf8, "data.not_utf8", Severity::process, 65},
    {data::errors::empty_corpus, "data.empty_corpus", Severity::process, 65},
    {data::errors::unknown_source, "data.unknown_source", Severity::process, 65},
    {data::errors::shard_damaged, "data.shard_damaged", Severity::process, 65},
    {data::errors::too_short, "data.too_short", Severity::process, 65},
    {data::errors::bad_tokens, "data.bad_tokens", Severity::process, 65},
    {data::errors::unsupported_tokenizer, "data.unsupported_tokenizer", Severity::process, 65},
    {data::errors::vocabulary_differs, "data.vocabulary_differs", Severity::process, 65},
    {device::errors::unknown_backend, "device.unknown_backend", Severity::process, 64},
    {device::errors::no_avx2, "device.no_avx2", Severity::process, 64},
    {device::errors::cannot_pin, "device.cannot_pin", Severity::process, 64},
    {device::errors::no_cuda_plugin, "device.no_cuda_plugin", Severity::process, 64},
    {device::errors::no_gpu, "device.no_gpu", Severity::process, 64},
    {device::errors::not_on_this_device, "device.not_on_this_device", Severity::process, 64},
    {device::errors::cuda_out_of_memory, "device.cuda_out_of_memory", Severity::process, 70},
    {device::errors::cuda_failed, "device.cuda_failed", Severity::process, 70},
    {device::errors::nccl_failed, "device.nccl_failed", Severity::process, 70},
    {device::errors::no_nccl, "device.no_nccl", Severity::process, 64},
    {device::errors::gpu_shared, "device.gpu_shared", Severity::process, 64},
    {device::errors::library_failed, "device.library_failed", Severity::process, 70},
    {exact::errors::not_finite, "exact.not_finite", Severity::process, 65},
    {exact::errors::lane_could_wrap, "exact.lane_could_wrap", Severity::process, 64},
    {exact::errors::sum_out_of_range, "exact.sum_out_of_range", Severity::round, 65},
    {exact::errors::weight, "exact.weight", Severity::round, 65},
    {exact::errors::setting, "exact.setting", Severity::process, 64},
    {federation::errors::bad_signature, "federation.bad_signature", Severity::process, 65},
    {federation::errors::bad_roster, "federation.bad_roster", Severity::process, 65},
    {federation::errors::road_not_allowed, "federation.road_not_allowed", Severity::process, 77},
    {federation::errors::bad_agreement, "federation.bad_agreement", Severity::process, 65},
    {federation::errors::not_in_roster, "federation.not_in_roster", Severity::request, 65},
    {federation::errors::out_of_turn, "federation.out_of_turn", Severity::request, 75},
    {federation::errors::too_late, "federation.too_late", Severity::request, 75},
    {federation::errors::not_a_participant, "federation.not_a_participant", Severity::request, 65},
    {federation::errors::wrong_exchange, "federation.wrong_exchange", Severity::request, 65},
    {federation::errors::equivocation, "federation.equivocation", Severity::round, 65},
    {federation::errors::state_differs, "federation.state_differs", Severity::round, 65},
    {federation::errors::accepted_states_differ, "federation.accepted_states_differ",
     Severity::process, 65},
    {federation::errors::ledger_forked, "federation.ledger_forked", Severity::round, 65},
    {federation::errors::fresh_key_refused, "federation.fresh_key_refused", Severity::round, 65},
    {federation::errors::manifest_refused, "federation.manifest_refused", Severity::round, 65},
    {federation::errors::statement_refused, "federation.statement_refused", Severity::round, 65},
    {federation::errors::table_refused, "federation.table_refused", Severity::round, 65},
    {federation::errors::survivors_refused, "federation.survivors_refused", Severity::round, 65},
    {federation::errors::aggregate_differs, "federation.aggregate_differs", Severity::round, 65},
    {federation::errors::closing_refused, "federation.closing_refused", Severity::round, 65},
    {ledger::errors::conflict, "ledger.conflict", Severity::process, 65},
    {ledger::errors::malformed, "ledger.malformed", Severity::process, 65},
    {ledger::errors::rolled_back, "ledger.rolled_back", Severity::process, 65},
    {ledger::errors::bad_checkpoint, "ledger.bad_checkpoint", Severity::process, 65},
    {ledger::errors::refused, "ledger.refused", Severity::process, 77},
    {ledger::errors::broken, "ledger.broken", Severity::process, 65},
    {ledger::errors::not_taken, "ledger.not_taken", Severity::process, 65},
    {model::errors::bad_config, "model.bad_config", Severity::process, 64},
    {model::errors::bad_layout, "model.bad_layout", Severity::process, 64},
    {model::errors::bad_weights, "model.bad_weights", Severity::process, 65},
    {model::errors::unsupported, "model.unsupported", Severity::process, 65},
    {model::errors::bad_import, "model.bad_import", Severity::process, 65},
    {parallel::errors::bad_layout, "parallel.bad_layout", Severity::process, 64},
    {parallel::errors::bad_plan, "parallel.bad_plan", Severity::process, 70},
    {privacy::errors::seeds, "privacy.seeds", Severity::round, 65},
    {site::errors::open_run_folder, "site.open_run_folder", Severity::process, 64},
    {site::errors::bad_run_file, "site.bad_run_file", Severity::process, 65},
    {site::errors::block_digest, "site.block_digest", Severity::process, 65},
    {site::errors::state_differs, "site.state_differs", Severity::process, 65},
    {site::errors::device_differs, "site.device_differs", Severity::process, 70},
    {site::errors::too_far_behind, "site.too_far_behind", Severity::process, 65},
    {site::errors::state_refused, "site.state_refused", Severity::request, 65},
    {site::errors::nothing_to_give, "site.nothing_to_give", Severity::request, 65},
    {site::errors::needs_state, "site.needs_state", Severity::process, 75},
    {site::errors::already_committed, "site.already_committed", Severity::process, 65},
    {site::errors::no_progress, "site.no_progress", Severity::process, 76},
    {train::errors::bad_settings, "train.bad_settings", Severity::process, 64},
    {train::errors::diverged, "train.diverged", Severity::process, 65},
    {train::errors::bad_token, "train.bad_token", Severity::process, 65},
};

TEST(ExitCodes, EveryCodeKeepsItsNameSeverityAndExit) {
  for (const Row& row : table) {
    EXPECT_EQ(row.code.name, row.name);
    EXPECT_EQ(row.code.severity, row.severity) << row.name;
    EXPECT_EQ(static_cast<int>(row.code.exit), row.exit) << row.name;
  }
}

TEST(ExitCodes, NoNameIsTakenTwice) {
  std::set<std::string_view> names;
  for (const Row& row : table) EXPECT_TRUE(names.insert(row.name).second) << row.name;
}

TEST(ExitCodes, TheTableHasEveryCodeOfEveryArea) {
  const std::filesystem::path top = std::filesystem::path(CONCORDAT_SOURCE_DIR) / "include";
  const std::regex code("ErrorCode\\s+\\w+\\{\\s*\"([a-z]+\\.[a-z0-9_]+)\"");
  std::set<std::string_view> known;
  for (const Row& row : table) known.insert(row.name);
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
    const std::string file = entry.path().filename().string();
    if (file != "errors.hpp" && file != "error.hpp") continue;
    std::ifstream in(entry.path());
    std::string text;
    for (std::string line; std::getline(in, line);) {
      if (line.substr(0, 2) != "//") text += line + "\n";
    }
    for (std::sregex_iterator it(text.begin(), text.end(), code), end; it != end; ++it) {
      const std::string name = (*it)[1];
      EXPECT_EQ(known.count(name), 1U) << name << " is not in the table";
      ++found;
    }
  }
  EXPECT_EQ(found, known.size());
}

}  // namespace
}  // namespace concordat
