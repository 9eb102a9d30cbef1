// Only the sealing code makes an Envelope: its constructor is private and it cannot be copied.
#include "concordat/border/envelope.hpp"

concordat::border::Envelope hand_over(concordat::border::Envelope envelope,
                                      const concordat::Bytes& bytes) {
#ifdef CONCORDAT_MISUSE
  return concordat::border::Envelope(concordat::border::Envelope::Kind::message, bytes);
#endif
  static_cast<void>(bytes);
  return envelope;
}
