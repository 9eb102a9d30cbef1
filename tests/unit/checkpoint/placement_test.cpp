#include "checkpoint/placement.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "concordat/comm/threads.hpp"
#include "support/expect_error.hpp"
#include "unit/checkpoint/meddling_communicator.hpp"
#include "unit/checkpoint/test_state.hpp"

namespace concordat::checkpoint {
namespace {

using testing_support::MeddlingCommunicator;

/// As the header words it.
std::uint64_t definition(ByteView bytes, std::size_t width, std::uint64_t first) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size() / width; ++i) {
    std::uint64_t bits = 0;
    for (std::size_t b = 0; b < width; ++b) bits |= std::uint64_t{bytes[i * width + b]} << (8 * b);
    sum += (2 * (first + i) + 1) * bits;
  }
  return sum;
}

TEST(Placement, the_sum_is_its_definition_for_every_width_and_length) {
  Bytes bytes(8 * 70);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 167 + 91);
  for (const std::size_t width : {1, 2, 4, 8}) {
    for (std::size_t count = 0; count < 70; ++count) {
      for (const std::int64_t first : {std::int64_t{0}, std::int64_t{7}, std::int64_t{1} << 40U}) {
        const ByteView part = ByteView(bytes).first(count * width);
        ASSERT_EQ(placement_sum(part, width, first),
                  definition(part, width, static_cast<std::uint64_t>(first)))
            << count << " of " << width << " from " << first;
      }
    }
  }
}

TEST(Placement, owners_add_up_to_the_whole_tensor_in_every_layout) {
  std::vector<std::uint64_t> expected;
  for (const auto& [mesh, ranks] : std::vector<std::pair<parallel::MeshShape, int>>{
           {{1, 1, 1, 1}, 1}, {{3, 1, 1, 2}, 6}, {{1, 3, 1, 2}, 6}, {{1, 3, 2, 1}, 6}}) {
    std::vector<std::atomic<std::uint64_t>> sums(
        TestState(*comm::self_communicator(), {}).tensors.size());
    comm::run_threads(ranks, [&, mesh = mesh](comm::Communicator& comm) {
      TestState state(comm, mesh);
      state.fill(5);
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += placement_sum(state.tensors[i]);
    });
    if (expected.empty()) expected.assign(sums.begin(), sums.end());
    EXPECT_EQ(std::vector<std::uint64_t>(sums.begin(), sums.end()), expected) << mesh.text();
  }
}

/// Restores on two ranks that hold other parts than they read, with messages that `meddle` alters.
void restore_with(const Path& folder, const MeddlingCommunicator::Meddle& meddle) {
  comm::run_threads(2, [&](comm::Communicator& comm) {
    TestState state(comm, {1, 1, 1, 2});
    MeddlingCommunicator meddling(comm, meddle);
    restore_newest(meddling, posix_files(), folder, state.tensors);
  });
}

TEST(Placement, a_message_that_is_altered_between_reader_and_owner_is_found) {
  testing_support::TemporaryFolder folder;
  comm::run_threads(1, [&](comm::Communicator& comm) {
    TestState state(comm, {});
    state.fill(1);
    save_generation(comm, posix_files(), folder.path(), {.step = 1, .round = 0}, state.tensors, {});
  });
  restore_with(folder.path(), [](std::span<std::byte>) {});
  const auto large = [](std::span<std::byte> arrived) { return arrived.size() > 100'000; };
  EXPECT_ERROR_SAYS(restore_with(folder.path(),
                                 [&](std::span<std::byte> arrived) {
                                   if (large(arrived)) arrived[70'001] ^= std::byte{4};
                                 }),
                    errors::digest_mismatch, "weights/o");
  // The right values at each other's place, and a piece that did not come.
  EXPECT_ERROR_SAYS(restore_with(folder.path(),
                                 [&](std::span<std::byte> arrived) {
                                   if (!large(arrived)) return;
                                   std::swap_ranges(arrived.begin(), arrived.begin() + 4,
                                                    arrived.begin() + 400);
                                 }),
                    errors::digest_mismatch, "placement sum");
  EXPECT_ERROR_SAYS(restore_with(folder.path(),
                                 [&](std::span<std::byte> arrived) {
                                   if (!large(arrived)) return;
                                   std::fill_n(arrived.begin() + 4096, 4096, std::byte{0});
                                 }),
                    errors::digest_mismatch, "placement sum");
}

}  // namespace
}  // namespace concordat::checkpoint
