#include "concordat/device/pinning.hpp"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include "concordat/device/errors.hpp"

namespace concordat::device {

namespace {

/// Confines the calling thread. 0 or errno.
int confine_to(const std::vector<int>& processors) {
  // Of any size: cpu_set_t ends at 1024.
  const auto limit =
      static_cast<std::size_t>(*std::max_element(processors.begin(), processors.end())) + 1;
  const std::size_t bytes = CPU_ALLOC_SIZE(limit);
  cpu_set_t* set = CPU_ALLOC(limit);
  if (set == nullptr) return ENOMEM;
  CPU_ZERO_S(bytes, set);
  for (const int processor : processors) CPU_SET_S(static_cast<std::size_t>(processor), bytes, set);
  const int code = ::sched_setaffinity(0, bytes, set) == 0 ? 0 : errno;
  CPU_FREE(set);
  return code;
}

std::string listed(const std::vector<int>& processors) {
  std::string text;
  for (const int processor : processors) {
    text += (text.empty() ? "" : ", ") + std::to_string(processor);
  }
  return text;
}

}  // namespace

void pin_threads(const std::vector<int>& processors, int threads) {
  CONCORDAT_REQUIRE(threads > 0 && static_cast<std::size_t>(threads) <= processors.size() &&
                        *std::min_element(processors.begin(), processors.end()) >= 0,
                    std::to_string(threads) + " threads on " + listed(processors));
  std::atomic<int> failure{confine_to(processors)};
#pragma omp parallel num_threads(threads)
  {
    const auto me = static_cast<std::size_t>(omp_get_thread_num());
    const int code = me == 0 ? 0 : confine_to({processors[me]});
    if (code != 0) failure = code;
  }
  if (failure == 0) return;
  throw Error(errors::cannot_pin,
              {.what = "the kernel does not pin threads to these processors",
               .where = "sched_setaffinity",
               .found = "processors " + listed(processors) + ": " + std::strerror(failure),
               .expected = "processors that are online and allowed to this process",
               .remedy = "set train.pin = off, or start the job with another binding"});
}

}  // namespace concordat::device
