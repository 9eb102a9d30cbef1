// What a site asks through its spool, one question at a time, and what lies there for it.
//
//   SpoolRequests requests(options, me, tls, peers);
//   SpoolRequests::Part part = requests.ask(question, [&] { return records; });   // or road_waits
//   ByteReader in(part.records, "answer");
//   ByteView payload = requests.read_answer(in);
//   requests.forget();
//
// The same question asked again waits for the same answer; another one gives it up.
// Threads: one, but for stop(). Failure: as SiteRoad.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

#include "border/spool_files.hpp"
#include "concordat/border/spool_road.hpp"

namespace concordat::border {

class SpoolRequests {
 public:
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

  /// `me`, `tls` and `peers` outlive it.
  SpoolRequests(const SpoolSiteOptions& options, const Identity& me, const crypto::SigningKey& tls,
                const PeerDirectory& peers);
  ~SpoolRequests();

  /// The next part of the answer to a question that is asked now, with the records of `make`, or
  /// was asked before. @throws Error(road_waits) after the patience, Error(road_down) after the
  /// answer limit.
  Part ask(const Question& question, const std::function<Bytes()>& make,
           const BlockRange& range = {});
  /// What waits for an answer; null: nothing.
  Asked* asked() { return asked_ ? &*asked_ : nullptr; }
  bool is_asked(const Question& question) const { return asked_ && asked_->question == question; }
  /// Gives up waiting. What the coordinator has not seen yet it need not see.
  void forget();
  /// @throws Error(peer_refused | road_abused).
  ByteView read_answer(ByteReader& in) const;
  [[noreturn]] void abused(std::string found) const;

  /// Of whose flush a request asks.
  void put_blocks(ByteView records);
  /// So that the coordinator knows of this border.
  void greet();
  /// A message that lies there, the coordinator's last word first.
  std::optional<Bytes> newest_message();
  void acknowledge(const Digest& message);

  /// @throws Error(road_stopped) after stop().
  void go_on() const;
  /// Until `time` went by or stop() is called.
  void sleep(std::chrono::steady_clock::duration time);
  void stop();

 private:
  void put_note(ByteView more);
  Bytes acknowledgements() const;
  SpoolName put(SpoolKind kind, ByteView body);
  void put(const SpoolName& name, ByteView body);
  void put(Asked& asked, const Bytes& question);
  template <typename Act>
  std::invoke_result_t<Act&> served(Act&& act) const;
  Part await();
  void confirm();
  [[noreturn]] void overdue();
  std::optional<Part> take_answer();
  std::optional<Bytes> read(const SpoolName& name);

  const SpoolSiteOptions options_;
  SpoolSeal seal_;
  SpoolWay up_, down_;
  SpoolInbox inbox_;
  std::uint64_t series_;
  std::uint32_t number_ = 0;
  bool greeted_ = false;
  std::optional<Asked> asked_;
  std::optional<std::pair<SpoolName, Digest>> fetched_;
  std::deque<Digest> unconfirmed_;  ///< acknowledged; no answer says yet that it came
  std::optional<SpoolName> note_;   ///< the last one
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> stopped_{false};
};

}  // namespace concordat::border
