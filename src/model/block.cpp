#include "concordat/model/block.hpp"

#include "concordat/model/names.hpp"

namespace concordat::model {

Block::Block(const LlamaConfig& config, int layer, int tp, ParameterSet& parameters,
             SlotNames& slots, Recompute recompute)
    : recompute_(recompute),
      x_(slots.reserve(names::in_layer(layer, "x"))),
      attention_norm_(parameters.weight({names::in_layer(layer, names::attention_norm)}),
                      config.norm_eps, slots, names::in_layer(layer, "input_layernorm")),
      attention_(config, tp,
                 {parameters.weight({names::in_layer(layer, names::q_proj),
                                     names::in_layer(layer, names::k_proj),
                                     names::in_layer(layer, names::v_proj)}),
                  parameters.weight({names::in_layer(layer, names::o_proj)})},
                 slots, names::in_layer(layer, "self_attn")),
      mlp_norm_(parameters.weight({names::in_layer(layer, names::mlp_norm)}), config.norm_eps,
                slots, names::in_layer(layer, "post_attention_layernorm")),
      mlp_({parameters.weight(
                {names::in_layer(layer, names::gate_proj), names::in_layer(layer, names::up_proj)}),
            parameters.weight({names::in_layer(layer, names::down_proj)})},
           slots, names::in_layer(layer, "mlp")) {}

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
