#include "concordat/comm/threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "concordat/comm/agree.hpp"
#include "concordat/core/worker_stream.hpp"
#include "unit/comm/collectives_suite.hpp"

namespace concordat::comm {
namespace {

using namespace std::chrono_literals;

class ThreadsOfSize : public testing::TestWithParam<int> {};

TEST_P(ThreadsOfSize, does_every_collective) { run_threads(GetParam(), check_all_collectives); }

TEST_P(ThreadsOfSize, does_every_collective_in_parts_of_three_bytes) {
  run_threads(GetParam(), check_all_collectives, {.stall_timeout = 30s, .max_message_bytes = 3});
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadsOfSize, testing::Values(1, 2, 3, 6));

TEST(Threads, the_group_of_one_does_every_collective) {
  check_all_collectives(*self_communicator());
}

TEST(Threads, odd_splits_work_side_by_side_and_nested) {
  run_threads(6, [](Communicator& comm) {
    // {0,1,2}, {3,4}, {5}; ordered backwards inside.
    const int color = comm.rank() < 3 ? 0 : comm.rank() < 5 ? 1 : 2;
    auto part = comm.split(color, -comm.rank());
    EXPECT_EQ(part->size(), 3 - color);
    if (color == 0) {
      EXPECT_EQ(part->rank(), 2 - comm.rank());
    }
    check_all_collectives(*part);
    auto single = part->split(part->rank(), 0);
    EXPECT_EQ(single->size(), 1);
    check_all_collectives(comm);
    check_all_collectives(*part);
  });
}

TEST(Threads, a_split_may_outlive_its_parent) {
  run_threads(2, [](Communicator& comm) {
    auto copy = comm.split(0, comm.rank())->split(0, comm.rank());
    check_all_collectives(*copy);
  });
}

TEST(Threads, the_first_exception_comes_out_and_nobody_hangs) {
  std::atomic<int> told{0};
  try {
    run_threads(6, [&](Communicator& comm) {
      if (comm.rank() == 4) {
        throw Error(concordat::errors::disk_full, {.what = "no space", .where = "scratch"});
      }
      try {
        comm.barrier();
        FAIL() << "the barrier was passed without rank 4";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), errors::peer_failed);
        EXPECT_EQ(error.exit_code(), ExitCode::data) << "that of the rank that failed first";
        EXPECT_NE(std::string(error.what()).find("rank 4"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("no space"), std::string::npos) << error.what();
        ++told;
        throw;
      }
    });
    FAIL() << "nothing came out";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), concordat::errors::disk_full);
  }
  EXPECT_EQ(told, 5);
}

TEST(Threads, a_dead_group_stays_dead_and_so_do_its_parts) {
  EXPECT_THROW(run_threads(3,
                           [](Communicator& comm) {
                             auto part = comm.split(comm.rank(), 0);
                             if (comm.rank() == 0) throw Bug("broken");
                             for (int i = 0; i < 2; ++i) {
                               try {
                                 comm.barrier();
                                 ADD_FAILURE();
                               } catch (const Error&) {
                               }
                             }
                             EXPECT_THROW(part->barrier(), Error);
                           }),
               Bug);
}

TEST(Threads, a_stall_names_the_rank_that_is_waited_for) {
  try {
    run_threads(3,
                [](Communicator& comm) {
                  if (comm.rank() != 1) {
                    comm.barrier();
                  } else {
                    std::this_thread::sleep_for(400ms);
                  }
                },
                {.stall_timeout = 100ms});
    FAIL() << "no stall was seen";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::stalled);
    EXPECT_NE(error.fields().found.find("rank 1"), std::string::npos) << error.what();
  }
}

TEST(Threads, a_stall_comes_out_although_its_echo_is_thrown_earlier) {
  auto stall_then_linger = [](Communicator& comm) {
    if (comm.rank() == 1) return;
    try {
      comm.barrier();
    } catch (const Error& error) {
      if (error.code() == errors::stalled) std::this_thread::sleep_for(200ms);
      throw;
    }
  };
  try {
    run_threads(3, stall_then_linger, {.stall_timeout = 100ms});
    FAIL() << "no stall was seen";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::stalled) << error.what();
  }
}

TEST(Threads, a_longer_receive_than_was_sent_is_a_bug) {
  EXPECT_THROW(run_threads(2,
                           [](Communicator& comm) {
                             InlineStream stream;
                             Tensor x = host_tensor(Dtype::u8, {comm.rank() == 0 ? 3 : 4});
                             if (comm.rank() == 0) {
                               comm.send(x, 1, 0, stream);
                             } else {
                               comm.recv(x, 0, 0, stream);
                             }
                           }),
               Bug);
}

TEST(Threads, collectives_run_in_stream_order_while_the_host_goes_on) {
  run_threads(3, [](Communicator& comm) {
    WorkerStream stream;
    Handle last;
    std::vector<float> seen(20);
    for (int i = 0; i < 20; ++i) {
      Tensor x = host_tensor(Dtype::f32, {1000});  // dropped at once: the stream keeps it alive
      stream.enqueue([x, i] {
        for (auto& value : x.span<float>()) value = static_cast<float>(i);
      });
      last = comm.all_reduce(x, ReduceOp::sum, stream);
      stream.enqueue([x, i, &seen] { seen[static_cast<std::size_t>(i)] = x.span<float>()[999]; });
      comm.barrier();  // a host collective between them takes nobody's messages
    }
    last.wait();
    stream.synchronize();
    for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], 3.0F * static_cast<float>(i));
  });
}

TEST(Agree, nobody_throws_without_an_error) {
  run_threads(3, [](Communicator& comm) { agreed(comm, [] {}); });
}

TEST(Agree, everybody_throws_the_error_of_the_lowest_rank) {
  run_threads(6, [](Communicator& comm) {
    for (int repeat = 0; repeat < 2; ++repeat) {  // the group stays usable
      try {
        agreed(comm, [&] {
          if (comm.rank() == 2 || comm.rank() == 5) {
            throw Error(concordat::errors::malformed,
                        {.what = "torn", .where = "shard " + std::to_string(comm.rank())});
          }
        });
        ADD_FAILURE() << "rank " << comm.rank() << " went on";
      } catch (const AgreedError& error) {
        EXPECT_EQ(error.code(), concordat::errors::malformed);
        EXPECT_EQ(error.severity(), Severity::request);
        EXPECT_EQ(error.exit_code(), ExitCode::data);
        EXPECT_EQ(error.fields().where, "rank 2, shard 2");
        EXPECT_EQ(error.origin(), comm.rank() == 2);
      }
    }
  });
}

TEST(Agree, a_bug_on_one_rank_reaches_the_others_as_a_failed_peer) {
  std::atomic<int> told{0};
  EXPECT_THROW(run_threads(3,
                           [&](Communicator& comm) {
                             try {
                               agreed(comm, [&] {
                                 if (comm.rank() == 1) throw Bug("impossible");
                               });
                             } catch (const Error& error) {
                               told += error.code() == errors::peer_failed ? 1 : 0;
                             }
                           }),
               Bug);
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace concordat::comm
