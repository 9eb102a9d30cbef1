// Lengths of sequences: what one rank holds is not what the model sees.
//
//   GlobalLength whole(512);
//   LocalLength mine = local_length(whole, /*cp=*/4);     // 128 positions on this rank
//   TokenLayout layout{.sequences = 8, .length = mine};
//   layout.rows();                                        // 1024 rows of every [T, C] activation
//
// Both lengths count positions of one sequence. They are different types so that no loop over local
// rows can be given the length of the whole sequence: under context parallelism these differ.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

namespace concordat::model {

namespace detail {
template <typename Tag>
class Length {
 public:
  constexpr Length() = default;
  constexpr explicit Length(std::int64_t value) : value_(value) {}
  constexpr std::int64_t value() const { return value_; }
  constexpr auto operator<=>(const Length&) const = default;

 private:
  std::int64_t value_ = 0;
};
}  // namespace detail

using LocalLength = detail::Length<struct LocalLengthTag>;
using GlobalLength = detail::Length<struct GlobalLengthTag>;

/// The part of a sequence that each of `cp` ranks holds.
/// @throws Error(model.bad_layout) unless cp divides it.
LocalLength local_length(GlobalLength length, int cp);

/// The runs of positions that one of `cp` ranks holds of every sequence. Later positions see more
/// keys, so where it divides, a rank holds a run from the front and its mirror image from the back,
/// and all have the same work; otherwise one run.
struct SequenceRuns {
  std::int64_t length = 0;           ///< positions of each run
  std::vector<std::int64_t> begins;  ///< first positions, ascending
};
/// @throws Error(model.bad_layout) unless cp divides the length.
SequenceRuns sequence_runs(GlobalLength length, int cp, int rank);

/// What the rows of this rank's [T, C] activations are: `length` positions of each of `sequences`,
/// run by run (SequenceRuns), within a run sequence by sequence. Without context parallelism there
/// is one run, so every sequence's positions are neighbours.
struct TokenLayout {
  std::int64_t sequences = 0;
  LocalLength length{};
  std::int64_t rows() const { return sequences * length.value(); }
  auto operator<=>(const TokenLayout&) const = default;
};

}  // namespace concordat::model
