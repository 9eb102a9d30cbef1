#include "concordat/federation/messages.hpp"

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/federation/manifest.hpp"
#include "concordat/federation/roster.hpp"

namespace concordat::federation {
namespace {

constexpr std::uint32_t max_path = 64;
constexpr auto max_count = static_cast<std::uint32_t>(max_sites);
constexpr std::size_t max_rest_bytes = 64U << 10U;

[[noreturn]] void refuse(std::string_view where, std::string found, std::string expected) {
  throw Error(errors::malformed, {.what = "a message is not in the one form that is valid",
                                  .where = std::string(where),
                                  .found = std::move(found),
                                  .expected = std::move(expected),
                                  .remedy = "the sender runs another version or lies"});
}

crypto::Signature read_signature(ByteReader& in) {
  crypto::Signature signature{};
  ByteView bytes = in.raw(signature.size());
  std::copy(bytes.begin(), bytes.end(), signature.begin());
  return signature;
}

template <typename Tag>
crypto::PublicKey<Tag> read_key(ByteReader& in) {
  return crypto::PublicKey<Tag>{in.digest().bytes};
}

void write(ByteWriter& out, const std::vector<SiteSignature>& signatures) {
  out.u32(static_cast<std::uint32_t>(signatures.size()));
  for (const SiteSignature& one : signatures) {
    out.u32(one.site.value());
    out.raw(one.signature);
  }
}

// Lists are ascending, so that one set of sites has one encoding.
void require_ascending(std::string_view where, std::uint32_t before, std::uint32_t site,
                       bool first) {
  if (!first && site <= before) {
    refuse(where, "site " + std::to_string(site) + " after " + std::to_string(before),
           "ascending sites");
  }
}

std::vector<SiteSignature> read_signatures(ByteReader& in, std::string_view where) {
  std::vector<SiteSignature> signatures(in.count(max_count));
  std::uint32_t before = 0;
  for (SiteSignature& one : signatures) {
    one.site = SiteId(in.u32());
    require_ascending(where, before, one.site.value(), &one == signatures.data());
    before = one.site.value();
    one.signature = read_signature(in);
  }
  return signatures;
}

ledger::Fields facts_of_manifest(ByteView body) {
  Manifest manifest = parse_manifest(body, "manifest");
  ledger::ManifestFacts facts;
  facts.document = crypto::sha256(body);
  facts.roster = manifest.roster;
  facts.agreement = manifest.agreement;
  facts.state = manifest.state;
  facts.previous_closing = manifest.previous_closing;
  facts.threshold = manifest.threshold;
  facts.participants = manifest.sites();
  for (const Participant& one : manifest.participants) {
    facts.heads.push_back({one.site, one.ready.ledger});
  }
  return ledger::manifest_facts(facts);
}

}  // namespace

std::vector<SiteId> ClosedBody::survivors() const {
  std::vector<SiteId> sites;
  for (const SiteSignature& one : received) sites.push_back(one.site);
  return sites;
}

Bytes encode(const ReadyBody& body) {
  ByteWriter out;
  out.u32(body.round.value());
  out.digest(body.state);
  out.u64(body.ledger.size);
  out.digest(body.ledger.root);
  out.u32(static_cast<std::uint32_t>(body.consistency.size()));
  for (const Digest& node : body.consistency) out.digest(node);
  out.raw(body.mask.view());
  out.raw(body.share.view());
  return std::move(out).bytes();
}

ReadyBody decode_ready(ByteView bytes) {
  ByteReader in(bytes, "ready");
  ReadyBody body;
  body.round = Round(in.u32());
  body.state = in.digest();
  body.ledger.size = in.u64();
  body.ledger.root = in.digest();
  body.consistency.resize(in.count(max_path));
  for (Digest& node : body.consistency) node = in.digest();
  body.mask = read_key<crypto::SealTag>(in);
  body.share = read_key<crypto::SealTag>(in);
  in.finish();
  return body;
}

Bytes encode(const CosignBody& body) {
  ByteWriter out;
  out.raw(body.signature);
  out.digest(body.self_seed_hash);
  out.u32(0);  // shares
  return std::move(out).bytes();
}

CosignBody decode_cosign(ByteView bytes) {
  ByteReader in(bytes, "cosign");
  CosignBody body;
  body.signature = read_signature(in);
  body.self_seed_hash = in.digest();
  in.count(0);
  in.finish();
  if (!body.self_seed_hash.is_zero()) refuse("cosign", "a self seed", "none: recovery is none");
  return body;
}

Bytes encode(const GoBody& body) {
  ByteWriter out;
  write(out, body.cosignatures);
  out.u32(0);  // shares
  return std::move(out).bytes();
}

GoBody decode_go(ByteView bytes) {
  ByteReader in(bytes, "go");
  GoBody body{read_signatures(in, "go")};
  in.count(0);
  in.finish();
  return body;
}

Bytes encode(const TableBody& body) {
  ByteWriter out;
  body.table.encode(out);
  out.sized(body.rest);
  return std::move(out).bytes();
}

TableBody decode_table(ByteView bytes) {
  ByteReader in(bytes, "block table");
  TableBody body;
  body.table = border::FrameTable::decode(in);
  ByteView rest = in.sized(max_rest_bytes);
  body.rest.assign(rest.begin(), rest.end());
  in.finish();
  if (!body.rest.empty()) {
    refuse("block table", std::to_string(body.rest.size()) + " reserved bytes", "none");
  }
  return body;
}

Bytes encode(const SurvivorsBody& body) {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(body.survivors.size()));
  for (const Survivor& one : body.survivors) {
    out.u32(one.site.value());
    out.digest(one.header);
  }
  return std::move(out).bytes();
}

