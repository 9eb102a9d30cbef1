// The scenes of the exchange's tests: what a site has in the end, and one site alone.
#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "fake_border.hpp"
#include "support/temporary_folder.hpp"
#include "toy_site.hpp"

namespace concordat::site {

struct SiteShape {
  int ranks;
  int tp;
};

struct Outcome {
  Digest digest;
  std::vector<float> weights;  ///< canonical
};

/// The same on all ranks. Collective.
inline Outcome outcome_of(comm::Communicator& comm, ToyRank& rank) {
  Outcome result{rank.exchange.state_digest(),
                 std::vector<float>(static_cast<std::size_t>(rank.space().num_elements()))};
  for_each_element(rank.layout(), rank.weights(), [&](std::int64_t index, float& w) {
    result.weights[static_cast<std::size_t>(index)] = w;
  });
  // Sharded ranks fill in for each other: what a rank does not hold is 0 there.
  const auto all =
      comm.all_gather_bytes({reinterpret_cast<const std::uint8_t*>(result.weights.data()),
                             result.weights.size() * sizeof(float)});
  for (const Bytes& bytes : all) {
    for (std::size_t i = 0; i < result.weights.size(); ++i) {
      float other = 0;
      std::memcpy(&other, bytes.data() + 4 * i, 4);
      if (other != 0.0F) result.weights[i] = other;
    }
  }
  return result;
}

/// One site of two ranks in a federation of three whose others exist on paper only.
class OneSite : public ::testing::Test {
 protected:
  void run(const std::function<void(ToyRank&, comm::Communicator&)>& body) {
    comm::run_threads(2, [&](comm::Communicator& comm) {
      ToyRank rank(comm, runs[0], toy_terms(), 1);
      rank.start();
      rank.exchange.announce("none");
      body(rank, comm);
    });
  }
  /// Rank 0 answers the keys; then everybody goes on.
  void answer(comm::Communicator& comm) {
    if (comm.rank() == 0) borders.answer(0);
    comm.barrier();
  }
  /// A sum that might be: every code at its zero, but for the first.
  Bytes plausible_sums() const {
    Bytes sums;
    for (int i = 0; i < 49000; ++i) {
      sums.push_back(static_cast<std::uint8_t>(i == 0 ? 0x90 : 0x80));
      sums.push_back(1);  // 3 * 128 = 0x180
    }
    return sums;
  }
  static StopAsked once_committed(ToyRank& rank) {
    return [&rank] { return rank.exchange.committed(); };
  }

  testing_support::TemporaryFolder home;
  std::vector<FileSystem::Path> runs{home.path() / "a", home.path() / "b", home.path() / "c"};
  FakeBorders borders{runs};
  const Bytes weight{0x58, 0x02, 0, 0};  // 600 tokens
};

}  // namespace concordat::site
