// The site's end of the spool road: one request at a time waits for its answer.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <type_traits>
#include <utility>

#include "border/spool_files.hpp"
#include "concordat/border/errors.hpp"
#include "concordat/border/spool_road.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/random.hpp"

namespace concordat::border {
namespace {

using std::chrono::milliseconds;
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

Bytes record_of(Request request, ByteView payload) {
  Bytes body;
  append_record(body, {static_cast<std::uint8_t>(request), payload});
  return body;
}

Bytes encode(const ExchangeId& exchange) {
  ByteWriter out;
  write_exchange(out, exchange);
  return std::move(out).bytes();
}

class Road final : public SiteRoad {
 public:
  Road(const SpoolSiteOptions& options, const Identity& me, const crypto::SigningKey& tls,
       const PeerDirectory& peers)
      : options_(options),
        peers_(peers),
        seal_(me, tls, peers_, coordinator_id),
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
  ~Road() override {
    try {
      if (greeted_) put_note(goodbye());
    } catch (const std::exception& error) {
      log::debug(std::string("no goodbye: ") + error.what());
    }
  }

  Manner manner() const override {
    return {.blocks_per_flush = blocks_per_spool_request, .answers_at_once = false};
  }

  void deliver(const Envelope& message) override {
    CONCORDAT_REQUIRE(message.kind() == Envelope::Kind::message, "a block");
    const Claim claim = read_claim(message.wire());
    // Whoever announces an upload asks next where it goes on: the same file does.
    const bool announces = claim.type == MessageType::header;
    const Part part = ask({.request = Request::deliver, .message = message.digest()}, [&] {
      Bytes body = record_of(Request::deliver, message.wire());
      if (announces) {
        append_record(
            body, {static_cast<std::uint8_t>(Request::upload_position), encode(claim.exchange)});
      }
      return body;
    });
    forget();
    if (announces) position_.reset();
    ByteReader in(part.records, "answer");
    read_answer(in);
    if (announces && in.left() > 0) {
      const ByteView position = read_answer(in);
      position_.emplace(claim.exchange, read_position(Bytes(position.begin(), position.end())));
    }
    if (!part.last || in.left() > 0) abused("more than one answer");
  }

  // Nothing is asked: the coordinator puts what it has to say into the spool by itself.
  std::optional<Bytes> fetch(milliseconds wait) override {
    const auto until = SteadyClock::now() + wait;
    greet();
    for (;;) {
      go_on();
      if (auto message = served([&] { return newest_message(); })) return message;
      const auto left = until - SteadyClock::now();
      if (left <= SteadyClock::duration::zero()) return std::nullopt;
      sleep(std::min<SteadyClock::duration>(left, options_.look_every));
    }
  }

