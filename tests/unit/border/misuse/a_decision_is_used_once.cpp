// Sealing takes the decision away from its holder: an lvalue, which could be used again, is no
// argument, and a Written cannot be copied.
#include <utility>

#include "concordat/border/envelope.hpp"

using namespace concordat;

border::Envelope seal(ledger::Written<ledger::Decision> written, const border::Header& header,
                      const border::Identity& me, const border::PeerDirectory& peers,
                      crypto::SecureRandom& random) {
#ifdef CONCORDAT_MISUSE
  border::seal_message(written, header, {}, me, peers, random);
#endif
  return border::seal_message(std::move(written), header, {}, me, peers, random);
}
