// Giving: this site's part of what all sites share goes to another site, message by message, each
// with its decision, its sealed bytes on disk and its ledger entry before the road.
#include <algorithm>
#include <charconv>

#include "concordat/border/errors.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/ledger/errors.hpp"
#include "concordat/site/errors.hpp"
#include "site/border_state.hpp"
#include "site/donation_request.hpp"
#include "site/text_record.hpp"

namespace concordat::site {

using border::MessageType;

namespace {

constexpr std::string_view donation_title = "concordat donation 1";
constexpr std::chrono::seconds recipient_is_slow{1};
constexpr std::uint32_t max_serial = 255;

struct DonationRecord {
  ExchangeId exchange{};
  std::uint32_t serial = 0;
  std::uint32_t next = 0;
  bool over = false;
};

std::optional<DonationRecord> read_record(FileSystem& fs, const FileSystem::Path& path) {
  if (!fs.exists(path)) return std::nullopt;
  TextRecord in(read_text(fs, path), donation_title, path.string());
  DonationRecord record;
  record.exchange = ledger::exchange_from(in.text("exchange"), path.string());
  record.serial = static_cast<std::uint32_t>(in.number("serial", max_serial));
  record.next = static_cast<std::uint32_t>(in.number("next", 0xffff'ffffU));
  record.over = in.number("over", 1) != 0;
  in.finish();
  return record;
}

void write_record(FileSystem& fs, const FileSystem::Path& path, const DonationRecord& record) {
  TextWriter out(donation_title);
  out.add("exchange", record.exchange.text());
  out.add("serial", record.serial);
  out.add("next", record.next);
  out.add("over", record.over ? 1 : 0);
  fs.make_directories(path.parent_path());
  write_atomically(fs, path, as_bytes(out.text()));
}

// The sealed bytes of the message that is on its way.
FileSystem::Path sealed_of(FileSystem::Path record) { return record += ".message"; }

std::uint32_t index_of(const Donation& donation) {
  return donation.serial << governance::state_position_bits | donation.next;
}

}  // namespace

FileSystem::Path BorderLoop::State::donation_file(SiteId to) const {
  return journal_folder / "donations" / ("site-" + std::to_string(to.value()));
}

governance::PolicyContext BorderLoop::State::donation_policy() const {
  governance::PolicyContext context = policy();
  const StateShape shape = state_shape(plan.agreement.agreement, donation->closed.exchange);
  context.caps.max_state_bytes = border::max_message_wire_bytes();
  context.caps.max_state_messages = shape.num_messages();
  context.donation = {.recipients = plan.donate_to,
                      .exchange = donation->closed.exchange,
                      .manifest = donation->closed.manifest};
  return context;
}

bool BorderLoop::State::donate_some() {
  if (seams.clock.monotonic() < next_donation) return false;
  if (!donation) take_donation_request();
  if (!donation) return false;
  try {
    send_piece();
  } catch (const Error& error) {
    const bool slow = error.code() == border::errors::peer_refused &&
                      error.fields().found == "coordinator.relay_full";
    if (slow) {
      next_donation = seams.clock.monotonic() + recipient_is_slow;
      return false;
    }
    // Nor is this waited for; what the coordinator says meanwhile is heard.
    if (error.code() == border::errors::road_waits) return false;
    // The policy's refusal stands in the ledger; what this site has not, it cannot give.
    const bool ended = error.code() == ledger::errors::refused ||
                       error.code() == errors::nothing_to_give ||
                       error.code() == errors::state_refused ||
                       (error.code() == border::errors::peer_refused &&
                        error.fields().found == "coordinator.not_passed_on");
    if (!ended) throw;
    log::warn(error.what());
    end_donation("given up");
  }
  return true;
}

// A request names a site; what is given is the state of the newest exchange that is closed here.
void BorderLoop::State::take_donation_request() {
  const auto asked = read_donation_request(seams.fs, folder.root());
  if (!asked) return;
  const auto& sites = plan.roster.roster.sites;
  const auto named = std::ranges::find(sites, *asked, &federation::Member::name);
  if (named == sites.end() || closed.empty()) {
    log::warn(named == sites.end()
                  ? "asked to give the state of this run to '" + *asked + "', which is no site"
                  : "no exchange is closed yet: every site has the state of round 0");
    clear_donation_request(seams.fs, folder.root());
    return;
  }
  const SiteId to{static_cast<std::uint32_t>(named - sites.begin())};
  const auto before = read_record(seams.fs, donation_file(to));
  Donation next{.to = to, .closed = closed.rbegin()->second, .serial = 0, .next = 0, .source = {}};
  if (before && !before->over && closed.contains(before->exchange)) {
    next.closed = closed.at(before->exchange);
    next.serial = before->serial;
    next.next = before->next;
  } else if (before && before->exchange == next.closed.exchange) {
    next.serial = before->serial + 1;
  }
  donation.emplace(std::move(next));
  if (donation->serial > max_serial) {
    end_donation("refused: given too often for one exchange");
    return;
  }
  save_donation();
}

void BorderLoop::State::save_donation() const {
  write_record(seams.fs, donation_file(donation->to),
               {donation->closed.exchange, donation->serial, donation->next, false});
}

void BorderLoop::State::end_donation(std::string_view why) {
  say("state of exchange " + donation->closed.exchange.text() + " for " +
      plan.roster.roster.sites[donation->to.value()].name + " " + std::string(why));
  const FileSystem::Path path = donation_file(donation->to);
  // In this order: a restart that finds the request begins another donation, never half of one.
  write_record(
      seams.fs, path,
      {donation->closed.exchange, std::min(donation->serial, max_serial), donation->next, true});
  seams.fs.remove(sealed_of(path));
  // Another site's request may have come meanwhile, and is next.
  const std::string& name = plan.roster.roster.sites[donation->to.value()].name;
  if (read_donation_request(seams.fs, folder.root()) == name) {
    clear_donation_request(seams.fs, folder.root());
  }
  donation.reset();
  ledger.checkpoint();
}

// What an earlier process sealed under this identity; empty if that is another piece's, which an
// older donation may have left behind.
Bytes BorderLoop::State::sealed_piece(const FileSystem::Path& path, const border::Header& header) {
  if (!seams.fs.exists(path)) return {};
  Bytes wire = read_file(seams.fs, path, border::max_message_wire_bytes());
  const border::Claim claim = border::read_claim(wire);
  if (claim.exchange != header.exchange || claim.index != header.index) wire.clear();
  return wire;
}

// Empty while the state is still being hashed: so much of it in a turn that nobody waits for it.
// Whatever is wrong with the generation ends the donation and not the border, whose exchange needs
// none of it.
Bytes BorderLoop::State::read_piece(const StateShape& shape) {
  Donation& now = *donation;
  try {
    if (!now.source) now.source.emplace(folder, shape, now.closed, plan.scales_per_block);
    if (!now.source->hashed() && !now.source->hash_some(plan.hash_per_turn_bytes)) return {};
    return now.next == 0 ? encode(now.source->contents()) : now.source->piece(now.next);
  } catch (const Error& error) {
    if (error.code() == errors::nothing_to_give || error.code() == errors::state_refused) throw;
    throw Error(errors::nothing_to_give,
                {.what = "the state that is given cannot be read",
                 .where = folder.checkpoints().string(),
                 .found = error.what(),
                 .expected = "a whole generation and the sum of the exchange",
                 .remedy = "check the disk; ask another site, or give again after the next round"});
  }
}

void BorderLoop::State::send_piece() {
  Donation& now = *donation;
  const StateShape shape = state_shape(plan.agreement.agreement, now.closed.exchange);
  require_fits(shape);
  const border::Header header{.federation = peers.federation(),
                              .exchange = now.closed.exchange,
                              .manifest = now.closed.manifest,
                              .sender = own,
                              .recipient = now.to,
                              .type = MessageType::state,
                              .index = index_of(now)};
  const governance::Request request{.kind = ledger::CrossingKind::state_blocks,
                                    .exchange = header.exchange,
                                    .manifest = header.manifest,
                                    .recipient = header.recipient,
                                    .bytes = border::max_message_wire_bytes(),
                                    .index = header.index};
  // Asked before anything is read for somebody who may not have it, and again after a restart: what
  // was allowed when it was sealed may not be any more.
  auto written = governance::permit(ledger, request, donation_policy());
  kill_point("border.donation_decided");
  const FileSystem::Path sealed = sealed_of(donation_file(now.to));
  Bytes wire = sealed_piece(sealed, header);
  if (wire.empty()) {
    const Bytes piece = read_piece(shape);
    if (piece.empty()) return;
    const border::Envelope envelope =
        border::seal_message(std::move(written), header, piece, me, peers, seams.random);
    wire.assign(envelope.wire().begin(), envelope.wire().end());
    write_atomically(seams.fs, sealed, wire);
    kill_point("border.donation_sealed");
  }
  ledger.append(ledger::crossing_entry(
      {.kind = ledger::CrossingKind::state_blocks,
       .direction = ledger::Direction::out,
       .exchange = header.exchange,
       .manifest = header.manifest,
       .from = own,
       .to = now.to,
       .index = header.index,
       .digest = crypto::sha256(wire),
       .message_bytes = wire.size(),
       .frame_bytes = 0,
       .decision = ledger::decision_id(ledger::CrossingKind::state_blocks, header.exchange, now.to,
                                       header.index),
       .facts = ledger::state_facts(now.closed.state)}));
  kill_point("border.donation_recorded");
  seams.road.deliver(border::restore_message(wire, me, peers));
  kill_point("border.donation_sent");
  ++now.next;
  if (now.next == shape.num_messages()) {
    end_donation("is given, " + std::to_string(now.next) + " messages");
    return;
  }
  save_donation();
}

}  // namespace concordat::site
