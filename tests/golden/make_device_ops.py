#!/usr/bin/python3
"""Golden values of the device ops, computed by PyTorch's own operators in double precision.

    /usr/bin/python3 tests/golden/make_device_ops.py > tests/golden/device_ops.txt   (python3-torch)

Written for PyTorch 1.13. Where PyTorch has the operator (cross_entropy, silu, softmax, embedding,
AdamW, clip_grad_norm_) it is called; RMSNorm and rotary positions, which 1.13 lacks, are spelled
out. Inputs are fp32 numbers; results are computed in double and rounded to fp32 at the end.

Each line is: type, name, shape (comma-separated, "-" for a scalar), little-endian values in hex.
"""
import math
import struct

import torch
import torch.nn.functional as F

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)


def emit(name, tensor):
    tensor = tensor.detach()
    shape = ",".join(str(n) for n in tensor.shape) or "-"
    integers = tensor.dtype in (torch.int32, torch.int64)
    code, kind = ("i", "i32") if integers else ("f", "f32")
    values = tensor.reshape(-1).tolist()
    print(kind, name, shape, struct.pack(f"<{len(values)}{code}", *values).hex())


def leaf(name, *shape, factor=1.0):
    """A random input, exactly representable in fp32."""
    value = (torch.randn(*shape) * factor).float().double().requires_grad_(True)
    emit(name, value)
    return value


def gradients(prefix, out, **inputs):
    grad = torch.randn_like(out).float().double()
    emit(prefix + "/out", out)
    emit(prefix + "/grad_out", grad)
    for name, value in zip(inputs, torch.autograd.grad(out, list(inputs.values()), grad)):
        emit(f"{prefix}/grad_{name}", value)


# y = x W^T.
x, w = leaf("linear/x", 5, 12), leaf("linear/w", 9, 12)
gradients("linear", F.linear(x, w), x=x, w=w)

table = leaf("embedding/table", 11, 6)
tokens = torch.tensor([3, 0, 10, 3, 7, 3], dtype=torch.int32)
emit("embedding/tokens", tokens)
gradients("embedding", F.embedding(tokens.long(), table), table=table)

EPS = 1e-3
x, w = leaf("rms_norm/x", 7, 20), leaf("rms_norm/w", 20)
gradients("rms_norm", x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * w, x=x, w=w)

# Hugging Face's form: x * cos + rotate_half(x) * sin, both halves with the same angles.
HEADS, DIM, BASE = 3, 8, 10000.0
x = leaf("rope/x", 6, HEADS * DIM)
positions = torch.tensor([0, 1, 2, 50, 1000, 4095], dtype=torch.int32)
emit("rope/positions", positions)
frequency = 1.0 / (BASE ** (torch.arange(0, DIM, 2) / DIM))
angles = torch.outer(positions.double(), frequency)
angles = torch.cat((angles, angles), -1)[:, None, :]
heads = x.reshape(6, HEADS, DIM)
turned = torch.cat((-heads[..., DIM // 2:], heads[..., : DIM // 2]), -1)
gradients("rope", (heads * angles.cos() + turned * angles.sin()).reshape(6, -1), x=x)

gate, up = leaf("swiglu/gate", 4, 10, factor=4.0), leaf("swiglu/up", 4, 10)
gradients("swiglu", F.silu(gate) * up, gate=gate, up=up)

# Causal, grouped: 2 sequences of 9, 4 heads of 6 over 2 kv heads, flattened to [B * T, heads * D].
B, T, H, G, D = 2, 9, 4, 2, 6
q, k, v = (leaf(f"attention/{n}", B * T, h * D) for n, h in (("q", H), ("k", G), ("v", G)))


def by_head(t, heads):
    t = t.reshape(B, T, heads, D).transpose(1, 2)
    return t.repeat_interleave(H // heads, dim=1)


scores = by_head(q, H) @ by_head(k, G).transpose(-1, -2) / math.sqrt(D)
scores = scores.masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf)
emit("attention/lse", torch.logsumexp(scores, -1).transpose(1, 2).reshape(B * T, H))
out = (scores.softmax(-1) @ by_head(v, G)).transpose(1, 2).reshape(B * T, H * D)
gradients("attention", out, q=q, k=k, v=v)

# Row 2 is ignored; the mean is over the others, so the gradient's scale is 1 / 5.
logits = leaf("cross_entropy/logits", 6, 13, factor=5.0)
targets = torch.tensor([0, 12, -1, 5, 5, 7], dtype=torch.int32)
emit("cross_entropy/targets", targets)
each = F.cross_entropy(logits, targets.long(), ignore_index=-1, reduction="none")
emit("cross_entropy/losses", each)
emit("cross_entropy/grad_logits", torch.autograd.grad(each.sum() / 5, logits)[0])

# Four steps with clipping of the whole gradient to 1.
weight = torch.nn.Parameter(leaf("adamw/start", 40).detach().clone())
optimizer = torch.optim.AdamW([weight], lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
for step in range(4):
    weight.grad = leaf(f"adamw/gradient{step}", 40, factor=0.5 ** step).detach().clone()
    norm = torch.nn.utils.clip_grad_norm_([weight], 1.0)
    emit(f"adamw/norm{step}", norm)
    optimizer.step()
    emit(f"adamw/weight{step}", weight)
state = optimizer.state[weight]
emit("adamw/m", state["exp_avg"])
emit("adamw/v", state["exp_avg_sq"])

# What gpt2 has beside that. These come last: random numbers are drawn in this order.
x, w, b = leaf("layer_norm/x", 7, 20), leaf("layer_norm/w", 20), leaf("layer_norm/b", 20)
gradients("layer_norm", F.layer_norm(x, (20,), w, b, EPS), x=x, w=w, b=b)

x = leaf("gelu/x", 4, 10, factor=3.0)
gradients("gelu", F.gelu(x, approximate="tanh"), x=x)

x, w, b = leaf("biased/x", 5, 12), leaf("biased/w", 9, 12), leaf("biased/b", 9)
gradients("biased", F.linear(x, w, b), x=x, w=w, b=b)
