// The state of a closed exchange as a donor gives it: which messages it takes and what is in them.
//
//   StateShape shape = state_shape(agreement, exchange);
//   shape.num_messages();                            // contents, then one for each block
//   StateContents contents = decode_contents(body, shape);
//   check_contents(contents, shape, closed);         // against manifest and closing record
//   check_piece(contents, shape, position, body);    // position 1, 2, ...
//
// What the ranks of the recipient need to hold what all others hold: the shared model that the
// exchange started from, the outer moments and scales, and the sum that the exchange ended with.
// Nothing that is the donor's own is in it: no inner moments, no error feedback, no weights of its
// inner steps. Format: docs/formats/messages.md. Pure.
#pragma once

#include <string>
#include <vector>

#include "concordat/federation/agreement.hpp"
#include "concordat/federation/messages.hpp"
#include "concordat/parallel/state_digest.hpp"

namespace concordat::site {

/// What a party knows of an exchange that is closed: its state is held against this.
struct ClosedExchange {
  ExchangeId exchange{};
  Digest manifest{};
  Digest state{};  ///< that every participant cosigned
  std::uint32_t participants = 0;
  std::vector<SiteId> survivors{};
  std::uint64_t total_weight = 0;
  Digest aggregate{};  ///< root that every participant signed
};

struct StateShape {
  std::uint64_t num_elements = 0;
  int block_log2 = 20;
  int moments = 1;
  std::uint32_t lane_bytes = 2;

  std::uint64_t num_blocks() const;
  std::uint64_t block_elements(std::uint64_t block) const;
  /// Vectors in the state digest: the model, its moments, the scales.
  std::vector<std::string> vectors() const;
  /// Contents, the blocks of those vectors, the blocks of the sum.
  std::uint32_t num_messages() const;
  struct Piece {
    std::size_t vector = 0;  ///< vectors().size() for the sum
    std::uint64_t block = 0;
  };
  /// @pre 0 < position < num_messages().
  Piece piece(std::uint32_t position) const;
};
StateShape state_shape(const federation::RunAgreement& agreement, const ExchangeId& exchange);
/// @throws Error(site.nothing_to_give) if its leaves do not fit into one message, or its messages
/// cannot be numbered: the blocks are too small for the model.
void require_fits(const StateShape& shape);

/// The first message.
struct StateContents {
  std::vector<std::vector<Digest>> leaves{};  ///< of each vector in the state digest
  std::vector<std::uint32_t> scales{};        ///< how many each block has
  std::vector<Digest> sums{};                 ///< leaves of the aggregate's blocks
  std::uint32_t total_weight = 0;
};
Bytes encode(const StateContents& contents);
/// @throws Error(malformed) unless it has this shape.
StateContents decode_contents(ByteView body, const StateShape& shape);

/// @throws Error(site.state_refused) unless it leads to the state that the participants cosigned
/// and to the aggregate that they signed.
void check_contents(const StateContents& contents, const StateShape& shape,
                    const ClosedExchange& closed);
/// Bytes of a piece.
std::uint64_t piece_bytes(const StateContents& contents, const StateShape& shape,
                          std::uint32_t position);
/// @throws Error(site.state_refused) unless these bytes have the leaf that the contents name.
void check_piece(const StateContents& contents, const StateShape& shape, std::uint32_t position,
                 ByteView bytes);

}  // namespace concordat::site
