#include "border/spool_requests.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "concordat/border/errors.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/random.hpp"

namespace concordat::border {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Acknowledgements that go along until an answer says that they came.
constexpr std::size_t max_unconfirmed = 64;

/// The time, so that later roads come later, and as much chance, so that no answer to an earlier
/// road's request is ever taken for one to this road's.
std::uint64_t new_series(const Clock& clock) {
  Bytes bytes(sizeof(std::uint32_t));
  crypto::system_random().fill(bytes);
  return static_cast<std::uint64_t>(clock.unix_seconds()) << 32U |
         ByteReader(bytes, "series").u32();
}

Bytes goodbye() {
  Bytes body;
  append_record(body, {static_cast<std::uint8_t>(SpoolNote::goodbye), {}});
  return body;
}

[[noreturn]] void down(const std::string& where, std::string what, std::string found,
                       std::string remedy) {
  throw Error(errors::road_down, {.what = std::move(what),
                                  .where = where,
                                  .found = std::move(found),
                                  .expected = "an answer",
                                  .remedy = std::move(remedy)});
}

}  // namespace

// A spool that cannot be had now is as any other road.
template <typename Act>
std::invoke_result_t<Act&> SpoolRequests::served(Act&& act) const {
  try {
    return act();
  } catch (const Error& error) {
    if (!error.code().name.starts_with("core.")) throw;
    down(options_.folder.string(), "the spool cannot be used", error.what(),
         "it is tried again; see that there is space and that this account may write");
  }
}

SpoolRequests::SpoolRequests(const SpoolSiteOptions& options, const Identity& me,
                             const crypto::SigningKey& tls, const PeerDirectory& peers)
    : options_(options),
      seal_(me, tls, peers, coordinator_id),
      up_(*options.files, options.folder / "up"),
      down_(*options.files, options.folder / "down"),
      inbox_(down_, seal_, *options.clock, "the spool"),
      series_(new_series(*options.clock)) {
  // Nobody waits for what an earlier border asked, and it is asked again; its acknowledgements
  // stand.
  for (const SpoolName& name : up_.list()) {
    if (name.kind == SpoolKind::request || name.kind == SpoolKind::blocks) up_.tidy(name);
  }
}

SpoolRequests::~SpoolRequests() {
  try {
    if (greeted_) put_note(goodbye());
  } catch (const std::exception& error) {
    log::debug(std::string("no goodbye: ") + error.what());
  }
}

SpoolRequests::Part SpoolRequests::ask(const Question& question, const std::function<Bytes()>& make,
                                       const BlockRange& range) {
  greet();
  if (asked_ && asked_->question != question) forget();
  if (!asked_) {
    const Bytes body = make();
    Asked asked{.question = question, .range = range, .next = range.first};
    asked.name = {.kind = SpoolKind::request, .series = series_, .number = number_++};
    put(asked, body);
    asked.since = options_.clock->monotonic();
    asked_ = std::move(asked);
  } else if (asked_->overdue && !up_.has(asked_->name)) {
    put(*asked_, make());
    asked_->overdue = false;
  }
  return await();
}

SpoolRequests::Part SpoolRequests::await() {
  const auto until = SteadyClock::now() + options_.patience;
  for (;;) {
    go_on();
    if (auto part = served([&] { return take_answer(); })) return std::move(*part);
    const auto now = SteadyClock::now();
    if (options_.clock->monotonic() - asked_->since >= options_.answer_limit) overdue();
    if (now >= until) {
      throw Error(
          errors::road_waits,
          {.what = "the coordinator's answer has not come yet",
           .where = options_.folder.string(),
           .found = asked_->name.text() + (up_.has(asked_->name) ? ", not moved yet" : ", moved"),
           .expected = "an answer in down/",
           .remedy = "wait; see that the mover runs"});
    }
    sleep(std::min<SteadyClock::duration>(until - now, options_.look_every));
  }
}

void SpoolRequests::overdue() {
  const std::string found =
      asked_->name.text() +
      (up_.has(asked_->name) ? " has not been moved" : " was moved and has no answer");
  if (asked_->question.request == Request::flush) {
    forget();  // The position says how much of it came.
  } else {
    asked_->since = options_.clock->monotonic();
    asked_->overdue = true;
  }
  down(options_.folder.string(), "the coordinator's answer is overdue", found,
       "see that the mover runs, and the coordinator; it is put into the spool once more");
}

