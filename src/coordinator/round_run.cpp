#include "coordinator/round_run.hpp"

#include <algorithm>

#include "concordat/border/errors.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::coordinator {

using border::MessageType;
using federation::CoordinatorPhase;

RoundRun::RoundRun(Office& office, const ExchangeId& exchange, const federation::Chain& chain,
                   bool only_closing)
    : office_(office), exchange_(exchange), only_closing_(only_closing) {
  office_.folder.files().make_directories(office_.folder.exchange(exchange));
  log_ = std::make_shared<ExchangeLog>(ExchangeLog::open(
      office_.folder, exchange,
      [this](const LogRecord& record, std::uint64_t offset) { replay(record, offset); }));
  if (log_->torn_bytes() > 0) {
    notes_.push_back("journal of exchange " + exchange.text() + ": cut " +
                     std::to_string(log_->torn_bytes()) + " bytes that were never acknowledged");
  }
  if (!machine_) begin(chain);
  post_replayed();
  perform();
}

void RoundRun::begin(const federation::Chain& chain) {
  log_->append(BeginRecord{exchange_, office_.agreement.digest, chain});
  kill_point("coordinator.after_begin");
  machine_.emplace(
      federation::exchange_terms(office_.roster, office_.agreement, exchange_.round, chain));
}

void RoundRun::replay(const LogRecord& record, std::uint64_t offset) {
  if (const auto* begin = std::get_if<BeginRecord>(&record)) {
    require_agreement(*begin, office_.agreement.digest, office_.folder.journal(exchange_).string());
    machine_.emplace(federation::exchange_terms(office_.roster, office_.agreement,
                                                begin->exchange.round, begin->chain));
    return;
  }
  if (!machine_) {
    throw Error(errors::bad_journal, {.what = "a journal without a beginning",
                                      .where = office_.folder.journal(exchange_).string(),
                                      .found = "another record first",
                                      .expected = "the record that begins the exchange",
                                      .remedy = "restore the journal from a backup"});
  }
  if (const auto* incoming = std::get_if<IncomingRecord>(&record)) {
    collect(machine_->handle(incoming->message));
    office_.ledger.append(entry_of(*machine_, *incoming));
    office_.receipts.record({incoming->message.header, {}, incoming->digest, incoming->statement});
    // What it answers, it had: only what was said later is posted again.
    std::erase_if(replayed_, [&](const Replayed& one) {
      return one.send.header.recipient == incoming->message.header.sender;
    });
  } else if (const auto* own = std::get_if<OwnRecord>(&record)) {
    collect(machine_->handle(own->event));
    if (const auto* stored = std::get_if<federation::UploadStored>(&own->event)) {
      stored_.insert(stored->site);
    }
  } else if (const auto* sealed = std::get_if<SealedRecord>(&record)) {
    auto it = std::find_if(sends_.begin(), sends_.end(), [&](const federation::Send& send) {
      return send.header.recipient == sealed->to && send.header.type == sealed->type;
    });
    if (it == sends_.end()) return;
    replayed_.push_back(
        {std::move(*it), crypto::sha256(sealed->wire), sealed->wire.size(), offset});
    sends_.erase(it);
  }
}

void RoundRun::collect(federation::Effects effects) {
  for (federation::Effect& effect : effects) {
    if (auto* send = std::get_if<federation::Send>(&effect)) {
      sends_.push_back(std::move(*send));
    } else if (const auto* accept = std::get_if<federation::AcceptUpload>(&effect)) {
      accepting_.insert(accept->site);
    } else if (std::holds_alternative<federation::Close>(effect)) {
      close_wanted_ = true;
    } else if (const auto* finish = std::get_if<federation::Finish>(&effect)) {
      final_state_ = finish->state;
    }
    // Sum is a phase of the machine; the desk looks at that.
  }
}

void RoundRun::post_replayed() {
  const std::vector<SiteId> missed = machine_->missed();
  for (const Replayed& one : replayed_) {
    const bool owed = std::ranges::binary_search(missed, one.send.header.recipient);
    if (only_closing_ && !owed && one.send.header.type != MessageType::closed) continue;
    if (only_closing_ && exchange_.round < office_.reached.of(one.send.header.recipient)) continue;
    post_again(office_, *machine_, log_, one.send, one.digest, one.bytes, one.offset);
  }
  const bool is_kept = office_.folder.files().exists(office_.folder.tree(exchange_)) &&
                       office_.folder.files().exists(office_.folder.sum(exchange_)) &&
                       office_.secrets.load(exchange_).has_value();
  const bool may_be_asked_for =
      machine_->phase() == CoordinatorPhase::receiving || (closed() && !missed.empty() && is_kept);
  if (may_be_asked_for) {
    auto it = std::find_if(replayed_.begin(), replayed_.end(), [](const Replayed& one) {
      return one.send.header.type == MessageType::aggregate;
    });
    if (it != replayed_.end()) {
      open_aggregate(resume_frames(office_, *machine_, it->send, log_->sealed(it->offset).wire));
    }
  }
  replayed_.clear();
}

void RoundRun::perform() {
  for (SiteId site : accepting_) open_upload(site);
  accepting_.clear();
  std::vector<federation::Send> sends;
  sends.swap(sends_);
  if (auto frames = send_all(office_, *machine_, log_, sends); frames && !aggregate_) {
    open_aggregate(std::move(*frames));
  }
  if (close_wanted_) finish_close();
}

template <typename Act>
void RoundRun::must(Act&& act) {
  try {
    act();
  } catch (const Error& error) {
    if (error.severity() == Severity::process) throw;
    throw Bug(std::string("an accepted event could not be carried out: ") + error.what());
  }
}

