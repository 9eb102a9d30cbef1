// The scene of the conformance suite: a coordinator's desk, and one kind of road to it. Every road
// has to do what road.hpp promises, whatever it is made of; what only one kind can be asked for is
// in that road's own tests.
#pragma once

#include "unit/border/road_rig.hpp"

namespace concordat::border::testing {

class Road : public ::testing::TestWithParam<RoadKind> {
 protected:
  void SetUp() override { rig->listen(desk); }
  void TearDown() override { rig->hang_up(); }

  Envelope up(SiteId from, std::string_view text, MessageType type = MessageType::ready) {
    return world.seal(world.header(type, from), as_bytes(text));
  }
  Envelope down(SiteId to, std::string_view text) {
    return world.seal(world.header(MessageType::go, coordinator_id, to), as_bytes(text));
  }
  std::vector<std::string> arrived() {
    std::lock_guard lock(desk.mutex);
    std::vector<std::string> texts;
    for (const OpenedMessage& message : desk.messages) texts.push_back(to_string(message.body));
    return texts;
  }
  /// Everything that lies ready for the site, acknowledged.
  std::vector<std::string> fetch_all(SiteRoad& road, SiteId id) {
    std::vector<std::string> texts;
    while (auto wire = road.fetch(std::chrono::milliseconds(1))) {
      texts.push_back(to_string(world.open(*wire, id).body));
      road.acknowledge(crypto::sha256(*wire));
    }
    return texts;
  }
  void expect_uploaded(SiteId id, const Upload& upload) {
    ASSERT_EQ(desk.blocks[id].size(), upload.blocks.size());
    for (std::size_t at = 0; at < upload.blocks.size(); ++at) {
      EXPECT_EQ(desk.blocks[id][at].bytes, upload.blocks[at]) << "position " << at;
    }
  }

  World world;
  Desk desk{world};
  std::unique_ptr<RoadRig> rig = GetParam().make(world);
  ExchangeId exchange{Round{3}, Fragment{0}, Attempt{0}};
};

/// An announced upload of one site, frame by frame.
class Sending {
 public:
  Sending(World& world, Desk& desk, const Upload& upload)
      : upload_(upload), announced_(upload.announce(world, world.header(MessageType::header))) {
    desk.opener.emplace(world.open(announced_.message.wire()), world.peers);
  }
  Envelope frame(std::uint64_t at) {
    return announced_.frames.seal(upload_.table.place(at), upload_.blocks[at],
                                  crypto::inclusion_path(upload_.leaves, at));
  }

 private:
  const Upload& upload_;
  Announcement announced_;
};

}  // namespace concordat::border::testing