// Takes the part that is awaited, and clears away what nobody waits for.
std::optional<SpoolRequests::Part> SpoolRequests::take_answer() {
  std::optional<Part> part;
  for (const SpoolName& name : inbox_.list()) {
    if (name.kind != SpoolKind::answer) continue;
    const bool mine = name.series == asked_->name.series && name.number == asked_->name.number;
    if (mine && name.part > asked_->part) continue;
    if (mine && name.part == asked_->part) {
      const auto body = read(name);
      if (!body) continue;
      ByteReader in(*body, name.text());
      const bool last = in.u8() != 0;
      const ByteView records = in.raw(in.left());
      part = Part{Bytes(records.begin(), records.end()), last};
    }
    down_.tidy(name);
  }
  if (!part) return part;
  confirm();
  asked_->since = options_.clock->monotonic();  // of the next part
  return part;
}

// An answer came: so did all that went along. What a mover left here of the files before its
// request and of earlier borders is needed no more. The request is, until its last part is here.
void SpoolRequests::confirm() {
  std::erase_if(unconfirmed_, [this](const Digest& message) {
    return std::ranges::find(asked_->acknowledged, message) != asked_->acknowledged.end();
  });
  for (const SpoolName& name : up_.list()) {
    if (name.series != series_ || name.number < asked_->name.number) up_.tidy(name);
  }
}

void SpoolRequests::forget() {
  if (!asked_) return;
  up_.tidy(asked_->name);
  asked_.reset();
}

ByteView SpoolRequests::read_answer(ByteReader& in) const {
  const SpoolRecord record = take_record(in);
  if (record.kind == static_cast<std::uint8_t>(Answer::refused)) {
    throw_refusal(record.payload, options_.folder.string());
  }
  if (record.kind != static_cast<std::uint8_t>(Answer::done)) {
    abused("kind " + std::to_string(record.kind));
  }
  return record.payload;
}

void SpoolRequests::abused(std::string found) const {
  throw Error(errors::road_abused, {.what = "an answer outside the rules of the road",
                                    .where = options_.folder.string(),
                                    .found = std::move(found),
                                    .expected = "an answer to the request",
                                    .remedy = "check that both ends have one version"});
}

void SpoolRequests::put_blocks(ByteView records) { put(SpoolKind::blocks, records); }

void SpoolRequests::greet() {
  go_on();
  if (greeted_) return;
  put_note({});
  greeted_ = true;
}

std::optional<Bytes> SpoolRequests::newest_message() {
  return served([&]() -> std::optional<Bytes> {
    std::vector<SpoolName> names = inbox_.list();
    std::ranges::reverse(names);
    for (const SpoolName& name : names) {
      if (name.kind != SpoolKind::message) continue;
      if (auto wire = read(name)) {
        fetched_.emplace(name, crypto::sha256(*wire));
        return wire;
      }
    }
    return std::nullopt;
  });
}

void SpoolRequests::acknowledge(const Digest& message) {
  go_on();
  if (std::ranges::find(unconfirmed_, message) == unconfirmed_.end()) {
    unconfirmed_.push_back(message);
  }
  if (unconfirmed_.size() > max_unconfirmed) unconfirmed_.pop_front();
  put_note({});
  if (!fetched_ || fetched_->second != message) return;
  served([&] { down_.remove(fetched_->first); });
  fetched_.reset();
}

std::optional<Bytes> SpoolRequests::read(const SpoolName& name) {
  const auto size = inbox_.size_of(name);
  return size ? inbox_.open(name, *size) : std::nullopt;
}

// A note has all that earlier ones had, and takes their place.
void SpoolRequests::put_note(ByteView more) {
  Bytes body = acknowledgements();
  body.insert(body.end(), more.begin(), more.end());
  const SpoolName name = put(SpoolKind::note, body);
  if (note_) up_.tidy(*note_);
  note_ = name;
}

Bytes SpoolRequests::acknowledgements() const {
  Bytes body;
  for (const Digest& message : unconfirmed_) {
    append_record(body, {static_cast<std::uint8_t>(Request::acknowledge), message.view()});
  }
  return body;
}

SpoolName SpoolRequests::put(SpoolKind kind, ByteView body) {
  const SpoolName name{.kind = kind, .series = series_, .number = number_++};
  put(name, body);
  return name;
}

void SpoolRequests::put(const SpoolName& name, ByteView body) {
  served([&] { up_.put(name, seal_.seal(name, body)); });
}

// The request, and what was acknowledged before it.
void SpoolRequests::put(Asked& asked, const Bytes& question) {
  Bytes body = acknowledgements();
  body.insert(body.end(), question.begin(), question.end());
  put(asked.name, body);
  asked.acknowledged.assign(unconfirmed_.begin(), unconfirmed_.end());
}

void SpoolRequests::go_on() const {
  if (stopped_) throw Error(errors::road_stopped, {.what = "the road was stopped"});
}

void SpoolRequests::sleep(SteadyClock::duration time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return stopped_.load(); });
}

void SpoolRequests::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

}  // namespace concordat::border