SurvivorsBody decode_survivors(ByteView bytes) {
  ByteReader in(bytes, "survivors");
  SurvivorsBody body;
  body.survivors.resize(in.count(max_count));
  std::uint32_t before = 0;
  for (Survivor& one : body.survivors) {
    one.site = SiteId(in.u32());
    require_ascending("survivors", before, one.site.value(), &one == body.survivors.data());
    before = one.site.value();
    one.header = in.digest();
  }
  in.finish();
  return body;
}

Bytes encode(const AgreeBody& body) { return {body.signature.begin(), body.signature.end()}; }

AgreeBody decode_agree(ByteView bytes) {
  ByteReader in(bytes, "agree");
  AgreeBody body{read_signature(in)};
  in.finish();
  return body;
}

Bytes encode(const ReceivedBody& body) {
  ByteWriter out;
  out.digest(body.root);
  out.u64(body.total_weight);
  out.raw(body.signature);
  return std::move(out).bytes();
}

ReceivedBody decode_received(ByteView bytes) {
  ByteReader in(bytes, "received");
  ReceivedBody body;
  body.root = in.digest();
  body.total_weight = in.u64();
  body.signature = read_signature(in);
  in.finish();
  return body;
}

Bytes encode(const ClosedBody& body) {
  ByteWriter out;
  out.digest(body.manifest);
  out.u64(body.total_weight);
  out.digest(body.root);
  write(out, body.received);
  return std::move(out).bytes();
}

ClosedBody decode_closed(ByteView bytes) {
  ByteReader in(bytes, "closed");
  ClosedBody body;
  body.manifest = in.digest();
  body.total_weight = in.u64();
  body.root = in.digest();
  body.received = read_signatures(in, "closed");
  in.finish();
  return body;
}

Bytes protocol_body(const border::OpenedMessage& message) {
  if (!border::announces_frames(message.header.type)) return message.body;
  border::FrameHeader header = border::decode_frame_header(message.body);
  return encode(TableBody{header.table, header.rest});
}

ledger::Fields crossing_facts(border::MessageType type, ByteView body,
                              const SurvivorsBody& survivors) {
  using border::MessageType;
  auto sites_of = [](const SurvivorsBody& set) {
    std::vector<SiteId> sites;
    for (const Survivor& one : set.survivors) sites.push_back(one.site);
    return sites;
  };
  switch (type) {
    case MessageType::ready: {
      ReadyBody ready = decode_ready(body);
      return ledger::ready_facts(ready.state, ready.ledger);
    }
    case MessageType::manifest:
      return facts_of_manifest(body);
    case MessageType::cosign:
      return ledger::cosign_facts(decode_cosign(body).signature);
    case MessageType::header: {
      TableBody table = decode_table(body);
      return ledger::upload_facts(table.table.root, table.table.num_leaves());
    }
    case MessageType::survivors: {
      return ledger::survivors_facts(crypto::sha256(body), sites_of(decode_survivors(body)));
    }
    case MessageType::agree:
      return ledger::survivors_facts(crypto::sha256(encode(survivors)), sites_of(survivors));
    case MessageType::aggregate:
      return ledger::aggregate_facts(decode_table(body).table.root);
    case MessageType::received: {
      ReceivedBody received = decode_received(body);
      return ledger::received_facts(received.root, received.total_weight, received.signature);
    }
    case MessageType::closed: {
      ClosedBody closed = decode_closed(body);
      return ledger::closed_facts(crypto::sha256(body), closed.root, closed.total_weight,
                                  closed.survivors());
    }
    default:
      return {};
  }
}

}  // namespace concordat::federation
