#include "coordinator/sender.hpp"

#include "concordat/coordinator/errors.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::coordinator {
namespace {

using border::MessageType;
using federation::CoordinatorPhase;
using governance::Stage;

// Decisions hold the cap of their kind, so that a restart decides the same.
constexpr std::uint64_t max_message_bytes = 1U << 20U;

Stage stage_of(CoordinatorPhase phase) {
  switch (phase) {
    case CoordinatorPhase::gathering:
      return Stage::idle;
    case CoordinatorPhase::cosigning:
      return Stage::manifest_known;
    case CoordinatorPhase::uploading:
      return Stage::all_cosigned;
    case CoordinatorPhase::agreeing:
    case CoordinatorPhase::summing:
      return Stage::survivors_known;
    case CoordinatorPhase::receiving:
      return Stage::aggregate_known;
    case CoordinatorPhase::closed:
    case CoordinatorPhase::finished:
      return Stage::all_received;
  }
  throw Bug("unknown phase");
}

std::uint64_t announced_bytes(const border::FrameTable& table) {
  ByteWriter out;
  table.encode(out);
  constexpr std::uint64_t key_and_length = 32 + 4;
  return border::sealed_message_bytes(out.bytes().size() + key_and_length) +
         table.all_frame_bytes();
}

governance::AgreementCaps caps_of(const federation::ExchangeTerms& terms, std::uint32_t rounds) {
  std::uint64_t frames = announced_bytes(terms.table(Digest{}));
  return {.num_rounds = rounds,
          .max_message_bytes = max_message_bytes,
          .max_upload_bytes = frames,
          .max_aggregate_bytes = frames,
          .max_state_bytes = border::max_message_wire_bytes(),
          .max_state_messages = federation::most_state_messages(terms)};
}

governance::Request request_of(const federation::Send& send) {
  std::uint64_t bytes = border::sealed_message_bytes(send.body.size());
  if (send.header.type == MessageType::aggregate) {
    bytes = announced_bytes(federation::decode_table(send.body).table);
  }
  return {.kind = static_cast<ledger::CrossingKind>(send.header.type),
          .exchange = send.header.exchange,
          .manifest = send.header.manifest,
          .recipient = send.header.recipient,
          .bytes = bytes,
          .index = send.header.index};
}

ledger::Entry out_entry(const federation::CoordinatorExchange& machine,
                        const federation::Send& send, const Digest& digest,
                        std::uint64_t wire_bytes) {
  governance::Request request = request_of(send);
  bool frames = send.header.type == MessageType::aggregate;
  return ledger::crossing_entry(
      {.kind = request.kind,
       .direction = ledger::Direction::out,
       .exchange = request.exchange,
       .manifest = request.manifest,
       .from = coordinator_id,
       .to = request.recipient,
       .index = request.index,
       .digest = digest,
       .message_bytes = wire_bytes,
       .frame_bytes = frames ? federation::decode_table(send.body).table.all_frame_bytes() : 0,
       .decision =
           ledger::decision_id(request.kind, request.exchange, request.recipient, request.index),
       .facts = federation::crossing_facts(send.header.type, send.body, machine.survivors())});
}

border::FrameHeader frame_header(Office& office, const federation::Send& send) {
  federation::TableBody body = federation::decode_table(send.body);
  auto kept = office.secrets.load(send.header.exchange);
  if (!kept) {
    // Durable before anything is sealed under it: one key for one aggregate, also after a crash.
    kept = office.random.secret(32);
    office.secrets.save(send.header.exchange, kept->view());
    kill_point("coordinator.after_frame_key");
  }
  return {body.table, border::FrameKey::from(kept->view()), body.rest};
}

}  // namespace

