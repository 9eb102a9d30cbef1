// Events and effects of the two machines of an exchange.
//
//   journal.append(encode(event));                       // first durable,
//   for (const Effect& effect : machine.handle(event)) perform(effect);   // then acted on
//
// A journal of accepted events, replayed in order through handle(), gives the same machine and the
// same effects; a performer skips what its own records say is done. Events hold no secrets.
#pragma once

#include <variant>
#include <vector>

#include "concordat/border/header.hpp"
#include "concordat/federation/messages.hpp"

namespace concordat::federation {

// ---- events ----------------------------------------------------------------------------------

/// Site: the ranks proved their state and the fresh keys are durable; `ready` is what to say.
struct Start {
  ReadyBody ready{};
};
/// An opened, authentic message. `body` is its protocol_body().
struct Incoming {
  border::Header header{};
  Bytes body{};
};
/// Site: COMMIT stands; these are the masked blocks, for ever.
struct Committed {
  border::FrameTable table{};
};
/// Site that missed the exchange: its aggregate is kept no longer. It goes on without, and needs a
/// donor's state.
struct Forgone {};
/// Site: every block of the aggregate is durable, authentic and in range.
struct AggregateStored {
  Digest root{};
  std::uint64_t total_weight = 0;
};
/// Site: the coordinator has acknowledged the ready of the final round.
struct FinalReadyAcknowledged {};
/// Coordinator: every frame of the site's upload is durable and authentic.
struct UploadStored {
  SiteId site{};
};
/// Coordinator: the sum is durable; its table and the sum of the weights.
struct Summed {
  border::FrameTable table{};
  std::uint64_t total_weight = 0;
};
/// Coordinator: it has waited long enough for further `ready` messages; the manifest names the
/// sites that are ready. No effect before there are enough, and none after the manifest.
struct Deadline {};
using Event = std::variant<Start, Incoming, Committed, AggregateStored, FinalReadyAcknowledged,
                           UploadStored, Summed, Deadline, Forgone>;

Bytes encode(const Event& event);
/// @throws Error(malformed).
Event decode_event(ByteView bytes);

// ---- effects ---------------------------------------------------------------------------------

/// Seal and send. Types 6 and 11 carry a TableBody here; the performer adds a frame key and may
/// send frames once the message is acknowledged.
struct Send {
  border::Header header{};
  Bytes body{};
};
/// Site: every cosignature verified; pair seeds may go to the ranks.
struct ReleaseSecrets {
  Digest manifest{};
};
/// Site: fetch the frames of the aggregate, check them, say AggregateStored.
struct FetchAggregate {
  border::FrameTable table{};
};
/// Coordinator: take the frames of this site's upload, then say UploadStored.
struct AcceptUpload {
  SiteId site{};
  border::FrameTable table{};
};
/// Coordinator: every participant agreed; add the uploads, then say Summed.
struct Sum {};
/// The exchange is over: erase its secrets (and single uploads); hand `record` to the ranks.
struct Close {
  ClosedBody record{};
  Digest digest{};  ///< of the record; `previous closing` of the next manifest
};
/// The run is over: this is the final state of every site.
struct Finish {
  Digest state{};
};
using Effect = std::variant<Send, ReleaseSecrets, FetchAggregate, AcceptUpload, Sum, Close, Finish>;
using Effects = std::vector<Effect>;

}  // namespace concordat::federation
