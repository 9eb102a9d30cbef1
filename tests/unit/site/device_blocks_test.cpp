// Updates that another back end makes into masked codes: the files are those of the host.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "concordat/device/exec.hpp"
#include "concordat/exact/errors.hpp"
#include "concordat/site/errors.hpp"
#include "device/reference/reference_kernels.hpp"
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

/// A device that gets one code of its nth span wrong, by a bit.
class WrongKernels final : public device::ReferenceKernels {
 public:
  WrongKernels(int nth, std::size_t element) : left_(nth), element_(element) {}
  void quantise_update(const device::QuantiseOutputs& out, const device::QuantiseInputs& in,
                       const device::QuantiseSettings& settings) override {
    ReferenceKernels::quantise_update(out, in, settings);
    if (--left_ != 0) return;
    out.codes.raw_bytes()[element_ * size_of(out.codes.dtype())] ^= std::byte{1};
  }

 private:
  int left_;
  std::size_t element_;
};

class WrongBackend final : public device::Backend {
 public:
  WrongBackend(int nth, std::size_t element) : kernels_(nth, element) {}
  std::string_view name() const override { return "wrong"; }
  Tensor allocate(Dtype dtype, Shape shape) override {
    return host_tensor(dtype, std::move(shape));
  }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<InlineStream>(); }
  std::string instructions_in_use() const override { return "a bad GPU"; }
  bool multiplies(Dtype) const override { return true; }
  bool immediate() const override { return true; }
  device::Kernels& kernels(Stream&) override { return kernels_; }

 private:
  WrongKernels kernels_;
};

std::unique_ptr<device::Backend> backend_called(const std::string& name) {
  return name.empty() ? nullptr : device::make_backend(name);
}

class DeviceBlocks : public OneSite {
 protected:
  /// One rank up to the exchange of `round`, with an error feedback as earlier rounds leave it.
  void exchange(std::unique_ptr<device::Backend> backend, Round round,
                const std::function<void(ToyRank&)>& end) {
    quick_files().remove_all(runs[0]);
    borders.restart(runs);
    comm::run_threads(1, [&](comm::Communicator& comm) {
      ToyRank rank(comm, runs[0], toy_terms(), 1);
      rank.start();
      rank.exchange.resume(round);
      std::optional<device::Session> session;
      if (backend) {
        session.emplace(std::move(backend));
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
    exchange(backend_called(backend), round, [](ToyRank& rank) {
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
    exchange(backend_called(backend), Round{0}, [&](ToyRank& rank) {
      for_each_element(rank.layout(), rank.weights(), [](std::int64_t index, float& w) {
        if (index == 40001) w = std::numeric_limits<float>::quiet_NaN();
      });
      EXPECT_ERROR_SAYS(rank.exchange.run(rank.weights(), 600, "step-1", nullptr),
                        exact::errors::not_finite, "canonical index 40001");
      EXPECT_FALSE(rank.exchange.committed()) << backend;
    });
  }
}

// The toy has two blocks of one span and a block of two. Round r looks at block r.
TEST_F(DeviceBlocks, ADeviceWithOtherBitsIsNamedWithTheElementAndNothingIsCommitted) {
  struct Case {
    Round round;
    int nth;
    std::size_t element;
    std::string says;
  };
  const Case cases[] = {
      {Round{0}, 1, 4321, "block 0, canonical index 4321, element 4321 of embed"},
      {Round{1}, 2, 16383, "block 1, canonical index 32767, element 19567 of up"},
      {Round{2}, 4, 5, "block 2, canonical index 43205, element 5 of head"},
  };
  for (const Case& each : cases) {
    auto wrong = std::make_unique<WrongBackend>(each.nth, each.element);
    exchange(std::move(wrong), each.round, [&](ToyRank& rank) {
      EXPECT_ERROR_SAYS(rank.exchange.run(rank.weights(), 600, "step-1", once_committed(rank)),
                        errors::device_differs, "wrong (a bad GPU), " + each.says);
      EXPECT_FALSE(rank.exchange.committed());
    });
  }
}

}  // namespace
}  // namespace concordat::site
