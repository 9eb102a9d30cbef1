// The coordinator's end of the spool road: one thread per site looks at that site's spool.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "border/spool_desk.hpp"
#include "concordat/core/log.hpp"

namespace concordat::border {
namespace {

class Road final : public CoordinatorRoad {
 public:
  Road(const SpoolCoordinatorOptions& options, const Identity& me, const crypto::SigningKey& tls,
       const PeerDirectory& peers)
      : options_(options),
        peers_(peers),
        budget_(options.budget ? options.budget : std::make_shared<ByteBudget>(64ULL << 20U)) {
    for (const SiteId site : peers_.sites()) {
      desks_.emplace_back(
          site, std::make_unique<SpoolDesk>(options_, *budget_, SpoolSeal(me, tls, peers_, site),
                                            site, peers_.at(site).name, stopping_));
    }
  }
  ~Road() override { stop(); }

  void start(RoadHandler& handler) override {
    stopping_ = false;
    for (auto& [site, desk] : desks_) {
      desk->begin();
      threads_.emplace_back([this, &desk = *desk, &handler] { serve(desk, handler); });
    }
  }

  void stop() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    stopped_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    for (auto& [site, desk] : desks_) desk->end();
  }

  std::vector<SiteId> connected() override {
    std::vector<SiteId> sites;
    for (const auto& [site, desk] : desks_) {
      if (desk->connected()) sites.push_back(site);
    }
    return sites;
  }

 private:
  void serve(SpoolDesk& desk, RoadHandler& handler) {
    std::string trouble;
    while (!stopping_) {
      bool acted = false;
      try {
        acted = desk.answer(handler);
        desk.push(handler);
        trouble.clear();
      } catch (const std::exception& error) {
        // A full disk, say: what could not be put is put at a later look.
        if (trouble != error.what()) log::error("the spool road: " + (trouble = error.what()));
      }
      if (acted) continue;
      std::unique_lock lock(mutex_);
      stopped_.wait_for(lock, options_.look_every, [this] { return stopping_.load(); });
    }
  }

  SpoolCoordinatorOptions options_;
  PeerDirectory peers_;
  std::shared_ptr<ByteBudget> budget_;
  std::atomic<bool> stopping_{false};
  std::vector<std::pair<SiteId, std::unique_ptr<SpoolDesk>>> desks_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable stopped_;
};

}  // namespace

std::unique_ptr<CoordinatorRoad> make_spool_coordinator_road(const SpoolCoordinatorOptions& options,
                                                             const Identity& me,
                                                             const crypto::SigningKey& tls,
                                                             const PeerDirectory& peers) {
  return std::make_unique<Road>(options, me, tls, peers);
}

}  // namespace concordat::border
