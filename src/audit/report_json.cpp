// The report for machines: one JSON object, docs/formats/ledger.md.
#include <nlohmann/json.hpp>

#include "audit/assumptions.hpp"
#include "concordat/audit/audit.hpp"

namespace concordat::audit {
namespace {

using Json = nlohmann::ordered_json;

Json totals(const std::map<std::string, CrossingTotal>& by_kind) {
  Json json = Json::object();
  for (const auto& [kind, total] : by_kind) {
    json[kind] = {{"messages", total.num_messages},
                  {"message_bytes", total.message_bytes},
                  {"frame_bytes", total.frame_bytes}};
  }
  return json;
}

}  // namespace

std::string AuditReport::json() const {
  Json json;
  json["format"] = "concordat-audit-1";
  json["verified"] = verified();
  json["partial"] = partial();
  json["not_given"] = not_given;
  json["verdict"] = verdict();
  json["final_state"] = final_state.hex();
  json["ledgers"] = Json::array();
  for (const LedgerSummary& one : ledgers) {
    json["ledgers"].push_back({{"party", ledger::party(one.party)},
                               {"name", one.name},
                               {"file", one.file},
                               {"entries", one.num_entries},
                               {"signed", one.num_signed},
                               {"root", one.root.hex()},
                               {"decisions", one.num_decisions},
                               {"refusals", one.num_refusals},
                               {"out", totals(one.out)},
                               {"in", totals(one.in)}});
  }
  json["exchanges"] = Json::array();
  for (const ExchangeSummary& one : exchanges) {
    json["exchanges"].push_back({{"exchange", one.id.text()},
                                 {"closed", one.closed},
                                 {"state", one.state.hex()},
                                 {"manifest", one.manifest.hex()},
                                 {"aggregate", one.aggregate.hex()},
                                 {"tokens", one.tokens}});
  }
  json["checks"] = Json::object();
  for (const auto& [name, count] : checks) {
    json["checks"][name] = {{"done", count.done}, {"failed", count.failed}};
  }
  json["faults"] = Json::array();
  for (const ledger::Fault& fault : faults) {
    json["faults"].push_back({{"check", fault.check},
                              {"file", fault.file},
                              {"line", fault.line},
                              {"detail", fault.detail}});
  }
  json["notes"] = notes;
  json["assumptions"] = assumptions;
  // A path or a foreign line may hold bytes that are no UTF-8: replace, never throw.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace concordat::audit
