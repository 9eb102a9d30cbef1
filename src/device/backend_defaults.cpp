// What a back end does unless it says otherwise. A file of its own, because plug-ins need it
// without the back ends of the program.
#include "concordat/comm/communicator.hpp"
#include "concordat/core/worker_stream.hpp"
#include "concordat/device/backend.hpp"

namespace concordat::device {

void Backend::poison(Stream&, const Tensor&) {}

std::unique_ptr<comm::Communicator> Backend::communicator(comm::Communicator&) { return nullptr; }

bool Backend::reached_by(const comm::Communicator&) const { return true; }

bool Backend::sums_in_fixed_order() const { return true; }

bool Backend::captures() const { return false; }

std::unique_ptr<Graph> Backend::capture(Stream&, const std::function<void()>&) {
  throw Bug("a capture on the back end " + std::string(name()));
}

int Backend::weight_copies(Dtype) const { return 0; }

std::size_t Backend::weight_copy_bytes() const { return 0; }

std::unique_ptr<Stream> Backend::make_message_stream() { return std::make_unique<WorkerStream>(); }

}  // namespace concordat::device
