// The site's end of the spool road.
#include <algorithm>
#include <utility>

#include "border/spool_requests.hpp"

namespace concordat::border {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;
using Part = SpoolRequests::Part;
using Question = SpoolRequests::Question;

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
      : look_every_(options.look_every), peers_(peers), requests_(options, me, tls, peers_) {}

  Manner manner() const override {
    return {.blocks_per_flush = blocks_per_spool_request, .answers_at_once = false};
  }

  void deliver(const Envelope& message) override {
    CONCORDAT_REQUIRE(message.kind() == Envelope::Kind::message, "a block");
    const Claim claim = read_claim(message.wire());
    // Whoever announces an upload asks next where it goes on: the same file does.
    const bool announces = claim.type == MessageType::header;
    const Part part =
        requests_.ask({.request = Request::deliver, .message = message.digest()}, [&] {
          Bytes body = record_of(Request::deliver, message.wire());
          if (announces) {
            append_record(body, {static_cast<std::uint8_t>(Request::upload_position),
                                 encode(claim.exchange)});
          }
          return body;
        });
    requests_.forget();
    if (announces) position_.reset();
    ByteReader in(part.records, "answer");
    requests_.read_answer(in);
    if (announces && in.left() > 0) {
      const ByteView position = requests_.read_answer(in);
      position_.emplace(claim.exchange, read_position(Bytes(position.begin(), position.end())));
    }
    if (!part.last || in.left() > 0) requests_.abused("more than one answer");
  }

  // Nothing is asked: the coordinator puts what it has to say into the spool by itself.
  std::optional<Bytes> fetch(milliseconds wait) override {
    const auto until = SteadyClock::now() + wait;
    requests_.greet();
    for (;;) {
      requests_.go_on();
      if (auto message = requests_.newest_message()) return message;
      const auto left = until - SteadyClock::now();
      if (left <= SteadyClock::duration::zero()) return std::nullopt;
      requests_.sleep(std::min<SteadyClock::duration>(left, look_every_));
    }
  }

  void acknowledge(const Digest& message) override { requests_.acknowledge(message); }

  std::uint64_t upload_position(const ExchangeId& exchange) override {
    // A flush that is on its way says the same.
    const Question flush{.request = Request::flush, .exchange = exchange};
    if (requests_.is_asked(flush)) return flush_blocks(exchange);
    if (position_ && position_->first == exchange && !handed_over_) return position_->second;
    bundle_.clear();
    handed_over_ = false;
    return position_answer({.request = Request::upload_position, .exchange = exchange},
                           [&] { return record_of(Request::upload_position, encode(exchange)); });
  }

  void deliver_block(const Envelope& frame) override {
    CONCORDAT_REQUIRE(frame.kind() == Envelope::Kind::block, "a message");
    requests_.go_on();
    handed_over_ = true;
    append_record(bundle_, {static_cast<std::uint8_t>(Request::block), frame.wire()});
    if (bundle_.size() < spool_bundle_bytes) return;
    requests_.put_blocks(bundle_);
    bundle_.clear();
  }

  std::uint64_t flush_blocks(const ExchangeId& exchange) override {
    const Question flush{.request = Request::flush, .exchange = exchange};
    const bool asked = requests_.is_asked(flush);
    if (!asked && !handed_over_ && position_ && position_->first == exchange) {
      requests_.go_on();
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
      const auto* asked = requests_.is_asked(wanted) ? requests_.asked() : nullptr;
      if (asked && (asked->next != first || asked->range.last > last)) requests_.forget();
      const BlockRange range{exchange, first, std::min(last, first + blocks_per_spool_request)};
      // Put into the spool once more it is the same range: parts of both answers are alike.
      const Part part = requests_.ask(
          wanted,
          [&] {
            return record_of(Request::fetch_blocks,
                             border::encode(requests_.asked() ? requests_.asked()->range : range));
          },
          range);
      SpoolRequests::Asked& now = *requests_.asked();
      try {
        ByteReader in(part.records, "answer");
        while (in.left() > 0) {
          if (first == now.range.last) requests_.abused("more blocks than were asked for");
          take(requests_.read_answer(in));
          now.next = ++first;
        }
        if (part.last != (first == now.range.last)) requests_.abused("a range that ends elsewhere");
      } catch (...) {
        requests_.forget();
        throw;
      }
      ++now.part;
      if (part.last) requests_.forget();
    }
  }

  void stop() override { requests_.stop(); }

 private:
  std::uint64_t position_answer(const Question& question, const std::function<Bytes()>& make) {
    position_.reset();
    const Part part = requests_.ask(question, make);
    requests_.forget();
    ByteReader in(part.records, "answer");
    const ByteView payload = requests_.read_answer(in);
    if (!part.last || in.left() > 0) requests_.abused("more than one answer");
    const std::uint64_t position = read_position(Bytes(payload.begin(), payload.end()));
    position_.emplace(question.exchange, position);
    return position;
  }

  milliseconds look_every_;
  PeerDirectory peers_;
  SpoolRequests requests_;
  Bytes bundle_;              ///< blocks that are in no file yet
  bool handed_over_ = false;  ///< a block since the last flush
  std::optional<std::pair<ExchangeId, std::uint64_t>> position_;  ///< as last told
};

}  // namespace

std::unique_ptr<SiteRoad> make_spool_site_road(const SpoolSiteOptions& options, const Identity& me,
                                               const crypto::SigningKey& tls,
                                               const PeerDirectory& peers) {
  return std::make_unique<Road>(options, me, tls, peers);
}

}  // namespace concordat::border
