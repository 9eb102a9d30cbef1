#include "checkpoint/batch.hpp"

#include <gtest/gtest.h>

#include <map>

#include "checkpoint/extents.hpp"
#include "checkpoint/leaves.hpp"
#include "concordat/comm/threads.hpp"
#include "concordat/crypto/merkle.hpp"
#include "support/temporary_folder.hpp"
#include "unit/checkpoint/test_state.hpp"

namespace concordat::checkpoint {
namespace {

using parallel::Segment;

/// Canonical index -> local index.
std::map<std::int64_t, std::int64_t> elements_of(const std::vector<Segment>& segments) {
  std::map<std::int64_t, std::int64_t> all;
  for (const Segment& s : segments) {
    for (std::int64_t i = 0; i < s.count * s.run; ++i) {
      const bool fresh = all.insert({s.begin + i / s.run * s.stride + i % s.run,
                                     s.local_begin + i / s.run * s.local_stride + i % s.run})
                             .second;
      EXPECT_TRUE(fresh) << "an element twice";
    }
  }
  return all;
}

TEST(Batch, a_segment_cut_to_a_range_has_its_elements_and_no_others) {
  for (const Segment& segment : {Segment{10, 7, 1, 0, 3, 0}, Segment{5, 3, 6, 4, 2, 3},
                                 Segment{0, 4, 5, 4, 0, 4}, Segment{8, 1, 9, 5, 40, 2}}) {
    const auto whole = elements_of({segment});
    for (std::int64_t begin = 0; begin < 60; ++begin) {
      for (std::int64_t end = begin; end < 60; ++end) {
        auto expected = whole;
        std::erase_if(expected, [&](const auto& e) { return e.first < begin || e.first >= end; });
        ASSERT_EQ(elements_of(restricted(segment, begin, end)), expected) << begin << " " << end;
      }
    }
  }
}

/// A matrix larger than a window, sharded along `axis`, and a small vector.
struct LargeState {
  LargeState(const comm::Communicator& comm, int axis) {
    const parallel::MeshShape mesh{.tp = comm.size()};
    const auto coords = coords_of(mesh, comm.rank());
    for (const parallel::ParameterSpec& spec :
         {parallel::ParameterSpec{.name = "large", .shape = {2100, 4098}, .shard_axis = axis},
          parallel::ParameterSpec{.name = "small", .shape = {6}}}) {
      tensors.push_back(named_tensor(spec.name, spec, Dtype::f32,
                                     host_tensor(Dtype::f32, local_shape(spec, mesh, coords)), mesh,
                                     coords));
    }
  }

  /// Calls visit(element, canonical index).
  template <typename Visit>
  void visit(Visit visit_element) const {
    for (const NamedTensor& tensor : tensors) {
      for (const Segment& s : tensor.held) {
        for (std::int64_t i = 0; i < s.count; ++i) {
          float* row = tensor.local.raw<float>() + s.local_begin + i * s.local_stride;
          for (std::int64_t j = 0; j < s.run; ++j) {
            visit_element(row[j], static_cast<float>(s.begin + i * s.stride + j + 1));
          }
        }
      }
    }
  }
  std::vector<NamedTensor> tensors;
};

TEST(Batch, a_tensor_larger_than_a_window_moves_in_several_batches_and_arrives_whole) {
  testing_support::TemporaryFolder folder;
  comm::run_threads(2, [&](comm::Communicator& comm) {
    const LargeState state(comm, 1);
    std::int64_t elements = 0;
    const auto batches = batches_of(state.tensors, comm.size());
    EXPECT_GT(batches.size(), 1U);
    for (const Batch& batch : batches) {
      for (const Window& window : batch) {
        for (int rank = 0; rank < 2; ++rank) {
          elements += slice_of(window, state.tensors[window.dataset].shape, rank, 2).count();
        }
      }
    }
    EXPECT_EQ(elements, 2100 * 4098 + 6);
    state.visit([](float& element, float index) { element = index; });
    save_generation(comm, posix_files(), folder.path(), {.step = 1, .round = 0}, state.tensors, {});
  });
  EXPECT_EQ(verify_generation(posix_files(), folder.path() / "step-000001"), std::nullopt);
  // One rank reads to where the tensor lies; others get theirs from each other.
  for (const auto& [ranks, axis] : {std::pair(1, 1), std::pair(2, 0), std::pair(3, 0)}) {
    comm::run_threads(ranks, [&, axis = axis](comm::Communicator& comm) {
      const LargeState state(comm, axis);
      EXPECT_TRUE(restore_newest(comm, posix_files(), folder.path(), state.tensors).has_value());
      std::int64_t wrong = 0;
      state.visit([&](float& element, float index) { wrong += element == index ? 0 : 1; });
      EXPECT_EQ(wrong, 0);
    });
  }
}

TEST(Batch, any_number_of_threads_hashes_alike) {
  std::vector<Tensor> parts{host_tensor(Dtype::f32, {3'700'000}), Tensor(),
                            host_tensor(Dtype::bf16, {65'536}), host_tensor(Dtype::i64, {1})};
  std::vector<std::vector<Digest>> expected(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;
    for (std::size_t b = 0; b < parts[i].size_bytes(); ++b) {
      parts[i].raw_bytes()[b] = static_cast<std::byte>(b * 7 + b / 999);
    }
    const std::size_t block = size_of(parts[i].dtype()) << tensor_block_log2;
    const ByteView bytes{reinterpret_cast<const std::uint8_t*>(parts[i].raw_bytes()),
                         parts[i].size_bytes()};
    for (std::size_t at = 0; at < bytes.size(); at += block) {
      expected[i].push_back(
          crypto::merkle_leaf(bytes.subspan(at, std::min(block, bytes.size() - at))));
    }
  }
  for (const int threads : {1, 2, 4, 9})
    EXPECT_EQ(leaves_of(parts, threads, [] { return false; }), expected);
  EXPECT_EQ(leaves_of({}, 3, [] { return false; }).size(), 0U);
  EXPECT_NE(leaves_of(parts, 2, [] { return true; }), expected) << "it was told to stop";
}

}  // namespace
}  // namespace concordat::checkpoint
