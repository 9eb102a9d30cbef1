// What only the mpi road can be asked for: terms, notices, and a border that breaks the rules.
#include <thread>

#include "border/mpi_letters.hpp"
#include "concordat/comm/errors.hpp"
#include "unit/border/mpi_road_rig.hpp"

namespace concordat::border::testing {
namespace {

using std::chrono::milliseconds;

struct Scene {
  World world;
  Desk desk{world};
  MpiWorld links;
  std::unique_ptr<CoordinatorRoad> hub = make_mpi_coordinator_road(*links.hub, world.peers);

  ~Scene() { hub->stop(); }
  comm::Interlink& link(SiteId id) { return *links.sites.at(id); }
  std::unique_ptr<SiteRoad> site(SiteId id, MpiSiteOptions options = {}) {
    return make_mpi_site_road(link(id), options);
  }
  Envelope message(std::string_view text, SiteId from = alba) {
    return world.seal(world.header(MessageType::ready, from), as_bytes(text));
  }
  /// The next letter for the site within ten seconds, of a border under the test's control.
  comm::Interlink::Letter next(SiteId id) {
    auto letter = link(id).receive(0, milliseconds(10'000));
    EXPECT_TRUE(letter) << "no letter";
    return letter ? *letter : comm::Interlink::Letter{};
  }
  void say(SiteId id, std::uint64_t number, Bytes bytes) {
    EXPECT_TRUE(link(id).send(0, number, bytes, milliseconds(10'000)));
  }
};

TEST(MpiRoad, ABorderWaitsForACoordinatorThatHasNotStarted) {
  Scene scene;
  auto road = scene.site(alba, {.open_limit = milliseconds(100)});
  EXPECT_EQ(code_of([&] { road->deliver(scene.message("early")); }), "border.road_down");
  EXPECT_TRUE(scene.hub->connected().empty());
  scene.hub->start(scene.desk);
  std::string code = "border.road_down";
  for (int i = 0; i < 100 && code == "border.road_down"; ++i) {
    code = code_of([&] { road->deliver(scene.message("early")); });
  }
  EXPECT_EQ(code, "nothing");
  EXPECT_EQ(scene.desk.messages.size(), 1U);
}

TEST(MpiRoad, ABorderThatIsDoneIsNotConnected) {
  Scene scene;
  scene.hub->start(scene.desk);
  {
    auto road = scene.site(alba);
    road->deliver(scene.message("x"));
    EXPECT_EQ(scene.hub->connected(), std::vector<SiteId>{alba});
  }
  for (int i = 0; i < 1000 && !scene.hub->connected().empty(); ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_TRUE(scene.hub->connected().empty());
}

// What was sent to a coordinator that then stopped is not acted on by the one that comes after it.
TEST(MpiRoad, ARequestOfAnEarlierTermIsNotActedOn) {
  Scene scene;
  scene.hub->start(scene.desk);
  EXPECT_EQ(scene.next(alba).bytes[0], static_cast<std::uint8_t>(Notice::open));
  scene.hub->stop();
  EXPECT_EQ(scene.next(alba).bytes[0], static_cast<std::uint8_t>(Notice::closed));
  const auto deliver = static_cast<std::uint8_t>(Request::deliver);
  scene.say(alba, letter_number(1, 1), letter_of(deliver, scene.message("old").wire()));
  scene.hub->start(scene.desk);
  EXPECT_EQ(scene.next(alba).bytes[0], static_cast<std::uint8_t>(Notice::open));
  scene.say(alba, letter_number(2, 2), letter_of(deliver, scene.message("new").wire()));
  EXPECT_EQ(scene.next(alba).number, letter_number(2, 2));
  ASSERT_EQ(scene.desk.messages.size(), 1U);
  EXPECT_EQ(to_string(scene.desk.messages[0].body), "new");
}

TEST(MpiRoad, GarbageIsRefusedByItsCodeAndTheRoadGoesOn) {
  Scene scene;
  scene.hub->start(scene.desk);
  EXPECT_EQ(scene.next(alba).bytes[0], static_cast<std::uint8_t>(Notice::open));
  const Bytes range = [] {
    ByteWriter out;
    write_exchange(out, {Round{3}, Fragment{0}, Attempt{0}});
    out.u64(0);
    out.u64(~std::uint64_t{0});
    return std::move(out).bytes();
  }();
  const std::vector<Bytes> garbage{
      {},                                     // no kind
      {0},                                    // no request has it
      {8},                                    //
      {255, 1, 2, 3},                         //
      letter_of(1, as_bytes("no envelope")),  // deliver
      letter_of(2, {}),                       // fetch without its wait
      letter_of(2, Bytes(5)),                 // longer than its bound
      letter_of(3, Bytes(31)),                // a digest that is cut
      letter_of(4, Bytes(11)),                //
      letter_of(6, Bytes(200)),               //
      letter_of(7, Bytes(28)),                // a range of no block
      letter_of(7, range),                    // a range without end
  };
  std::uint32_t sequence = 10;
  for (const Bytes& bytes : garbage) {
    const std::uint64_t number = letter_number(1, ++sequence);
    scene.say(alba, number, bytes);
    const auto answer = scene.next(alba);
    EXPECT_EQ(answer.number, number);
    ASSERT_FALSE(answer.bytes.empty());
    EXPECT_EQ(answer.bytes[0], static_cast<std::uint8_t>(Answer::refused)) << to_hex(bytes);
  }
  scene.say(alba, 0, {});  // notices that are none
  scene.say(alba, 0, {99});
  auto road = scene.site(alba);
  road->deliver(scene.message("good"));
  EXPECT_EQ(scene.desk.messages.size(), 1U);
}

TEST(MpiRoad, AnAnswerThatIsNoneIsAbuse) {
  Scene scene;  // its road is never started: the test speaks for the coordinator
  const auto answer_with = [&](const Bytes& answer) {
    std::thread speaker([&] {
      ByteWriter term;
      term.u32(7);
      Bytes open = letter_of(static_cast<std::uint8_t>(Notice::open), term.bytes());
      EXPECT_TRUE(scene.links.hub->send(0, 0, open, milliseconds(10'000)));
      for (;;) {
        auto request = scene.links.hub->receive(0, milliseconds(10'000));
        ASSERT_TRUE(request);
        if (request->number == 0) continue;
        Bytes bytes = answer;
        EXPECT_TRUE(scene.links.hub->send(0, request->number, bytes, milliseconds(10'000)));
        return;
      }
    });
    auto road = scene.site(alba);
    const std::string code = code_of([&] { road->upload_position({}); });
    speaker.join();
    return code;
  };
  EXPECT_EQ(answer_with({}), "border.road_abused");
  EXPECT_EQ(answer_with({3}), "border.road_abused");
  EXPECT_EQ(answer_with({0, 1, 2}), "core.malformed");
  EXPECT_EQ(answer_with({1}), "core.malformed");
}

/// The coordinator's link; what comes from one peer breaks it.
class BrokenLink final : public comm::Interlink {
 public:
  BrokenLink(comm::Interlink& link, int broken) : link_(link), broken_(broken) {}
  const std::vector<std::string>& peers() const override { return link_.peers(); }
  bool send(int peer, std::uint64_t number, Bytes& bytes, milliseconds wait) override {
    return link_.send(peer, number, bytes, wait);
  }
  bool sent(int peer, milliseconds wait) override { return link_.sent(peer, wait); }
  using comm::Interlink::receive;
  std::optional<Letter> receive(int peer, milliseconds wait,
                                const std::function<void(std::uint64_t)>& admit) override {
    if (peer != broken_) return link_.receive(peer, wait, admit);
    throw Error(comm::errors::letter_refused, {.what = "no letter"});
  }
  bool left(int peer) override { return link_.left(peer); }
  void leave() override { link_.leave(); }

 private:
  comm::Interlink& link_;
  int broken_;
};

// The other sites would wait for ever for one that can never be served again.
TEST(MpiRoad, ASiteThatCannotBeServedAnyMoreEndsTheCoordinator) {
  Scene scene;
  BrokenLink link(*scene.links.hub, 1);
  auto hub = make_mpi_coordinator_road(link, scene.world.peers);
  hub->start(scene.desk);
  std::string code = "nothing";
  for (int i = 0; i < 1000 && code == "nothing"; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    code = code_of([&] { hub->connected(); });
  }
  EXPECT_EQ(code, "comm.letter_refused");
  EXPECT_EQ(code_of([&] { hub->connected(); }), "nothing") << "its owner writes its last page";
  hub->stop();
}

TEST(MpiRoad, ABorderOfAnotherFederationHasNoRoad) {
  Scene scene;
  World other;
  PeerDirectory two(other.peers.federation());
  two.add(alba, other.peers.at(alba));
  EXPECT_EQ(code_of([&] { make_mpi_coordinator_road(*scene.links.hub, two); }),
            "border.unknown_peer");
  EXPECT_EQ(code_of([&] { make_mpi_site_road(*scene.links.hub); }), "border.bad_address")
      << "three coordinators";
}

}  // namespace
}  // namespace concordat::border::testing
