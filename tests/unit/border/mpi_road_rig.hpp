// The mpi road between parties that are one process of an MPI job, with links that can lose a
// letter (MPI itself loses none).
#pragma once

#include <atomic>

#include "comm/interlink.hpp"
#include "comm/mpi_transport.hpp"
#include "concordat/border/mpi_road.hpp"
#include "unit/border/road_rig.hpp"

namespace concordat::border::testing {

/// An Interlink whose next request or answer gets lost when a test says so.
class LossyLink final : public comm::Interlink {
 public:
  explicit LossyLink(std::unique_ptr<comm::Interlink> link) : link_(std::move(link)) {}
  void lose_next(Lost what) { (what == Lost::request ? lose_request_ : lose_answer_) = true; }

  const std::vector<std::string>& peers() const override { return link_->peers(); }
  bool send(int peer, std::uint64_t number, Bytes& bytes, std::chrono::milliseconds wait) override {
    if (number == 0 || !lose_request_.exchange(false))
      return link_->send(peer, number, bytes, wait);
    bytes.clear();
    return true;
  }
  bool sent(int peer, std::chrono::milliseconds wait) override { return link_->sent(peer, wait); }
  using comm::Interlink::receive;
  std::optional<Letter> receive(int peer, std::chrono::milliseconds wait,
                                const std::function<void(std::uint64_t)>& admit) override {
    auto letter = link_->receive(peer, wait, admit);
    if (letter && letter->number != 0 && lose_answer_.exchange(false)) return std::nullopt;
    return letter;
  }
  bool left(int peer) override { return link_->left(peer); }
  void leave() override { link_->leave(); }

 private:
  std::unique_ptr<comm::Interlink> link_;
  std::atomic<bool> lose_request_{false}, lose_answer_{false};
};

/// The links of a coordinator and three sites.
class MpiWorld {
 public:
  MpiWorld();
  ~MpiWorld();
  std::unique_ptr<comm::Interlink> hub;
  std::map<SiteId, std::unique_ptr<LossyLink>> sites;

 private:
  std::shared_ptr<comm::Transport> transport_;
};

}  // namespace concordat::border::testing
