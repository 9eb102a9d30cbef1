// What the tests of lies share: a party changes what it says, and the world runs until somebody
// refuses it.
#pragma once

#include "unit/federation/world.hpp"

namespace concordat::federation::test {

using border::MessageType;

/// Runs until the lie is refused.
inline Error refusal_of(World& world) {
  return error_of([&] { world.run(); });
}

/// Changes the manifest that `victim` gets.
template <typename Change>
World::Intercept altered_manifest(SiteId victim, Change change) {
  return [=](border::Header& header, Bytes& body) {
    if (header.type == MessageType::manifest && header.recipient == victim) {
      Manifest manifest = parse_manifest(body, "test");
      change(manifest);
      body = encode(manifest);
    }
    return true;
  };
}

template <typename Change>
Error refused_manifest(Change change) {
  World world(3, 1, false);
  world.intercept = altered_manifest(SiteId{1}, change);
  Error error = refusal_of(world);
  EXPECT_EQ(world.sites[1].phase(), SitePhase::ready);
  return error;
}

}  // namespace concordat::federation::test
