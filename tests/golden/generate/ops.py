"""Golden data of ops: tests/golden/ops/ops.bin, read by test_golden_ops.c.

Expected values are computed by PyTorch in float64 (rope: by Transformers' own function in float32) and
rounded to float32; blocks by gguf.quants, which the tests must match bit for bit.
The file is a list of arrays: a line "name type count\n", then count little-endian elements (f4, i4, u1, u2).
Run: python ops.py, then update tests/golden/SHA256SUMS-ops. Versions: requirements.txt."""
import pathlib

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from gguf import quants
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

OUT = pathlib.Path(__file__).parent.parent / "ops" / "ops.bin"
random = np.random.default_rng(20260728)
arrays = []


def put(name, values):
    values = np.ascontiguousarray(values)
    arrays.append((name, values))
    return torch.from_numpy(values.astype(np.float64)) if values.dtype.kind == "f" else values


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


def expect(name, values):
    put(name, values.numpy().astype(np.float32))


def norms():
    x, w, b = put("norm.x", normal(5, 77) * 3 + 1), put("norm.weight", normal(77)), put("norm.bias", normal(77))
    expect("norm.rms", F.rms_norm(x, (77,), w, 1e-5))
    expect("norm.rms_gemma", F.rms_norm(x, (77,), w + 1, 1e-6))
    expect("norm.layer", F.layer_norm(x, (77,), w, b, 1e-5))


def activations():
    corners = np.array([0, -0.0, 1e-20, -1e-4, 0.5, -0.5, 8, -8, 30, -30, 100, -100], np.float32)
    x = put("act.x", np.concatenate([corners, normal(500) * 3]))
    up = put("act.up", normal(512))
    for name, y in [("gelu_tanh", F.gelu(x, approximate="tanh")), ("gelu_erf", F.gelu(x)), ("silu", F.silu(x)),
                    ("relu", F.relu(x))]:
        expect("act." + name, y)
        expect("act_mul." + name, y * up)
    expect("act.softcap", 5 * torch.tanh(x / 5))


def rope():
    x, positions = normal(7, 3, 64), np.array([0, 1, 2, 511, 4096, 8191, 131071], np.int32)
    inv_freq = (1.0 / 10000 ** (torch.arange(0, 64, 2).float() / 64))
    put("rope.x", x), put("rope.positions", positions), put("rope.inv_freq", inv_freq.numpy())
    angle = torch.from_numpy(positions).float()[:, None] * inv_freq[None]
    angle = torch.cat([angle, angle], -1)[None]  # [1, N, D]
    q = torch.from_numpy(x).transpose(0, 1)[None]  # [1, heads, N, D]
    y, _ = apply_rotary_pos_emb(q, q, angle.cos() * 1.25, angle.sin() * 1.25)
    put("rope.out", y[0].transpose(0, 1).contiguous().numpy())


STARTS = [0, 5, 6, 90]  # documents of attention and relations
MASKS = [("plain", 0, 0), ("window", 7, 0), ("softcap", 0, 3.0), ("both", 40, 2.0)]


