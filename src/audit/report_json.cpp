// The report for machines: one JSON object, docs/formats/ledger.md.
#include "audit/assumptions.hpp"
#include "concordat/audit/audit.hpp"
#include "concordat/core/json_value.hpp"

namespace concordat::audit {
namespace {

JsonValue totals(const std::map<std::string, CrossingTotal>& by_kind) {
  JsonValue json = JsonValue::object();
  for (const auto& [kind, total] : by_kind) {
    json.add(kind, JsonValue::object()
                       .add("messages", total.num_messages)
                       .add("message_bytes", total.message_bytes)
                       .add("frame_bytes", total.frame_bytes));
  }
  return json;
}

JsonValue to_json(const LedgerSummary& one) {
  return JsonValue::object()
      .add("party", ledger::party(one.party))
      .add("name", one.name)
      .add("file", one.file)
      .add("entries", one.num_entries)
      .add("signed", one.num_signed)
      .add("root", one.root.hex())
      .add("decisions", one.num_decisions)
      .add("refusals", one.num_refusals)
      .add("out", totals(one.out))
      .add("in", totals(one.in));
}

JsonValue to_json(const ExchangeSummary& one) {
  return JsonValue::object()
      .add("exchange", one.id.text())
      .add("closed", one.closed)
      .add("state", one.state.hex())
      .add("manifest", one.manifest.hex())
      .add("aggregate", one.aggregate.hex())
      .add("tokens", one.tokens);
}

JsonValue to_json(const ledger::Fault& fault) {
  return JsonValue::object()
      .add("check", fault.check)
      .add("file", fault.file)
      .add("line", fault.line)
      .add("detail", fault.detail);
}

template <typename Things>
std::vector<JsonValue> list(const Things& things) {
  std::vector<JsonValue> all;
  for (const auto& one : things) all.push_back(to_json(one));
  return all;
}

}  // namespace

std::string AuditReport::json() const {
  JsonValue counts = JsonValue::object();
  for (const auto& [name, count] : checks) {
    counts.add(name, JsonValue::object().add("done", count.done).add("failed", count.failed));
  }
  JsonValue json = JsonValue::object();
  json.add("format", "concordat-audit-1").add("verified", verified()).add("partial", partial());
  json.add("not_given", not_given).add("verdict", verdict());
  json.add("final_state", final_state.hex());
  json.add("ledgers", list(ledgers)).add("exchanges", list(exchanges)).add("checks", counts);
  json.add("faults", list(faults))
      .add("notes", notes)
      .add("assumptions", std::vector<JsonValue>(assumptions.begin(), assumptions.end()));
  // A path or a foreign line may hold bytes that are no UTF-8: replace, never throw.
  return json.document(JsonValue::NotUtf8::replace);
}

}  // namespace concordat::audit
