// The sum: every upload added block by block in its ring of lanes. One block in memory, however
// many sites and however large the model.
#pragma once

#include <functional>
#include <span>

#include "concordat/border/budget.hpp"
#include "concordat/federation/terms.hpp"
#include "coordinator/upload.hpp"

namespace concordat::coordinator {

struct SumResult {
  border::FrameTable table;
  std::uint64_t total_weight = 0;  ///< W
};

/// Adds the uploads into the aggregate's files, durably, and checks every sum's range.
/// nullopt if `stop` said so between two blocks: nothing is kept then.
/// @throws Error(exact.sum_out_of_range | exact.weight | coordinator.upload_damaged).
std::optional<SumResult> add_uploads(const CoordinatorFolder& folder,
                                     const federation::ExchangeTerms& terms,
                                     std::span<const std::shared_ptr<Upload>> uploads,
                                     border::ByteBudget& budget, const std::function<bool()>& stop);

}  // namespace concordat::coordinator
