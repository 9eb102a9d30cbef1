#include "concordat/border/reach.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "border/tls_stream.hpp"
#include "concordat/border/errors.hpp"
#include "support/expect_error.hpp"

namespace concordat::border {
namespace {

constexpr std::chrono::milliseconds limit{5000};

TEST(Reach, AddressesHaveAHostAndAPort) {
  const Address name = parse_address("hub.example.org:7443", "a test");
  EXPECT_EQ(name.host, "hub.example.org");
  EXPECT_EQ(name.port, 7443);
  EXPECT_EQ(parse_address("[::1]:80", "a test").host, "::1");
  for (const char* text : {"", "hub", ":7443", "hub:", "hub:0", "hub:70000", "hub:74x"}) {
    EXPECT_ERROR_SAYS(parse_address(text, "a test"), errors::bad_address, "a test");
  }
  EXPECT_EQ(parse_address("[::]:0", "a test", Port::to_listen).host, "::");
  EXPECT_ERROR(parse_address("hub:", "a test", Port::to_listen), errors::bad_address);
}

/// Listens on a free port of this machine, and answers nobody.
struct Listener {
  Listener() : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    auto* generic = reinterpret_cast<sockaddr*>(&at);
    EXPECT_EQ(::bind(socket.get(), generic, length), 0);
    EXPECT_EQ(::listen(socket.get(), 4), 0);
    EXPECT_EQ(::getsockname(socket.get(), generic, &length), 0);
    port = ntohs(at.sin_port);
  }
  Socket socket;
  std::uint16_t port = 0;
};

TEST(Reach, AListenerIsReachedAndItsAddressesAreNamed) {
  Listener listener;
  const Reach reach = reach_out({"127.0.0.1", listener.port}, limit);
  EXPECT_EQ(reach.step, Reach::Step::connected) << reach.reason;
  EXPECT_EQ(reach.failure, Reach::Failure::none);
  EXPECT_EQ(reach.found, std::vector<std::string>{"127.0.0.1"});
}

TEST(Reach, APortWhereNobodyListensRefuses) {
  Listener listener;
  listener.socket.reset();
  const Reach reach = reach_out({"127.0.0.1", listener.port}, limit);
  EXPECT_EQ(reach.step, Reach::Step::connect);
  EXPECT_EQ(reach.failure, Reach::Failure::refused);
  EXPECT_FALSE(reach.reason.empty());
}

TEST(Reach, ANameThatNobodyHasFailsAtTheFirstStep) {
  const Reach reach = reach_out({"nobody.invalid", 7443}, limit);
  EXPECT_EQ(reach.step, Reach::Step::resolve);
  EXPECT_FALSE(reach.reason.empty());
  EXPECT_TRUE(reach.found.empty());
}

}  // namespace
}  // namespace concordat::border
