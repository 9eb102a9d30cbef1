// Letters over a Transport: a head of fixed size, then the body. One receive for a head is posted
// per peer, so nothing is probed and nothing is read that was not bounded first.
#include "comm/interlink.hpp"

#include <atomic>
#include <utility>

#include "concordat/comm/errors.hpp"

namespace concordat::comm {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t head_bytes = 20;
enum class Kind : std::uint32_t { letter = 1, leave = 2 };

Bytes head_of(Kind kind, std::uint64_t number, std::uint64_t length) {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(kind));
  out.u64(number);
  out.u64(length);
  return std::move(out).bytes();
}

/// Drops the transfers that are through; whether that are all.
bool through(Transfers& transfers) {
  std::erase_if(transfers, [](const auto& transfer) { return transfer->done(); });
  return transfers.empty();
}

struct Link {
  InterlinkPeer peer;
  int out_tag = 0;
  int in_tag = 0;
  // Buffers outlive their transfers: they stand before them.
  Bytes out_head{};
  Bytes out_body{};
  Transfers out{};
  Bytes in_head = Bytes(head_bytes);
  Interlink::Letter in_letter{};
  Transfers in_head_transfer{};
  Transfers in_body{};
  bool head_posted = false;
  bool body_posted = false;
  bool leave_sent = false;
  bool refused = false;
  std::atomic<bool> peer_left{false};
};

class TransportInterlink final : public Interlink {
 public:
  TransportInterlink(std::shared_ptr<Transport> transport, int context, bool downward,
                     const std::vector<InterlinkPeer>& peers)
      : transport_(std::move(transport)) {
    const auto tags = transport_->tags();
    const int base = (context << (tags.sequence_bits + 1)) | (1 << tags.sequence_bits);
    for (const InterlinkPeer& peer : peers) {
      CONCORDAT_REQUIRE(peer.channel >= 0 && peer.channel < (1 << 15),
                        "channel " + std::to_string(peer.channel));
      const int down = base | (2 * peer.channel);
      const int up = down | 1;
      auto link = std::make_unique<Link>();
      link->peer = peer;
      link->out_tag = downward ? down : up;
      link->in_tag = downward ? up : down;
      links_.push_back(std::move(link));
      names_.push_back(peer.name);
    }
  }

  const std::vector<std::string>& peers() const override { return names_; }

  bool send(int peer, std::uint64_t number, Bytes& bytes, milliseconds wait) override {
    CONCORDAT_REQUIRE(bytes.size() <= max_letter_bytes, std::to_string(bytes.size()) + " bytes");
    Link& link = at(peer);
    CONCORDAT_REQUIRE(!link.leave_sent, "a letter after leave()");
    if (!sent(peer, wait)) return false;
    post(link, Kind::letter, number, std::exchange(bytes, {}));
    return true;
  }

  bool sent(int peer, milliseconds wait) override {
    Link& link = at(peer);
    return wait_for(wait, [&] { return through(link.out); });
  }

  std::optional<Letter> receive(int peer, milliseconds wait,
                                const std::function<void(std::uint64_t)>& admit) override {
    Link& link = at(peer);
    std::optional<Letter> letter;
    wait_for(wait, [&] {
      through(link.out);  // large letters move only while somebody looks
      letter = progress(link, admit);
      return letter.has_value() || link.peer_left;
    });
    return letter;
  }

  bool left(int peer) override { return at(peer).peer_left; }

  void leave() override {
    for (int idle = 0;;) {
      bool all = true;
      bool moved = false;
      for (const auto& link : links_) {
        if (progress(*link, {})) moved = true;
        if (!through(link->out)) {
          all = false;
        } else if (!link->leave_sent) {
          link->leave_sent = true;
          post(*link, Kind::leave, 0, {});
          all = false;
        }
        all = all && link->peer_left;
      }
      if (all) return;
      transport_->check();
      transport_->back_off(moved ? idle = 0 : idle++);
    }
  }

 private:
  Link& at(int peer) {
    CONCORDAT_REQUIRE(peer >= 0 && peer < static_cast<int>(links_.size()),
                      "peer " + std::to_string(peer));
    return *links_[static_cast<std::size_t>(peer)];
  }

  /// Looks at once and then until `wait` is over. The one wait of this file.
  template <typename Done>
  bool wait_for(milliseconds wait, const Done& done) {
    const auto limit = Clock::now() + wait;
    for (int idle = 0;; transport_->back_off(idle++)) {
      if (done()) return true;
      transport_->check();
      if (Clock::now() >= limit) return false;
    }
  }

  void post(Link& link, Kind kind, std::uint64_t number, Bytes body) {
    link.out_head = head_of(kind, number, body.size());
    link.out_body = std::move(body);
    post_send(*transport_, link.out, link.peer.rank, link.out_tag, link.out_head);
    post_send(*transport_, link.out, link.peer.rank, link.out_tag, link.out_body);
  }

  std::optional<Letter> progress(Link& link, const std::function<void(std::uint64_t)>& admit) {
    if (link.refused) refuse(link, "a letter after one that was refused");
    if (link.peer_left) return std::nullopt;
    if (!link.body_posted) {
      if (!link.head_posted) {
        post_receive(*transport_, link.in_head_transfer, link.peer.rank, link.in_tag, link.in_head);
        link.head_posted = true;
      }
      if (!through(link.in_head_transfer)) return std::nullopt;
      if (!open_head(link, admit)) return std::nullopt;
    }
    if (!through(link.in_body)) return std::nullopt;
    link.body_posted = false;
    return std::exchange(link.in_letter, {});
  }

  /// Takes memory for the letter that the head announces. False: the peer left.
  bool open_head(Link& link, const std::function<void(std::uint64_t)>& admit) {
    link.head_posted = false;
    ByteReader in(link.in_head, "head of a letter");
    const std::uint32_t kind = in.u32();
    const std::uint64_t number = in.u64();
    const std::uint64_t length = in.u64();
    if (kind == static_cast<std::uint32_t>(Kind::leave) && length == 0) {
      link.peer_left = true;
      return false;
    }
    if (kind != static_cast<std::uint32_t>(Kind::letter) || length > max_letter_bytes) {
      refuse(link, "kind " + std::to_string(kind) + ", " + std::to_string(length) + " bytes");
    }
    if (admit) {
      try {
        admit(length);
      } catch (...) {
        link.refused = true;  // its body stays where it is, so what follows cannot be read
        throw;
      }
    }
    link.in_letter.number = number;
    link.in_letter.bytes.resize(length);
    post_receive(*transport_, link.in_body, link.peer.rank, link.in_tag, link.in_letter.bytes);
    link.body_posted = true;
    return true;
  }

  [[noreturn]] void refuse(Link& link, std::string found) {
    link.refused = true;
    throw Error(errors::letter_refused,
                {.what = "what came from another party of the job is no letter",
                 .where = "rank " + std::to_string(link.peer.rank) + " (" + link.peer.name + ")",
                 .found = std::move(found),
                 .expected = "a letter of at most " + std::to_string(max_letter_bytes) + " bytes",
                 .remedy = "start all parties with one version of the program"});
  }

  std::shared_ptr<Transport> transport_;  ///< outlives the transfers in links_
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Interlink> make_interlink(std::shared_ptr<Transport> transport, int context,
                                          bool downward, const std::vector<InterlinkPeer>& peers) {
  return std::make_unique<TransportInterlink>(std::move(transport), context, downward, peers);
}

}  // namespace concordat::comm
