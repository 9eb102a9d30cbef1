#!/usr/bin/python3
"""Holds this program's logits and gradients of a Hugging Face folder against PyTorch's.

    check_model.py make BASE                        BASE/llama and BASE/gpt2: random weights, written
                                                    by transformers itself; nothing where it is not.
                                                    CHECK_MODEL_SIZE=124m in the environment: GPT-2 124M
                                                    and a llama of its width and depth
    check_model.py check SEQUENCES LENGTH FOLDER... folders of this program's, or of transformers

A FOLDER has config.json, the weights, windows.u32 [SEQUENCES, LENGTH + 1], logits.f32 [SEQUENCES,
LENGTH, vocabulary] and, if gradients are to be compared, gradients.safetensors: those of the mean
loss, named and laid out as the weights are. The models are spelled out below and run in double
precision; where transformers is installed, its own model is loaded from the folder as well and held
to the same bounds. Exit codes: 0 logits within 1e-4 of the largest and every tensor's gradient
within 1e-3 of its largest; 1 not; 77 no torch here.
"""
import json
import math
import os
import pathlib
import struct
import sys

try:
    import torch
except ImportError:
    print("no torch in this Python")
    sys.exit(77)
try:
    import transformers
except ImportError:
    transformers = None

LOGITS, GRADIENTS = 1e-4, 1e-3
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


def llama(config, w, tokens):
    """tokens: [B, T] -> logits: [B, T, vocabulary]"""
    batch, length = tokens.shape
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    base = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    width = config["hidden_size"]
    dim = width // heads

    def norm(x, name):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + config["rms_norm_eps"]) * w[name]

    def rope(x):
        inverse = base ** (-torch.arange(dim // 2, dtype=torch.float64) * 2 / dim)
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


def gpt2(config, w, tokens):
    """tokens: [B, T] -> logits: [B, T, vocabulary]. Matrices are [in, out]."""
    batch, length = tokens.shape
    heads, width = config["n_head"], config["n_embd"]
    dim = width // heads

    def norm(x, name):
        mean = x.mean(-1, keepdim=True)
        variance = ((x - mean) ** 2).mean(-1, keepdim=True)
        scale = torch.rsqrt(variance + config["layer_norm_epsilon"])
        return (x - mean) * scale * w[name + ".weight"] + w[name + ".bias"]

    def linear(x, name):
        return x @ w[name + ".weight"] + w[name + ".bias"]

    def gelu(x):
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))

    x = w["transformer.wte.weight"][tokens] + w["transformer.wpe.weight"][:length]
    mask = torch.full((length, length), -math.inf, dtype=torch.float64).triu(1)
    for n in range(config["n_layer"]):
        p = f"transformer.h.{n}."
        q, k, v = (t.view(batch, length, heads, dim).transpose(1, 2)
                   for t in linear(norm(x, p + "ln_1"), p + "attn.c_attn").split(width, -1))
        scores = (q @ k.transpose(2, 3) / math.sqrt(dim) + mask).softmax(-1)
        x = x + linear((scores @ v).transpose(1, 2).reshape(batch, length, width), p + "attn.c_proj")
        x = x + linear(gelu(linear(norm(x, p + "ln_2"), p + "mlp.c_fc")), p + "mlp.c_proj")
    head = w.get("lm_head.weight", w["transformer.wte.weight"])
    return norm(x, "transformer.ln_f") @ head.T


def make(base):
    if transformers is None:
        return
    torch.manual_seed(11)
    # Defaults elsewhere, gpt2's dropout of 0.1 among them; its inner width is 4 * n_embd.
    large = os.environ.get("CHECK_MODEL_SIZE") == "124m"
    vocab, width, layers, heads = (50257, 768, 12, 12) if large else (37, 32, 3, 4)
    gpt2_config = transformers.GPT2Config(vocab_size=vocab, n_embd=width, n_layer=layers, n_head=heads,
                                          n_positions=1024 if large else 24, bos_token_id=0, eos_token_id=0)
    llama_config = transformers.LlamaConfig(
        vocab_size=vocab, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=heads // 2, intermediate_size=2048 if large else 48, max_position_embeddings=64,
        rms_norm_eps=1e-6, bos_token_id=0, eos_token_id=0)
    matrices = 0.04 if large else 0.3  # activations of size 1, or a little more
    for model in transformers.GPT2LMHeadModel(gpt2_config), transformers.LlamaForCausalLM(llama_config):
        with torch.no_grad():
            for name, p in model.named_parameters():
                gain = 1.0 if p.dim() == 1 and name.endswith("weight") else 0.0
                p.copy_(gain + torch.randn_like(p) * (0.1 if p.dim() == 1 else matrices))
        model.save_pretrained(base / model.config.model_type)


def loss_of(logits, targets):
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))


def spelled_out(config, weights, tokens, targets):
    weights = {name: w.requires_grad_(True) for name, w in weights.items()}
    logits = {"llama": llama, "gpt2": gpt2}[config["model_type"]](config, weights, tokens)
    loss_of(logits, targets).backward()
    # A tied head that the file repeats is not read.
    return logits.detach(), {name: w.grad for name, w in weights.items() if w.grad is not None}


def by_transformers(folder, tokens, targets):
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True)  # in the type that config.json names
    if report["missing_keys"] or report["unexpected_keys"]:
        print("transformers:", report)
        sys.exit(1)
    model.eval()  # no dropout
    logits = model(tokens).logits
    loss_of(logits, targets).backward()
    return logits.detach().double(), {name: p.grad.double() for name, p in model.named_parameters()}


def largest_error(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


def check(folder, sequences, length):
    config = json.loads((folder / "config.json").read_text())
    raw = struct.unpack(f"<{sequences * (length + 1)}I", (folder / "windows.u32").read_bytes())
    windows = torch.tensor(raw, dtype=torch.int64).reshape(sequences, length + 1)
    tokens, targets = windows[:, :-1], windows[:, 1:]
    found = torch.frombuffer(bytearray((folder / "logits.f32").read_bytes()), dtype=torch.float32)
    found = found.reshape(sequences, length, config["vocab_size"]).double()
    gradients = {}
    if (folder / "gradients.safetensors").exists():
        gradients = dict(read_safetensors(folder / "gradients.safetensors"))
    expected = {"the model spelled out": spelled_out(config, read_weights(folder), tokens, targets)}
    if transformers is None:
        print("transformers is not installed: the folder was not loaded by it")
    else:
        expected["transformers " + transformers.__version__] = by_transformers(folder, tokens, targets)
    good = True
    print(folder.name)
    for name, (logits, slopes) in expected.items():
        error = largest_error(found, logits)
        good = good and error <= LOGITS
        print(f"  against {name}: largest difference {error:.2e} of the largest logit")
        if not gradients:
            continue
        if set(slopes) != set(gradients):
            print("other tensors:", sorted(set(slopes) ^ set(gradients)))
            return False
        errors = {tensor: largest_error(gradients[tensor], slope) for tensor, slope in slopes.items()}
        worst = max(errors, key=errors.get)
        good = good and errors[worst] <= GRADIENTS
        print(f"    gradients of {len(errors)} tensors: at most {errors[worst]:.2e} of a tensor's largest ({worst})")
    return good


def main():
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
        return 0
    sequences, length = int(sys.argv[2]), int(sys.argv[3])
    return 0 if all([check(pathlib.Path(folder), sequences, length) for folder in sys.argv[4:]]) else 1


if __name__ == "__main__":
    sys.exit(main())
