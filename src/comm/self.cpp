// The `self` back end: one rank, so nothing ever travels.
#include "comm/fault.hpp"
#include "comm/group_communicator.hpp"

namespace concordat::comm {

namespace {

class SelfTransport final : public Transport {
 public:
  SelfTransport() : Transport(CommOptions{}) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }
  TagLayout tags() const override { return {}; }
  std::unique_ptr<Transfer> send(int to, int, ByteView) override { refuse(to); }
  std::unique_ptr<Transfer> receive(int from, int, ByteSpan) override { refuse(from); }
  void post_fault(const std::string& text, int exit_code) noexcept override {
    if (failed_) return;
    failed_ = true;
    fault_ = {0, exit_code, text};
  }
  void check() override {
    if (failed_) throw peer_failed_error(fault_, 0);
  }
  void back_off(int) override {}

 private:
  [[noreturn]] static void refuse(int peer) {
    throw Bug("a group of one has no rank " + std::to_string(peer) + " to exchange with");
  }
  bool failed_ = false;
  Fault fault_;
};

}  // namespace

std::unique_ptr<Communicator> self_communicator() {
  return GroupCommunicator::all(std::make_shared<SelfTransport>());
}

}  // namespace concordat::comm
