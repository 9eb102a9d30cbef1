#!/usr/bin/env python3
"""The quickstart's recipe in PyTorch: bits per byte of FedAvg and of a run on the pooled data.

    python3 bench/gap_to_pooled_torch.py CORPORA SEED [SEED ...]     (PyTorch 2, numpy)

CORPORA holds de/, fr/ and es/ as scripts/corpus.sh writes them. Everything is that of
configs/federation.toml and of `concordat eval --windows=200`: model, initial weights and order of
the data of a seed (docs/formats/exact-numbers.md), split of the documents, learning rates, clipping,
held-out windows. So the two programs differ in their arithmetic and in the exchange alone: here
plain averages in fp32, there masked integers of 8 bits.
Prints one line per seed and model: PyTorch SEED (federated|pooled) DE FR ES MEAN.

FedAvg: McMahan et al. 2017, algorithm 1, equal weights; AdamW moments stay at each site.
"""
import hashlib
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

VOCAB, SEPARATOR, WIDTH, LAYERS, HEADS, FFN = 257, 256, 128, 4, 4, 384
HEAD_DIM, ROPE_BASE, EPS, INIT = WIDTH // HEADS, 10000.0, 1e-5, 0.02
ROUNDS, INNER_STEPS, WARMUP, BATCH, LENGTH = 18, 10, 20, 16, 128
PEAK, FLOOR, BETAS, ADAM_EPS, DECAY, CLIP = 3e-3, 3e-4, (0.9, 0.95), 1e-8, 0.1, 1.0
PERMILLE, WINDOWS = 100, 200
LANGUAGES = ("de", "fr", "es")


def read_corpus(folder):
    """Token sequences of both splits, by `concordat ingest`'s rule (docs/formats/token-shard.md)."""
    splits, seen = {"train": [], "validation": []}, set()
    for path in sorted(Path(folder).glob("**/*.txt"), key=lambda p: str(p).encode()):
        text = path.read_bytes()
        content = hashlib.sha256(text).digest()
        if not text or content in seen:
            continue
        seen.add(content)
        side = hashlib.sha256(b"concordat/split/v1" + content).digest()
        held_out = int.from_bytes(side[:8], "little") % 1000 < PERMILLE
        splits["validation" if held_out else "train"] += list(text) + [SEPARATOR]
    return {name: torch.tensor(tokens) for name, tokens in splits.items()}


INITIAL_WEIGHTS, DATA_ORDER = 1, 2


def words(seed, purpose, stream, indices):
    """word(seed, purpose, stream, index) of exact-numbers.md for an array of indices: Philox4x32-10"""
    low = np.uint64(0xFFFFFFFF)
    block = indices // np.uint64(4)
    c = [block & low, (block >> np.uint64(32)) + np.uint64(stream << 8),
         np.full_like(block, purpose), np.zeros_like(block)]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(q >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), q & low,
             (p >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), p & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.choose((indices % np.uint64(4)).astype(int), c)


assert [f"{w:08x}" for w in words(42, 2, 3, np.arange(3, dtype=np.uint64))] == ["a6bccc16", "3034d851", "6c8cc9cb"]


def shuffled(seed, epoch, count):
    """The permutation of range(count) of an epoch: a Feistel network of six rounds, walked into range."""
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)

    def permute(value):
        left, right = value >> np.uint64(half), value & mask
        for r in range(6):
            mixed = words(seed, DATA_ORDER, epoch, np.uint64(r << 32) | right)
            left, right = right, left ^ (mixed & mask)
        return (left << np.uint64(half)) | right

    value = permute(np.arange(count, dtype=np.uint64))
    while (value >= count).any():
        value = np.where(value >= count, permute(value), value)
    return value.astype(np.int64)


