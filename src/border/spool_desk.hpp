// What the coordinator does in one site's spool: acts on the files that come, and puts answers and
// messages there.
//
//   SpoolDesk desk(options, budget, seal, site, "alba", stopping);
//   desk.begin();
//   while (!stopping) { desk.answer(handler); desk.push(handler); ... }
//   desk.end();
//
// Threads: one, but for connected(). Failure: what is wrong with a file is said about it, and it
// stays; what is wrong with this machine is thrown by push() and said by answer(), and tried again.
#pragma once

#include <atomic>
#include <map>

#include "border/spool_files.hpp"
#include "concordat/border/spool_road.hpp"

namespace concordat::border {

class SpoolDesk {
 public:
  /// `options`, `budget`, `stopping` and what the seal borrows outlive it.
  SpoolDesk(const SpoolCoordinatorOptions& options, ByteBudget& budget, const SpoolSeal& seal,
            SiteId site, const std::string& name, const std::atomic<bool>& stopping);

  /// Any thread: whether the site has come and not said goodbye.
  bool connected() const { return connected_; }
  /// What an earlier coordinator put for the site and nobody took is in its queue still.
  void begin();
  void end() { connected_ = false; }
  /// Answers what lies there. True if there was something.
  bool answer(RoadHandler& handler);
  /// Puts the next message for the site into its spool if there is one that does not lie there.
  void push(RoadHandler& handler);

 private:
  struct Put {
    SpoolName name{};
    std::chrono::nanoseconds at{};
  };

  /// Of the first block that was refused since its exchange's last flush.
  struct BlockRefusal {
    std::uint64_t series = 0;
    std::optional<ExchangeId> exchange;  ///< nullopt: it does not say
    Bytes payload{};
    bool is_about(std::uint64_t of, const std::optional<ExchangeId>& which) const {
      return series == of && (!exchange || !which || exchange == which);
    }
  };

  /// What is being answered, and the place of its answers in the budget.
  struct Turn {
    SpoolName name{};
    bool awaited = false;    ///< whether somebody waits for answers
    SpoolRecord record{};    ///< the one that is acted on
    std::uint64_t left = 0;  ///< bytes after it
    Bytes answers{};
    std::uint32_t part = 0;
    std::optional<ByteBudget::Reservation> held{};
  };

  void drop_old_messages();
  /// False: there is nothing to act on, or not yet.
  bool answer(RoadHandler& handler, const SpoolName& name);
  Error too_long(const SpoolName& name, std::uint64_t size) const;
  /// False: this coordinator cannot act now; the file waits for the next look.
  bool act_on(RoadHandler& handler, const SpoolName& name, ByteView body, bool holds);
  /// Whether anybody waits for the answers to this file. A site asks one thing at a time, so what
  /// lies here of its earlier ones is needed no more.
  bool begin_answers(const SpoolName& name);
  void act_on(RoadHandler& handler, const SpoolRecord& record, Turn& turn);
  /// That of a block before this flush, once.
  std::optional<Bytes> refusal_of_blocks(ByteView flush, const Turn& turn);
  /// Its answers get a place in the budget, and nobody waits for one while holding another.
  static void require_alone(const Turn& turn, bool holds);
  /// Whether that is the last answer to its file.
  bool refuse(const Error& error, Turn& turn);
  void taken(ByteView digest_bytes);
  void fetch_blocks(RoadHandler& handler, const SpoolRecord& record, Turn& turn);
  void put_answers(Turn& turn, bool last);

  const SpoolCoordinatorOptions& options_;
  ByteBudget& budget_;
  SpoolSeal seal_;
  SiteId site_;
  std::string name_;
  const std::atomic<bool>& stopping_;
  SpoolWay up_, down_;
  SpoolInbox inbox_;
  std::atomic<bool> connected_{false};
  std::uint64_t series_ = 0;
  std::uint32_t number_ = 0;
  std::map<Digest, Put> put_;  ///< messages that lie in the spool or are on their way
  std::chrono::nanoseconds look_again_{};
  std::string trouble_;  ///< of the last look
  SpoolName newest_{};   ///< request that was answered last
  std::optional<BlockRefusal> block_refusal_;
};

}  // namespace concordat::border
