// What a peer or a stranger can do to the coordinator's end of the tls road.
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <thread>

#include "border/road_protocol.hpp"
#include "border/tls_stream.hpp"
#include "concordat/border/tls_road.hpp"
#include "unit/border/desk.hpp"

namespace concordat::border::testing {
namespace {

using std::chrono::milliseconds;

Socket dial(std::uint16_t port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return socket;
}

struct HostileTlsScene {
  World world;
  Desk desk{world};
  std::unique_ptr<TlsCoordinatorRoad> hub;

  explicit HostileTlsScene(milliseconds stall = milliseconds(30'000)) {
    TlsCoordinatorOptions options;
    options.handshake_limit = milliseconds(500);
    options.stall_limit = stall;
    options.max_strangers = 4;
    options.budget = std::make_shared<ByteBudget>(30U << 20U);  // one largest frame
    options.spill_folder = world.folder.path / "spill";
    hub = make_tls_coordinator_road(options, world.parties.at(coordinator_id).tls, "hub",
                                    world.peers);
    hub->start(desk);
  }
  ~HostileTlsScene() { hub->stop(); }

  std::unique_ptr<SiteRoad> site(SiteId id) { return site_with(world.parties.at(id).tls); }
  std::unique_ptr<SiteRoad> site_with(const crypto::SigningKey& tls) {
    TlsSiteOptions options{.host = "127.0.0.1", .port = hub->bound_port()};
    return make_tls_site_road(options, tls, "somebody", world.peers);
  }
  /// An authenticated connection under the test's own control.
  struct Raw {
    TlsContext context;
    TlsStream stream;
    Raw(const crypto::SigningKey& tls, std::uint16_t port)
        : context(TlsContext::Role::site, tls, "raw",
                  [](const crypto::VerifyKey&) { return true; }),
          stream(context, dial(port)) {
      stream.handshake(milliseconds(5000));
    }
  };
  std::unique_ptr<Raw> raw(SiteId id) {
    return std::make_unique<Raw>(world.parties.at(id).tls, hub->bound_port());
  }
  Envelope ready(SiteId from) {
    return world.seal(world.header(MessageType::ready, from), as_bytes("x"));
  }
  bool closed(Raw& raw) {
    Bytes byte(1);
    return code_of([&] { raw.stream.read(byte, milliseconds(5000), milliseconds(5000)); }) ==
           "border.road_down";
  }
};

TEST(HostileTls, AKeyOutsideTheRosterGetsNowhere) {
  HostileTlsScene scene;
  auto stranger = crypto::SigningKey::generate(crypto::system_random());
  EXPECT_EQ(code_of([&] { scene.site_with(stranger)->deliver(scene.ready(alba)); }),
            "border.road_down");
  // A roster's signing key is no TLS key.
  EXPECT_EQ(code_of([&] {
              scene.site_with(scene.world.parties.at(alba).signing)->deliver(scene.ready(alba));
            }),
            "border.road_down");
  EXPECT_TRUE(scene.desk.messages.empty());
}

TEST(HostileTls, ASiteRefusesACoordinatorThatIsNotPinned) {
  HostileTlsScene scene;
  PeerDirectory other(scene.world.peers.federation());
  Peer coordinator = scene.world.peers.at(coordinator_id);
  coordinator.tls = scene.world.parties.at(cala).tls.verify_key();
  other.add(coordinator_id, coordinator);
  TlsSiteOptions options{.host = "127.0.0.1", .port = scene.hub->bound_port()};
  auto road = make_tls_site_road(options, scene.world.parties.at(alba).tls, "alba", other);
  EXPECT_EQ(code_of([&] { road->deliver(scene.ready(alba)); }), "border.unknown_peer");
  EXPECT_TRUE(scene.desk.messages.empty());
}

TEST(HostileTls, NothingOlderThanTls13IsSpoken) {
  HostileTlsScene scene;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                            SSL_CTX_free);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  Socket socket = dial(scene.hub->bound_port());
  SSL_set_fd(ssl.get(), socket.get());
  EXPECT_NE(SSL_connect(ssl.get()), 1);
}

TEST(HostileTls, NoTicketsAreGiven) {
  HostileTlsScene scene;
  auto raw = scene.raw(alba);
  // A full request and answer pass, so a ticket would have come; the session is not resumable.
  raw->stream.write(frame_head(static_cast<std::uint8_t>(Request::fetch), 4), milliseconds(1000));
  raw->stream.write(Bytes(4), milliseconds(1000));
  Bytes head(frame_head_bytes);
  raw->stream.read(head, milliseconds(5000), milliseconds(5000));
  EXPECT_EQ(head[0], static_cast<std::uint8_t>(Answer::nothing));
  EXPECT_FALSE(raw->stream.resumable());
}

TEST(HostileTls, BoundsAreCheckedBeforeAnythingIsRead) {
  HostileTlsScene scene;
  for (std::uint8_t kind : Bytes{0, 1, 2, 3, 4, 5, 6, 7, 8, 255}) {
    auto raw = scene.raw(alba);
    raw->stream.write(frame_head(kind, 0xffff'ffffU), milliseconds(1000));
    EXPECT_TRUE(scene.closed(*raw)) << int(kind);
  }
  EXPECT_EQ(scene.hub->peak_in_flight_bytes(), 0U);
}

TEST(HostileTls, ARangeBeyondItsBoundDropsTheConnection) {
  HostileTlsScene scene;
  auto raw = scene.raw(alba);
  ByteWriter out;
  write_exchange(out, {});
  out.u64(0);
  out.u64(~0ULL);
  raw->stream.write(frame_head(static_cast<std::uint8_t>(Request::fetch_blocks), 28),
                    milliseconds(1000));
  raw->stream.write(out.bytes(), milliseconds(1000));
  EXPECT_TRUE(scene.closed(*raw));
}

TEST(HostileTls, StrangersThatSayNothingBlockNobody) {
  HostileTlsScene scene;
  std::vector<Socket> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(dial(scene.hub->bound_port()));
  auto road = scene.site(alba);
  // A stranger in its handshake may be pushed out by the crowd; the site just dials again.
  std::string code = "border.road_down";
  for (int i = 0; i < 20 && code == "border.road_down"; ++i) {
    code = code_of([&] { road->deliver(scene.ready(alba)); });
  }
  EXPECT_EQ(code, "nothing");
}

TEST(HostileTls, PlainTextIsNoHandshake) {
  HostileTlsScene scene;
  Socket socket = dial(scene.hub->bound_port());
  std::string hello = "GET / HTTP/1.1\r\n\r\n";
  EXPECT_EQ(::send(socket.get(), hello.data(), hello.size(), 0),
            static_cast<ssize_t>(hello.size()));
  scene.site(alba)->deliver(scene.ready(alba));
  EXPECT_EQ(scene.desk.messages.size(), 1U);
}

// Two members send the largest frame and stop before its last byte. The budget holds one such
// frame; if a half-read frame held any of it, the third could not get through.
TEST(HostileTls, SlowPeersHoldNoneOfTheBudget) {
  HostileTlsScene scene;
  std::vector<std::unique_ptr<HostileTlsScene::Raw>> slow;
  for (SiteId id : {brio, cala}) {
    slow.push_back(scene.raw(id));
    Bytes most(max_frame_wire_bytes() - 1);
    slow.back()->stream.write(
        frame_head(static_cast<std::uint8_t>(Request::block), max_frame_wire_bytes()),
        milliseconds(5000));
    slow.back()->stream.write(most, milliseconds(5000));
  }
  Upload upload(3U << 20U, 1U << 20U);
  Announcement up = upload.announce(scene.world, scene.world.header(MessageType::header));
  scene.desk.opener.emplace(scene.world.open(up.message.wire()), scene.world.peers);
  auto road = scene.site(alba);
  for (std::uint64_t at = 0; at < upload.table.num_leaves(); ++at) {
    road->deliver_block(up.frames.seal(upload.table.place(at), upload.blocks[at],
                                       crypto::inclusion_path(upload.leaves, at)));
  }
  EXPECT_EQ(road->flush_blocks({Round{3}, {}, {}}), 4U);
}

TEST(HostileTls, APeerThatStopsInsideARequestIsDropped) {
  HostileTlsScene scene(milliseconds(300));
  auto raw = scene.raw(brio);
  raw->stream.write(frame_head(static_cast<std::uint8_t>(Request::deliver), 1000),
                    milliseconds(1000));
  raw->stream.write(Bytes(10), milliseconds(1000));
  EXPECT_TRUE(scene.closed(*raw));
}

TEST(HostileTls, GarbageInsideTheTunnelIsRefusedAndCounted) {
  HostileTlsScene scene;
  auto raw = scene.raw(brio);
  raw->stream.write(frame_head(static_cast<std::uint8_t>(Request::deliver), 1000),
                    milliseconds(1000));
  raw->stream.write(Bytes(1000, 3), milliseconds(1000));
  Bytes head(frame_head_bytes);
  raw->stream.read(head, milliseconds(5000), milliseconds(5000));
  EXPECT_EQ(head[0], static_cast<std::uint8_t>(Answer::refused));
}

}  // namespace
}  // namespace concordat::border::testing
