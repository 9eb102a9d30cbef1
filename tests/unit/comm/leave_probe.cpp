// leave_probe HOW: a job whose rank 1 fails, for leave_test.sh.
#include <cstdio>
#include <cstring>

#include "concordat/comm/agree.hpp"
#include "concordat/comm/runtime.hpp"

int main(int argc, char** argv) {
  using namespace concordat;
  const bool agreed_error = argc > 1 && std::strcmp(argv[1], "agreed") == 0;
  const bool saved = argc > 1 && std::strcmp(argv[1], "saved") == 0;
  auto runtime = comm::Runtime::start(argc, argv);
  return runtime.run(
      [&](comm::Communicator& comm) {
        auto fail_on_one = [&] {
          if (comm.rank() == 1 && !saved) {
            throw Error(errors::disk_full, {.what = "no space", .where = "probe"});
          }
        };
        if (agreed_error) {
          comm::agreed(comm, fail_on_one);
        } else {
          fail_on_one();
        }
        comm.barrier();
        return saved ? 75 : 0;
      },
      [](const std::exception& error) { std::fprintf(stderr, "probe: %s\n", error.what()); });
}
