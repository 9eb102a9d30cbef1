// A plain decision, which nobody wrote down, seals nothing.
#include <utility>

#include "concordat/border/envelope.hpp"

using namespace concordat;

border::Envelope seal(ledger::Written<ledger::Decision> written, const ledger::Decision& decision,
                      const border::Header& header, const border::Identity& me,
                      const border::PeerDirectory& peers, crypto::SecureRandom& random) {
#ifdef CONCORDAT_MISUSE
  written = decision;
#endif
  static_cast<void>(decision);
  return border::seal_message(std::move(written), header, {}, me, peers, random);
}
