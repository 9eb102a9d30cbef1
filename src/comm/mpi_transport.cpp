#include "comm/mpi_transport.hpp"

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "comm/fault.hpp"
#include "concordat/core/unique_handle.hpp"

namespace concordat::comm {

namespace {

constexpr int fault_tag = 1;
constexpr std::size_t fault_bytes = 4096;

void require_success(int code, const char* function) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(errors::mpi_failed, {.what = "an MPI call failed",
                                   .where = function,
                                   .found = std::string(text, static_cast<std::size_t>(length)),
                                   .remedy = "restart from the last checkpoint"});
}

struct CommTraits {
  using Handle = MPI_Comm;
  static Handle empty() { return MPI_COMM_NULL; }
  static void destroy(Handle comm) noexcept { MPI_Comm_free(&comm); }
};

/// All calls go through one mutex: the thread level is SERIALIZED, and none of them blocks.
using Lock = std::lock_guard<std::mutex>;

/// Gives up a request of a dead group, so that nothing is written into its buffer afterwards. A
/// cancelled receive completes locally; one already matched gets the time to finish.
/// @pre the mutex of the transport is held.
void give_up(MPI_Request& request) noexcept {
  if (request == MPI_REQUEST_NULL) return;
  MPI_Cancel(&request);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
  for (int flag = 0; flag == 0 && std::chrono::steady_clock::now() < limit;) {
    if (MPI_Test(&request, &flag, MPI_STATUS_IGNORE) != MPI_SUCCESS) break;
  }
  if (request != MPI_REQUEST_NULL) MPI_Request_free(&request);
}

class MpiTransfer final : public Transfer {
 public:
  MpiTransfer(int peer, std::mutex& mutex) : Transfer(peer), mutex_(mutex) {}
  ~MpiTransfer() override {
    if (request == MPI_REQUEST_NULL) return;
    Lock lock(mutex_);
    give_up(request);
  }
  bool done() override {
    if (request == MPI_REQUEST_NULL) return true;
    Lock lock(mutex_);
    int flag = 0;
    require_success(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
    return flag != 0;
  }
  MPI_Request request = MPI_REQUEST_NULL;

 private:
  std::mutex& mutex_;
};

class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(const CommOptions& options) : Transport(options) {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    read_tag_range();
    data_.reset(duplicate_world());
    fault_.reset(duplicate_world());
    fault_buffer_.resize(fault_bytes);
    require_success(MPI_Irecv(fault_buffer_.data(), static_cast<int>(fault_bytes), MPI_BYTE,
                              MPI_ANY_SOURCE, fault_tag, fault_.get(), &fault_request_),
                    "MPI_Irecv");
  }

  ~MpiTransport() override {
    // Not closed: a failure came first, or the process is leaving. MPI_Comm_free is collective
    // and must not be called alone, so the handles are left to the process's end.
    give_up(fault_request_);
    data_.release();
    fault_.release();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  TagLayout tags() const override { return tags_; }

  std::unique_ptr<Transfer> send(int to, int tag, ByteView bytes) override {
    auto transfer = std::make_unique<MpiTransfer>(to, mutex_);
    Lock lock(mutex_);
    require_success(MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, to, tag,
                              data_.get(), &transfer->request),
                    "MPI_Isend");
    return transfer;
  }

  std::unique_ptr<Transfer> receive(int from, int tag, ByteSpan into) override {
    auto transfer = std::make_unique<MpiTransfer>(from, mutex_);
    Lock lock(mutex_);
    require_success(MPI_Irecv(into.data(), static_cast<int>(into.size()), MPI_BYTE, from, tag,
                              data_.get(), &transfer->request),
                    "MPI_Irecv");
    return transfer;
  }

  void post_fault(const std::string& text, int exit_code) noexcept override;

  void check() override {
    Lock lock(mutex_);
    if (!failed_) poll_faults();
    if (failed_) throw peer_failed_error(first_fault_, rank_);
  }

  void back_off(int idle_steps) override {
    using std::chrono::microseconds;
    if (idle_steps < 50) return;
    if (idle_steps < 200) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(
          std::min(microseconds(1000), microseconds(20) * (1 + (idle_steps - 200) / 16)));
    }
  }

