#include "audit/books.hpp"

#include <algorithm>

namespace concordat::audit {
namespace {

namespace kinds = ledger::kinds;

constexpr std::uint64_t max_refusals_shown = 5;

/// Fields that entries of a kind must have for the checks to read them.
const std::map<std::string_view, std::vector<std::string_view>>& required_fields() {
  static const auto& table = *new std::map<std::string_view, std::vector<std::string_view>>{
      {kinds::agreement, {"federation", "roster", "agreement", "initial_state", "self", "name"}},
      {kinds::state, {"round", "state"}},
      {kinds::decision, {"id", "type", "exchange", "manifest", "to", "max_bytes", "rule"}},
      {kinds::refusal, {"rule", "reason"}},
      {kinds::commit, {"exchange", "manifest", "root", "num_blocks"}},
      {kinds::checkpoint, {"run", "generation", "round", "state"}},
      {kinds::ingest, {"dataset", "documents"}},
      {kinds::ready, {"state", "ledger_size", "ledger_root"}},
      {kinds::manifest,
       {"document", "roster", "agreement", "state", "previous_closing", "participants"}},
      {kinds::cosign, {"signature"}},
      {kinds::go, {}},
      {kinds::upload, {"root", "num_blocks"}},
      {kinds::survivors, {"document", "survivors"}},
      {kinds::agree, {"document", "survivors"}},
      {kinds::aggregate, {"root"}},
      {kinds::received, {"root", "tokens", "signature"}},
      {kinds::closed, {"document", "root", "tokens", "survivors"}},
      {kinds::state_blocks, {"state"}},
      {kinds::forgone, {"exchange", "manifest", "site", "root"}},
      {kinds::passed_on, {"type", "exchange", "from", "to", "index", "digest", "message_bytes"}}};
  return table;
}

void sum_up(const PlacedCrossing& placed, LedgerSummary& summary) {
  const ledger::Crossing& crossing = placed.crossing;
  auto& totals = crossing.direction == ledger::Direction::out ? summary.out : summary.in;
  CrossingTotal& total = totals[ledger::entry_kind(crossing.kind)];
  ++total.num_messages;
  total.message_bytes += crossing.message_bytes;
  total.frame_bytes += crossing.frame_bytes;
}

void sort_entry(Book& book, std::uint64_t index, bool other_run) {
  const ledger::Entry& entry = book.entry(index);
  for (const std::string_view name : required_fields().at(entry.kind)) entry.at(name);
  if (ledger::is_crossing(entry.kind)) {
    auto& crossings = other_run ? book.other_runs : book.crossings;
    crossings.push_back({ledger::crossing_from(entry, book.place(index).text()), index});
    return;
  }
  if (other_run) return;
  if (entry.kind == kinds::decision) book.decisions.emplace(entry.at("id"), index);
  if (entry.kind == kinds::state) book.states.push_back(index);
  // A run that the site trained alone has generations too, of the same names.
  const bool of_the_run = !ledger::scope_of(entry.key).empty();
  if (entry.kind == kinds::checkpoint && of_the_run) book.generations.push_back(index);
  if (entry.kind == kinds::forgone) {
    ledger::exchange_from(entry.at("exchange"), entry.key);
    ledger::party_from(entry.at("site"), entry.key);
    book.forgone.push_back(index);
  }
  if (entry.kind == kinds::commit) {
    book.commits.emplace(ledger::exchange_from(entry.at("exchange"), entry.key), index);
  }
}

void note_refusal(const Book& book, std::uint64_t index, Findings& findings) {
  const ledger::Entry& entry = book.entry(index);
  const std::string* rule = entry.find("rule");
  const std::string* reason = entry.find("reason");
  if (rule == nullptr || reason == nullptr) return;
  findings.note("refusal at " + book.place(index).text() + ": " + *rule + ": " + *reason);
}

void sort_entries(Book& book, const Digest& agreement, LedgerSummary& summary, Findings& findings) {
  const std::string scope = agreement.is_zero() ? "" : ledger::run_scope(agreement);
  std::uint64_t num_others = 0;
  for (std::uint64_t index = 0; index < book.log.entries.size(); ++index) {
    const ledger::Entry& entry = book.entry(index);
    if (entry.kind.empty()) continue;  // an unreadable line, reported by read_log
    const bool known = required_fields().contains(entry.kind);
    findings.check("entry.kind", known, book.place(index),
                   [&] { return "no such kind of entry: '" + entry.kind + "'"; });
    if (!known) continue;
    const std::string_view own_scope = ledger::scope_of(entry.key);
    const bool other_run = !own_scope.empty() && own_scope != scope;
    num_others += other_run ? 1 : 0;
    std::string problem;
    try {
      sort_entry(book, index, other_run);
    } catch (const Error& error) {
      problem = error.fields().what + " " + error.fields().found;
    }
    findings.check("entry.form", problem.empty(), book.place(index), [&] { return problem; });
    if (other_run) continue;
    if (entry.kind == kinds::decision) ++summary.num_decisions;
    if (entry.kind == kinds::refusal && ++summary.num_refusals <= max_refusals_shown) {
      note_refusal(book, index, findings);
    }
  }
  if (num_others > 0) {
    findings.note(book.log.file + ": " + std::to_string(num_others) +
                  " entries belong to other runs; name their agreement to have them audited");
  }
  for (const PlacedCrossing& placed : book.crossings) sum_up(placed, summary);
}

/// The run to audit: the one that is asked for, else the newest of the first ledger that has one.
Digest choose_agreement(Books& books, const AuditInput& input) {
  Digest chosen = input.agreement;
  for (Book& book : books.all) {
    for (std::uint64_t index = 0; index < book.log.entries.size(); ++index) {
      const ledger::Entry& entry = book.entry(index);
      const std::string* digest = entry.find("agreement");
      if (entry.kind != kinds::agreement || digest == nullptr) continue;
      try {
        const Digest agreement = digest_from_hex(*digest, entry.key);
        if (input.agreement.is_zero() && &book == &books.all.front()) chosen = agreement;
        if (chosen.is_zero()) chosen = agreement;
      } catch (const Error&) {
        continue;  // entry.form reports it
      }
    }
  }
  for (Book& book : books.all) {
    const std::string wanted = chosen.hex();
    for (std::uint64_t index = 0; index < book.log.entries.size(); ++index) {
      const ledger::Entry& entry = book.entry(index);
      const std::string* digest = entry.find("agreement");
      const bool is_it = entry.kind == kinds::agreement && digest != nullptr && *digest == wanted;
      if (is_it && !book.agreement) book.agreement = index;
    }
  }
  return chosen;
}

void note_tail(const Book& book, const LedgerSummary& summary, Findings& findings) {
  if (!book.log.checkpoint || summary.num_signed >= summary.num_entries) return;
  findings.note(book.log.file + ": the last " +
                std::to_string(summary.num_entries - summary.num_signed) +
                " entries are newer than the signed checkpoint; run the party's border or "
                "coordinator once more to have them signed");
}

}  // namespace

void Findings::add(std::string_view name, std::uint64_t num_checked,
                   const std::vector<ledger::Fault>& faults) {
  CheckCount& count = report_.checks[std::string(name)];
  count.done += std::max<std::uint64_t>(num_checked, faults.size());
  count.failed += faults.size();
  report_.faults.insert(report_.faults.end(), faults.begin(), faults.end());
}

const Book* Books::find(SiteId id) const {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Book& b) { return b.party.id == id; });
  return found == all.end() ? nullptr : &*found;
}

