#include "unit/border/spool_road_rig.hpp"

#include <filesystem>

#include "border/spool_files.hpp"
#include "concordat/border/errors.hpp"

namespace concordat::border::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::chrono::hours answer_limit{1};

std::vector<fs::path> spool_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(folder, gone)) {
    if (spool_name_from(entry.path().filename().string())) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

/// Notes when a site's queue was found empty.
class Watched final : public PassOn {
 public:
  using PassOn::PassOn;
  int found_empty(SiteId site) {
    std::lock_guard lock(mutex_);
    return empty_[site];
  }
  std::optional<Envelope> next_message(SiteId to, milliseconds wait) override {
    auto message = PassOn::next_message(to, wait);
    std::lock_guard lock(mutex_);
    if (!message) ++empty_[to];
    return message;
  }

 private:
  std::mutex mutex_;
  std::map<SiteId, int> empty_;
};

class SpoolRig final : public RoadRig {
 public:
  explicit SpoolRig(World& world) : world_(world), me_(world.identity(coordinator_id)) {
    for (SiteId id : world.peers.sites()) {
      movers_.emplace(id, std::make_unique<SpoolMover>(hub_folder() / name(id), site_folder(id)));
    }
  }
  ~SpoolRig() override { hang_up(); }

  void listen(RoadHandler& handler) override {
    for (auto& [id, mover] : movers_) mover->carry();
    watched_.emplace(handler);
    hub_ = make_spool_coordinator_road({.folder = hub_folder(),
                                        .clock = &clock_,
                                        .look_every = milliseconds(2),
                                        .answer_limit = answer_limit,
                                        .budget = budget_},
                                       me_, world_.parties.at(coordinator_id).tls, world_.peers);
    hub_->start(*watched_);
    listening_ = true;
  }
  void hang_up() override {
    listening_ = false;
    if (hub_) hub_->stop();
    hub_.reset();
  }
  CoordinatorRoad& hub() override { return *hub_; }
  std::unique_ptr<SiteRoad> site(SiteId id) override;
  void lose_next(SiteId id, Lost what) override { movers_.at(id)->lose_next(what); }
  std::uint64_t peak_in_flight_bytes() const override { return budget_->peak_bytes(); }
  std::uint64_t limit_bytes() const override { return budget_->limit_bytes(); }

 private:
  friend class Patient;
  const std::string& name(SiteId id) const { return world_.peers.at(id).name; }
  fs::path hub_folder() const { return world_.folder.path / "hub-spool"; }
  fs::path site_folder(SiteId id) const { return world_.folder.path / (name(id) + "-spool"); }

  World& world_;
  Identity me_;
  JumpingClock clock_;
  // Room for one of the largest frames at a time.
  std::shared_ptr<ByteBudget> budget_ = std::make_shared<ByteBudget>(30U << 20U);
  std::map<SiteId, std::unique_ptr<SpoolMover>> movers_;
  std::map<SiteId, Identity> identities_;
  std::optional<Watched> watched_;
  std::unique_ptr<CoordinatorRoad> hub_;
  std::atomic<bool> listening_{false};
};

/// A site that asks again until there is an answer, or the rig knows that none can come: then an
/// hour passes.
class Patient final : public SiteRoad {
 public:
  Patient(SpoolRig& rig, SiteId id, std::unique_ptr<SiteRoad> road)
      : rig_(rig), id_(id), road_(std::move(road)) {}

  Manner manner() const override { return road_->manner(); }
  void deliver(const Envelope& message) override {
    until_answered([&] { road_->deliver(message); });
  }
  std::optional<Bytes> fetch(milliseconds wait) override {
    const auto until = std::chrono::steady_clock::now() + wait;
    const int before = rig_.watched_->found_empty(id_);
    for (;;) {
      if (auto wire = road_->fetch(milliseconds(5))) return wire;
      if (rig_.movers_.at(id_)->lost()) {
        rig_.clock_.jump(2 * answer_limit);
        return std::nullopt;
      }
      const bool nothing = rig_.watched_->found_empty(id_) > before && rig_.movers_.at(id_)->idle();
      if (nothing && std::chrono::steady_clock::now() >= until) return std::nullopt;
    }
  }
  void acknowledge(const Digest& message) override { road_->acknowledge(message); }
  std::uint64_t upload_position(const ExchangeId& exchange) override {
    return until_answered([&] { return road_->upload_position(exchange); });
  }
  void deliver_block(const Envelope& frame) override { road_->deliver_block(frame); }
  std::uint64_t flush_blocks(const ExchangeId& exchange) override {
    return until_answered([&] { return road_->flush_blocks(exchange); });
  }
  void fetch_blocks(const ExchangeId& exchange, std::uint64_t first, std::uint64_t last,
                    const std::function<void(ByteView wire)>& take) override {
    until_answered([&] {
      road_->fetch_blocks(exchange, first, last, [&](ByteView wire) {
        take(wire);
        ++first;
      });
    });
  }
  void stop() override { road_->stop(); }

 private:
  template <typename Act>
  std::invoke_result_t<Act&> until_answered(Act&& act) {
    return testing::until_answered(act, [&] {
      const bool lost = rig_.movers_.at(id_)->lost();
      if (lost || !rig_.listening_) rig_.clock_.jump(2 * answer_limit);
    });
  }
  SpoolRig& rig_;
  SiteId id_;
  std::unique_ptr<SiteRoad> road_;
};

std::unique_ptr<SiteRoad> SpoolRig::site(SiteId id) {
  const Identity& me = identities_.try_emplace(id, world_.identity(id)).first->second;
  return std::make_unique<Patient>(
      *this, id,
      make_spool_site_road({.folder = site_folder(id),
                            .clock = &clock_,
                            .look_every = milliseconds(2),
                            .patience = milliseconds(20),
                            .answer_limit = answer_limit},
                           me, world_.parties.at(id).tls, world_.peers));
}

}  // namespace

SpoolMover::SpoolMover(FileSystem::Path hub, FileSystem::Path site)
    : hub_(std::move(hub)), site_(std::move(site)), thread_([this] {
        while (!stopping_) {
          carry();
          std::this_thread::sleep_for(milliseconds(1));
        }
      }) {}

SpoolMover::~SpoolMover() {
  stopping_ = true;
  thread_.join();
}

bool SpoolMover::idle() const {
  return spool_files(site_ / "up").empty() && spool_files(hub_ / "up").empty() &&
         spool_files(hub_ / "down").empty();
}

void SpoolMover::carry() {
  std::lock_guard lock(mutex_);
  carry(site_ / "up", hub_ / "up", 1);
  carry(hub_ / "down", site_ / "down", 2);
}

void SpoolMover::carry(const FileSystem::Path& from, const FileSystem::Path& to, int losable) {
  for (const fs::path& file : spool_files(from)) {
    const bool note = file.filename().string().starts_with("note");
    int wanted = losable;
    if (!note && to_lose_.compare_exchange_strong(wanted, 0)) {
      fs::remove(file);
      lost_ = true;
      continue;
    }
    std::error_code gone;  // its owner may take it back
    const fs::path half = to / ("." + file.filename().string());
    fs::create_directories(to);
    if (!fs::copy_file(file, half, fs::copy_options::overwrite_existing, gone)) continue;
    fs::rename(half, to / file.filename());
    fs::remove(file, gone);
  }
}

std::unique_ptr<RoadRig> make_spool_rig(World& world) { return std::make_unique<SpoolRig>(world); }

}  // namespace concordat::border::testing
