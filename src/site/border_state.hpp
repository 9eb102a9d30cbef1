// The inside of BorderLoop, shared by its sources: border_loop (turns and waits), border_replay
// (journal to state), border_send (decide, seal, deliver), border_receive (open, accept), and
// border_ranks (the run folder).
#pragma once

#include "concordat/border/receipts.hpp"
#include "concordat/core/stop.hpp"
#include "concordat/crypto/exchange_journal.hpp"
#include "concordat/crypto/exchange_secrets.hpp"
#include "concordat/federation/site_exchange.hpp"
#include "concordat/governance/decide.hpp"
#include "concordat/ledger/recorder.hpp"
#include "concordat/site/border_loop.hpp"
#include "site/border_download.hpp"
#include "site/border_records.hpp"
#include "site/border_secrets.hpp"
#include "site/border_upload.hpp"
#include "site/donation_source.hpp"
#include "site/state_import.hpp"

namespace concordat::site {

/// A message that the machine asked for.
struct Outgoing {
  federation::Send send{};
  Bytes wire{};  ///< journalled sealed bytes; empty until sealed
  bool delivered = false;
};

/// The message that announced the aggregate, without its key.
struct AnnouncedAggregate {
  border::Header header{};
  Digest digest{};
};

/// Everything that lasts one round. What the machine's effects asked for stands here until it is
/// done; doing it twice is harmless.
struct BorderRound {
  explicit BorderRound(federation::SiteExchange first) : machine(std::move(first)) {}
  federation::SiteExchange machine;
  std::map<border::MessageType, Outgoing> outgoing;
  std::optional<federation::FetchAggregate> fetch;
  std::optional<AnnouncedAggregate> announced;
  std::optional<federation::Close> close;
  bool finished = false;
  bool ready_too_late = false;  ///< said by the coordinator: its record of the round will come
  // Working objects, made when needed, again after a restart.
  std::optional<CommittedBlocks> blocks;
  std::optional<border::Announcement> upload;
  bool header_delivered = false;
  std::optional<border::FrameOpener> opener;
  std::optional<AggregateFile> download;
};

/// An exchange that is over and had this site in it: a restarted job may still need its rounding
/// key.
struct PastExchange {
  Digest manifest{};
  std::vector<SiteId> participants{};
};

/// What this site is giving away; journal/RUN/donations/site-N says how far it got.
struct Donation {
  SiteId to{};
  ClosedExchange closed{};
  std::uint32_t serial = 0;
  std::uint32_t next = 0;
  std::optional<DonationSource> source;
};

struct BorderLoop::State {
  State(BorderSeams the_seams, BorderPlan the_plan, const crypto::SiteKeys& the_keys);

  // border_replay.cpp
  void open_journal();
  void replay(const BorderRecord& record);
  void begin_round(Round round, const federation::Chain& chain);
  void remember_exchange();
  void apply(const EventRecord& record, const federation::Effects& effects);
  void record_again();

  // border_loop.cpp
  bool step();
  bool close_exchange();
  void write_closed(const federation::Close& close);
  void back_off(const Error& error);
  void note_wait(const Error& error);
  void pause(std::chrono::nanoseconds wait);
  bool stop_asked();
  bool take_handed();
  void say(std::string_view what) const;
  governance::PolicyContext policy() const;

  // border_ranks.cpp
  bool start_round();
  void look_back();
  bool answer_keys();
  bool take_commit();
  void write_checkpoint_entry(const CommitRecord& commit);
  FileSystem::Path tree_file() const { return journal_folder / "upload.tree"; }

  // border_send.cpp
  bool send_pending();
  bool hears_first();
  void send_ready(Outgoing& out);
  void seal(Outgoing& out);
  void deliver(Outgoing& out);
  void record_crossing(const Outgoing& out, std::uint64_t frame_bytes);
  void mark_delivered(Outgoing& out);
  void prepare_upload(Outgoing& out);
  void upload_some(Outgoing& out);
  ledger::Written<ledger::Decision> permit(const border::Header& header, std::uint64_t bytes);

  // border_receive.cpp
  /// True if the coordinator had something to say.
  bool receive(std::chrono::milliseconds wait);
  void accept_message(const border::OpenedMessage& message, std::uint64_t message_bytes);
  void accept(const EventRecord& record, std::string_view point);
  void record_incoming(const EventRecord& record);
  bool download_some();
  void go_without_aggregate();
  void drop_partial_aggregate();
  bool awaits_message() const;

  // border_donate.cpp
  bool donate_some();
  void take_donation_request();
  void send_piece();
  Bytes sealed_piece(const FileSystem::Path& path, const border::Header& header);
  Bytes read_piece(const StateShape& shape);
  void save_donation() const;
  void end_donation(std::string_view why);
  FileSystem::Path donation_file(SiteId to) const;
  governance::PolicyContext donation_policy() const;

  // border_import.cpp
  std::optional<Round> newest_gap() const;
  std::optional<Round> lacking() const;
  void watch_need();
  bool take_state(ByteView wire, const Digest& digest);
  void take_piece(const border::OpenedMessage& message, std::uint64_t message_bytes);
  void state_is_here();

  // Secrets of the exchange that is open.
  BorderSecrets load_secrets();
  void save_secrets(const BorderSecrets& mine);

  ExchangeId exchange() const { return round->machine.terms().exchange; }

  BorderSeams seams;
  BorderPlan plan;
  const crypto::SiteKeys& keys;
  RoleLock lock;
  RunFolder folder;
  border::PeerDirectory peers;
  SiteId own;
  border::Identity me;
  FileSystem::Path journal_folder;
  ledger::Ledger ledger;
  ledger::HandOver desk;
  border::ReceiptBook receipts;
  crypto::ExchangeSecrets secrets;
  StopRequests stops;
  std::optional<crypto::ExchangeJournal> journal;
  std::optional<BorderRound> round;
  std::map<ExchangeId, PastExchange> taken_part;
  std::map<ExchangeId, ClosedExchange> closed;  ///< every exchange that is over
  std::optional<Donation> donation;
  std::chrono::nanoseconds next_donation{0};
  std::optional<StateImport> import;
  std::chrono::nanoseconds next_look_at_need{0};
  bool needy = false;
  unsigned states_turned_away = 0;
  std::vector<EventRecord> replayed;  ///< messages of the open round, for record_again()

  bool over = false;
  ExitCode code = ExitCode::done;
  std::chrono::nanoseconds retry_wait{0};
  std::chrono::nanoseconds next_complaint{0};
  std::chrono::nanoseconds next_wait_note{0};
  std::optional<ExchangeId> left_behind;     ///< seen by the last look back
  std::optional<ExchangeId> announces_lost;  ///< and by the one before
};

}  // namespace concordat::site
