// Several ranks: the suite that every Communicator is held to, on device tensors, and what becomes
// of failures. Ranks are threads, NCCL is emulated.
#include <future>
#include <latch>
#include <map>
#include <thread>

#include "concordat/device/errors.hpp"
#include "device/cuda/cuda_backend.hpp"
#include "emulator.hpp"
#include "unit/device/cuda/gpu_ranks.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::cuda {
namespace {

using namespace std::chrono_literals;
using comm::Communicator;
using comm::ReduceOp;
using testing::DeviceDesk;

/// One rank's part of a test.
struct Rank {
  Session& session;
  Communicator& ranks;
  DeviceDesk desk;
  Tensor ones(std::int64_t count) {
    Tensor x = session.backend().allocate(Dtype::f32, {count});
    fill(session.exec(), x, 1.0);
    return x;
  }
};

class Nccl : public ::testing::Test {
 protected:
  void SetUp() override { cuda_emulator::play_devices(6); }
  void TearDown() override {
    EXPECT_EQ(cuda_emulator::census().things(), 0U) << "something was not given back";
    cuda_emulator::recover();
    cuda_emulator::play_devices(1);
  }
  static void on_gpus(int size, const std::function<void(Rank&)>& work,
                      const comm::CommOptions& options = {.stall_timeout = 20s}) {
    comm::run_threads(
        size,
        [&](Communicator& host) {
          Session session(make_cuda_backend({.local_rank = host.rank()}));
          const auto ranks = session.backend().communicator(host);
          Rank rank{session, *ranks, DeviceDesk(session)};
          work(rank);
        },
        options);
  }
  /// The error that comes out, and how many ranks saw one with this code.
  static Error error_of(int size, const std::function<void(Rank&)>& work,
                        const comm::CommOptions& options = {.stall_timeout = 20s}) {
    try {
      on_gpus(size, work, options);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "no error";
    return Error(errors::nccl_failed, {});
  }
};

class NcclOfSize : public Nccl, public ::testing::WithParamInterface<int> {};

TEST_P(NcclOfSize, DoesEveryCollective) {
  on_gpus(GetParam(), [](Rank& rank) { comm::check_all_collectives_on(rank.ranks, rank.desk); });
}

INSTANTIATE_TEST_SUITE_P(Sizes, NcclOfSize, ::testing::Values(1, 2, 3, 6));

TEST_F(Nccl, OddSplitsHaveCommunicatorsOfTheirOwn) {
  on_gpus(6, [](Rank& rank) {
    const int me = rank.ranks.rank();
    const int color = me < 3 ? 0 : me < 5 ? 1 : 2;
    const auto part = rank.ranks.split(color, -me);
    EXPECT_EQ(part->size(), 3 - color);
    comm::check_all_collectives_on(*part, rank.desk);
    const auto column = rank.ranks.split(me % 2, me);
    comm::check_all_collectives_on(*column, rank.desk);
    comm::check_all_collectives_on(*part, rank.desk);
  });
}

TEST_F(Nccl, ASplitMayOutliveItsParent) {
  comm::run_threads(2, [](Communicator& host) {
    Session session(make_cuda_backend({.local_rank = host.rank()}));
    auto ranks = session.backend().communicator(host);
    ranks = ranks->split(0, host.rank());
    DeviceDesk desk(session);
    comm::check_all_collectives_on(*ranks, desk);
  });
}

TEST_F(Nccl, ACollectiveOnAMessageStreamRunsBesideTheOps) {
  on_gpus(2, [](Rank& rank) {
    Stream& ops = rank.session.exec().stream;
    const auto messages = rank.session.backend().make_message_stream();
    const Tensor x = rank.ones(1000);
    messages->wait(ops.record());
    const comm::Handle sum = rank.ranks.all_reduce(x, ReduceOp::sum, *messages);
    EXPECT_FALSE(sum.done());
    fill(rank.session.exec(), rank.ones(10), 2.0);
    ops.wait(sum.event());
    EXPECT_EQ(rank.desk.get(x).span<float>()[999], 2.0F);
    EXPECT_TRUE(sum.done());
  });
}

TEST_F(Nccl, WithoutAnEventACollectiveReadsWhatNobodyHasWritten) {
  EXPECT_THROW(on_gpus(2,
                       [](Rank& rank) {
                         const auto messages = rank.session.backend().make_message_stream();
                         const Tensor x = rank.ones(10);
                         rank.ranks.all_reduce(x, ReduceOp::sum, *messages).wait();
                       }),
               Error);
  EXPECT_NE(cuda_emulator::fault_text().find("not all of them ever written"), std::string::npos)
      << cuda_emulator::fault_text();
}

TEST_F(Nccl, ARankThatFailsEndsTheOthersWaitAndNamesItself) {
  std::atomic<int> told{0};
  std::latch here(2);  // past what all ranks do together at the start
  try {
    on_gpus(3, [&](Rank& rank) {
      if (rank.ranks.rank() == 1) {
        here.wait();
        throw Error(concordat::errors::disk_full, {.what = "no space"});
      }
      here.count_down();
      try {
        const Tensor x = rank.ones(5);
        rank.ranks.all_reduce(x, ReduceOp::sum, rank.session.exec().stream);
        rank.desk.get(x);
        ADD_FAILURE() << "a sum without rank 1";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), comm::errors::peer_failed) << error.what();
        EXPECT_EQ(error.fields().where, "rank 1");
        // Dead for good, all parts of it, and nothing hangs.
        EXPECT_THROW(rank.ranks.all_reduce(rank.ones(5), ReduceOp::sum, rank.session.exec().stream),
                     Error);
        EXPECT_THROW(rank.ranks.split(0, 0), Error);
        ++told;
        throw;
      }
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), concordat::errors::disk_full);
  }
  EXPECT_EQ(told, 2);
}

