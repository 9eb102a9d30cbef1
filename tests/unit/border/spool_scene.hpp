// A coordinator's end of the spool road over a desk, and a test in the place of mover and sites: it
// puts files where they do not belong, seals what no border would, and looks at what came of it.
// A site's folder is the coordinator's for that site unless a test has a mover.
#pragma once

#include "border/spool_files.hpp"
#include "support/faulty_files.hpp"
#include "unit/border/desk.hpp"
#include "unit/border/spool_road_rig.hpp"

namespace concordat::border::testing {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

inline const ExchangeId exchange_3{Round{3}, Fragment{0}, Attempt{0}};

template <typename Condition>
void until(Condition&& condition) {
  while (!condition()) std::this_thread::sleep_for(milliseconds(1));
}

template <typename Act>
std::invoke_result_t<Act&> until_answered(Act&& act) {
  return until_answered(act, [] {});
}

inline std::vector<std::string> names_in(const fs::path& folder) {
  return posix_files().list(folder);
}

struct SpoolScene {
  static constexpr std::chrono::hours answer_limit{1};

  World world;
  Desk desk{world};
  JumpingClock clock;
  testing_support::FaultyFiles hub_files;
  std::shared_ptr<ByteBudget> budget = std::make_shared<ByteBudget>(30U << 20U);
  std::map<SiteId, Identity> parties;
  std::unique_ptr<CoordinatorRoad> hub;

  SpoolScene() {
    for (const auto& [id, party] : world.parties) parties.emplace(id, world.identity(id));
    // The folders are there before the first file is put.
    hub = make_hub();
  }
  ~SpoolScene() {
    if (hub) hub->stop();
  }

  void start() { start(desk); }
  void start(RoadHandler& handler) {
    if (!hub) hub = make_hub();
    hub->start(handler);
  }
  void stop() {
    hub->stop();
    hub.reset();
  }
  std::unique_ptr<CoordinatorRoad> make_hub() {
    return make_spool_coordinator_road({.folder = hub_folder(),
                                        .files = &hub_files,
                                        .clock = &clock,
                                        .look_every = milliseconds(1),
                                        .answer_limit = answer_limit,
                                        .budget = budget},
                                       parties.at(coordinator_id),
                                       world.parties.at(coordinator_id).tls, world.peers);
  }
  std::unique_ptr<SiteRoad> site(SiteId id, FileSystem& files = posix_files()) {
    return site_at(folder(id), id, files);
  }
  std::unique_ptr<SiteRoad> site_at(const fs::path& folder, SiteId id,
                                    FileSystem& files = posix_files()) {
    return make_spool_site_road({.folder = folder,
                                 .files = &files,
                                 .clock = &clock,
                                 .look_every = milliseconds(1),
                                 .patience = milliseconds(5),
                                 .answer_limit = answer_limit},
                                parties.at(id), world.parties.at(id).tls, world.peers);
  }

  fs::path hub_folder() const { return world.folder.path / "hub-spool"; }
  fs::path folder(SiteId id) const { return hub_folder() / world.peers.at(id).name; }
  fs::path up(SiteId id) const { return folder(id) / "up"; }
  fs::path down(SiteId id) const { return folder(id) / "down"; }

  SpoolSeal seal(SiteId id) {
    return {parties.at(id), world.parties.at(id).tls, world.peers, coordinator_id};
  }
  SpoolSeal hub_seal(SiteId id) {
    return {parties.at(coordinator_id), world.parties.at(coordinator_id).tls, world.peers, id};
  }

  /// There at once, as after a rename.
  void place(const fs::path& path, ByteView bytes) {
    const fs::path half = world.folder.path / "half";
    posix_files().remove(half);
    posix_files().open(half, OpenMode::create_exclusive)->write(bytes);
    fs::rename(half, path);
  }
  void put_up(SiteId id, const SpoolName& name, ByteView body) {
    place(up(id) / name.text(), seal(id).seal(name, body));
  }

  struct Answered {
    Answer kind{};
    Bytes payload{};
    std::string code() const {
      if (kind != Answer::refused) return "done";
      ByteReader in(payload, "refusal");
      return in.sized_string(64);
    }
  };
  /// Waits for the whole answer, and takes it.
  std::vector<Answered> answers(SiteId id, SpoolName name) {
    name.kind = SpoolKind::answer;
    std::vector<Answered> all;
    for (bool last = false; !last; ++name.part) {
      const fs::path path = down(id) / name.text();
      until([&] { return fs::exists(path); });
      const Bytes body = seal(id).open(name, read_file(posix_files(), path)).value();
      ByteReader in(body, "answer");
      last = in.u8() != 0;
      while (in.left() > 0) {
        const SpoolRecord record = take_record(in);
        all.push_back({static_cast<Answer>(record.kind), copy(record.payload)});
      }
      fs::remove(path);
    }
    return all;
  }
  std::vector<Answered> ask(SiteId id, ByteView body) {
    const SpoolName name{.kind = SpoolKind::request, .series = 7, .number = number_++};
    put_up(id, name, body);
    return answers(id, name);
  }
  /// Returns when everything that lies in `up` was looked at: it sorts before this request, in a
  /// look that begins after the call.
  void looked(SiteId id) {
    for (int twice = 0; twice < 2; ++twice) {
      const SpoolName name{.kind = SpoolKind::request, .series = ~0ULL, .number = number_++};
      put_up(id, name, record(Request::upload_position, exchange_bytes(exchange_3)));
      ASSERT_EQ(answers(id, name).at(0).kind, Answer::done);
    }
  }

  static Bytes exchange_bytes(const ExchangeId& exchange) {
    ByteWriter out;
    write_exchange(out, exchange);
    return std::move(out).bytes();
  }
  static Bytes record(Request request, ByteView payload) {
    Bytes body;
    append_record(body, {static_cast<std::uint8_t>(request), payload});
    return body;
  }
  static Bytes joined(Bytes first, ByteView second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }
  Envelope ready(SiteId from, std::string_view text = "x") {
    return world.seal(world.header(MessageType::ready, from), as_bytes(text));
  }
  Envelope go(SiteId to, std::string_view text) {
    return world.seal(world.header(MessageType::go, coordinator_id, to), as_bytes(text));
  }
  std::size_t num_messages() {
    std::lock_guard lock(desk.mutex);
    return desk.messages.size();
  }
  std::size_t num_queued(SiteId id) {
    std::lock_guard lock(desk.mutex);
    return desk.queues[id].size();
  }
  /// The desk has `upload` as the aggregate of exchange 3.
  void serve(const Upload& upload) {
    Announcement announced =
        upload.announce(world, world.header(MessageType::aggregate, coordinator_id, alba));
    desk.aggregate = &upload;
    desk.sealer.emplace(std::move(announced.frames));
    opener.emplace(world.open(announced.message.wire(), alba), world.peers);
  }
  std::optional<FrameOpener> opener;

 private:
  std::uint32_t number_ = 0;
};

}  // namespace concordat::border::testing