  void acknowledge(const Digest& message) override {
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

  std::uint64_t upload_position(const ExchangeId& exchange) override {
    // A flush that is on its way says the same.
    const Question flush{.request = Request::flush, .exchange = exchange};
    if (asked_ && asked_->question == flush) return flush_blocks(exchange);
    if (position_ && position_->first == exchange && !handed_over_) return position_->second;
    bundle_.clear();
    handed_over_ = false;
    return position_answer({.request = Request::upload_position, .exchange = exchange},
                           [&] { return record_of(Request::upload_position, encode(exchange)); });
  }

  void deliver_block(const Envelope& frame) override {
    CONCORDAT_REQUIRE(frame.kind() == Envelope::Kind::block, "a message");
    go_on();
    handed_over_ = true;
    append_record(bundle_, {static_cast<std::uint8_t>(Request::block), frame.wire()});
    if (bundle_.size() < spool_bundle_bytes) return;
    put(SpoolKind::blocks, bundle_);
    bundle_.clear();
  }

  std::uint64_t flush_blocks(const ExchangeId& exchange) override {
    const Question flush{.request = Request::flush, .exchange = exchange};
    const bool asked = asked_ && asked_->question == flush;
    if (!asked && !handed_over_ && position_ && position_->first == exchange) {
      go_on();
      return position_->second;
    }
    return position_answer(flush, [&] {
      append_record(bundle_, {static_cast<std::uint8_t>(Request::flush), encode(exchange)});
      handed_over_ = false;
      return std::exchange(bundle_, {});
    });
  }

  void fetch_blocks(const ExchangeId& exchange, std::uint64_t first, std::uint64_t last,
                    const std::function<void(ByteView wire)>& take) override {
    while (first < last) {
      const Question wanted{.request = Request::fetch_blocks, .exchange = exchange};
      const bool asked = asked_ && asked_->question == wanted;
      if (asked && (asked_->next != first || asked_->range.last > last)) forget();
      const BlockRange range{exchange, first, std::min(last, first + blocks_per_spool_request)};
      // Put into the spool once more it is the same range: parts of both answers are alike.
      const Part part = ask(
          wanted,
          [&] {
            return record_of(Request::fetch_blocks, border::encode(asked_ ? asked_->range : range));
          },
          range);
      try {
        ByteReader in(part.records, "answer");
        while (in.left() > 0) {
          if (first == asked_->range.last) abused("more blocks than were asked for");
          take(read_answer(in));
          asked_->next = ++first;
        }
        if (part.last != (first == asked_->range.last)) abused("a range that ends elsewhere");
      } catch (...) {
        forget();
        throw;
      }
      ++asked_->part;
      if (part.last) forget();
    }
  }

  void stop() override {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
  }

 private:
  /// What was asked; the same question asked again waits for the same answer.
  struct Question {
    Request request{};
    ExchangeId exchange{};
    Digest message{};
    bool operator==(const Question&) const = default;
  };
  struct Asked {
    Question question{};
    SpoolName name{};
    std::chrono::nanoseconds since{};
    std::uint32_t part = 0;              ///< of the answer, to come next
    BlockRange range{};                  ///< of fetch_blocks
    std::uint64_t next = 0;              ///< of the range, to come next
    bool overdue = false;                ///< to be put into the spool once more
    std::vector<Digest> acknowledged{};  ///< in the same file
  };
  /// A part of an answer.
  struct Part {
    Bytes records;
    bool last = false;
  };

  static Bytes goodbye() {
    Bytes body;
    append_record(body, {static_cast<std::uint8_t>(SpoolNote::goodbye), {}});
    return body;
  }

  [[noreturn]] void abused(std::string found) const {
    throw Error(errors::road_abused, {.what = "an answer outside the rules of the road",
                                      .where = options_.folder.string(),
                                      .found = std::move(found),
                                      .expected = "an answer to the request",
                                      .remedy = "check that both ends have one version"});
  }
  [[noreturn]] static void down(const std::string& where, std::string what, std::string found,
                                std::string remedy) {
    throw Error(errors::road_down, {.what = std::move(what),
                                    .where = where,
                                    .found = std::move(found),
                                    .expected = "an answer",
                                    .remedy = std::move(remedy)});
  }

  void go_on() const {
    if (stopped_) throw Error(errors::road_stopped, {.what = "the road was stopped"});
  }
  void sleep(SteadyClock::duration time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return stopped_.load(); });
  }

  /// So that the coordinator knows of this border.
  void greet() {
    go_on();
    if (greeted_) return;
    put_note({});
    greeted_ = true;
  }

  /// A note has all that earlier ones had, and takes their place.
  void put_note(ByteView more) {
    Bytes body = acknowledgements();
    body.insert(body.end(), more.begin(), more.end());
    const SpoolName name = put(SpoolKind::note, body);
    if (note_) up_.tidy(*note_);
    note_ = name;
  }
  Bytes acknowledgements() const {
    Bytes body;
    for (const Digest& message : unconfirmed_) {
      append_record(body, {static_cast<std::uint8_t>(Request::acknowledge), message.view()});
    }
    return body;
  }

