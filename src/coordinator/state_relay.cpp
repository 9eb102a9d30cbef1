#include "coordinator/state_relay.hpp"

#include <algorithm>
#include <charconv>

#include "concordat/border/errors.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::coordinator {
namespace {

constexpr std::string_view suffix = ".message";

/// "17.message" -> 17.
std::optional<std::uint64_t> number_of(std::string_view name) {
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  std::uint64_t number = 0;
  const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (status != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

// What a disk changed is said when the coordinator starts, and not to the site that it is for,
// again and again.
SiteId sender_of(ByteView wire, const FileSystem::Path& path, const border::PeerDirectory& peers) {
  try {
    return border::verify_message(wire, peers).sender;
  } catch (const Error& error) {
    throw Error(errors::bad_journal,
                {.what = "a message that is kept for a site is damaged",
                 .where = path.string(),
                 .found = error.what(),
                 .expected = "what its sender signed",
                 .remedy = "remove the file; the donor has to give its state anew"});
  }
}

governance::Request request_of(const border::Header& header, std::uint64_t bytes) {
  return {.kind = static_cast<ledger::CrossingKind>(header.type),
          .exchange = header.exchange,
          .manifest = header.manifest,
          .recipient = header.recipient,
          .bytes = bytes,
          .index = header.index};
}

}  // namespace

StateRelay::StateRelay(Office& office) : office_(office) {
  FileSystem& fs = office_.folder.files();
  for (SiteId site : office_.peers.sites()) {
    std::deque<Kept>& queue = kept_[site];
    for (const std::string& name : fs.list(folder(site))) {
      const auto number = number_of(name);
      if (!number) {
        // What a kill left half written was never acknowledged.
        if (name.find(std::string(suffix) + ".tmp-") != name.npos) fs.remove(folder(site) / name);
        continue;
      }
      const FileSystem::Path path = folder(site) / name;
      const Bytes wire = read_file(fs, path, border::max_message_wire_bytes());
      queue.push_back({crypto::sha256(wire), path, *number, sender_of(wire, path, office_.peers)});
    }
    std::ranges::sort(queue, {}, &Kept::number);
  }
}

FileSystem::Path StateRelay::folder(SiteId to) const {
  return office_.folder.root() / "relay" / ("site-" + std::to_string(to.value()));
}

// The ledger knows every exchange that was closed and under which manifest, however long ago.
governance::DonationView StateRelay::closed_here(const ExchangeId& exchange) const {
  for (const SiteId site : office_.peers.sites()) {
    const ledger::Entry said = ledger::crossing_entry(
        {.kind = ledger::CrossingKind::closed,
         .direction = ledger::Direction::out,
         .exchange = exchange,
         .from = coordinator_id,
         .to = site,
         .decision = ledger::decision_id(ledger::CrossingKind::closed, exchange, site)});
    const auto index = office_.ledger.find(said.key);
    if (!index) continue;
    const ledger::LoggedEntry logged = office_.ledger.entry(*index);
    return {.recipients = {},
            .exchange = exchange,
            .manifest = digest_from_hex(logged.entry.at("manifest"), said.key)};
  }
  return {};
}

// A donor's bytes are durable before they leave it, so an honest one never has two messages under
// one identity.
void StateRelay::require_only(const ledger::Entry& entry, const border::Header& header,
                              const Digest& digest) const {
  const auto index = office_.ledger.find(entry.key);
  if (!index) return;
  const std::string before = office_.ledger.entry(*index).entry.at("digest");
  if (before == digest.hex()) return;
  throw Error(border::errors::equivocation,
              {.what = "a second, different message under one identity",
               .where = header.text(),
               .found = "digest " + digest.hex(),
               .expected = "digest " + before,
               .remedy = "the donor has to give its state anew"});
}

void StateRelay::accept(ByteView wire, const Digest& digest, governance::PolicyContext context) {
  const border::Header header = border::verify_message(wire, office_.peers);
  context.donation = closed_here(header.exchange);
  // Asked first without the ledger: a site that sends nonsense must not end the coordinator.
  const ledger::Decision decision = governance::decide(request_of(header, wire.size()), context);
  if (!decision.permitted) {
    throw Error(errors::not_passed_on, {.what = "a message of one site to another is not passed on",
                                        .where = header.text(),
                                        .found = decision.rule + ": " + decision.reason,
                                        .expected = "the state of a closed exchange, to a site",
                                        .remedy = "give the state of the newest closed exchange"});
  }
  std::deque<Kept>& queue = kept_[header.recipient];
  if (std::ranges::any_of(queue, [&](const Kept& one) { return one.digest == digest; })) return;
  const ledger::Entry entry =
      ledger::passed_on_entry({.kind = static_cast<ledger::CrossingKind>(header.type),
                               .exchange = header.exchange,
                               .from = header.sender,
                               .to = header.recipient,
                               .index = header.index,
                               .digest = digest,
                               .message_bytes = wire.size()});
  require_only(entry, header, digest);
  const auto waiting = std::ranges::count(queue, header.sender, &Kept::from);
  if (waiting >= static_cast<std::ptrdiff_t>(max_kept())) {
    throw Error(errors::relay_full,
                {.what = "messages wait for a site that does not fetch them",
                 .where = header.text(),
                 .found = std::to_string(waiting) + " messages of this sender",
                 .expected = "fewer than " + std::to_string(max_kept()),
                 .remedy = "send it again later; start the recipient's border"});
  }
  // Decided before anything is kept; the Envelope is made, with the same decision, when the
  // recipient asks.
  governance::permit(office_.ledger, request_of(header, wire.size()), context);
  const std::uint64_t number = queue.empty() ? 0 : queue.back().number + 1;
  const FileSystem::Path path =
      folder(header.recipient) / (std::to_string(number) + std::string(suffix));
  FileSystem& fs = office_.folder.files();
  fs.make_directories(folder(header.recipient));
  office_.ledger.append(entry);
  kill_point("coordinator.relay_recorded");
  write_atomically(fs, path, wire);
  kill_point("coordinator.relay_kept");
  queue.push_back({digest, path, number, header.sender});
}

bool StateRelay::has(SiteId to) const {
  const auto queue = kept_.find(to);
  return queue != kept_.end() && !queue->second.empty();
}

border::Envelope StateRelay::front(SiteId to, governance::PolicyContext context) {
  const Kept& first = kept_.at(to).front();
  const Bytes wire =
      read_file(office_.folder.files(), first.path, border::max_message_wire_bytes());
  const border::Header header = border::verify_message(wire, office_.peers);
  context.donation = closed_here(header.exchange);
  return border::pass_on(
      governance::permit(office_.ledger, request_of(header, wire.size()), context), wire,
      office_.peers);
}

void StateRelay::acknowledged(SiteId by, const Digest& digest) {
  std::deque<Kept>& queue = kept_[by];
  const auto found =
      std::ranges::find_if(queue, [&](const Kept& one) { return one.digest == digest; });
  if (found == queue.end()) return;
  office_.folder.files().remove(found->path);
  queue.erase(found);
}

}  // namespace concordat::coordinator
