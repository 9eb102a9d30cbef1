// A road takes envelopes; bytes do not convert to one.
#include "concordat/border/road.hpp"

void send(concordat::border::SiteRoad& road, const concordat::border::Envelope& envelope,
          const concordat::Bytes& bytes) {
  road.deliver(envelope);
#ifdef CONCORDAT_MISUSE
  road.deliver(bytes);
#endif
  static_cast<void>(bytes);
}
