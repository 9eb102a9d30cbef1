// Six processes under mpirun as three parties: a coordinator, and two sites with a border each.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "comm/interlink.hpp"
#include "comm/mpi_transport.hpp"
#include "concordat/comm/runtime.hpp"
#include "unit/comm/collectives_suite.hpp"

namespace concordat::comm {
namespace {

using namespace std::chrono_literals;

Runtime start(const CommOptions& options = {.stall_timeout = 30s}) {
  static char name[] = "test";
  static char* arguments[] = {name, nullptr};
  int argc = 1;
  char** argv = arguments;
  return Runtime::start(argc, argv, options);
}

const std::vector<Seat> seats{{Role::coordinator, "hub"}, {Role::border, "alba"},
                              {Role::train, "alba"},      {Role::train, "alba"},
                              {Role::train, "brio"},      {Role::border, "brio"}};
constexpr int hub = 0, alba_border = 1, brio_border = 5;

int job_rank() {
  const char* text = std::getenv("OMPI_COMM_WORLD_RANK");
  return text == nullptr ? 0 : std::atoi(text);
}
Split split(Runtime& runtime) {
  return runtime.split(seats.at(static_cast<std::size_t>(job_rank())));
}

Interlink::Letter wait_for_letter(Interlink& link, int peer) {
  for (int i = 0; i < 600; ++i) {
    if (auto letter = link.receive(peer, 100ms)) return std::move(*letter);
  }
  ADD_FAILURE() << "no letter came";
  return {};
}

/// Bytes that tell who sent which letter, and whether they are all there.
Bytes pattern(std::size_t size, std::uint8_t seed) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(seed + i * 31 / 7);
  return bytes;
}

TEST(Split, gives_a_rank_its_site_and_the_outward_processes_a_link) {
  auto runtime = start();
  Split parts = split(runtime);
  EXPECT_EQ(parts.seats, seats);
  const Seat own = seats.at(static_cast<std::size_t>(job_rank()));
  if (own.role == Role::train) {
    EXPECT_EQ(parts.interlink, nullptr);
    ASSERT_NE(parts.ranks, nullptr);
    EXPECT_EQ(parts.ranks->size(), own.party == "alba" ? 2 : 1);
    check_all_collectives(*parts.ranks);
    return;
  }
  EXPECT_EQ(parts.ranks, nullptr);
  ASSERT_NE(parts.interlink, nullptr);
  EXPECT_EQ(parts.interlink->peers(), own.role == Role::border
                                          ? std::vector<std::string>{"hub"}
                                          : (std::vector<std::string>{"alba", "brio"}));
  parts.interlink->leave();
}

TEST(Split, of_equal_seats_is_one_group) {
  auto runtime = start();
  Split parts = runtime.split({Role::train, "alone"});
  EXPECT_EQ(parts.ranks->size(), 6);
  EXPECT_EQ(parts.ranks->rank(), job_rank());
}

// The coordinator answers two borders at once, each on a thread, while the sites' ranks work.
TEST(Interlink, letters_of_any_length_arrive_whole_and_in_order) {
  auto runtime = start({.stall_timeout = 30s, .max_message_bytes = 1U << 20U});
  Split parts = split(runtime);
  const std::vector<std::size_t> lengths{0, 1, 4096, 3'000'001, 17, 5U << 20U, 0, 100};
  if (parts.ranks) return check_all_collectives(*parts.ranks);
  Interlink& link = *parts.interlink;
  if (job_rank() == hub) {
    std::vector<std::thread> threads;
    for (int peer = 0; peer < 2; ++peer) {
      threads.emplace_back([&link, peer, &lengths] {
        for (std::size_t i = 0; i < lengths.size(); ++i) {
          auto letter = wait_for_letter(link, peer);
          EXPECT_EQ(letter.number, 100U * static_cast<unsigned>(peer) + i);
          EXPECT_EQ(letter.bytes, pattern(lengths[i], static_cast<std::uint8_t>(peer)));
          letter.bytes.push_back(7);
          EXPECT_TRUE(link.send(peer, letter.number + 1000, letter.bytes, 60s));
        }
      });
    }
    for (auto& thread : threads) thread.join();
  } else {
    const unsigned peer = job_rank() == alba_border ? 0 : 1;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      Bytes bytes = pattern(lengths[i], static_cast<std::uint8_t>(peer));
      const Bytes expected = bytes;
      ASSERT_TRUE(link.send(0, 100U * peer + i, bytes, 60s));
      auto answer = wait_for_letter(link, 0);
      EXPECT_EQ(answer.number, 1000U + 100U * peer + i);
      ASSERT_EQ(answer.bytes.size(), expected.size() + 1);
      answer.bytes.pop_back();
      EXPECT_EQ(answer.bytes, expected);
    }
  }
  link.leave();
}

/// A sign between two ranks beside their link: a file that all children of one mpirun can name.
class Sign {
 public:
  void give() const { std::ofstream(path_) << "here\n"; }
  void await() const {
    for (int i = 0; i < 600 && !std::filesystem::exists(path_); ++i) {
      std::this_thread::sleep_for(100ms);
    }
    EXPECT_TRUE(std::filesystem::remove(path_)) << "the sign did not come";
  }

 private:
  std::filesystem::path path_ = std::filesystem::temp_directory_path() /
                                ("concordat-interlink-" + std::to_string(::getppid()));
};

