#include "border/road_protocol.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "concordat/border/errors.hpp"
#include "concordat/crypto/random.hpp"
#include "support/expect_error.hpp"

namespace concordat::border {
namespace {

using concordat::errors::malformed;

Bytes list_of(std::initializer_list<std::string_view> names) {
  Bytes list;
  for (std::string_view name : names) {
    list.push_back(static_cast<std::uint8_t>(name.size()));
    list.insert(list.end(), name.begin(), name.end());
  }
  return list;
}

/// Two pages, of which the second may not be touched: a read beyond the list ends the test.
class Edge {
 public:
  Edge() {
    void* place =
        ::mmap(nullptr, 2 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED ||
        ::mprotect(static_cast<char*>(place) + page_, page_, PROT_NONE) != 0) {
      throw std::runtime_error("no memory to test with");
    }
    begin_ = static_cast<std::uint8_t*>(place);
  }
  Edge(const Edge&) = delete;
  Edge& operator=(const Edge&) = delete;
  ~Edge() { ::munmap(begin_, 2 * page_); }
  /// A copy that ends with the first page.
  ByteView put(ByteView bytes) {
    std::uint8_t* at = begin_ + page_ - bytes.size();
    std::copy(bytes.begin(), bytes.end(), at);
    return {at, bytes.size()};
  }

 private:
  std::size_t page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::uint8_t* begin_ = nullptr;
};

/// The offset of what is found, or -1.
std::ptrdiff_t find_at_the_edge(ByteView bytes) {
  Edge edge;
  ByteView list = edge.put(bytes);
  ByteView found = find_road_protocol(list);
  return found.empty() ? -1 : found.data() - list.data();
}

TEST(RoadProtocol, OurNameIsFoundWhereverItStands) {
  EXPECT_EQ(find_at_the_edge(list_of({"concordat/1"})), 1);
  EXPECT_EQ(find_at_the_edge(list_of({"h2", "http/1.1", "concordat/1"})), 13);
  EXPECT_EQ(find_at_the_edge(list_of({"", "concordat/1", "h2"})), 2);
  EXPECT_EQ(find_at_the_edge(list_of({"concordat/2", "concordat/11", "oncordat/1"})), -1);
  EXPECT_EQ(find_at_the_edge({}), -1);
}

// A list that is cut anywhere, or whose last length leads out of it.
TEST(RoadProtocol, AHostileListIsReadToItsEndAndNoFurther) {
  const Bytes whole = list_of({"h2", "concordat/1"});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(find_at_the_edge(ByteView(whole).first(size)), -1) << size;
  }
  for (std::uint8_t length : {std::uint8_t{11}, std::uint8_t{12}, std::uint8_t{255}}) {
    Bytes lies = {length};
    lies.insert(lies.end(), whole.begin() + 4, whole.end() - 1);
    EXPECT_EQ(find_at_the_edge(lies), -1) << int{length};
  }
}

Error refusal_from(ByteView payload) {
  try {
    throw_refusal(payload, "hub:4433");
  } catch (const Error& error) {
    return error;
  }
}

Bytes refusal(std::string_view code, std::string_view text) {
  ByteWriter out;
  out.sized(code);
  out.sized(text);
  return std::move(out).bytes();
}

TEST(RoadProtocol, ARefusalCarriesItsCodeAlone) {
  Error told = refusal_from(encode_refusal(Error(errors::equivocation, {.what = "a second ready",
                                                                        .where = "exchange 3.0.0",
                                                                        .found = "another digest",
                                                                        .expected = "the first",
                                                                        .remedy = "none"})));
  EXPECT_EQ(told.code().name, "border.peer_refused");
  EXPECT_EQ(told.fields().found, "border.equivocation");
  EXPECT_EQ(told.fields().where, "hub:4433");
  EXPECT_NE(told.fields().what.find("a second ready"), std::string::npos);
}

TEST(RoadProtocol, TheTextOfARefusalSteersNothing) {
  const std::string text =
      "\x1b[2J\x1b]0;owned\x07\r\n[info] round 3: closed core.disk_full \xc2\x9b\x7f";
  Error told = refusal_from(refusal("border.equivocation", text));
  EXPECT_EQ(told.fields().found, "border.equivocation") << "a code in the text is no code";
  for (char c : std::string(told.what())) {
    EXPECT_TRUE(c >= ' ' && c <= '~') << static_cast<int>(c);
  }
  EXPECT_NE(std::string(told.what()).find("\\x1b[2J"), std::string::npos) << told.what();
}

TEST(RoadProtocol, ARefusalOutsideTheRulesIsAbuse) {
  for (std::string_view code : {"", "core.disk_full\n", "Core.disk", "core disk", "core.disk1",
                                "\x1b[0m", "core.d\xc3\xa4"}) {
    Error told = refusal_from(refusal(code, "text"));
    EXPECT_EQ(told.code().name, "border.road_abused") << code;
    EXPECT_EQ(std::string(told.what()).find('\n'), std::string::npos);
    EXPECT_EQ(std::string(told.what()).find('\x1b'), std::string::npos);
  }
  EXPECT_EQ(refusal_from(refusal(std::string(64, 'a'), "")).code().name, "border.peer_refused");
  EXPECT_EQ(refusal_from(refusal(std::string(65, 'a'), "")).code().name, "core.malformed");
  EXPECT_EQ(refusal_from(refusal("a", std::string(1025, 'x'))).code().name, "core.malformed");
  Bytes longer = refusal("core.io_failed", "text");
  longer.push_back(0);
  EXPECT_EQ(refusal_from(longer).code().name, "core.malformed");
  EXPECT_EQ(refusal_from({}).code().name, "core.malformed");
}

}  // namespace
}  // namespace concordat::border