TEST_F(Nccl, ARankThatGivesUpInTheMiddleOfItsOwnCollectiveIsNotWaitedFor) {
  std::promise<void> asked;
  const auto when = asked.get_future().share();
  const Error error = error_of(2, [&](Rank& rank) {
    Stream& stream = rank.session.exec().stream;
    comm::check_all_collectives_on(rank.ranks, rank.desk);
    if (rank.ranks.rank() == 0) {
      const comm::Handle never = rank.ranks.all_reduce(rank.ones(5), ReduceOp::sum, stream);
      asked.set_value();
      never.event().wait();
    }
    when.wait();
    const Error mine(concordat::errors::malformed, {.what = "a bad token"});
    rank.ranks.fail(mine);
    throw mine;
  });
  EXPECT_EQ(error.code(), concordat::errors::malformed);
}

TEST_F(Nccl, AnErrorThatACommunicatorReportsByItselfIsSeenWhileTheHostWaits) {
  std::atomic<int> own{0};
  std::atomic<int> others{0};
  const Error error = error_of(2, [&](Rank& rank) {
    comm::check_all_collectives_on(rank.ranks, rank.desk);
    try {
      const bool waits = rank.ranks.rank() == 1;
      const Tensor x = rank.ones(5);
      comm::Handle sum;
      if (waits) sum = rank.ranks.all_reduce(x, ReduceOp::sum, rank.session.exec().stream);
      rank.ranks.barrier();
      if (!waits) cuda_emulator::break_links(1);
      waits ? sum.wait() : rank.ranks.barrier();
    } catch (const Error& seen) {
      own += seen.code() == errors::nccl_failed ? 1 : 0;
      others += seen.code() == comm::errors::peer_failed ? 1 : 0;
      throw;
    }
  });
  EXPECT_EQ(error.code(), errors::nccl_failed);
  EXPECT_NE(error.fields().found.find("remote process"), std::string::npos) << error.what();
  EXPECT_EQ(own, 1);
  EXPECT_EQ(others, 1);
}

TEST_F(Nccl, ARankThatNeverComesIsAStallThatSaysWhatWasWaitedFor) {
  std::promise<void> seen;
  const auto when = seen.get_future().share();
  const Error error =
      error_of(2,
               [&](Rank& rank) {
                 comm::check_all_collectives_on(rank.ranks, rank.desk);
                 if (rank.ranks.rank() == 1) return when.wait();
                 try {
                   const Tensor x = rank.ones(5);
                   rank.ranks.all_reduce(x, ReduceOp::sum, rank.session.exec().stream);
                   rank.desk.get(x);
                 } catch (const Error&) {
                   seen.set_value();
                   throw;
                 }
               },
               {.stall_timeout = 300ms});
  EXPECT_EQ(error.code(), comm::errors::stalled);
  EXPECT_EQ(error.fields().found, "waited for this rank's GPU");
}

TEST_F(Nccl, WhatNcclOrTheContractDoesNotHaveIsRefusedByName) {
  on_gpus(2, [](Rank& rank) {
    Stream& stream = rank.session.exec().stream;
    const auto tensor = [&](Dtype dtype) { return rank.session.backend().allocate(dtype, {2}); };
    try {
      rank.ranks.all_reduce(tensor(Dtype::u16), ReduceOp::sum, stream);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), errors::not_on_this_device);
    }
    EXPECT_THROW(rank.ranks.all_reduce(tensor(Dtype::f16), ReduceOp::sum, stream), Bug);
    EXPECT_THROW(rank.ranks.send(tensor(Dtype::f32), 1 - rank.ranks.rank(), 3, stream), Bug);
    EXPECT_THROW(rank.ranks.recv(tensor(Dtype::f32), 1 - rank.ranks.rank(), 3, stream), Bug);
    InlineStream host;
    EXPECT_THROW(rank.ranks.all_reduce(tensor(Dtype::f32), ReduceOp::sum, host), Bug);
    rank.ranks.all_reduce(rank.session.backend().allocate(Dtype::f32, {0}), ReduceOp::sum, stream);
  });
}

