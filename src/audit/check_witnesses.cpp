// Every `ready` and every manifest states the size and root of ledgers. Others wrote these heads
// down when they saw them, so a ledger that was cut or rewritten later contradicts them, even if
// its owner signed it again.
#include <algorithm>
#include <charconv>

#include "audit/checks.hpp"
#include "concordat/crypto/merkle.hpp"

namespace concordat::audit {
namespace {

struct SeenHead {
  ledger::Head head;
  std::string seen_at;
};

bool parse_head(std::string_view size_text, std::string_view root_text, ledger::Head& head) {
  const auto [end, error] =
      std::from_chars(size_text.data(), size_text.data() + size_text.size(), head.size);
  if (error != std::errc() || end != size_text.data() + size_text.size()) return false;
  try {
    head.root = digest_from_hex(root_text, "head");
  } catch (const Error&) {
    return false;
  }
  return true;
}

/// Adds the head of `owner`'s ledger that a crossing states, if it states one.
void add_head(SiteId owner, const Book& book, const PlacedCrossing& placed, Findings& findings,
              std::vector<SeenHead>& seen) {
  const ledger::Crossing& crossing = placed.crossing;
  std::string_view size;
  std::string_view root;
  if (crossing.kind == ledger::CrossingKind::ready && crossing.from == owner) {
    size = fact(crossing.facts, "ledger_size");
    root = fact(crossing.facts, "ledger_root");
  } else if (crossing.kind == ledger::CrossingKind::manifest) {
    const std::string_view both = fact(crossing.facts, "ledger " + ledger::party(owner));
    if (both.empty()) return;
    size = both.substr(0, both.find(' '));
    root = both.substr(std::min(size.size() + 1, both.size()));
  } else {
    return;
  }
  SeenHead head{{}, book.place(placed.index).text()};
  const bool well_formed = parse_head(size, root, head.head);
  findings.check("witness.form", well_formed, book.place(placed.index), [&] {
    return "not the head of a ledger: '" + std::string(size) + " " + std::string(root) + "'";
  });
  if (well_formed) seen.push_back(std::move(head));
}

/// Heads of `owner`'s ledger in all books and runs, its own statements included, by size.
std::vector<SeenHead> heads_of(SiteId owner, const Books& books, Findings& findings) {
  std::vector<SeenHead> seen;
  for (const Book& book : books.all) {
    for (const auto& placed : book.crossings) add_head(owner, book, placed, findings, seen);
    for (const auto& placed : book.other_runs) add_head(owner, book, placed, findings, seen);
  }
  std::stable_sort(seen.begin(), seen.end(),
                   [](const SeenHead& a, const SeenHead& b) { return a.head.size < b.head.size; });
  return seen;
}

void compare(const Book& book, const std::vector<SeenHead>& seen, Findings& findings) {
  crypto::MerkleBuilder tree;
  std::uint64_t last_good = 0;
  bool located = false;
  for (const auto& [head, seen_at] : seen) {
    const bool long_enough = findings.check(
        "witness.size", head.size <= book.log.leaves.size(),
        {book.log.file, book.log.leaves.size() + 1}, [&] {
          return "rolled back: " + seen_at + " saw " + std::to_string(head.size) +
                 " entries of this ledger, it has " + std::to_string(book.log.leaves.size());
        });
    if (!long_enough) continue;
    while (tree.size() < head.size) tree.add(book.log.leaves[tree.size()]);
    const bool same = tree.root() == head.root;
    // From the first changed line on every root differs: say it once, at the range it lies in.
    if (!same && located) continue;
    findings.check("witness.root", same, {book.log.file, last_good + 1}, [&] {
      return "a line among " + std::to_string(last_good + 1) + " to " + std::to_string(head.size) +
             " is not what " + seen_at + " saw";
    });
    located = !same;
    if (same) last_good = head.size;
  }
}

}  // namespace

void check_witnesses(const Books& books, Findings& findings) {
  for (const Book& book : books.all)
    compare(book, heads_of(book.party.id, books, findings), findings);
}

}  // namespace concordat::audit
