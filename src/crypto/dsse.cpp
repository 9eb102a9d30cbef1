#include "concordat/crypto/dsse.hpp"

#include <string>

namespace concordat::crypto {

Bytes dsse_pae(std::string_view type, ByteView body) {
  std::string head = "DSSEv1 " + std::to_string(type.size()) + " ";
  head += type;
  head += " " + std::to_string(body.size()) + " ";
  ByteWriter out;
  out.raw(as_bytes(head));
  out.raw(body);
  return std::move(out).bytes();
}

}  // namespace concordat::crypto
