#!/usr/bin/env python3
"""The peer of train_step: the same llama or GPT-2 in plain PyTorch, on the CPU or a GPU, trained the same way.

    OMP_NUM_THREADS=2 python3 bench/peer_torch.py shape=gpt2 batch=4 length=512 steps=5
    ... compile=1 precision=bf16 family=gpt2 device=cuda

Keys are those of train_step, and compile=1 for torch.compile. RMSNorm, rotary positions and SwiGLU,
or LayerNorm, learned positions, GELU (tanh) and biases; scaled_dot_product_attention, cross
entropy, AdamW (fused where this PyTorch has it for the CPU), clipping of the global norm.
precision=bf16 is autocast. On a GPU products of fp32 do not use TF32, and peak_mb is the device's. Random weights and tokens. The last line is for scripts: key=value.
"""

import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SHAPES = {
    "quickstart": dict(width=128, layers=4, heads=4, ffn=384, vocab=257, tied=0, length=128, batch=16, steps=20,
                       positions=1024),
    "gpt2": dict(width=768, layers=12, heads=12, ffn=2048, vocab=50257, tied=1, length=512, batch=4, steps=5,
                 positions=1024),
}


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        if hasattr(F, "rms_norm"):
            return F.rms_norm(x, self.weight.shape, self.weight, 1e-5)
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


class Block(nn.Module):
    def __init__(self, k):
        super().__init__()
        w = k["width"]
        self.heads = k["heads"]
        self.norm1, self.norm2 = RmsNorm(w), RmsNorm(w)
        self.qkv = nn.Linear(w, 3 * w, bias=False)
        self.out = nn.Linear(w, w, bias=False)
        self.gate_up = nn.Linear(w, 2 * k["ffn"], bias=False)
        self.down = nn.Linear(k["ffn"], w, bias=False)

    def forward(self, x, cos, sin):
        b, t, w = x.shape
        q, key, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)

        def turn(z):
            low, high = z.chunk(2, dim=-1)
            return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1)

        y = F.scaled_dot_product_attention(turn(q), turn(key), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, w))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Gpt2Block(nn.Module):
    def __init__(self, k):
        super().__init__()
        w = k["width"]
        self.heads = k["heads"]
        self.norm1, self.norm2 = nn.LayerNorm(w, eps=1e-5), nn.LayerNorm(w, eps=1e-5)
        self.qkv, self.out = nn.Linear(w, 3 * w), nn.Linear(w, w)
        self.up, self.down = nn.Linear(w, k["ffn"]), nn.Linear(k["ffn"], w)

    def forward(self, x):
        b, t, w = x.shape
        q, key, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, key, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, w))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.tokens = nn.Embedding(k["vocab"], k["width"])
        self.positions = nn.Embedding(k["positions"], k["width"])
        self.blocks = nn.ModuleList(Gpt2Block(k) for _ in range(k["layers"]))
        self.norm = nn.LayerNorm(k["width"], eps=1e-5)
        self.head = nn.Linear(k["width"], k["vocab"], bias=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)
        if k["tied"]:
            self.head.weight = self.tokens.weight

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.float().view(-1, logits.shape[-1]), targets.view(-1))


class Llama(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.embed = nn.Embedding(k["vocab"], k["width"])
        self.blocks = nn.ModuleList(Block(k) for _ in range(k["layers"]))
        self.norm = RmsNorm(k["width"])
        self.head = nn.Linear(k["width"], k["vocab"], bias=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)
        if k["tied"]:
            self.head.weight = self.embed.weight
        half = k["width"] // k["heads"] // 2
        angles = torch.outer(torch.arange(k["length"]), 10000.0 ** (-torch.arange(half) / half))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens, targets):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.float().view(-1, logits.shape[-1]), targets.view(-1))


def main():
    given = dict(arg.split("=", 1) for arg in sys.argv[1:])
    gpt2 = given.pop("family", "llama") == "gpt2"
    shape = given.pop("shape", "gpt2" if gpt2 else "quickstart")
    k = dict(SHAPES[shape])
    if gpt2 and shape == "gpt2":
        k["ffn"] = 3072
    compile_it = given.pop("compile", "0") == "1"
    bf16 = given.pop("precision", "fp32") == "bf16"
    device = given.pop("device", "cpu")
    if device != "cpu":
        torch.set_default_device(device)
    k.update({name: int(value) for name, value in given.items()})
    torch.manual_seed(1)
    model = (Gpt2 if gpt2 else Llama)(k)
    params = [p for p in model.parameters()]
    groups = [
        {"params": [p for p in params if p.dim() == 2], "weight_decay": 0.1},
        {"params": [p for p in params if p.dim() == 1], "weight_decay": 0.0},
    ]
    try:
        optimizer = torch.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.95), fused=True)
    except (RuntimeError, TypeError):
        optimizer = torch.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.95))
    run = torch.compile(model) if compile_it else model
    count = sum(p.numel() for p in params)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {count} parameters, "
          f"{'compiled' if compile_it else 'eager'}, {'bf16 autocast' if bf16 else 'fp32'}", flush=True)
    seconds = []
    cpu = 0.0
    for step in range(k["steps"]):
        tokens = torch.randint(k["vocab"], (k["batch"], k["length"] + 1))
        begin, cpu_begin = time.monotonic(), time.process_time()
        with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
            loss = run(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        if step > 0:
            seconds.append(time.monotonic() - begin)
            cpu += time.process_time() - cpu_begin
        print(f"step {step:3d}  loss {value:.4f}  {time.monotonic() - begin:.2f} s", flush=True)
    seconds.sort()
    median = seconds[len(seconds) // 2]
    tokens = k["batch"] * k["length"]
    # As Concordat counts: 6 N without look-ups but with the head, and attention's full square.
    n = count - (0 if k["tied"] else k["vocab"] * k["width"]) - (k["positions"] * k["width"] if gpt2 else 0)
    flops = tokens * (6 * n + 12 * k["layers"] * k["width"] * k["length"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device != "cpu":
        peak = torch.cuda.max_memory_allocated()
    print(f"median_ms={median * 1e3:.1f} best_ms={seconds[0] * 1e3:.1f} tokens_per_s={tokens / median:.1f} "
          f"best_tokens_per_s={tokens / seconds[0]:.1f} gflops={flops / median * 1e-9:.2f} peak_mb={peak * 1e-6:.0f} "
          f"tokens_per_cpu_s={tokens * len(seconds) / cpu:.1f}")


if __name__ == "__main__":
    main()
