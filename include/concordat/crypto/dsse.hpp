// DSSE pre-authentication encoding: the bytes that are signed instead of a bare body, so that a
// signature over one document type is never one over another.
//
//   Signature signature = key.sign(dsse_pae("application/vnd.concordat.roster+json", document));
#pragma once

#include "concordat/core/bytes.hpp"

namespace concordat::crypto {

/// "DSSEv1 " LEN(type) " " type " " LEN(body) " " body, lengths in decimal.
Bytes dsse_pae(std::string_view type, ByteView body);

}  // namespace concordat::crypto