Books read_books(FileSystem& fs, const AuditInput& input, Findings& findings) {
  Books books;
  for (const AuditParty& party : input.parties) {
    const std::string origin = ledger::log_origin(party.name, party.log_key);
    Book book{.party = party,
              .log = ledger::read_log(fs, party.ledger_folder, origin, party.log_key)};
    // Each line, and the checkpoint as one more.
    findings.add("ledger", book.log.entries.size() + 1, book.log.faults);
    books.all.push_back(std::move(book));
  }
  std::sort(books.all.begin(), books.all.end(), [](const Book& a, const Book& b) {
    return a.party.id.next() <
           b.party.id.next();  // the coordinator's id is the largest: wraps to 0
  });
  return books;
}

std::string_view fact(const ledger::Fields& facts, std::string_view name) {
  for (const auto& [key, value] : facts) {
    if (key == name) return value;
  }
  return {};
}

void summarise_books(Books& books, const AuditInput& input, Findings& findings,
                     AuditReport& report) {
  books.agreement = choose_agreement(books, input);
  for (Book& book : books.all) {
    LedgerSummary summary{.party = book.party.id,
                          .name = book.party.name,
                          .file = book.log.file,
                          .num_entries = book.log.entries.size(),
                          .num_signed = book.log.checkpoint ? book.log.checkpoint->head.size : 0,
                          .root = *book.log.root_at(book.log.leaves.size())};
    sort_entries(book, books.agreement, summary, findings);
    note_tail(book, summary, findings);
    report.ledgers.push_back(std::move(summary));
  }
}

}  // namespace concordat::audit