void RoundRun::take(const border::OpenedMessage& message, ByteView wire) {
  CONCORDAT_REQUIRE(!closed(), exchange_.text());
  federation::Incoming incoming{message.header, federation::protocol_body(message)};
  federation::CoordinatorExchange next = *machine_;
  federation::Effects effects = next.handle(incoming);
  const SiteId sender = message.header.sender;
  IncomingRecord record{message.digest, wire.size(), std::move(incoming), message.statement};
  if (next.snapshot() != machine_->snapshot()) {
    if (message.header.type == MessageType::header) {
      // The frame key lies in it, sealed; without it the upload could not be opened again.
      FileSystem& fs = office_.folder.files();
      write_atomically(fs, office_.folder.header(exchange_, sender), wire);
      kill_point("coordinator.after_header_file");
    }
    log_->append(record);
    kill_point("coordinator.after_event");
    machine_ = std::move(next);
    office_.outbox.clear(sender);
  }
  must([&] {
    office_.ledger.append(entry_of(*machine_, record));
    kill_point("coordinator.after_entry");
    office_.receipts.record(message);
    kill_point("coordinator.after_receipt");
    collect(std::move(effects));
    perform();
  });
}

void RoundRun::take(const federation::Event& own) {
  federation::CoordinatorExchange next = *machine_;
  federation::Effects effects = next.handle(own);
  if (next.snapshot() == machine_->snapshot()) return;
  log_->append(OwnRecord{own});
  kill_point("coordinator.after_own_event");
  machine_ = std::move(next);
  if (const auto* stored = std::get_if<federation::UploadStored>(&own)) {
    stored_.insert(stored->site);
  }
  must([&] {
    collect(std::move(effects));
    perform();
  });
}

void RoundRun::open_upload(SiteId site) {
  // Once the sum is there the uploads are not read again.
  if (machine_->phase() > CoordinatorPhase::summing || uploads_.contains(site)) return;
  Bytes wire = read_file(office_.folder.files(), office_.folder.header(exchange_, site));
  border::OpenedMessage header = border::open_message(wire, office_.self, office_.peers);
  uploads_[site] = std::make_shared<Upload>(office_.folder, exchange_, site,
                                            border::FrameOpener(header, office_.peers));
}

void RoundRun::open_aggregate(border::FrameSealer sealer) {
  aggregate_ = std::make_shared<Aggregate>(office_.folder, exchange_, std::move(sealer));
  uploads_.clear();
}

void RoundRun::finish_close() {
  close_wanted_ = false;
  uploads_.clear();
  office_.receipts.close(exchange_);
  kill_point("coordinator.after_close");
  if (machine_->missed().empty()) {
    // The desk does this later for an aggregate that a site may still ask for.
    aggregate_.reset();
    office_.secrets.erase(exchange_);
  }
  office_.folder.erase_uploads(exchange_);
  kill_point("coordinator.after_erase");
  office_.ledger.checkpoint();
  // Nothing is added to it any more. What a site still has to hear is read from it when it asks.
  log_.reset();
  if (aggregate_) aggregate_->rest();
}

const std::shared_ptr<Upload>& RoundRun::upload(SiteId site) const {
  auto it = uploads_.find(site);
  if (it == uploads_.end()) {
    throw Error(border::errors::no_header,
                {.what = "block frames without the signed header that announces them",
                 .where = terms().text_of(site) + ", exchange " + exchange_.text(),
                 .found = "phase " + std::string(federation::name_of(machine_->phase())),
                 .expected = "an accepted header",
                 .remedy = "send the header first"});
  }
  return it->second;
}

std::vector<std::shared_ptr<Upload>> RoundRun::uploads() const {
  std::vector<std::shared_ptr<Upload>> all;
  for (const auto& survivor : machine_->survivors().survivors) all.push_back(upload(survivor.site));
  return all;
}

std::vector<SiteId> RoundRun::ready_sites() const {
  std::vector<SiteId> sites;
  for (std::uint32_t i = 0; i < terms().num_sites(); ++i) {
    if (machine_->is_ready(SiteId(i))) sites.push_back(SiteId(i));
  }
  return sites;
}

std::set<SiteId> ready_in(const CoordinatorFolder& folder, const ExchangeId& exchange) {
  std::set<SiteId> sites;
  ExchangeLog::open(folder, exchange, [&](const LogRecord& record, std::uint64_t) {
    const auto* incoming = std::get_if<IncomingRecord>(&record);
    if (incoming == nullptr || incoming->message.header.type != MessageType::ready) return;
    sites.insert(incoming->message.header.sender);
  });
  return sites;
}

void refuse_gone(const ExchangeId& exchange) {
  throw Error(errors::aggregate_gone,
              {.what = "the aggregate of an older round is kept no longer",
               .where = "coordinator",
               .found = "exchange " + exchange.text(),
               .expected = "a round within coordinator.keep_rounds of the open one",
               .remedy = "this site needs the state of another one: federation.donor there, and "
                         "'concordat donate' at the donor; raise coordinator.keep_rounds for the "
                         "rounds to come"});
}

const std::shared_ptr<Aggregate>& RoundRun::aggregate() const {
  // It was there, and nothing brings it back: whoever waited for it would wait for ever.
  if (!aggregate_ && closed()) refuse_gone(exchange_);
  if (!aggregate_) {
    throw Error(errors::not_open,
                {.what = "there is no aggregate to fetch",
                 .where = "exchange " + exchange_.text(),
                 .found = "phase " + std::string(federation::name_of(machine_->phase())),
                 .expected = "phase receiving",
                 .remedy = "wait for the announcement"});
  }
  return aggregate_;
}

}  // namespace concordat::coordinator