  SpoolName put(SpoolKind kind, ByteView body) {
    const SpoolName name{.kind = kind, .series = series_, .number = number_++};
    put(name, body);
    return name;
  }
  void put(const SpoolName& name, ByteView body) {
    served([&] { up_.put(name, seal_.seal(name, body)); });
  }
  /// The request, and what was acknowledged before it.
  void put(Asked& asked, const Bytes& question) {
    Bytes body = acknowledgements();
    body.insert(body.end(), question.begin(), question.end());
    put(asked.name, body);
    asked.acknowledged.assign(unconfirmed_.begin(), unconfirmed_.end());
  }
  /// A spool that cannot be had now is as any other road.
  template <typename Act>
  std::invoke_result_t<Act&> served(Act&& act) const {
    try {
      return act();
    } catch (const Error& error) {
      if (!error.code().name.starts_with("core.")) throw;
      down(options_.folder.string(), "the spool cannot be used", error.what(),
           "it is tried again; see that there is space and that this account may write");
    }
  }

  /// Gives up waiting. What the coordinator has not seen yet it need not see.
  void forget() {
    if (!asked_) return;
    up_.tidy(asked_->name);
    asked_.reset();
  }

  /// An answer came: so did all that went along. What a mover left here of the files before its
  /// request and of earlier borders is needed no more. The request is, until its last part is here.
  void confirm() {
    std::erase_if(unconfirmed_, [this](const Digest& message) {
      return std::ranges::find(asked_->acknowledged, message) != asked_->acknowledged.end();
    });
    for (const SpoolName& name : up_.list()) {
      if (name.series != series_ || name.number < asked_->name.number) up_.tidy(name);
    }
  }

  template <typename Make>
  std::uint64_t position_answer(const Question& question, Make&& make) {
    position_.reset();
    const Part part = ask(question, make);
    forget();
    ByteReader in(part.records, "answer");
    const ByteView payload = read_answer(in);
    if (!part.last || in.left() > 0) abused("more than one answer");
    const std::uint64_t position = read_position(Bytes(payload.begin(), payload.end()));
    position_.emplace(question.exchange, position);
    return position;
  }

  /// @throws Error(peer_refused).
  ByteView read_answer(ByteReader& in) const {
    const SpoolRecord record = take_record(in);
    if (record.kind == static_cast<std::uint8_t>(Answer::refused)) {
      throw_refusal(record.payload, options_.folder.string());
    }
    if (record.kind != static_cast<std::uint8_t>(Answer::done)) {
      abused("kind " + std::to_string(record.kind));
    }
    return record.payload;
  }

  /// The next part of the answer to a question that is asked now or was asked before.
  /// @throws Error(road_waits) after the patience, Error(road_down) after the answer limit.
  template <typename Make>
  Part ask(const Question& question, Make&& make, const BlockRange& range = {}) {
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

  Part await() {
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

  [[noreturn]] void overdue() {
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

  /// Takes the part that is awaited, and clears away what nobody waits for.
  std::optional<Part> take_answer() {
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

  /// The coordinator's last word comes first: what lies below it waited longer than its turn.
  std::optional<Bytes> newest_message() {
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
  }

  std::optional<Bytes> read(const SpoolName& name) {
    const auto size = inbox_.size_of(name);
    return size ? inbox_.open(name, *size) : std::nullopt;
  }

  SpoolSiteOptions options_;
  PeerDirectory peers_;
  SpoolSeal seal_;
  SpoolWay up_, down_;
  SpoolInbox inbox_;
  std::uint64_t series_;
  std::uint32_t number_ = 0;
  bool greeted_ = false;
  std::optional<Asked> asked_;
  Bytes bundle_;              ///< blocks that are in no file yet
  bool handed_over_ = false;  ///< a block since the last flush
  std::optional<std::pair<ExchangeId, std::uint64_t>> position_;  ///< as last told
  std::optional<std::pair<SpoolName, Digest>> fetched_;
  std::deque<Digest> unconfirmed_;  ///< acknowledged; no answer says yet that it came
  std::optional<SpoolName> note_;   ///< the last one
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> stopped_{false};
};

}  // namespace

std::unique_ptr<SiteRoad> make_spool_site_road(const SpoolSiteOptions& options, const Identity& me,
                                               const crypto::SigningKey& tls,
                                               const PeerDirectory& peers) {
  return std::make_unique<Road>(options, me, tls, peers);
}

}  // namespace concordat::border
