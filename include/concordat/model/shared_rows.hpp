// Where activations enter and leave what tp shards: whole rows inside, and outside either whole
// rows too or, under sequence parallelism, this rank's part of the flattened rows.
//
//   const Tensor whole = whole_rows(pass, x);        // in front of a column-parallel product
//   Tensor y = summed_rows(pass, partial);           // behind a row-parallel one
//
// They are each other's backward: the gradient of whole_rows is summed_rows, and the other way
// round. Without sequence parallelism whole_rows is x itself and summed_rows an all-reduce in
// place; with it (Korthikanti et al., 2022) an all-gather and a reduce-scatter, the same volume,
// and norms, residuals and what they save are this rank's part only. Collective over tp, groups of
// one too.
#pragma once

#include "concordat/model/layer.hpp"

namespace concordat::model {

/// [rows, C] of all tp ranks, from what the pass keeps between layers.
Tensor whole_rows(Pass& pass, const Tensor& x);

/// The sum over tp of everybody's `partial` [rows, C], as the pass keeps it between layers.
/// `partial` is used up.
Tensor summed_rows(Pass& pass, const Tensor& partial);

}  // namespace concordat::model
