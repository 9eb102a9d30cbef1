// From journal to state: a restart is the same machine with the same things still to do.
#include "concordat/core/log.hpp"
#include "concordat/site/errors.hpp"
#include "site/border_state.hpp"
#include "site/donation_request.hpp"

namespace concordat::site {

using border::MessageType;

namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

FileSystem::Path journal_folder_of(const BorderPlan& plan) {
  return plan.site_folder / "journal" / plan.agreement.agreement.run;
}

}  // namespace

BorderLoop::State::State(BorderSeams the_seams, BorderPlan the_plan,
                         const crypto::SiteKeys& the_keys)
    : seams(the_seams),
      plan(std::move(the_plan)),
      keys(the_keys),
      lock(ledger::take_writer_lock(crypto::require_own_folder(seams.fs, plan.site_folder),
                                    seams.clock)),
      folder(seams.fs, plan.run_folder),
      peers(federation::make_directory(plan.roster)),
      own(federation::require_member(plan.roster, keys.public_keys())),
      me{own, keys.signing, keys.sealing},
      journal_folder(journal_folder_of(plan)),
      ledger(ledger::Ledger::open(seams.fs, plan.site_folder / "ledger",
                                  ledger::log_origin(keys.name, keys.log.verify_key()), keys.log,
                                  seams.clock)),
      desk(seams.fs, plan.site_folder / "handover"),
      receipts(seams.fs, journal_folder / "receipts"),
      secrets(seams.fs, journal_folder / "secrets", keys.data_key.view(), plan.roster.federation(),
              seams.random),
      stops(seams.fs, plan.site_folder, seams.clock, plan.limits) {
  for (const std::string& note : ledger.recovery_notes()) log::warn(note);
  open_journal();
  desk.sweep();
  take_handed();
}

void BorderLoop::State::open_journal() {
  bool first = true;
  begin_round(Round{0}, {});
  auto each = [&](const crypto::JournalRecord& bytes) {
    BorderRecord record = decode_border_record(bytes.body);
    const auto* opened = std::get_if<OpenedRecord>(&record);
    if (first && (opened == nullptr || opened->agreement != plan.agreement.digest)) {
      throw Error(errors::bad_run_file,
                  {.what = "the journal belongs to another run of this name",
                   .where = (journal_folder / "border.journal").string(),
                   .found = opened != nullptr ? opened->agreement.hex() : "no agreement",
                   .expected = plan.agreement.digest.hex(),
                   .remedy = "give the new run another name, or restore its agreement"});
    }
    first = false;
    replay(record);
  };
  auto opened = crypto::ExchangeJournal::open(seams.fs, journal_folder / "border.journal", each);
  if (opened.torn_bytes() > 0) {
    log::warn("cut " + std::to_string(opened.torn_bytes()) +
              " bytes of a record that was never acknowledged");
  }
  journal.emplace(std::move(opened));
  if (first) journal->append(encode(OpenedRecord{plan.agreement.digest}));
  ledger.append(ledger::agreement_entry(
      {plan.roster.federation(), plan.roster.digest, plan.agreement.digest,
       plan.agreement.agreement.initial_state, ledger::party(own), keys.name}));
  record_again();
  import.emplace(folder, plan.roster, plan.agreement);
  over = round->finished && !read_donation_request(seams.fs, folder.root());
}

void BorderLoop::State::begin_round(Round number, const federation::Chain& chain) {
  auto sign = [this](ByteView statement) { return keys.signing.sign(statement); };
  round.emplace(federation::SiteExchange(
      federation::exchange_terms(plan.roster, plan.agreement, number, chain), own, sign));
  replayed.clear();
}

// A job that starts again may ask for what it needs to repeat exchanges that its site took part in,
// however many it missed since: those need nothing but their aggregates.
void BorderLoop::State::remember_exchange() {
  const federation::SiteExchange& machine = round->machine;
  const federation::ClosedBody& closing = machine.closing();
  closed[exchange()] = {
      .exchange = exchange(),
      .manifest = machine.manifest_digest(),
      .state = machine.manifest().state,
      .participants = static_cast<std::uint32_t>(machine.manifest().participants.size()),
      .survivors = closing.survivors(),
      .total_weight = closing.total_weight,
      .aggregate = closing.root};
  if (machine.missed()) return;
  taken_part[exchange()] = {machine.manifest_digest(), machine.manifest().sites()};
}

void BorderLoop::State::replay(const BorderRecord& record) {
  std::visit(
      Overloaded{[](const OpenedRecord&) {},
                 [&](const EventRecord& one) {
                   apply(one, round->machine.handle(one.event));
                   replayed.push_back(one);
                 },
                 [&](const SealedRecord& one) { round->outgoing[one.type].wire = one.wire; },
                 [&](const DeliveredRecord& one) { round->outgoing[one.type].delivered = true; },
                 [&](const OverRecord& one) {
                   remember_exchange();
                   begin_round(one.round.next(), one.chain);
                 }},
      record);
}

void BorderLoop::State::apply(const EventRecord& record, const federation::Effects& effects) {
  if (const auto* incoming = std::get_if<federation::Incoming>(&record.event);
      incoming != nullptr && incoming->header.type == MessageType::aggregate) {
    round->announced = AnnouncedAggregate{incoming->header, record.message};
  }
  for (const federation::Effect& effect : effects) {
    std::visit(Overloaded{[&](const federation::Send& one) {
                            round->outgoing[one.header.type].send = one;
                          },
                          [](const federation::ReleaseSecrets&) {},
                          [&](const federation::FetchAggregate& one) { round->fetch = one; },
                          [](const federation::AcceptUpload&) {}, [](const federation::Sum&) {},
                          [&](const federation::Close& one) { round->close = one; },
                          [&](const federation::Finish&) { round->finished = true; }},
               effect);
  }
}

// A crash may lie between the journal and what follows from it: ledger and receipts are brought up
// to the journal before anything is acted on. Both ignore what they have.
void BorderLoop::State::record_again() {
  for (const EventRecord& record : replayed) {
    record_incoming(record);
    const auto* incoming = std::get_if<federation::Incoming>(&record.event);
    if (incoming == nullptr) continue;
    receipts.record({incoming->header, incoming->body, record.message, record.statement});
  }
  replayed.clear();
}

BorderSecrets BorderLoop::State::load_secrets() {
  auto stored = secrets.load(exchange());
  if (!stored) {
    throw Error(errors::bad_run_file,
                {.what = "the secrets of an open exchange are gone",
                 .where = (journal_folder / "secrets").string(),
                 .found = "no file for exchange " + exchange().text(),
                 .expected = "what was saved before `ready`",
                 .remedy = "this site has dropped out of the exchange; restore the folder"});
  }
  return decode_border_secrets(stored->view());
}

void BorderLoop::State::save_secrets(const BorderSecrets& mine) {
  secrets.save(exchange(), encode(mine).view());
}

}  // namespace concordat::site
