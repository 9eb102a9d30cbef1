#!/usr/bin/python3
"""Golden values of a tiny GPT-2, computed by PyTorch in double precision.

    python3 tests/golden/make_gpt2.py > tests/golden/gpt2.txt     (with PyTorch)

Any PyTorch gives the same values to the printed bits or nearly so. The model is spelled out below
instead of taken from a library, so that a reader can hold it against the C++ layers: learned
positions, LayerNorm with a bias, causal attention, GELU in its tanh form, biases, tied head.
Weights and gradients are rounded to fp32 at the end.

Query, key and value are three matrices here, as in the C++ layers; tests/interop/check_model.py
holds the joint one of Hugging Face's format against transformers. Each line is: type, name, shape
(comma-separated, "-" for a scalar), little-endian values in hex.
"""
import math
import struct
import sys

import torch

torch.manual_seed(21)
VOCAB, WIDTH, LAYERS, HEADS, FFN, POSITIONS = 19, 16, 2, 4, 40, 11
SEQUENCES, LENGTH, STEPS = 3, 7, 6
HEAD_DIM = WIDTH // HEADS
EPS = 1e-5
PEAK, FLOOR, WARMUP, TOTAL = 1e-2, 1e-3, 2, 6
BETAS, ADAM_EPS, DECAY, CLIP = (0.9, 0.95), 1e-8, 0.1, 1.0


def declare():
    """Names and shapes in the canonical order."""
    yield "transformer.wte.weight", (VOCAB, WIDTH)
    yield "transformer.wpe.weight", (POSITIONS, WIDTH)
    for n in range(LAYERS):
        p = f"transformer.h.{n}."
        for kind in ("weight", "bias"):
            yield p + "ln_1." + kind, (WIDTH,)
        for part in "qkv":
            yield p + f"attn.{part}_proj.weight", (WIDTH, WIDTH)
        for part in "qkv":
            yield p + f"attn.{part}_proj.bias", (WIDTH,)
        yield p + "attn.c_proj.weight", (WIDTH, WIDTH)
        yield p + "attn.c_proj.bias", (WIDTH,)
        for kind in ("weight", "bias"):
            yield p + "ln_2." + kind, (WIDTH,)
        yield p + "mlp.c_fc.weight", (FFN, WIDTH)
        yield p + "mlp.c_fc.bias", (FFN,)
        yield p + "mlp.c_proj.weight", (WIDTH, FFN)
        yield p + "mlp.c_proj.bias", (WIDTH,)
    for kind in ("weight", "bias"):
        yield "transformer.ln_f." + kind, (WIDTH,)


def norm(x, w, name):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + EPS) * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def forward(w, tokens):
    """tokens: [B, T] -> logits: [B, T, VOCAB]"""
    batch, length = tokens.shape
    x = w["transformer.wte.weight"][tokens] + w["transformer.wpe.weight"][:length]
    mask = torch.full((length, length), -math.inf, dtype=torch.float64).triu(1)
    for n in range(LAYERS):
        p = f"transformer.h.{n}."
        h = norm(x, w, p + "ln_1")
        q, k, v = (linear(h, w, p + f"attn.{part}_proj").view(batch, length, HEADS, HEAD_DIM).transpose(1, 2)
                   for part in "qkv")
        scores = q @ k.transpose(2, 3) / math.sqrt(HEAD_DIM) + mask
        out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, WIDTH)
        x = x + linear(out, w, p + "attn.c_proj")
        x = x + linear(gelu(linear(norm(x, w, p + "ln_2"), w, p + "mlp.c_fc")), w, p + "mlp.c_proj")
    return norm(x, w, "transformer.ln_f") @ w["transformer.wte.weight"].T


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
        gain = name.rsplit(".", 2)[-2].startswith("ln_") and name.endswith("weight")
        value = float(gain) + torch.randn(shape, dtype=torch.float64) * (0.25 if len(shape) == 2 else 0.1)
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
