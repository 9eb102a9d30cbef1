#include "concordat/comm/runtime.hpp"

#include <mpi.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "comm/group_communicator.hpp"
#include "comm/mpi_transport.hpp"
#include "concordat/comm/agree.hpp"

namespace concordat::comm {

struct Runtime::Impl {
  bool owns_mpi = false;
  std::shared_ptr<Transport> transport;
  std::unique_ptr<Communicator> all;
};

namespace {

void check_thread_level() {
  int level = 0;
  MPI_Query_thread(&level);
  if (level >= MPI_THREAD_SERIALIZED) return;
  throw Error(errors::mpi_unsuitable, {.what = "MPI was built without support for threads",
                                       .where = mpi_library(),
                                       .found = "thread level " + std::to_string(level),
                                       .expected = "at least MPI_THREAD_SERIALIZED (" +
                                                   std::to_string(MPI_THREAD_SERIALIZED) + ")",
                                       .remedy = "use an MPI library that is built with threads"});
}

}  // namespace

Runtime::Runtime(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runtime::Runtime(Runtime&&) noexcept = default;

Runtime Runtime::start(int& argc, char**& argv, const CommOptions& options) {
  auto impl = std::make_unique<Impl>();
  int initialised = 0;
  MPI_Initialized(&initialised);
  if (initialised == 0) {
    int provided = 0;
    if (MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) {
      throw Error(errors::mpi_failed, {.what = "MPI did not start", .where = "MPI_Init_thread"});
    }
    impl->owns_mpi = true;
  }
  // From here on a refusal must still leave MPI in order, or the launcher blames a crash.
  Runtime runtime(std::move(impl));
  check_thread_level();
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  check_launcher(size, [](const char* name) -> const char* { return std::getenv(name); });
  runtime.impl_->transport = make_mpi_transport(options);
  runtime.impl_->all = GroupCommunicator::all(runtime.impl_->transport);
  return runtime;
}

Runtime::~Runtime() {
  if (!impl_) return;
  impl_->all.reset();
  const bool clean = impl_->transport == nullptr || close_mpi_transport(*impl_->transport);
  if (clean && impl_->owns_mpi) MPI_Finalize();
}

Communicator& Runtime::communicator() { return *impl_->all; }

int Runtime::run(const std::function<int(Communicator&)>& rank_main,
                 const std::function<void(const std::exception&)>& report) {
  ExitCode code = ExitCode::internal;
  try {
    return rank_main(communicator());
  } catch (const Error& error) {
    code = error.exit_code();
    const auto* agreed_error = dynamic_cast<const AgreedError*>(&error);
    const bool echo =
        error.code() == errors::peer_failed || (agreed_error != nullptr && !agreed_error->origin());
    if (echo) {
      // The rank it came from reports and ends the job; give its message the time to get out.
      std::this_thread::sleep_for(std::chrono::seconds(2));
    }
    report(error);
    communicator().fail(error);
  } catch (const std::exception& error) {
    report(error);
    communicator().fail(error);
  }
  abort(code);
}

void Runtime::abort(ExitCode code) {
  std::fflush(nullptr);
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size > 1) MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::_Exit(static_cast<int>(code));
}

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string name(text, static_cast<std::size_t>(length));
  return name.substr(0, name.find(','));
}

}  // namespace concordat::comm
