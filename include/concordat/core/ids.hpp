// Strong ids: a site is not a rank, a round is not a step.
//
//   Round r{3};
//   r = r.next();                  // arithmetic only where it means something
//   int raw = r.value();
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace concordat {

template <typename Tag, typename Rep = std::uint32_t>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr StrongId next() const { return StrongId(static_cast<Rep>(value_ + 1)); }
  constexpr auto operator<=>(const StrongId&) const = default;

 private:
  Rep value_ = 0;
};

using SiteId =
    StrongId<struct SiteTag>;  ///< roster id of a site; the coordinator is `coordinator_id`
using Round = StrongId<struct RoundTag>;
using Fragment = StrongId<struct FragmentTag>;
using Attempt = StrongId<struct AttemptTag>;
using Rank = StrongId<struct RankTag, int>;  ///< rank inside a site's communicator
using Stage = StrongId<struct StageTag, int>;
using MicroBatch = StrongId<struct MicroBatchTag, int>;
using BlockIndex = StrongId<struct BlockTag, std::uint64_t>;

/// The coordinator's id in message headers; sites are numbered from 0 in roster order.
inline constexpr SiteId coordinator_id{0xffff'ffffU};

/// One run of the protocol of an exchange.
struct ExchangeId {
  Round round{};
  Fragment fragment{};
  Attempt attempt{};
  auto operator<=>(const ExchangeId&) const = default;
  /// "R.F.A", as in `outbox/round-R.F.A`.
  std::string text() const;
};

}  // namespace concordat

template <typename Tag, typename Rep>
struct std::hash<concordat::StrongId<Tag, Rep>> {
  std::size_t operator()(const concordat::StrongId<Tag, Rep>& id) const {
    return std::hash<Rep>{}(id.value());
  }
};