governance::PolicyContext policy_context(const Office& office,
                                         const federation::CoordinatorExchange& machine) {
  const federation::ExchangeTerms& terms = machine.terms();
  return {.self = coordinator_id,
          .sites = office.peers.sites(),
          .caps = caps_of(terms, office.agreement.agreement.rounds),
          .exchange = {.id = terms.exchange,
                       .stage = stage_of(machine.phase()),
                       .agreement = terms.agreement,
                       .manifest = machine.manifest_digest(),
                       .participants = machine.manifest().sites()}};
}

ledger::Entry entry_of(const federation::CoordinatorExchange& machine,
                       const IncomingRecord& record) {
  const border::Header& header = record.message.header;
  bool frames = header.type == MessageType::header;
  return ledger::crossing_entry(
      {.kind = static_cast<ledger::CrossingKind>(header.type),
       .direction = ledger::Direction::in,
       .exchange = header.exchange,
       .manifest = header.manifest,
       .from = header.sender,
       .to = coordinator_id,
       .index = header.index,
       .digest = record.digest,
       .message_bytes = record.message_bytes,
       .frame_bytes =
           frames ? federation::decode_table(record.message.body).table.all_frame_bytes() : 0,
       .decision = {},
       .facts = federation::crossing_facts(header.type, record.message.body, machine.survivors())});
}

void post_again(Office& office, const federation::CoordinatorExchange& machine,
                const std::shared_ptr<ExchangeLog>& log, const federation::Send& send,
                const Digest& digest, std::uint64_t wire_bytes, std::uint64_t offset) {
  office.ledger.append(out_entry(machine, send, digest, wire_bytes));
  office.outbox.post(send.header.recipient,
                     {digest, send.header.exchange, send.header.type, log, offset});
}

border::FrameSealer resume_frames(Office& office, const federation::CoordinatorExchange& machine,
                                  const federation::Send& send, ByteView wire) {
  auto written =
      governance::permit(office.ledger, request_of(send), policy_context(office, machine));
  return border::resume_announcement(std::move(written), wire, frame_header(office, send),
                                     office.self, office.peers)
      .frames;
}

std::optional<border::FrameSealer> send_all(Office& office,
                                            const federation::CoordinatorExchange& machine,
                                            const std::shared_ptr<ExchangeLog>& log,
                                            std::span<const federation::Send> sends) {
  if (sends.empty()) return std::nullopt;
  governance::PolicyContext context = policy_context(office, machine);
  std::vector<ledger::Decision> decisions;
  for (const auto& send : sends) decisions.push_back(governance::decide(request_of(send), context));
  auto written = office.ledger.write(decisions);
  kill_point("coordinator.after_decisions");

  std::optional<border::FrameSealer> frames;
  std::vector<ledger::Entry> entries;
  std::vector<Outbox::Item> items;
  for (std::size_t i = 0; i < sends.size(); ++i) {
    const federation::Send& send = sends[i];
    auto seal = [&] {
      if (send.header.type != MessageType::aggregate) {
        return border::seal_message(std::move(written[i]), send.header, send.body, office.self,
                                    office.peers, office.random);
      }
      border::Announcement announcement =
          border::seal_announcement(std::move(written[i]), send.header, frame_header(office, send),
                                    office.self, office.peers, office.random);
      if (!frames) frames.emplace(std::move(announcement.frames));
      return std::move(announcement.message);
    };
    border::Envelope envelope = seal();
    Bytes wire(envelope.wire().begin(), envelope.wire().end());
    Digest digest = envelope.digest();
    std::uint64_t bytes = wire.size();
    std::uint64_t offset =
        log->append(SealedRecord{send.header.recipient, send.header.type, std::move(wire)});
    kill_point("coordinator.after_sealed");
    entries.push_back(out_entry(machine, send, digest, bytes));
    items.push_back({digest, send.header.exchange, send.header.type, log, offset});
  }
  office.ledger.append(entries);
  kill_point("coordinator.after_crossings");
  for (std::size_t i = 0; i < sends.size(); ++i) {
    office.outbox.post(sends[i].header.recipient, std::move(items[i]));
  }
  return frames;
}

}  // namespace concordat::coordinator
