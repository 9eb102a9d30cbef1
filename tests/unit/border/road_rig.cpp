#include "unit/border/road_rig.hpp"

#include "concordat/border/loopback.hpp"
#include "concordat/border/tls_road.hpp"
#include "unit/border/cut_relay.hpp"
#include "unit/border/spool_road_rig.hpp"

namespace concordat::border::testing {
namespace {

class LoopbackRig final : public RoadRig {
 public:
  void listen(RoadHandler& handler) override { road_.start(handler); }
  void hang_up() override { road_.stop(); }
  CoordinatorRoad& hub() override { return road_; }
  std::unique_ptr<SiteRoad> site(SiteId id) override { return road_.site(id); }
  void lose_next(SiteId id, Lost what) override {
    road_.fail_next(
        id, what == Lost::request ? LoopbackRoad::Fault::before : LoopbackRoad::Fault::after, 1);
  }

 private:
  LoopbackRoad road_;
};

class TlsRig final : public RoadRig {
 public:
  explicit TlsRig(World& world) : world_(world) {}
  ~TlsRig() override { hang_up(); }

  void listen(RoadHandler& handler) override {
    TlsCoordinatorOptions options;
    options.budget = budget_;
    options.spill_folder = world_.folder.path / "spill";
    hub_ = make_tls_coordinator_road(options, world_.parties.at(coordinator_id).tls, "hub",
                                     world_.peers);
    hub_->start(handler);
    relay_.lead_to(hub_->bound_port());
  }
  void hang_up() override {
    if (hub_) hub_->stop();
    hub_.reset();
  }
  CoordinatorRoad& hub() override { return *hub_; }
  std::unique_ptr<SiteRoad> site(SiteId id) override {
    TlsSiteOptions options{.host = "127.0.0.1", .port = relay_.port()};
    return make_tls_site_road(options, world_.parties.at(id).tls, world_.peers.at(id).name,
                              world_.peers);
  }
  void lose_next(SiteId, Lost what) override {
    relay_.cut_at_next(what == Lost::request ? CutRelay::Direction::forth
                                             : CutRelay::Direction::back);
  }
  std::uint64_t peak_in_flight_bytes() const override { return hub_->peak_in_flight_bytes(); }
  std::uint64_t limit_bytes() const override { return budget_->limit_bytes(); }

 private:
  World& world_;
  // Room for one of the largest frames at a time.
  std::shared_ptr<ByteBudget> budget_ = std::make_shared<ByteBudget>(30U << 20U);
  std::unique_ptr<TlsCoordinatorRoad> hub_;
  CutRelay relay_{0};
};

}  // namespace

std::unique_ptr<RoadRig> make_loopback_rig(World&) { return std::make_unique<LoopbackRig>(); }
std::unique_ptr<RoadRig> make_tls_rig(World& world) { return std::make_unique<TlsRig>(world); }

std::vector<RoadKind> road_kinds() {
  return {{"loopback", make_loopback_rig}, {"tls", make_tls_rig}, {"spool", make_spool_rig}};
}

}  // namespace concordat::border::testing
