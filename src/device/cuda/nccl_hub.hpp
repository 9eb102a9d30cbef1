// NcclHub: the NCCL communicators ("links") of one rank. The one place where they are made, end and
// are aborted, and where the host waits while they work.
//
//   auto links = hub->open({{id, 2, rank}});
//   hub->run(links, [&] { check(ncclAllReduce(...), "ncclAllReduce"); });   // one NCCL group
//   hub->close(links);
//
// Links are non-blocking: what NCCL has not finished is asked after, and meanwhile this rank looks
// at the errors that links report by themselves, at the fault channel of the site's ranks, and at
// the clock. On the first failure, wherever it comes from, every link is aborted, so that this
// rank's kernels end; the other ranks are told, so that theirs are; and every later call throws the
// same. Without the abort a kernel waits for its peers for ever, and with it everything behind it.
//
// Threads: safe from many.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "concordat/comm/communicator.hpp"
#include "device/cuda/nccl_check.hpp"
#include "device/cuda/watch.hpp"

namespace concordat::device::cuda {

class NcclHub final : public Watch {
 public:
  using Links = std::vector<ncclComm_t>;
  struct Place {
    ncclUniqueId id;
    int size = 0;
    int rank = 0;
  };
  /// `host`: for its fault channel and its patience.
  explicit NcclHub(std::shared_ptr<comm::Communicator> host) : host_(std::move(host)) {}
  /// Aborts what nobody closed.
  ~NcclHub() override;
  NcclHub(const NcclHub&) = delete;
  NcclHub& operator=(const NcclHub&) = delete;

  ncclUniqueId make_id();
  /// All at once, so that ranks that share several links in different order do not wait in a
  /// circle.
  Links open(const std::vector<Place>& places);
  /// Runs NCCL calls on `links` as one group. Returns when their work is in its streams.
  template <typename Calls>
  void run(const Links& links, Calls&& calls) {
    const std::function<void()> work = std::forward<Calls>(calls);
    group(work);
    settle(links, "what was asked of NCCL");
  }
  /// Collective over each link: finishes its work and ends it. While an exception passes, and after
  /// a failure, it aborts instead. Never hangs longer than a wait may.
  void close(const Links& links) noexcept;

  void wait_until(const std::function<bool()>& done, const char* what) override;
  /// This rank failed: aborts and tells the others.
  void fail(const std::exception& error) noexcept;
  /// @throws what failed first.
  void require_alive();

 private:
  Links all();
  void group(const std::function<void()>& calls);
  void settle(const Links& links, const char* what);
  /// One look at links and ranks. @throws what it sees.
  void look();
  void abort(const Links& links) noexcept;
  [[noreturn]] void give_up(std::exception_ptr first, bool tell);

  std::shared_ptr<comm::Communicator> host_;
  std::mutex mutex_;  // NCCL wants one thread at a time on a communicator
  std::set<ncclComm_t> links_;
  std::exception_ptr dead_;
};

}  // namespace concordat::device::cuda
