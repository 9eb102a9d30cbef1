#include "concordat/comm/runtime.hpp"

#include <mpi.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "comm/group_communicator.hpp"
#include "comm/interlink.hpp"
#include "comm/mpi_transport.hpp"
#include "concordat/comm/agree.hpp"

namespace concordat::comm {

struct Runtime::Impl {
  bool owns_mpi = false;
  std::shared_ptr<Transport> transport;
  std::unique_ptr<Communicator> all;
  bool several = false;  ///< parties with work of their own share the job
};

namespace {

constexpr std::size_t max_party_bytes = 4096;

std::vector<Seat> gather_seats(Communicator& all, const Seat& own) {
  CONCORDAT_REQUIRE(own.party.size() <= max_party_bytes, own.party);
  ByteWriter mine;
  mine.u8(static_cast<std::uint8_t>(own.role));
  mine.sized(own.party);
  std::vector<Seat> seats;
  for (const Bytes& bytes : all.all_gather_bytes(mine.bytes())) {
    ByteReader in(bytes, "seat of rank " + std::to_string(seats.size()));
    Seat seat;
    seat.role = static_cast<Role>(in.u8());
    seat.party = in.sized_string(max_party_bytes);
    in.finish();
    seats.push_back(std::move(seat));
  }
  return seats;
}

/// The other ends of a border (the coordinators) or of a coordinator (the borders). A pair's
/// channel is the border's place among the borders: a second coordinator is another rank.
std::vector<InterlinkPeer> peers_of(const std::vector<Seat>& seats, int self) {
  const Role own = seats[static_cast<std::size_t>(self)].role;
  std::vector<InterlinkPeer> peers;
  int border = 0;
  int own_channel = 0;
  for (int rank = 0; rank < static_cast<int>(seats.size()); ++rank) {
    const Seat& seat = seats[static_cast<std::size_t>(rank)];
    if (seat.role == Role::border) {
      if (rank == self) own_channel = border;
      if (own == Role::coordinator) peers.push_back({seat.party, rank, border});
      ++border;
    } else if (seat.role == Role::coordinator && own == Role::border) {
      peers.push_back({seat.party, rank, 0});
    }
  }
  if (own == Role::border) {
    for (InterlinkPeer& peer : peers) peer.channel = own_channel;
  }
  return peers;
}

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

std::string_view name_of(Role role) {
  switch (role) {
    case Role::train:
      return "train";
    case Role::border:
      return "border";
    case Role::coordinator:
      return "coordinator";
  }
  return "unknown";
}

Split::Split() = default;
Split::Split(Split&&) noexcept = default;
Split::~Split() = default;

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
  const bool clean =
      impl_->transport == nullptr || close_mpi_transport(*impl_->transport, impl_->several);
  if (clean && impl_->owns_mpi) MPI_Finalize();
}

Split Runtime::split(const Seat& own) {
  Split split;
  Communicator& all = *impl_->all;
  split.seats = gather_seats(all, own);
  const int self = all.rank();
  split.self = self;
  // The colour of a group is its first rank, so no table of colours is needed.
  int color = 0;
  while (!(split.seats[static_cast<std::size_t>(color)] == own)) ++color;
  auto group = all.split(color, self);
  // After a split all processes have the same next context.
  const int context = impl_->transport->next_context++;
  CONCORDAT_REQUIRE(context < (1 << impl_->transport->tags().context_bits),
                    "the job has used up its " + std::to_string(context) + " groups");
  for (const Seat& seat : split.seats) impl_->several = impl_->several || !(seat == own);
  if (own.role == Role::train) {
    split.ranks = std::move(group);
  } else {
    split.interlink = make_interlink(impl_->transport, context, own.role == Role::coordinator,
                                     peers_of(split.seats, self));
  }
  return split;
}

int Runtime::run(const std::function<int(Communicator&)>& rank_main,
                 const std::function<void(const std::exception&)>& report) {
  return run_as(
      {}, [&](Split& split) { return rank_main(*split.ranks); }, report);
}

int Runtime::run_as(const Seat& own, const std::function<int(Split&)>& main,
                    const std::function<void(const std::exception&)>& report) {
  ExitCode code = ExitCode::internal;
  try {
    Split parts = split(own);
    const int result = main(parts);
    if (parts.interlink) parts.interlink->leave();
    return result;
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
    impl_->all->fail(error);
  } catch (const std::exception& error) {
    report(error);
    impl_->all->fail(error);
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