def attend(q, k, v, window, cap):
    """Causal attention of packed documents, written out: [N, H, D] and [N, G, D]."""
    out = []
    for a, b in zip(STARTS, STARTS[1:]):
        kk, vv = (t[a:b].repeat_interleave(q.shape[1] // k.shape[1], 1).transpose(0, 1) for t in (k, v))
        s = q[a:b].transpose(0, 1) @ kk.transpose(1, 2) * 0.3
        s = cap * torch.tanh(s / cap) if cap else s
        i, j = torch.arange(b - a)[:, None], torch.arange(b - a)[None]
        visible = (j <= i) & ((i - j < window) if window else True)
        out.append((s.masked_fill(~visible, -torch.inf).softmax(-1) @ vv).transpose(0, 1))
    return torch.cat(out)


def attention():
    H, G, D = 6, 2, 24
    N = STARTS[-1]
    q, k, v = put("attention.q", normal(N, H, D)), put("attention.k", normal(N, G, D)), put("attention.v", normal(N, G, D))
    put("attention.starts", np.array(STARTS, np.int32))
    for name, window, cap in MASKS:
        expect("attention." + name, attend(q, k, v, window, cap))
    y = F.scaled_dot_product_attention(q[6:].transpose(0, 1)[None], k[6:].transpose(0, 1)[None], v[6:].transpose(0, 1)[None],
                                       is_causal=True, enable_gqa=True, scale=0.3)
    last = dict(arrays)["attention.plain"][6:]
    assert np.abs(y[0].transpose(0, 1).numpy() - last).max() < 1e-6  # PyTorch's own attention says the same


def logits():
    x = put("logits.x", normal(4, 333) * 8)
    targets = np.array([3, 332, 0, 17], np.int32)
    put("logits.targets", targets)
    expect("logits.logsumexp", x.logsumexp(-1))
    values, ids = x.topk(9)
    expect("logits.top", values)
    put("logits.top_ids", ids.numpy().astype(np.int32))


def blocks():
    """Random bytes with sane scales, and what they decode to."""
    scales = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
              "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
    for name, offsets in scales.items():
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        data = random.integers(0, 256, (6, 512 // elements, size), dtype=np.uint8)
        for at in offsets:
            data[:, :, at:at + 2] = (normal(6, 512 // elements, 1) * 0.05).astype(np.float16).view(np.uint8)
        data = data.reshape(6, -1)
        put(f"blocks.{name}", data.reshape(-1))
        put(f"blocks.{name}.f32", quants.dequantize(data, kind).astype(np.float32).reshape(-1))


def quantise():
    rows = normal(8, 256) * np.array([1, 1e-3, 100, 1e-6, 1, 1e4, 1, 0.1], np.float32)[:, None]
    rows[0, 32:64] = 0  # a block of zeros
    rows[1, :32] = 0.25  # equal numbers
    rows[4, 5] = -30  # an outlier
    rows[6] = np.round(rows[6] * 2) / 2  # many ties in rounding
    put("quantise.x", rows.reshape(-1))
    for name in ["Q8_0", "Q4_0"]:
        put("quantise." + name, quants.quantize(rows, gguf.GGMLQuantizationType[name]).reshape(-1))


def halves():
    """float32 bit patterns around everything that rounding can get wrong."""
    bits = random.integers(0, 2**32, 3000, dtype=np.uint32)
    near = np.float32([65504, 65519.996, 65520, 65536, 2**-14, 2**-24, 2**-25, 2**-26, 1, 1 + 2**-11, 1 + 3 * 2**-11, 3.4e38, 0])
    halfway = (random.integers(0, 2**15, 500, dtype=np.uint32) << 16) | 0x8000  # bf16 ties
    half_ties = (random.integers(0x33000000 >> 12, 0x47800000 >> 12, 500, dtype=np.uint32) << 12)
    bits = np.concatenate([bits, near.view(np.uint32), (-near).view(np.uint32), halfway, half_ties,
                           np.uint32([0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF])]).astype(np.uint32)
    x = bits.view(np.float32)
    put("halves.x", bits.view(np.int32))
    t = torch.from_numpy(x.copy())
    put("halves.f16", t.half().view(torch.int16).numpy().view(np.uint16))
    put("halves.bf16", t.bfloat16().view(torch.int16).numpy().view(np.uint16))
    every = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    put("f8.e4m3", every.view(torch.float8_e4m3fn).float().numpy())
    put("f8.e5m2", every.view(torch.float8_e5m2).float().numpy())


def attention_gradients():
    """By autograd, of the inputs of attention()."""
    q, k, v = (torch.from_numpy(dict(arrays)["attention." + n].astype(np.float64)).requires_grad_() for n in "qkv")
    dout = put("attention.dout", normal(*q.shape))
    for name, window, cap in [MASKS[0], MASKS[3]]:
        gradients = torch.autograd.grad(attend(q, k, v, window, cap), (q, k, v), dout)
        for n, g in zip("qkv", gradients):
            expect(f"attention.{name}.d{n}", g)


def relations():
    """MiniLMv2 (arXiv:2012.15828), causal: softmax of X X^T / sqrt(d) of each head, KL(target || x)."""
    heads, N = 4, STARTS[-1]
    x, target = put("relation.x", normal(N, 48)).requires_grad_(), put("relation.target", normal(N, 72))

    def log_relation(t, a, b):
        t = t[a:b].reshape(b - a, heads, -1).transpose(0, 1)
        s = t @ t.transpose(1, 2) / t.shape[-1] ** 0.5
        return s.masked_fill(torch.ones(b - a, b - a).triu(1).bool(), -torch.inf).log_softmax(-1)

    losses = []
    for a, b in zip(STARTS, STARTS[1:]):
        log_x, log_target = log_relation(x, a, b), log_relation(target, a, b)
        kl = log_target.exp() * (log_target - log_x).masked_fill(torch.ones(b - a, b - a).triu(1).bool(), 0)
        losses.append(kl.sum(-1).mean(0))
    losses = torch.cat(losses)
    expect("relation.losses", losses.detach())
    expect("relation.dx", torch.autograd.grad(losses.sum() * 0.25, x)[0])


for make in [norms, activations, rope, attention, logits, blocks, quantise, halves, attention_gradients, relations]:
    make()
OUT.parent.mkdir(exist_ok=True)
with open(OUT, "wb") as f:
    for name, values in arrays:
        kind = {"float32": "f4", "int32": "i4", "uint8": "u1", "uint16": "u2"}[values.dtype.name]
        f.write(f"{name} {kind} {values.size}\n".encode() + values.tobytes())
print(OUT, OUT.stat().st_size, "bytes,", len(arrays), "arrays")
