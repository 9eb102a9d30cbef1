#include "concordat/model/block.hpp"

#include "concordat/model/names.hpp"

namespace concordat::model {

/// The modules of one layer, by what they are called in its family.
struct Block::LayerModules {
  LayerModules(const ModelConfig& config, int index, ParameterSet& set)
      : names(names_of(config.family)),
        gated(config.traits().gated),
        layer(index),
        parameters(set) {}

  std::string name(std::string_view module) const { return in_layer(names, layer, module); }
  WeightAndBias module(std::string_view module) const { return parameters.modules({name(module)}); }
  Attention::Weights attention() const {
    return {.qkv = parameters.modules({name(names.query), name(names.key), name(names.value)}),
            .out = module(names.output)};
  }
  FeedForward::Weights feed_forward() const {
    std::vector<std::string> up{name(names.up)};
    if (gated) up.insert(up.begin(), name(names.gate));
    return {.up = parameters.modules(up), .down = module(names.down), .gated = gated};
  }

  const Names& names;
  bool gated;
  int layer;
  ParameterSet& parameters;
};

Block::Block(const ModelConfig& config, int layer, int tp, ParameterSet& parameters,
             SlotNames& slots, Recompute recompute)
    : Block(config, LayerModules(config, layer, parameters), tp, slots, recompute) {}

Block::Block(const ModelConfig& config, const LayerModules& layer, int tp, SlotNames& slots,
             Recompute recompute)
    : recompute_(recompute),
      x_(slots.reserve(layer.name("x"))),
      attention_norm_(layer.module(layer.names.attention_norm), config.norm_eps, slots,
                      layer.name(layer.names.attention_norm)),
      attention_(config, tp, layer.attention(), slots, layer.name("attention")),
      mlp_norm_(layer.module(layer.names.mlp_norm), config.norm_eps, slots,
                layer.name(layer.names.mlp_norm)),
      mlp_(layer.feed_forward(), slots, layer.name("mlp")) {
  attention_norm_.feeds(attention_.format());
  mlp_norm_.feeds(mlp_.format());
}

Tensor Block::middle(Pass& pass, const Tensor& x) {
  return attention_.forward_add(pass, attention_norm_.forward(pass, x), x);
}

Tensor Block::forward(Pass& outer, const Tensor& x) {
  Pass pass = outer;
  pass.remakes = recompute_ == Recompute::attention;
  if (recompute_ == Recompute::block) {
    outer.save(x_, x, 1);
    pass.keeps = false;
  }
  const Tensor between = middle(pass, x);
  return mlp_.forward_add(pass, mlp_norm_.forward(pass, between), between);
}

Tensor Block::backward_input(Pass& outer, const Tensor& grad_y) {
  Pass pass = outer;
  pass.remakes = recompute_ == Recompute::attention;
  if (recompute_ == Recompute::block) {
    // Forward again, with everything kept but the last product's output, which nobody reads.
    const Tensor between = middle(pass, pass.saved.use(x_));
    mlp_.replay(pass, mlp_norm_.forward(pass, between));
  }
  if (pass.remakes) mlp_.keep(pass, mlp_norm_.again(pass));
  const Tensor grad_middle =
      mlp_norm_.backward_add(pass, mlp_.backward_input(pass, grad_y), grad_y);
  if (pass.remakes) attention_.keep(pass, attention_norm_.again(pass));
  return attention_norm_.backward_add(pass, attention_.backward_input(pass, grad_middle),
                                      grad_middle);
}

void Block::backward_weight(Pass& pass) {
  mlp_.backward_weight(pass);
  mlp_norm_.backward_weight(pass);
  attention_.backward_weight(pass);
  attention_norm_.backward_weight(pass);
}

}  // namespace concordat::model
