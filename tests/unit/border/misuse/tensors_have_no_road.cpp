// A road takes envelopes; a tensor has no way to a socket.
#include "concordat/border/road.hpp"
#include "concordat/core/tensor.hpp"

void send(concordat::border::SiteRoad& road, const concordat::border::Envelope& envelope,
          const concordat::Tensor& tensor) {
  road.deliver_block(envelope);
#ifdef CONCORDAT_MISUSE
  road.deliver_block(tensor);
#endif
  static_cast<void>(tensor);
}
