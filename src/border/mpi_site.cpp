// The end of a border: one request at a time, one answer each.
#include <algorithm>
#include <atomic>
#include <utility>

#include "border/mpi_letters.hpp"
#include "concordat/border/errors.hpp"
#include "concordat/border/mpi_road.hpp"

namespace concordat::border {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Letter = comm::Interlink::Letter;

constexpr int hub = 0;  // the only peer of a border

// Of the whole process, so that a road never takes an answer to an earlier road's request for its
// own.
std::atomic<std::uint32_t> next_sequence{1};

class Road final : public SiteRoad {
 public:
  Road(comm::Interlink& link, const MpiSiteOptions& options) : link_(link), options_(options) {
    if (link.peers().size() != 1) {
      throw Error(errors::bad_address,
                  {.what = "the job does not have one coordinator",
                   .where = "mpi road",
                   .found = std::to_string(link.peers().size()) + " coordinators",
                   .expected = "one",
                   .remedy = "start one 'concordat coordinate' in the mpirun of the sites"});
    }
    where_ = link.peers().front() + " in this mpirun";
  }
  ~Road() override {
    try {
      Bytes letter = letter_of(static_cast<std::uint8_t>(Notice::goodbye), {});
      if (greeted_) link_.send(hub, 0, letter, options_.open_limit);
    } catch (const std::exception&) {
      // The job has failed: there is nobody to say it to.
    }
  }

  void deliver(const Envelope& message) override {
    CONCORDAT_REQUIRE(message.kind() == Envelope::Kind::message, "a block");
    ask(Request::deliver, message.wire());
  }

  std::optional<Bytes> fetch(milliseconds wait) override {
    const milliseconds bounded = std::min(wait, longest_fetch_wait);
    ByteWriter out;
    out.u32(static_cast<std::uint32_t>(bounded.count()));
    return ask(Request::fetch, out.bytes(), bounded);
  }

  void acknowledge(const Digest& message) override { ask(Request::acknowledge, message.view()); }

  std::uint64_t upload_position(const ExchangeId& exchange) override {
    return ask_position(Request::upload_position, exchange);
  }

  void deliver_block(const Envelope& frame) override {
    CONCORDAT_REQUIRE(frame.kind() == Envelope::Kind::block, "a message");
    ask(Request::block, frame.wire());
  }

  std::uint64_t flush_blocks(const ExchangeId& exchange) override {
    return ask_position(Request::flush, exchange);
  }

  void fetch_blocks(const ExchangeId& exchange, std::uint64_t first, std::uint64_t last,
                    const std::function<void(ByteView wire)>& take) override {
    for (std::uint64_t position = first; position < last; ++position) {
      const auto wire =
          ask(Request::fetch_blocks, encode(BlockRange{exchange, position, position + 1}));
      if (!wire) down("an empty answer");
      take(*wire);
    }
  }

  void stop() override { stopped_ = true; }

 private:
  [[noreturn]] void down(std::string found) const {
    throw Error(errors::road_down, {.what = "the coordinator does not answer",
                                    .where = where_,
                                    .found = std::move(found),
                                    .expected = "an answer",
                                    .remedy = "it is tried again; see the coordinator's log"});
  }
  [[noreturn]] void abused(std::string found) const {
    throw Error(errors::road_abused, {.what = "an answer outside the rules of the road",
                                      .where = where_,
                                      .found = std::move(found),
                                      .expected = "an answer to the request",
                                      .remedy = "start all parties with one version"});
  }

  std::uint64_t ask_position(Request request, const ExchangeId& exchange) {
    ByteWriter out;
    write_exchange(out, exchange);
    return read_position(ask(request, out.bytes()));
  }

  /// nullopt: the answer is that there is nothing. @throws Error(road_down | road_stopped |
  /// peer_refused | road_abused).
  std::optional<Bytes> ask(Request request, ByteView payload, milliseconds patience = {}) {
    go_on(Clock::time_point::max(), "");
    const std::uint64_t number = send(request, payload);
    const auto limit = Clock::now() + options_.answer_limit + patience;
    for (;;) {
      auto letter = receive(letter_slice);
      if (letter && letter->number == number) return read(*letter);
      if (letter) note(*letter);
      if (!term_) down("it has stopped");
      go_on(limit, "no answer in time");
    }
  }

  /// Waits until the coordinator is there and the request is on its way.
  std::uint64_t send(Request request, ByteView payload) {
    const auto limit = Clock::now() + options_.open_limit;
    while (auto letter = receive(milliseconds(0))) note(*letter);
    if (!greeted_ || !term_) {  // again, in case a notice found no way
      Bytes hello = letter_of(static_cast<std::uint8_t>(Notice::hello), {});
      while (!link_.send(hub, 0, hello, letter_slice)) go_on(limit, "it reads nothing");
      greeted_ = true;
    }
    Bytes letter = letter_of(static_cast<std::uint8_t>(request), payload);
    const std::uint32_t sequence = next_sequence++;
    for (;;) {
      const std::uint64_t number = term_ ? letter_number(*term_, sequence) : 0;
      if (term_ && link_.send(hub, number, letter, letter_slice)) return number;
      // The coordinator may be sending what nobody waits for any more: both ends have to move.
      if (auto other = receive(letter_slice)) note(*other);
      go_on(limit, term_ ? "it reads nothing" : "it has not started, or has stopped");
    }
  }

  std::optional<Letter> receive(milliseconds wait) {
    return link_.receive(hub, wait, [&](std::uint64_t bytes) {
      if (bytes > 1 + answer_bound()) abused(std::to_string(bytes) + " bytes");
    });
  }

  void go_on(Clock::time_point limit, const char* found) const {
    if (stopped_) throw Error(errors::road_stopped, {.what = "the road was stopped"});
    if (link_.left(hub)) down("it has left the job");
    if (Clock::now() > limit) down(found);
  }

  /// What is no answer to the request at hand: a notice, or an answer that came too late.
  void note(const Letter& letter) {
    if (letter.number != 0) return;
    ByteReader in(letter.bytes, "notice");
    const std::uint8_t kind = in.u8();
    if (kind == static_cast<std::uint8_t>(Notice::open)) {
      term_ = in.u32();
    } else if (kind == static_cast<std::uint8_t>(Notice::closed)) {
      term_.reset();
    } else {
      abused("notice " + std::to_string(kind));
    }
    in.finish();
  }

  std::optional<Bytes> read(Letter& letter) const {
    if (letter.bytes.empty()) abused("an answer without a kind");
    const std::uint8_t kind = letter.bytes.front();
    letter.bytes.erase(letter.bytes.begin());
    switch (static_cast<Answer>(kind)) {
      case Answer::done:
        return std::move(letter.bytes);
      case Answer::nothing:
        return std::nullopt;
      case Answer::refused:
        throw_refusal(letter.bytes, where_);
    }
    abused("kind " + std::to_string(kind));
  }

  comm::Interlink& link_;
  MpiSiteOptions options_;
  std::string where_;
  bool greeted_ = false;
  std::optional<std::uint32_t> term_;  ///< none: the coordinator is not there
  std::atomic<bool> stopped_{false};
};

}  // namespace

std::unique_ptr<SiteRoad> make_mpi_site_road(comm::Interlink& link, const MpiSiteOptions& options) {
  return std::make_unique<Road>(link, options);
}

}  // namespace concordat::border
