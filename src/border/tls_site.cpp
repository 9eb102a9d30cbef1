// The dialling end of the tls road: one connection, made when it is needed.
#include <array>
#include <atomic>
#include <mutex>
#include <type_traits>

#include "border/dial.hpp"
#include "border/road_protocol.hpp"
#include "border/tls_stream.hpp"
#include "concordat/border/errors.hpp"
#include "concordat/border/tls_road.hpp"

namespace concordat::border {
namespace {

using std::chrono::milliseconds;

[[noreturn]] void down(const std::string& where, std::string found) {
  throw Error(errors::road_down, {.what = "the coordinator cannot be reached",
                                  .where = where,
                                  .found = std::move(found),
                                  .expected = "a coordinator that listens there",
                                  .remedy = "it is tried again; check address and firewall"});
}

class Road final : public SiteRoad {
 public:
  Road(const TlsSiteOptions& options, const crypto::SigningKey& tls, std::string_view name,
       const PeerDirectory& peers)
      : options_(options),
        where_(options.host + ":" + std::to_string(options.port)),
        context_(TlsContext::Role::site, tls, name,
                 [pin = peers.at(coordinator_id).tls](const crypto::VerifyKey& key) {
                   return key == pin;
                 }) {}

  void deliver(const Envelope& message) override {
    CONCORDAT_REQUIRE(message.kind() == Envelope::Kind::message, "a block");
    call([&] {
      send(Request::deliver, message.wire());
      receive(options_.stall_limit);
    });
  }

  std::optional<Bytes> fetch(milliseconds wait) override {
    return call([&] {
      milliseconds bounded = std::min(wait, longest_fetch_wait);
      ByteWriter out;
      out.u32(static_cast<std::uint32_t>(bounded.count()));
      send(Request::fetch, out.bytes());
      return receive(bounded + options_.stall_limit);
    });
  }

  void acknowledge(const Digest& message) override {
    call([&] {
      send(Request::acknowledge, message.view());
      receive(options_.stall_limit);
    });
  }

  std::uint64_t upload_position(const ExchangeId& exchange) override {
    return ask_position(Request::upload_position, exchange);
  }

  void deliver_block(const Envelope& frame) override {
    CONCORDAT_REQUIRE(frame.kind() == Envelope::Kind::block, "a message");
    call([&] { send(Request::block, frame.wire()); });
  }

  std::uint64_t flush_blocks(const ExchangeId& exchange) override {
    return ask_position(Request::flush, exchange);
  }

  void fetch_blocks(const ExchangeId& exchange, std::uint64_t first, std::uint64_t last,
                    const std::function<void(ByteView wire)>& take) override {
    while (first < last) {
      std::uint64_t end = std::min(last, first + blocks_per_fetch);
      call([&] {
        send(Request::fetch_blocks, encode(BlockRange{exchange, first, end}));
        for (std::uint64_t position = first; position < end; ++position) {
          auto wire = receive(options_.stall_limit);
          if (!wire) down(where_, "an empty answer");
          take(*wire);
        }
      });
      first = end;
    }
  }

  void stop() override {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    if (stream_) stream_->interrupt();
  }

 private:
  // Runs one request and its answers. Any failure but a refusal leaves the stream in an unknown
  // place, so the connection is dropped and the next call makes a new one.
  template <typename Act>
  std::invoke_result_t<Act&> call(Act&& act) {
    connect();
    try {
      return act();
    } catch (const Error& error) {
      if (error.code() != errors::peer_refused) disconnect();
      if (stopped_) throw Error(errors::road_stopped, {.what = "the road was stopped"});
      throw;
    } catch (...) {
      disconnect();
      throw;
    }
  }

  std::uint64_t ask_position(Request request, const ExchangeId& exchange) {
    return call([&] {
      ByteWriter out;
      write_exchange(out, exchange);
      send(request, out.bytes());
      return read_position(receive(options_.stall_limit));
    });
  }

  void send(Request request, ByteView payload) {
    stream_->write(frame_head(static_cast<std::uint8_t>(request), payload.size()),
                   options_.stall_limit);
    stream_->write(payload, options_.stall_limit);
  }

  /// nullopt: nothing. @throws Error(peer_refused).
  std::optional<Bytes> receive(milliseconds first) {
    std::array<std::uint8_t, frame_head_bytes> head{};
    stream_->read(head, first, options_.stall_limit);
    ByteReader in(head, "answer");
    std::uint8_t kind = in.u8();
    std::uint64_t length = in.u32();
    if (length > answer_bound() || kind > static_cast<std::uint8_t>(Answer::nothing)) {
      throw Error(errors::road_abused, {.what = "an answer outside the rules of the road",
                                        .where = where_,
                                        .found = "kind " + std::to_string(kind) + ", " +
                                                 std::to_string(length) + " bytes",
                                        .expected = "at most " + std::to_string(answer_bound()),
                                        .remedy = "check that both ends have one version"});
    }
    Bytes payload(length);
    stream_->read(payload, options_.stall_limit, options_.stall_limit);
    if (kind == static_cast<std::uint8_t>(Answer::refused)) throw_refusal(payload, where_);
    if (kind == static_cast<std::uint8_t>(Answer::nothing)) return std::nullopt;
    return payload;
  }

  Socket dial() {
    Dialled dialled = border::dial({options_.host, options_.port}, options_.connect_limit);
    if (!dialled.socket) down(where_, dialled.reach.reason);
    return std::move(dialled.socket);
  }

  void connect() {
    if (stopped_) throw Error(errors::road_stopped, {.what = "the road was stopped"});
    if (stream_) return;
    auto stream = std::make_unique<TlsStream>(context_, dial());
    {
      std::lock_guard lock(mutex_);
      if (stopped_) throw Error(errors::road_stopped, {.what = "the road was stopped"});
      stream_ = std::move(stream);
    }
    try {
      stream_->handshake(options_.connect_limit);
    } catch (...) {
      disconnect();
      throw;
    }
  }

  void disconnect() {
    std::lock_guard lock(mutex_);
    stream_.reset();
  }

  TlsSiteOptions options_;
  std::string where_;
  TlsContext context_;
  std::mutex mutex_;  ///< of stream_ against stop()
  std::unique_ptr<TlsStream> stream_;
  std::atomic<bool> stopped_{false};
};

}  // namespace

std::unique_ptr<SiteRoad> make_tls_site_road(const TlsSiteOptions& options,
                                             const crypto::SigningKey& tls, std::string_view name,
                                             const PeerDirectory& peers) {
  return std::make_unique<Road>(options, tls, name, peers);
}

}  // namespace concordat::border