  bool close(bool patient) noexcept {
    if (failed_ || !drain()) return false;
    try {
      // A last round trip between all, so that nobody frees while another still fails.
      Lock lock(mutex_);
      MPI_Request barrier = MPI_REQUEST_NULL;
      require_success(MPI_Ibarrier(fault_.get(), &barrier), "MPI_Ibarrier");
      const auto limit = std::chrono::steady_clock::now() + options().stall_timeout;
      for (int flag = 0, steps = 0; flag == 0; back_off(steps++)) {
        require_success(MPI_Test(&barrier, &flag, MPI_STATUS_IGNORE), "MPI_Test");
        poll_faults();
        if (failed_) return false;
        if (!patient && std::chrono::steady_clock::now() > limit) return false;
      }
      give_up(fault_request_);
      data_.reset();
      fault_.reset();
      return true;
    } catch (const std::exception&) {
      return false;  // leaving anyway; MPI is not finalised then
    }
  }

 private:
  /// @pre mutex_ is held.
  void poll_faults() {
    if (fault_request_ == MPI_REQUEST_NULL) return;
    int flag = 0;
    MPI_Status status;
    require_success(MPI_Test(&fault_request_, &flag, &status), "MPI_Test");
    if (flag == 0) return;
    int count = 0;
    MPI_Get_count(&status, MPI_BYTE, &count);
    first_fault_ = decode_fault(ByteView(fault_buffer_).first(static_cast<std::size_t>(count)));
    failed_ = true;
  }

  void read_tag_range() {
    void* value = nullptr;
    int found = 0;
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &value, &found);
    const std::int64_t limit = found != 0 ? *static_cast<int*>(value) : 32767;
    int bits = 0;
    while ((std::int64_t{1} << (bits + 1)) <= limit + 1) ++bits;
    tags_.sequence_bits = 17;
    tags_.context_bits = std::min(12, bits - tags_.sequence_bits - 1);
    if (tags_.context_bits >= 4) return;
    throw Error(errors::mpi_unsuitable, {.what = "message tags are too short",
                                         .where = "MPI_COMM_WORLD",
                                         .found = "MPI_TAG_UB = " + std::to_string(limit),
                                         .expected = "at least 4194303",
                                         .remedy = "choose another transport of this MPI"});
  }

  static MPI_Comm duplicate_world() {
    MPI_Comm copy = MPI_COMM_NULL;
    MPI_Request request = MPI_REQUEST_NULL;
    require_success(MPI_Comm_idup(MPI_COMM_WORLD, &copy, &request), "MPI_Comm_idup");
    for (int flag = 0; flag == 0; std::this_thread::yield()) {
      require_success(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
    }
    MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN);
    return copy;
  }

  int rank_ = 0;
  int size_ = 1;
  TagLayout tags_;
  std::mutex mutex_;
  UniqueHandle<CommTraits> data_;
  UniqueHandle<CommTraits> fault_;
  MPI_Request fault_request_ = MPI_REQUEST_NULL;
  Bytes fault_buffer_;
  Bytes fault_out_;  ///< outlives its sends
  bool failed_ = false;
  Fault first_fault_;
};

void MpiTransport::post_fault(const std::string& text, int exit_code) noexcept {
  try {
    std::vector<MPI_Request> requests;
    {
      Lock lock(mutex_);
      if (failed_) return;
      failed_ = true;
      first_fault_ = {rank_, exit_code, text};
      fault_out_ = encode(first_fault_, fault_bytes);
      for (int peer = 0; peer < size_; ++peer) {
        if (peer == rank_) continue;
        requests.push_back(MPI_REQUEST_NULL);
        MPI_Isend(fault_out_.data(), static_cast<int>(fault_out_.size()), MPI_BYTE, peer, fault_tag,
                  fault_.get(), &requests.back());
      }
    }
    // Short messages leave at once; a peer that computes takes it later. A second is plenty.
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    for (auto& request : requests) {
      for (int flag = 0; flag == 0 && std::chrono::steady_clock::now() < limit;) {
        Lock lock(mutex_);
        if (MPI_Test(&request, &flag, MPI_STATUS_IGNORE) != MPI_SUCCESS) break;
      }
    }
  } catch (const std::exception&) {
    failed_ = true;  // out of memory: the process is about to leave through abort()
  }
}

}  // namespace

std::shared_ptr<Transport> make_mpi_transport(const CommOptions& options) {
  return std::make_shared<MpiTransport>(options);
}

bool close_mpi_transport(Transport& transport, bool patient) noexcept {
  return static_cast<MpiTransport&>(transport).close(patient);
}

}  // namespace concordat::comm
