#!/usr/bin/python3
"""Golden values of a tiny llama, computed by PyTorch in double precision.

    /usr/bin/python3 tests/golden/make_llama.py > tests/golden/llama.txt     (Debian: python3-torch)

Written for PyTorch 1.13; any later version gives the same values to the printed bits or nearly so.
The model is spelled out below instead of taken from a library, so that a reader can hold it against
the C++ layers: RMSNorm, rotary positions in Hugging Face's half-split pairing, grouped-query causal
attention, SwiGLU, untied head. Weights and gradients are rounded to fp32 at the end.

Each line is: type, name, shape (comma-separated, "-" for a scalar), little-endian values in hex.
"""
import math
import struct
import sys

import torch

torch.manual_seed(20)
VOCAB, WIDTH, LAYERS, HEADS, KV_HEADS, FFN = 19, 16, 2, 4, 2, 24
SEQUENCES, LENGTH, STEPS = 3, 7, 6
HEAD_DIM = WIDTH // HEADS
ROPE_BASE, EPS = 10000.0, 1e-5
PEAK, FLOOR, WARMUP, TOTAL = 1e-2, 1e-3, 2, 6
BETAS, ADAM_EPS, DECAY, CLIP = (0.9, 0.95), 1e-8, 0.1, 1.0


def declare():
    """Names and shapes in the canonical order."""
    kv = KV_HEADS * HEAD_DIM
    yield "model.embed_tokens.weight", (VOCAB, WIDTH)
    for n in range(LAYERS):
        p = f"model.layers.{n}."
        yield p + "input_layernorm.weight", (WIDTH,)
        yield p + "self_attn.q_proj.weight", (WIDTH, WIDTH)
        yield p + "self_attn.k_proj.weight", (kv, WIDTH)
        yield p + "self_attn.v_proj.weight", (kv, WIDTH)
        yield p + "self_attn.o_proj.weight", (WIDTH, WIDTH)
        yield p + "post_attention_layernorm.weight", (WIDTH,)
        yield p + "mlp.gate_proj.weight", (FFN, WIDTH)
        yield p + "mlp.up_proj.weight", (FFN, WIDTH)
        yield p + "mlp.down_proj.weight", (WIDTH, FFN)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCAB, WIDTH)


def norm(x, w):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + EPS) * w


def rope(x):
    """x: [B, H, T, D]"""
    half = HEAD_DIM // 2
    inverse = ROPE_BASE ** (-torch.arange(half, dtype=torch.float64) * 2 / HEAD_DIM)
    angle = torch.arange(x.shape[2], dtype=torch.float64)[:, None] * inverse[None, :]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def forward(w, tokens):
    """tokens: [B, T] -> logits: [B, T, VOCAB]"""
    batch, length = tokens.shape
    x = w["model.embed_tokens.weight"][tokens]
    mask = torch.full((length, length), -math.inf, dtype=torch.float64).triu(1)
    for n in range(LAYERS):
        p = f"model.layers.{n}."
        h = norm(x, w[p + "input_layernorm.weight"])

        def heads(name, count):
            y = h @ w[p + f"self_attn.{name}.weight"].T
            return y.view(batch, length, count, HEAD_DIM).transpose(1, 2)

        q, k, v = rope(heads("q_proj", HEADS)), rope(heads("k_proj", KV_HEADS)), heads("v_proj", KV_HEADS)
        k = k.repeat_interleave(HEADS // KV_HEADS, 1)
        v = v.repeat_interleave(HEADS // KV_HEADS, 1)
        scores = q @ k.transpose(2, 3) / math.sqrt(HEAD_DIM) + mask
        out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, WIDTH)
        x = x + out @ w[p + "self_attn.o_proj.weight"].T
        h = norm(x, w[p + "post_attention_layernorm.weight"])
        gate, up = h @ w[p + "mlp.gate_proj.weight"].T, h @ w[p + "mlp.up_proj.weight"].T
        x = x + (torch.nn.functional.silu(gate) * up) @ w[p + "mlp.down_proj.weight"].T
    return norm(x, w["model.norm.weight"]) @ w["lm_head.weight"].T


def rate(step):
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    done = (step - WARMUP) / (TOTAL - WARMUP)
    return FLOOR + 0.5 * (PEAK - FLOOR) * (1 + math.cos(math.pi * done))


def emit(kind, name, values, shape):
    code = {"f32": "f", "f64": "d", "i32": "i"}[kind]
    values = list(values)
    text = struct.pack(f"<{len(values)}{code}", *values).hex()
    sys.stdout.write(f"{kind} {name} {','.join(map(str, shape)) or '-'} {text}\n")


def emit_tensor(name, tensor):
    emit("f32", name, tensor.detach().to(torch.float32).flatten().tolist(), tensor.shape)


def main():
    weights = {}
    for name, shape in declare():
        base = 1.0 if len(shape) == 1 else 0.0
        value = base + torch.randn(shape, dtype=torch.float64) * (0.1 if base else 0.25)
        weights[name] = value.to(torch.float32).to(torch.float64).requires_grad_(True)
        emit_tensor("weight/" + name, weights[name])

    decay = [w for w in weights.values() if w.dim() == 2]
    keep = [w for w in weights.values() if w.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": DECAY}, {"params": keep, "weight_decay": 0.0}],
        lr=1.0, betas=BETAS, eps=ADAM_EPS)
    losses, norms = [], []
    for step in range(STEPS):
        windows = torch.randint(0, VOCAB, (SEQUENCES, LENGTH + 1))
        emit("i32", f"tokens/{step}", windows.flatten().tolist(), windows.shape)
        optimizer.zero_grad()
        logits = forward(weights, windows[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCAB), windows[:, 1:].reshape(-1))
        loss.backward()
        if step == 0:
            emit_tensor("logits", logits.reshape(-1, VOCAB))
            for name, w in weights.items():
                emit_tensor("gradient/" + name, w.grad)
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(list(weights.values()), CLIP).item())
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
    emit("f64", "losses", losses, (STEPS,))
    emit("f64", "norms", norms, (STEPS,))
    for name, w in weights.items():
        emit_tensor("final/" + name, w)


main()
