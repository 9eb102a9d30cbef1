#include "border/spool_desk.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "concordat/border/errors.hpp"
#include "concordat/core/log.hpp"

namespace concordat::border {
namespace {

using std::chrono::milliseconds;

// A file in memory, what is in it, and a stored or sealed copy: what a request holds at most.
constexpr std::uint64_t copies_per_file = 3;
// Between two looks at the queue of a site that has not acknowledged what lies in its spool: each
// look at a donor's state asks the policy again.
constexpr std::chrono::seconds look_again{30};
constexpr std::uint64_t small_file_bytes = 64U << 10U;  // not worth a place in the budget
// Of one site in its spool. The queue has one or two that wait for an acknowledgement: its own word
// and a donor's piece.
constexpr std::size_t max_messages = 4;
// Roads of one site whose answers lie in its spool: the last one's, and what came late.
constexpr std::size_t max_series = 4;
// What a block says that comes after one that is not here, as a mover may bring it or lose it. No
// refusal: the position that the flush gets says where to go on.
constexpr std::string_view out_of_order = "coordinator.out_of_order";

bool goes_up(const SpoolName& name) {
  return name.kind == SpoolKind::request || name.kind == SpoolKind::blocks ||
         name.kind == SpoolKind::note;
}

/// What a frame says of itself, for whom a refusal is about.
std::optional<ExchangeId> exchange_of_block(ByteView wire) {
  try {
    return read_frame_claim(wire).exchange;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

SpoolDesk::SpoolDesk(const SpoolCoordinatorOptions& options, ByteBudget& budget,
                     const SpoolSeal& seal, SiteId site, const std::string& name,
                     const std::atomic<bool>& stopping)
    : options_(options),
      budget_(budget),
      seal_(seal),
      site_(site),
      name_(name),
      stopping_(stopping),
      up_(*options.files, options.folder / name / "up"),
      down_(*options.files, options.folder / name / "down"),
      inbox_(up_, seal_, *options.clock, "spool of " + name) {}

void SpoolDesk::begin() {
  for (const SpoolName& name : down_.list()) {
    if (name.kind == SpoolKind::message) down_.tidy(name);
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  series_ = static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(now).count());
  number_ = 0;
  put_.clear();
  newest_ = {};
  block_refusal_.reset();
}

bool SpoolDesk::answer(RoadHandler& handler) {
  std::vector<SpoolName> names = inbox_.list();
  std::erase_if(names, [](const SpoolName& name) { return !goes_up(name); });
  std::ranges::sort(names, {},
                    [](const SpoolName& name) { return std::pair(name.series, name.number); });
  bool any = false;
  std::string trouble;
  for (const SpoolName& name : names) {
    if (stopping_) break;
    try {
      if (answer(handler, name)) any = true;
    } catch (const Error& error) {
      // This coordinator's own: a full disk, say. The file stays; the others have their turn.
      if (trouble.empty()) trouble = error.what();
    }
  }
  if (!trouble.empty() && trouble != trouble_) log::error("spool of " + name_ + ": " + trouble);
  trouble_ = std::move(trouble);
  return any;
}

void SpoolDesk::push(RoadHandler& handler) {
  const auto now = options_.clock->monotonic();
  if (!put_.empty() && now < look_again_) return;
  look_again_ = now + look_again;
  const auto message = handler.next_message(site_, milliseconds(0));
  if (!message) return;
  auto [entry, is_new] = put_.try_emplace(message->digest());
  Put& put = entry->second;
  if (is_new) put.name = {.kind = SpoolKind::message, .series = series_, .number = number_++};
  if (!is_new && options_.clock->monotonic() - put.at < options_.answer_limit) return;
  try {
    if (is_new || !down_.has(put.name)) {
      down_.put(put.name, seal_.seal(put.name, message->wire()));
    }
    put.at = options_.clock->monotonic();
  } catch (...) {
    put_.erase(entry);
    throw;
  }
  drop_old_messages();
}

// The queue is behind what lies here, whatever became of its acknowledgement.
void SpoolDesk::drop_old_messages() {
  if (put_.size() <= max_messages) return;
  const auto oldest = std::ranges::min_element(
      put_, {}, [](const auto& entry) { return entry.second.name.number; });
  down_.tidy(oldest->second.name);
  put_.erase(oldest);
}

bool SpoolDesk::answer(RoadHandler& handler, const SpoolName& name) {
  const auto size = inbox_.size_of(name);
  if (!size) return false;
  if (*size > max_spool_file_bytes() || copies_per_file * *size > budget_.limit_bytes()) {
    inbox_.leave(name, *size, too_long(name, *size));
    return false;
  }
  {
    std::optional<ByteBudget::Reservation> held;
    if (*size > small_file_bytes) held.emplace(budget_.reserve(copies_per_file * *size));
    const auto body = inbox_.open(name, *size);
    if (!body) return false;
    connected_ = true;
    if (!act_on(handler, name, *body, held.has_value())) return false;
  }
  try {
    up_.remove(name);
  } catch (const Error& error) {
    inbox_.leave(name, *size, error);  // acted on again after a while, with the same outcome
  }
  look_again_ = {};
  return true;
}

Error SpoolDesk::too_long(const SpoolName& name, std::uint64_t size) const {
  return Error(errors::road_abused,
               {.what = "a file in the spool is longer than any request",
                .where = (up_.folder() / name.text()).string(),
                .found = std::to_string(size) + " bytes",
                .expected = "at most " + std::to_string(max_spool_file_bytes()) +
                            " and a third of coordinator.buffer_mib",
                .remedy = "remove it"});
}

bool SpoolDesk::act_on(RoadHandler& handler, const SpoolName& name, ByteView body, bool holds) {
  ByteReader in(body, name.text());
  Turn turn{.name = name, .awaited = begin_answers(name)};
  // A refusal that is an answer ends the file: there are never more of them than one.
  for (bool refused = false; in.left() > 0 && !refused;) {
    turn.record = {};
    try {
      turn.record = take_record(in);
      turn.left = in.left();
      if (turn.record.kind == static_cast<std::uint8_t>(Request::fetch_blocks)) {
        require_alone(turn, holds);
      }
      act_on(handler, turn.record, turn);
    } catch (const Error& error) {
      if (error.code() == errors::road_down || !is_answer(error)) {
        log::debug("a request of " + name_ + " has no answer yet: " + error.what());
        return false;
      }
      refused = refuse(error, turn);
    }
    if (stopping_ && in.left() > 0 && !refused) return false;
  }
  if (turn.awaited) put_answers(turn, true);
  return true;
}

bool SpoolDesk::begin_answers(const SpoolName& name) {
  if (name.kind != SpoolKind::request) return false;
  if (name.series == newest_.series && name.number < newest_.number) return false;
  newest_ = name;
  std::set<std::uint64_t> others;
  for (const SpoolName& lies : down_.list()) {
    if (lies.kind != SpoolKind::answer) continue;
    if (lies.series != name.series) {
      others.insert(lies.series);
    } else if (lies.number != name.number) {
      down_.tidy(lies);
    }
  }
  if (others.size() < max_series) return true;
  for (const SpoolName& lies : down_.list()) {
    if (lies.kind == SpoolKind::answer && lies.series != name.series) down_.tidy(lies);
  }
  return true;
}

void SpoolDesk::act_on(RoadHandler& handler, const SpoolRecord& record, Turn& turn) {
  if (record.kind == static_cast<std::uint8_t>(SpoolNote::goodbye)) {
    connected_ = false;
    return;
  }
  const auto bound = request_bound(record.kind);
  const auto request = static_cast<Request>(record.kind);
  if (!bound || request == Request::fetch || record.payload.size() > *bound) {
    throw Error(
        errors::road_abused,
        {.what = bound && request != Request::fetch ? "a request is longer than its bound"
                                                    : "a request that the spool road does not have",
         .where = turn.name.text(),
         .found = "kind " + std::to_string(record.kind) + ", " +
                  std::to_string(record.payload.size()) + " bytes",
         .expected = bound ? "at most " + std::to_string(*bound) + " bytes" : "1 to 7",
         .remedy = "start all parties with one version"});
  }
  switch (request) {
    case Request::fetch_blocks:
      if (turn.awaited) fetch_blocks(handler, record, turn);
      return;
    case Request::block:
      // After a refusal the rest of the batch is dropped: the flush tells.
      if (block_refusal_ &&
          block_refusal_->is_about(turn.name.series, exchange_of_block(record.payload))) {
        return;
      }
      act_at_once(handler, site_, request, record.payload);
      return;
    case Request::flush:
      if (auto refusal = refusal_of_blocks(record.payload, turn)) {
        append_record(turn.answers, {static_cast<std::uint8_t>(Answer::refused), *refusal});
        return;
      }
      break;
    case Request::acknowledge:
      act_at_once(handler, site_, request, record.payload);
      return taken(record.payload);
    default:
      break;
  }
  const Bytes said = act_at_once(handler, site_, request, record.payload);
  append_record(turn.answers, {static_cast<std::uint8_t>(Answer::done), said});
}

std::optional<Bytes> SpoolDesk::refusal_of_blocks(ByteView flush, const Turn& turn) {
  if (!block_refusal_) return std::nullopt;
  ByteReader in(flush, "request");
  if (!block_refusal_->is_about(turn.name.series, read_exchange(in))) return std::nullopt;
  Bytes payload = std::move(block_refusal_->payload);
  block_refusal_.reset();
  return payload;
}

void SpoolDesk::require_alone(const Turn& turn, bool holds) {
  if (!holds && turn.left == 0 && turn.answers.empty()) return;
  throw Error(errors::road_abused, {.what = "a request for blocks comes with other requests",
                                    .where = turn.name.text(),
                                    .found = "other requests in one file",
                                    .expected = "acknowledgements before it, at most",
                                    .remedy = "start all parties with one version"});
}

bool SpoolDesk::refuse(const Error& error, Turn& turn) {
  const auto request = static_cast<Request>(turn.record.kind);
  if (request == Request::acknowledge) return false;
  const Bytes refusal = encode_refusal(error);
  if (request != Request::block) {
    append_record(turn.answers, {static_cast<std::uint8_t>(Answer::refused), refusal});
    return true;
  }
  if (error.code().name == out_of_order) return false;
  block_refusal_ = {turn.name.series, exchange_of_block(turn.record.payload), refusal};
  return false;
}

void SpoolDesk::taken(ByteView digest_bytes) {
  const auto put = put_.find(digest_from(digest_bytes, "acknowledgement"));
  if (put == put_.end()) return;
  down_.tidy(put->second.name);
  put_.erase(put);
}

void SpoolDesk::fetch_blocks(RoadHandler& handler, const SpoolRecord& record, Turn& turn) {
  const BlockRange range =
      read_block_range(record.payload, blocks_per_spool_request, turn.name.text());
  const std::uint64_t largest = handler.largest_frame_bytes(range.exchange);
  const std::uint64_t need =
      std::min(copies_per_file * (largest + spool_bundle_bytes), budget_.limit_bytes());
  for (std::uint64_t position = range.first; position < range.last;) {
    turn.held.reset();
    turn.held.emplace(budget_.reserve(need));
    do {
      const Envelope frame = handler.aggregate_block(site_, range.exchange, position++);
      append_record(turn.answers, {static_cast<std::uint8_t>(Answer::done), frame.wire()});
    } while (position < range.last && turn.answers.size() < spool_bundle_bytes);
    if (position == range.last) return;
    put_answers(turn, false);
    if (stopping_) throw Error(errors::road_down, {.what = "the coordinator stops"});
  }
}

void SpoolDesk::put_answers(Turn& turn, bool last) {
  const SpoolName name{.kind = SpoolKind::answer,
                       .series = turn.name.series,
                       .number = turn.name.number,
                       .part = turn.part++};
  Bytes body = std::exchange(turn.answers, {});
  body.insert(body.begin(), static_cast<std::uint8_t>(last ? 1 : 0));
  down_.put(name, seal_.seal(name, body));
}

}  // namespace concordat::border