class Windows:
    """The training windows of one corpus in the order of a seed; of its first epoch."""

    def __init__(self, tokens, seed):
        self.tokens, self.next = tokens, 0
        count = max(1, (len(tokens) - 1) // LENGTH - 1)
        room = len(tokens) - 1 - count * LENGTH
        high, low = words(seed, DATA_ORDER, 0, np.array([6 << 32, (6 << 32) + 1], dtype=np.uint64)).tolist()
        shift = ((high << 32) | low) % min(room + 1, LENGTH)
        self.begins = shift + shuffled(seed, 0, count) * LENGTH

    def batch(self):
        begins = self.begins[self.next:self.next + BATCH].tolist()
        assert len(begins) == BATCH, "more steps than an epoch has"
        self.next += BATCH
        return torch.stack([self.tokens[b:b + LENGTH + 1] for b in begins])


class Llama(torch.nn.Module):
    def __init__(self, seed):
        super().__init__()
        narrow = INIT / math.sqrt(2 * LAYERS)

        def draw(ordinal, rows, columns, stddev=INIT):
            """Tensor `ordinal` in declared order: embedding, nine a layer, final norm, head."""
            drawn = words(seed, INITIAL_WEIGHTS, ordinal, np.arange(rows * columns, dtype=np.uint64))
            p = (torch.from_numpy(drawn.astype(np.float64)) + 0.5) / 2**32
            return (torch.special.ndtri(p) * stddev).float().view(rows, columns)

        def ones():
            return torch.nn.Parameter(torch.ones(WIDTH))

        def block(first):
            return torch.nn.ParameterDict({
                "norm1": ones(), "norm2": ones(),
                "qkv": torch.nn.Parameter(torch.cat([draw(first + i, WIDTH, WIDTH) for i in (1, 2, 3)])),
                "out": torch.nn.Parameter(draw(first + 4, WIDTH, WIDTH, narrow)),
                "gate_up": torch.nn.Parameter(torch.cat([draw(first + i, FFN, WIDTH) for i in (6, 7)])),
                "down": torch.nn.Parameter(draw(first + 8, WIDTH, FFN, narrow))})

        self.embedding = torch.nn.Parameter(draw(0, VOCAB, WIDTH))
        self.blocks = torch.nn.ModuleList(block(1 + 9 * layer) for layer in range(LAYERS))
        self.final_norm = ones()
        self.head = torch.nn.Parameter(draw(2 + 9 * LAYERS, VOCAB, WIDTH))
        inverse = ROPE_BASE ** (-torch.arange(HEAD_DIM // 2, dtype=torch.float64) * 2 / HEAD_DIM)
        angle = torch.arange(LENGTH, dtype=torch.float64)[:, None] * inverse[None, :]
        self.cos, self.sin = angle.cos().float(), angle.sin().float()
        self.mask = torch.full((LENGTH, LENGTH), -math.inf).triu(1)

    def rope(self, x):
        a, b = x.chunk(2, -1)
        return torch.cat([a * self.cos - b * self.sin, b * self.cos + a * self.sin], -1)

    def loss(self, tokens):
        """tokens: [B, LENGTH + 1] -> mean nats per token, targets shifted by one"""
        x = self.embedding[tokens[:, :-1]]
        batch = x.shape[0]
        for b in self.blocks:
            q, k, v = (y.view(batch, LENGTH, HEADS, HEAD_DIM).transpose(1, 2)
                       for y in (norm(x, b["norm1"]) @ b["qkv"].T).chunk(3, -1))
            scores = self.rope(q) @ self.rope(k).transpose(2, 3) / math.sqrt(HEAD_DIM) + self.mask
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, LENGTH, WIDTH)
            x = x + mixed @ b["out"].T
            gate, up = (norm(x, b["norm2"]) @ b["gate_up"].T).chunk(2, -1)
            x = x + (F.silu(gate) * up) @ b["down"].T
        logits = norm(x, self.final_norm) @ self.head.T
        return F.cross_entropy(logits.view(-1, VOCAB), tokens[:, 1:].reshape(-1))


def norm(x, weight):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + EPS) * weight


def rate(step):
    total = ROUNDS * INNER_STEPS
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    return FLOOR + 0.5 * (PEAK - FLOOR) * (1 + math.cos(math.pi * (step - WARMUP) / (total - WARMUP)))


class Trainer:
    """AdamW over the recipe's rates; `precision` other than float32 is autocast's."""

    def __init__(self, model, sources, precision=torch.float32):
        self.model, self.sources, self.step, self.precision = model, sources, 0, precision
        groups = [{"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": DECAY},
                  {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, betas=BETAS, eps=ADAM_EPS)

    def run(self, steps):
        """The loss of each step, in nats per token, before it."""
        losses = []
        for _ in range(steps):
            for group in self.optimizer.param_groups:
                group["lr"] = rate(self.step)
            self.optimizer.zero_grad()
            tokens = torch.cat([source.batch() for source in self.sources])
            with torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32):
                loss = self.model.loss(tokens)
            loss.backward()
            losses.append(loss.item())
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            self.optimizer.step()
            self.step += 1
        return losses


@torch.no_grad()
def bits_per_byte(model, tokens):
    available = (len(tokens) - 1) // LENGTH
    count = min(WINDOWS, available)
    begins = [i * available // count * LENGTH for i in range(count)]
    windows = torch.stack([tokens[b:b + LENGTH + 1] for b in begins])
    nats = model.loss(windows).item() * windows[:, 1:].numel()
    return nats / math.log(2) / (windows[:, 1:] < SEPARATOR).sum().item()


def report(seed, name, model, corpora):
    row = [bits_per_byte(model, corpora[code]["validation"]) for code in LANGUAGES]
    print("PyTorch", seed, name, *(f"{x:.4f}" for x in row + [sum(row) / len(row)]), flush=True)


def train_federated(seed, corpora):
    sites = [Trainer(Llama(seed), [Windows(corpora[code]["train"], seed)]) for code in LANGUAGES]
    for _ in range(ROUNDS):
        for site in sites:
            site.run(INNER_STEPS)
        with torch.no_grad():
            for copies in zip(*(site.model.parameters() for site in sites)):
                mean = sum(copies) / len(copies)
                for copy in copies:
                    copy.copy_(mean)
    report(seed, "federated", sites[0].model, corpora)


def train_pooled(seed, corpora):
    pooled = Trainer(Llama(seed), [Windows(corpora[code]["train"], seed) for code in LANGUAGES])
    pooled.run(ROUNDS * INNER_STEPS)
    report(seed, "pooled", pooled.model, corpora)


def main():
    torch.set_num_threads(1)
    corpora = {code: read_corpus(Path(sys.argv[1]) / code) for code in LANGUAGES}
    for seed in map(int, sys.argv[2:]):
        train_federated(seed, corpora)
        train_pooled(seed, corpora)


if __name__ == "__main__":
    main()
