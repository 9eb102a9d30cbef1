// The same bits from binaries built for SSE2, AVX2 with FMA, and AVX-512.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>

namespace {

std::string output_of(const char* program) {
  struct Close {
    void operator()(std::FILE* pipe) const { ::pclose(pipe); }
  };
  const std::unique_ptr<std::FILE, Close> pipe(::popen(program, "r"));
  std::string text;
  char buffer[4096];
  while (pipe && std::fgets(buffer, sizeof(buffer), pipe.get()) != nullptr) text += buffer;
  return text;
}

TEST(Widths, Avx2GivesTheBitsOfSse2) {
  const std::string base = output_of(CONCORDAT_EXACT_DIGEST_BASE);
  ASSERT_GT(base.size(), 500U);
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    GTEST_SKIP() << "skipped: this processor has no AVX2";
  }
  EXPECT_EQ(base, output_of(CONCORDAT_EXACT_DIGEST_AVX2));
}

TEST(Widths, Avx512GivesTheBitsOfSse2) {
#ifdef CONCORDAT_EXACT_DIGEST_AVX512
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl")) {
    GTEST_SKIP() << "skipped: this processor has no AVX-512";
  }
  EXPECT_EQ(output_of(CONCORDAT_EXACT_DIGEST_BASE), output_of(CONCORDAT_EXACT_DIGEST_AVX512));
#else
  GTEST_SKIP() << "skipped: this compiler has no AVX-512";
#endif
}

}  // namespace
