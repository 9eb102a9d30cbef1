#!/usr/bin/python3
"""Holds this program's logits of a Hugging Face Llama folder against PyTorch's.

    check_logits.py FOLDER SEQUENCES LENGTH

FOLDER has config.json, the weights, tokens.u32 [SEQUENCES, LENGTH] and logits.f32 [.., vocabulary].
The model is spelled out below and run in double precision; where transformers is installed, its own
model is loaded from the folder as well and held to the same bound. Exit codes: 0 within 1e-4 of the
largest logit, 1 not, 77 no torch here.
"""
import json
import math
import pathlib
import struct
import sys

try:
    import torch
except ImportError:
    print("no torch in this Python")
    sys.exit(77)

TOLERANCE = 1e-4
TYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def read_safetensors(path):
    """Written from the format's description: this must not share our reader's mistakes."""
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    body = bytearray(data[8 + size:])
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(body[begin:end], dtype=TYPES[entry["dtype"]])
        yield name, flat.reshape(entry["shape"]).double()


def read_weights(folder):
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return dict(read_safetensors(folder / "model.safetensors"))
    weights = {}
    for name in sorted(set(json.loads(index.read_text())["weight_map"].values())):
        weights.update(read_safetensors(folder / name))
    return weights


def forward(config, w, tokens):
    """tokens: [B, T] -> logits: [B, T, vocabulary]"""
    batch, length = tokens.shape
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    width = config["hidden_size"]
    dim = width // heads

    def norm(x, name):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + config["rms_norm_eps"]) * w[name]

    def rope(x):
        inverse = config["rope_theta"] ** (-torch.arange(dim // 2, dtype=torch.float64) * 2 / dim)
        angle = torch.arange(length, dtype=torch.float64)[:, None] * inverse[None, :]
        a, b = x[..., :dim // 2], x[..., dim // 2:]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    x = w["model.embed_tokens.weight"][tokens]
    mask = torch.full((length, length), -math.inf, dtype=torch.float64).triu(1)
    for n in range(config["num_hidden_layers"]):
        p = f"model.layers.{n}."
        h = norm(x, p + "input_layernorm.weight")

        def split(name, count):
            return (h @ w[p + f"self_attn.{name}.weight"].T).view(batch, length, count, dim).transpose(1, 2)

        q, k, v = rope(split("q_proj", heads)), rope(split("k_proj", kv_heads)), split("v_proj", kv_heads)
        k, v = (t.repeat_interleave(heads // kv_heads, 1) for t in (k, v))
        scores = (q @ k.transpose(2, 3) / math.sqrt(dim) + mask).softmax(-1)
        x = x + (scores @ v).transpose(1, 2).reshape(batch, length, width) @ w[p + "self_attn.o_proj.weight"].T
        h = norm(x, p + "post_attention_layernorm.weight")
        gate, up = h @ w[p + "mlp.gate_proj.weight"].T, h @ w[p + "mlp.up_proj.weight"].T
        x = x + (torch.nn.functional.silu(gate) * up) @ w[p + "mlp.down_proj.weight"].T
    head = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
    return norm(x, "model.norm.weight") @ w[head].T


def main():
    folder, sequences, length = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    config = json.loads((folder / "config.json").read_text())
    count = sequences * length
    raw = struct.unpack(f"<{count}I", (folder / "tokens.u32").read_bytes())
    tokens = torch.tensor(raw, dtype=torch.int64).reshape(sequences, length)
    found = torch.frombuffer(bytearray((folder / "logits.f32").read_bytes()), dtype=torch.float32)
    found = found.reshape(sequences, length, config["vocab_size"]).double()
    expected = {"spelled out": forward(config, read_weights(folder), tokens)}
    try:
        import transformers
    except ImportError:
        print("transformers is not installed: the folder was not loaded by it")
    else:
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            folder, torch_dtype=torch.float32, output_loading_info=True)
        if report["missing_keys"] or report["unexpected_keys"]:
            print("transformers:", report)
            return 1
        with torch.no_grad():
            expected["transformers " + transformers.__version__] = model(tokens).logits.double()
    worst = 0.0
    for name, values in expected.items():
        error = ((found - values).abs().max() / values.abs().max()).item()
        print(f"logits against {name}: largest difference {error:.2e} of the largest logit")
        worst = max(worst, error)
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
