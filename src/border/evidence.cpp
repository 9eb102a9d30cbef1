#include "concordat/border/evidence.hpp"

#include <algorithm>
#include <tuple>

#include "border/message_wire.hpp"
#include "concordat/border/errors.hpp"

namespace concordat::border {
namespace {

constexpr std::string_view title = "concordat evidence v1\n";

// As receipts have it: the recipient and the manifest are not part of it.
auto identity_of(const Header& header) {
  return std::tuple(header.sender, header.exchange, header.type, header.index);
}

[[noreturn]] void fail(const ErrorCode& code, std::string what, std::string found,
                       std::string expected) {
  throw Error(code,
              {.what = std::move(what),
               .where = "evidence",
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "it proves nothing; ask who kept it for the file as it was written"});
}

Statement read_statement(ByteReader& in) {
  Statement statement{};
  std::ranges::copy(in.raw(statement.size()), statement.begin());
  return statement;
}

}  // namespace

Bytes encode(const Evidence& evidence) {
  ByteWriter out;
  out.raw(as_bytes(title));
  out.raw(evidence.first);
  out.raw(evidence.second);
  return std::move(out).bytes();
}

Contradiction verify_evidence(ByteView bytes, const PeerDirectory& peers) {
  ByteReader in(bytes, "evidence");
  if (to_string(in.raw(std::min(title.size(), bytes.size()))) != title) {
    fail(concordat::errors::malformed, "these bytes are no evidence", "another first line",
         "\"concordat evidence v1\"");
  }
  const Statement first = read_statement(in);
  const Statement second = read_statement(in);
  in.finish();
  const Contradiction found{verify_statement(first, peers), verify_statement(second, peers)};
  if (identity_of(found.first) != identity_of(found.second)) {
    fail(errors::not_authentic, "two messages that may both be honest", found.second.text(),
         "the identity of " + found.first.text());
  }
  if (std::ranges::equal(ByteView(first).first(signed_wire_bytes),
                         ByteView(second).first(signed_wire_bytes))) {
    fail(errors::not_authentic, "one message twice", found.first.text(), "two different ones");
  }
  return found;
}

}  // namespace concordat::border