TEST(Interlink, one_letter_is_on_its_way_at_a_time) {
  auto runtime = start();
  Split parts = split(runtime);
  if (!parts.interlink) return;
  Interlink& link = *parts.interlink;
  constexpr std::size_t large = 8U << 20U;  // far beyond what MPI takes without its receiver
  const Sign refused;                       // the coordinator reads nothing before
  if (job_rank() == alba_border) {
    Bytes first = pattern(large, 1), second = pattern(large, 2);
    EXPECT_TRUE(link.send(0, 1, first, 0ms));
    EXPECT_FALSE(link.send(0, 2, second, 50ms)) << "the coordinator reads nothing yet";
    EXPECT_EQ(second.size(), large) << "not taken";
    refused.give();
    for (int i = 0; i < 600 && !link.send(0, 2, second, 100ms); ++i) {
    }
    EXPECT_TRUE(second.empty());
  } else if (job_rank() == hub) {
    refused.await();
    EXPECT_EQ(wait_for_letter(link, 0).bytes, pattern(large, 1));
    EXPECT_EQ(wait_for_letter(link, 0).bytes, pattern(large, 2));
    EXPECT_FALSE(link.receive(1, 0ms)) << "brio said nothing";
  }
  link.leave();
}

// Whoever leaves drops what still comes, so nobody hangs on a letter that nobody reads.
TEST(Interlink, leaving_waits_for_all_and_drops_what_comes) {
  auto runtime = start();
  Split parts = split(runtime);
  if (!parts.interlink) return;
  Interlink& link = *parts.interlink;
  if (job_rank() == hub) {
    for (int i = 0; i < 600 && !link.left(0); ++i) EXPECT_FALSE(link.receive(0, 100ms));
    EXPECT_TRUE(link.left(0));
    EXPECT_FALSE(link.left(1));
  } else if (job_rank() == brio_border) {
    Bytes unread = pattern(8U << 20U, 3);
    EXPECT_TRUE(link.send(0, 1, unread, 0ms));
  }
  link.leave();
}

TEST(Interlink, a_failed_rank_of_a_site_ends_every_wait) {
  auto runtime = start();
  Split parts = split(runtime);
  if (parts.ranks) {
    if (job_rank() == 4) {
      std::this_thread::sleep_for(50ms);
      parts.ranks->fail(Error(concordat::errors::disk_full, {.what = "no space"}));
    }
    return;
  }
  try {
    if (job_rank() == alba_border) {
      parts.interlink->leave();
    } else {
      parts.interlink->receive(job_rank() == hub ? 1 : 0, 60s);
    }
    ADD_FAILURE() << "rank " << job_rank() << " went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::peer_failed);
    EXPECT_EQ(error.exit_code(), ExitCode::data);
  }
}

/// Both ends in one process, so that a test can also write what no Interlink writes.
class Pair {
 public:
  Pair() {
    up = make_interlink(transport, context, false, {{"hub", transport->rank(), 3}});
    down = make_interlink(transport, context, true, {{"alba", transport->rank(), 3}});
  }
  ~Pair() {
    up.reset();
    down.reset();
    close_mpi_transport(*transport, false);
  }
  void write_raw(const Bytes& bytes) {
    const auto tags = transport->tags();
    const int tag = (context << (tags.sequence_bits + 1)) | (1 << tags.sequence_bits) | 7;
    auto transfer = transport->send(transport->rank(), tag, bytes);
    while (!transfer->done()) std::this_thread::yield();
  }
  static constexpr int context = 9;
  std::shared_ptr<Transport> transport = make_mpi_transport({.stall_timeout = 30s});
  std::unique_ptr<Interlink> up, down;
};

Bytes head(std::uint32_t kind, std::uint64_t length) {
  ByteWriter out;
  out.u32(kind);
  out.u64(1);
  out.u64(length);
  return std::move(out).bytes();
}

TEST(Interlink, what_is_no_letter_is_refused_before_memory_is_taken) {
  for (const Bytes& bytes : {head(1, Interlink::max_letter_bytes + 1), head(1, ~std::uint64_t{0}),
                             head(0, 4), head(77, 4), head(2, 4), Bytes(20, 0xff)}) {
    Pair pair;
    pair.write_raw(bytes);
    for (int i = 0; i < 2; ++i) {
      try {
        pair.down->receive(0, 10s);
        ADD_FAILURE() << "taken: " << to_hex(bytes);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), errors::letter_refused) << error.what();
      }
    }
  }
}

TEST(Interlink, the_receiver_may_refuse_a_length) {
  Pair pair;
  Bytes small(10), large(900);
  std::vector<std::uint64_t> asked;
  const auto admit = [&](std::uint64_t bytes) {
    asked.push_back(bytes);
    if (bytes > 100) throw Error(concordat::errors::malformed, {.what = "too long for a test"});
  };
  EXPECT_TRUE(pair.up->send(0, 1, small, 0ms));
  EXPECT_TRUE(pair.down->receive(0, 10s, admit));
  EXPECT_TRUE(pair.up->send(0, 2, large, 10s));
  EXPECT_THROW(pair.down->receive(0, 10s, admit), Error);
  EXPECT_THROW(pair.down->receive(0, 10s, admit), Error);
  EXPECT_EQ(asked, (std::vector<std::uint64_t>{10, 900}));
}

}  // namespace
}  // namespace concordat::comm
