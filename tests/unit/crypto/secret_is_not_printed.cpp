// A secret can be neither copied nor printed.
#include <iostream>

#include "concordat/crypto/secret_bytes.hpp"

std::size_t use(const concordat::crypto::SecretBytes& secret) {
#ifdef CONCORDAT_MISUSE
  std::cerr << secret;
#endif
  return secret.clone().size();
}
