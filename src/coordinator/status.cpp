#include "coordinator/status.hpp"

#include "concordat/core/file_time.hpp"
#include "concordat/core/json_value.hpp"

namespace concordat::coordinator {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::string line_of(const DeskStatus& status) {
  if (!status.final_state.empty()) {
    return "all " + std::to_string(status.num_rounds) +
           " rounds are closed, every site has state " + status.final_state;
  }
  bool last = status.round.value() == status.num_rounds;
  std::string text = last ? "after the last round"
                          : "round " + std::to_string(status.round.value()) + " of " +
                                std::to_string(status.num_rounds);
  text += ": " + status.phase;
  if (!status.without.empty()) text += ", without " + joined(status.without);
  if (!status.waiting_for.empty()) text += ", waiting for " + joined(status.waiting_for);
  if (status.begins_unix) text += ", until " + utc_text(*status.begins_unix) + " UTC at most";
  return text;
}

std::string to_json(const StatusPage& page) {
  JsonValue json = JsonValue::object();
  json.add("coordinator", page.name);
  json.add("state", line_of(page.desk));
  json.add("round", std::to_string(page.desk.round.value()));
  json.add("rounds", std::to_string(page.desk.num_rounds));
  json.add("phase", page.desk.phase);
  json.add("waiting_for", joined(page.desk.waiting_for));
  json.add("without", joined(page.desk.without));
  json.add("begins_without_them_at",
           page.desk.begins_unix ? utc_text(*page.desk.begins_unix) + " UTC" : std::string());
  for (const auto& [site, progress] : page.desk.uploads) json.add("upload of " + site, progress);
  json.add("connected", joined(page.connected));
  json.add("spool", page.spool);
  json.add("last_closed", page.desk.last_closed);
  json.add("final_state", page.desk.final_state);
  json.add("refused_messages", std::to_string(page.desk.num_refused));
  json.add("peak_in_flight_bytes", std::to_string(page.peak_in_flight_bytes));
  json.add("peak_resident_bytes", std::to_string(page.peak_resident_bytes));
  json.add("updated_unix_seconds", std::to_string(page.unix_seconds));
  json.add("end", page.end);
  return json.document(JsonValue::NotUtf8::replace);
}

}  // namespace concordat::coordinator
