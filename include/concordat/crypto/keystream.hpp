// CtrKeystream: AES-256-CTR from counter 0, for masks and stochastic rounding.
//
//   CtrKeystream stream(key.view());     // a key used for nothing else
//   stream.generate(first);              // bytes 0 .. first.size()-1 of the stream
//   stream.generate(second);             // the bytes after them
//
// Same key, same bytes, on every machine. Movable; one thread at a time. Cost: a few GB/s per core
// with AES instructions.
#pragma once

#include "concordat/core/bytes.hpp"

namespace concordat::crypto {

class CtrKeystream {
 public:
  /// @pre 32 bytes. Every key gives one stream; derive it with hkdf_sha256.
  explicit CtrKeystream(ByteView key);
  CtrKeystream(CtrKeystream&& other) noexcept;
  CtrKeystream& operator=(CtrKeystream&& other) noexcept;
  ~CtrKeystream();
  /// Overwrites `out` with the next out.size() bytes.
  void generate(ByteSpan out);

 private:
  void* context_;
};

}  // namespace concordat::crypto
