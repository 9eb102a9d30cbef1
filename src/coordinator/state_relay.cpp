#include "coordinator/state_relay.hpp"

#include <algorithm>
#include <charconv>

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
      if (!number) continue;
      const FileSystem::Path path = folder(site) / name;
      queue.push_back(
          {crypto::sha256(read_file(fs, path, border::max_message_wire_bytes())), path, *number});
    }
    std::ranges::sort(queue, {}, &Kept::number);
  }
}

FileSystem::Path StateRelay::folder(SiteId to) const {
  return office_.folder.root() / "relay" / ("site-" + std::to_string(to.value()));
}

ledger::Written<ledger::Decision> StateRelay::permit(const border::Header& header,
                                                     std::uint64_t bytes,
                                                     const governance::PolicyContext& context) {
  return governance::permit(office_.ledger, request_of(header, bytes), context);
}

void StateRelay::accept(ByteView wire, const Digest& digest,
                        const governance::PolicyContext& context) {
  const border::Header header = border::verify_message(wire, office_.peers);
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
  if (queue.size() >= max_kept()) {
    throw Error(errors::relay_full,
                {.what = "messages wait for a site that does not fetch them",
                 .where = header.text(),
                 .found = std::to_string(queue.size()) + " messages",
                 .expected = "fewer than " + std::to_string(max_kept()),
                 .remedy = "send it again later; start the recipient's border"});
  }
  // Decided before anything is kept; the Envelope is made, with the same decision, when the
  // recipient asks.
  permit(header, wire.size(), context);
  const std::uint64_t number = queue.empty() ? 0 : queue.back().number + 1;
  const FileSystem::Path path =
      folder(header.recipient) / (std::to_string(number) + std::string(suffix));
  FileSystem& fs = office_.folder.files();
  fs.make_directories(folder(header.recipient));
  office_.ledger.append(
      ledger::passed_on_entry({.kind = static_cast<ledger::CrossingKind>(header.type),
                               .exchange = header.exchange,
                               .from = header.sender,
                               .to = header.recipient,
                               .index = header.index,
                               .digest = digest,
                               .message_bytes = wire.size()}));
  kill_point("coordinator.relay_recorded");
  write_atomically(fs, path, wire);
  kill_point("coordinator.relay_kept");
  queue.push_back({digest, path, number});
}

bool StateRelay::has(SiteId to) const {
  const auto queue = kept_.find(to);
  return queue != kept_.end() && !queue->second.empty();
}

border::Envelope StateRelay::front(SiteId to, const governance::PolicyContext& context) {
  const Kept& first = kept_.at(to).front();
  const Bytes wire =
      read_file(office_.folder.files(), first.path, border::max_message_wire_bytes());
  const border::Header header = border::verify_message(wire, office_.peers);
  return border::pass_on(permit(header, wire.size(), context), wire, office_.peers);
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
