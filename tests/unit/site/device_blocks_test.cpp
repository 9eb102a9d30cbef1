// Updates that another back end makes into masked codes: the files are those of the host.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "concordat/device/exec.hpp"
#include "concordat/exact/errors.hpp"
#include "one_site.hpp"
#include "support/expect_error.hpp"

namespace concordat::site {
namespace {

/// "cuda" is the plug-in on the emulated CUDA, where this build has it, or the one that the
/// variable names (scripts/gpu-check.sh).
std::vector<std::string> other_backends() {
  std::vector<std::string> names{"reference", "strict"};
#ifdef CONCORDAT_EMULATED_PLUGIN
  ::setenv("CONCORDAT_CUDA_PLUGIN", CONCORDAT_EMULATED_PLUGIN, 0);
  names.emplace_back("cuda");
#endif
  return names;
}

class DeviceBlocks : public OneSite {
 protected:
  /// One rank up to the exchange of `round`, with an error feedback as earlier rounds leave it.
  void exchange(const std::string& backend, Round round, const std::function<void(ToyRank&)>& end) {
    quick_files().remove_all(runs[0]);
    borders.restart(runs);
    comm::run_threads(1, [&](comm::Communicator& comm) {
      ToyRank rank(comm, runs[0], toy_terms(), 1);
      rank.start();
      rank.exchange.resume(round);
      std::optional<device::Session> session;
      if (!backend.empty()) {
        session.emplace(backend);
        rank.exchange.quantise_on(session->exec());
      }
      for (const auto& named : rank.exchange.named_state()) {
        if (named.name != "outer/error") continue;
        const std::span<float> error = named.local.span<float>();
        for (std::size_t i = 0; i < error.size(); ++i) error[i] = 1e-4F * std::cos(float(i % 991));
      }
      rank.inner_steps(0);
      rank.exchange.announce("none");
      borders.answer(round.value());
      end(rank);
    });
  }
  std::pair<Bytes, Bytes> upload_of(const std::string& backend, Round round) {
    exchange(backend, round, [](ToyRank& rank) {
      EXPECT_EQ(rank.exchange.run(rank.weights(), 600, "step-1", once_committed(rank)),
                ExchangeEnd::stopped);
    });
    return borders.read_upload(0, round.value());
  }
};

TEST_F(DeviceBlocks, AreTheHostsByteForByte) {
  for (const Round round : {Round{0}, Round{1}}) {  // 8 bits in 16, 4 in 8
    const auto expected = upload_of("", round);
    ASSERT_EQ(expected.first.size(), round == Round{0} ? 98'000U : 49'000U);
    for (const std::string& backend : other_backends()) {
      EXPECT_EQ(upload_of(backend, round), expected) << backend << ", round " << round.value();
    }
  }
}

TEST_F(DeviceBlocks, ANanIsNamedByItsCanonicalIndexAndNothingIsCommitted) {
  for (const std::string& backend : other_backends()) {
    exchange(backend, Round{0}, [&](ToyRank& rank) {
      for_each_element(rank.layout(), rank.weights(), [](std::int64_t index, float& w) {
        if (index == 40001) w = std::numeric_limits<float>::quiet_NaN();
      });
      EXPECT_ERROR_SAYS(rank.exchange.run(rank.weights(), 600, "step-1", nullptr),
                        exact::errors::not_finite, "canonical index 40001");
      EXPECT_FALSE(rank.exchange.committed()) << backend;
    });
  }
}

}  // namespace
}  // namespace concordat::site
