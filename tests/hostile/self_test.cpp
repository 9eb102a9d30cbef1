// The harness itself has to see what it looks for: each wrong decoder below must fail the test.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "concordat/core/error.hpp"
#include "support/hostile.hpp"

namespace concordat::hostile {
namespace {

using testing_support::expect_typed;

const std::vector<Bytes>& seeds() {
  static const auto& bytes = *new std::vector<Bytes>{Bytes(64, 1)};
  return bytes;
}

void refuse() { throw Error(errors::malformed, {.what = "refused", .where = "a test"}); }

TEST(HostileBytes, ADecoderThatThrowsWhateverItLikesIsFound) {
  EXPECT_NONFATAL_FAILURE(expect_typed(seeds(),
                                       [](ByteView bytes) {
                                         if (bytes.size() < 64) throw std::out_of_range("substr");
                                         if (bytes[5] != 1) refuse();
                                       }),
                          "another exception: substr");
}

TEST(HostileBytes, ADecoderThatBelievesALengthIsFound) {
  EXPECT_NONFATAL_FAILURE(expect_typed(seeds(),
                                       [](ByteView bytes) {
                                         if (bytes.size() != 64) refuse();
                                         std::uint64_t length = bytes[7];
                                         Bytes room(length << 20U);
                                         if (room.empty() || bytes[3] != 1) refuse();
                                       }),
                          "bytes allocated, allowed");
}

TEST(HostileBytes, ADecoderThatTakesEverythingIsFound) {
  EXPECT_NONFATAL_FAILURE(expect_typed(seeds(), [](ByteView) {}), "hardly anything was refused");
}

TEST(HostileBytes, ASeedThatDoesNotDecodeIsFound) {
  EXPECT_NONFATAL_FAILURE(expect_typed(seeds(), [](ByteView) { refuse(); }), "a seed");
}

}  // namespace
}  // namespace concordat::hostile
