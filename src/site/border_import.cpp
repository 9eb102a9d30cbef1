// Taking: a donor's state, when this site's own is lost.
#include <algorithm>

#include "concordat/border/errors.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/site/errors.hpp"
#include "site/border_state.hpp"
#include "site/donation_request.hpp"

namespace concordat::site {

namespace {

constexpr std::chrono::seconds look_at_need_every{10};
// A member that sends what nobody asked for must not fill ledger and log.
constexpr unsigned max_states_turned_away = 64;

[[noreturn]] void refuse(const border::Header& header, std::string what, std::string found,
                         std::string expected) {
  throw Error(errors::state_refused, {.what = std::move(what),
                                      .where = header.text(),
                                      .found = std::move(found),
                                      .expected = std::move(expected),
                                      .remedy = "nothing of it was taken"});
}

std::uint32_t newest_round(FileSystem& fs, const FileSystem::Path& checkpoints) {
  std::uint32_t newest = 0;
  for (const std::string& name : checkpoint::list_generations(fs, checkpoints)) {
    try {
      const auto position = checkpoint::read_manifest(fs, checkpoints / name).position;
      newest = std::max(newest, static_cast<std::uint32_t>(position.round));
    } catch (const Error&) {
      continue;
    }
  }
  return newest;
}

}  // namespace

// The newest closed round whose outer step cannot be taken from what is here. What was imported
// stands for all rounds before its own.
std::optional<Round> BorderLoop::State::newest_gap() const {
  const auto imported = read_imported(seams.fs, folder.root());
  for (auto one = closed.rbegin(); one != closed.rend(); ++one) {
    const ExchangeId& id = one->first;
    if (imported && id < imported->exchange) break;
    const bool here = folder.has_closed(id) && seams.fs.exists(folder.aggregate_blocks(id));
    if (!here) return id.round;
  }
  return std::nullopt;
}

// The ranks begin with their newest generation that verifies, or an import, or the initial state,
// and take the outer step of every exchange from there on. Only they know which generation
// verifies: one that announces a round of long ago has said that it is no newer one.
std::optional<Round> BorderLoop::State::lacking() const {
  const auto gap = newest_gap();
  if (!gap) return std::nullopt;
  if (announces_lost && announces_lost->round <= *gap) return gap;
  if (newest_round(seams.fs, folder.checkpoints()) <= gap->value()) return gap;
  return std::nullopt;
}

// Says once, and in the run folder for the training job, that a donor's state is waited for.
void BorderLoop::State::watch_need() {
  const auto now = seams.clock.monotonic();
  if (now < next_look_at_need) return;
  next_look_at_need = now + look_at_need_every;
  look_back();
  if (!plan.donor) return;
  const auto gap = lacking();
  const std::string& donor = plan.roster.roster.sites[plan.donor->value()].name;
  write_needed_state(seams.fs, folder.root(),
                     gap ? std::optional(NeededState{donor, *gap}) : std::nullopt);
  if (gap && !needy) {
    log::warn("what this run needs is not here any more; it comes back when " + donor +
              " gives its own: 'concordat donate SITE.toml --to=" + keys.name + "' there");
  }
  needy = gap.has_value();
}

// True: the message is done with. A site that sends what nobody asked for must neither end this
// border nor stand in the way of what comes behind it.
bool BorderLoop::State::take_state(ByteView wire, const Digest& digest) {
  try {
    const border::OpenedMessage message = border::open_message(wire, me, peers);
    if (message.header.exchange >= exchange() && plan.donor == message.header.sender) {
      // This site will be told how that exchange ended, and can check the state then.
      pause(plan.poll_wait);
      return false;
    }
    take_piece(message, wire.size());
  } catch (const Error& error) {
    const bool own_trouble =
        error.code().name.starts_with("core.") && !(error.code() == concordat::errors::malformed);
    if (own_trouble || error.code().name.starts_with("ledger.")) throw;
    if (states_turned_away >= max_states_turned_away) return true;
    const bool last = ++states_turned_away == max_states_turned_away;
    log::warn(
        std::string("turned away: ") + error.what() +
        (last ? "; what else is turned away until this border starts again is not said" : ""));
    ledger.append(ledger::refusal_entry(digest.hex(), error.code().name, error.fields().what));
    ledger.checkpoint();
  }
  return true;
}

void BorderLoop::State::take_piece(const border::OpenedMessage& message,
                                   std::uint64_t message_bytes) {
  const border::Header& header = message.header;
  if (plan.donor != header.sender) {
    refuse(header, "a site sends its state that is not this one's donor",
           border::text_of(header.sender),
           plan.donor ? border::text_of(*plan.donor) : "nobody: federation.donor is empty");
  }
  const auto known = closed.find(header.exchange);
  if (known == closed.end() || known->second.manifest != header.manifest) {
    refuse(header, "a state of an exchange that this site does not know as closed",
           header.manifest.hex(),
           known == closed.end() ? "an exchange of its journal" : known->second.manifest.hex());
  }
  const DonationId id{header.exchange, header.sender, governance::state_serial(header.index)};
  const std::uint32_t position = governance::state_position(header.index);
  const bool same = import->donation() == id;
  if (same && import->complete()) return state_is_here();  // a kill may lie between
  if (same && position < import->next()) return;           // it has been taken
  const auto& now = import->donation();
  if (now && now->exchange == id.exchange && now->from == id.from && now->serial > id.serial) {
    refuse(header, "a piece of a state that was given before the one that is being taken",
           "donation " + std::to_string(id.serial), "donation " + std::to_string(now->serial));
  }
  if (!lacking()) {
    refuse(header, "a state that this site has no need of", "the state of another site",
           "nothing: every outer step can be taken from what is here");
  }
  const bool fits = position == 0 || (same && position == import->next());
  if (!fits) {
    refuse(header, "a piece of a state that does not follow the one before",
           "position " + std::to_string(position),
           "position " + std::to_string(same ? import->next() : 0));
  }
  ledger::Crossing crossing{.kind = ledger::CrossingKind::state_blocks,
                            .direction = ledger::Direction::in,
                            .exchange = header.exchange,
                            .manifest = header.manifest,
                            .from = header.sender,
                            .to = own,
                            .index = header.index,
                            .digest = message.digest,
                            .message_bytes = message_bytes,
                            .frame_bytes = 0,
                            .decision = {},
                            .facts = ledger::state_facts(known->second.state)};
  const ledger::Entry entry = ledger::crossing_entry(crossing);
  if (const auto index = ledger.find(entry.key);
      index && ledger.entry(*index).entry.at("digest") != message.digest.hex()) {
    throw Error(border::errors::equivocation,
                {.what = "a second, different message under one identity",
                 .where = header.text(),
                 .found = "digest " + message.digest.hex(),
                 .expected = "digest " + ledger.entry(*index).entry.at("digest"),
                 .remedy = "the donor has to give its state anew"});
  }
  import->check(known->second, position, message.body);
  ledger.append(entry);
  if (position == 0) {
    import->begin(id, known->second, message.body);
    say("the state of exchange " + header.exchange.text() + " begins to come from " +
        border::text_of(header.sender));
  } else {
    import->take(known->second, position, message.body);
  }
  if (import->complete()) state_is_here();
}

void BorderLoop::State::state_is_here() {
  const ExchangeId& exchange = import->donation()->exchange;
  next_look_at_need = {};
  watch_need();
  ledger.checkpoint();
  say("the state of exchange " + exchange.text() + " is here, " + std::to_string(import->next()) +
      " messages; the training job can start");
}

}  // namespace concordat::site