TEST_F(Nccl, TwoRanksOnOneGpuAndAnOldNcclAreRefused) {
  cuda_emulator::play_devices(2);
  const Error shared = error_of(3, [](Rank&) {});
  EXPECT_EQ(shared.code(), errors::gpu_shared);
  EXPECT_EQ(shared.fields().found, "ranks 0 and 2 on one GPU");
  cuda_emulator::play_nccl(21705);
  const Error old = error_of(2, [](Rank&) {});
  EXPECT_EQ(old.code(), errors::no_nccl);
  EXPECT_EQ(old.fields().found, "NCCL 2.17.5");
  cuda_emulator::play_nccl(22703);
}

TEST_F(Nccl, OnlyItsOwnCommunicatorReachesADevicesTensors) {
  on_gpus(2, [](Rank& rank) {
    EXPECT_TRUE(rank.session.backend().reached_by(rank.ranks));
    EXPECT_TRUE(rank.session.backend().reached_by(*rank.ranks.split(rank.ranks.rank(), 0)));
    EXPECT_TRUE(rank.session.backend().reached_by(*comm::self_communicator()));
  });
  comm::run_threads(
      2, [](Communicator& host) { EXPECT_FALSE(make_cuda_backend({})->reached_by(host)); });
}

/// Communicators, a sum, parts, a message: few calls, of every kind.
void small_program(std::vector<float>& out) {
  comm::run_threads(2,
                    [&](Communicator& host) {
                      Session session(make_cuda_backend({.local_rank = host.rank()}));
                      const auto ranks = session.backend().communicator(host);
                      DeviceDesk desk(session);
                      const Tensor x = session.upload<float>({3}, {1, 2, 3});
                      Stream& stream = session.exec().stream;
                      ranks->open_channels({{1, 1}});
                      ranks->all_reduce(x, ReduceOp::sum, stream);
                      ranks->reduce_parts(x, {0, 1, 3}, ReduceOp::sum, stream);
                      ranks->gather_parts(x, {0, 1, 3}, stream);
                      const Tensor all = session.backend().allocate(Dtype::f32, {6});
                      ranks->all_gather(all, x, stream);
                      ranks->reduce_scatter(x, all, ReduceOp::sum, stream);
                      ranks->send(x, 1 - host.rank(), 1, stream);
                      ranks->recv(x, 1 - host.rank(), 1, stream);
                      const Tensor got = desk.get(x);
                      if (host.rank() == 0)
                        out.assign(got.span<float>().begin(), got.span<float>().end());
                    },
                    {.stall_timeout = 20s});
}

/// Which calls of a function to fail: all, or of those that ask how it goes, some.
std::vector<std::uint64_t> numbers_of(const std::string& name, std::uint64_t count) {
  const bool asks = name == "ncclCommGetAsyncError" || name.ends_with("Query");
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t n = 1; n <= count && (!asks || n < 200); n += asks ? 1 + n / 2 : 1) {
    numbers.push_back(n);
  }
  return numbers;
}

TEST_F(Nccl, EachCallThatFailsOnceIsAnErrorOnAllRanksAndNothingHangsOrIsLost) {
  std::vector<float> expected;
  cuda_emulator::take_called();
  small_program(expected);
  EXPECT_EQ(expected, (std::vector<float>{8, 16, 24}));
  const auto called = cuda_emulator::take_called();
  for (const char* name :
       {"ncclGetVersion", "ncclGetUniqueId", "ncclCommInitRankConfig", "ncclCommGetAsyncError",
        "ncclGroupStart", "ncclGroupEnd", "ncclAllReduce", "ncclReduce", "ncclBroadcast",
        "ncclAllGather", "ncclReduceScatter", "ncclSend", "ncclRecv", "ncclCommFinalize",
        "ncclCommDestroy"}) {
    EXPECT_TRUE(called.contains(name)) << name;
  }
  for (const auto& [name, count] : called) {
    for (const std::uint64_t nth : numbers_of(name, count)) {
      cuda_emulator::fail_call(name, nth);
      std::vector<float> found;
      try {
        small_program(found);
        // What is given back, what can be had a second time, or a question that was not asked
        // again.
        EXPECT_EQ(found, expected) << name << " " << nth;
      } catch (const Error& error) {
        // A rank that is done when its communicator's end fails has nothing to throw: then the
        // other one's is the error that comes out, if that one still waits, and it quotes this.
        const bool quoted = name == "ncclCommFinalize" && error.code() == comm::errors::peer_failed;
        EXPECT_TRUE(quoted || error.code() == errors::nccl_failed ||
                    error.code() == errors::cuda_failed ||
                    error.code() == errors::cuda_out_of_memory)
            << name << " " << nth << ": " << error.what();
        const auto& fields = error.fields();
        EXPECT_NE((quoted ? fields.found : fields.where).find(name), std::string::npos)
            << name << " " << nth << ": " << error.what();
      }
      EXPECT_EQ(cuda_emulator::census().things(), 0U) << name << " " << nth;
      cuda_emulator::recover();
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace concordat::device::cuda
