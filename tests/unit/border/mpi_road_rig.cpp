#include "unit/border/mpi_road_rig.hpp"

namespace concordat::border::testing {
namespace {

constexpr int context = 5;

class MpiRig final : public RoadRig {
 public:
  explicit MpiRig(World& world) : peers_(world.peers) {}
  ~MpiRig() override { hang_up(); }

  void listen(RoadHandler& handler) override {
    hub_ = make_mpi_coordinator_road(*links_.hub, peers_, {.budget = budget_});
    hub_->start(handler);
  }
  void hang_up() override {
    // The road stays, as MPI does: only its process could take it away, and the job with it.
    if (hub_) hub_->stop();
  }
  CoordinatorRoad& hub() override { return *hub_; }
  std::unique_ptr<SiteRoad> site(SiteId id) override {
    using std::chrono::milliseconds;
    // The coordinator is in this process, so what does not come soon was lost.
    return make_mpi_site_road(*links_.sites.at(id), {.open_limit = milliseconds(500),
                                                     .answer_limit = milliseconds(2'000)});
  }
  void lose_next(SiteId id, Lost what) override { links_.sites.at(id)->lose_next(what); }
  std::uint64_t peak_in_flight_bytes() const override { return budget_->peak_bytes(); }
  std::uint64_t limit_bytes() const override { return budget_->limit_bytes(); }

 private:
  PeerDirectory peers_;
  // Room for one of the largest frames at a time.
  std::shared_ptr<ByteBudget> budget_ = std::make_shared<ByteBudget>(30U << 20U);
  MpiWorld links_;
  std::unique_ptr<CoordinatorRoad> hub_;
};

std::unique_ptr<RoadRig> make_mpi_rig(World& world) { return std::make_unique<MpiRig>(world); }

}  // namespace

MpiWorld::MpiWorld()
    : transport_(comm::make_mpi_transport({.stall_timeout = std::chrono::seconds(30)})) {
  const int self = transport_->rank();
  std::vector<comm::InterlinkPeer> borders;
  for (const auto& [id, name] :
       std::map<SiteId, std::string>{{alba, "alba"}, {brio, "brio"}, {cala, "cala"}}) {
    const int channel = static_cast<int>(id.value());
    borders.push_back({name, self, channel});
    sites[id] = std::make_unique<LossyLink>(
        comm::make_interlink(transport_, context, false, {{"hub", self, channel}}));
  }
  hub = comm::make_interlink(transport_, context, true, borders);
}

MpiWorld::~MpiWorld() {
  sites.clear();
  hub.reset();
  comm::close_mpi_transport(*transport_, false);
}

std::vector<RoadKind> road_kinds() { return {{"mpi", make_mpi_rig}}; }

}  // namespace concordat::border::testing
