#!/usr/bin/env python3
"""Writes tests/golden/formats: small files made by the reference packages, and expected.json that says
what is in them. The test that reads them (test_golden_formats.c) needs no Python.

    python -m venv v && v/bin/pip install torch==2.15.0 safetensors==0.8.0 gguf==0.19.0 numpy==2.4.6 \
        huggingface_hub==2.4.0 transformers==5.23.0
    v/bin/python tests/golden/generate/formats.py     # from the top of the repository

Everything is seeded; running it again gives the same bytes (SHA256SUMS-formats).
"""
import hashlib
import json
import pathlib
import shutil

import gguf
import numpy as np
import torch
import transformers
from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

GOLDEN = pathlib.Path("tests/golden")
OUT = GOLDEN / "formats"
expected = {"safetensors": {}, "gguf": {}, "rope": []}  # the three GGUF models are the same


def raw(t: torch.Tensor) -> bytes:
    return t.contiguous().view(torch.uint8).numpy().tobytes() if t.numel() else b""


# ---- safetensors ----
TORCH = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn, "I16": torch.int16, "U16": torch.uint16, "F16": torch.float16,
    "BF16": torch.bfloat16, "I32": torch.int32, "U32": torch.uint32, "F32": torch.float32,
    "F64": torch.float64, "I64": torch.int64, "U64": torch.uint64,
}


def describe(tensors):
    names = {v: k for k, v in TORCH.items()}
    return {n: {"dtype": names[t.dtype], "shape": list(t.shape),
                "hex": raw(t.reshape(-1)).hex()} for n, t in tensors.items()}


def make_safetensors():
    g = torch.Generator().manual_seed(1)
    tensors = {}
    for i, (name, dtype) in enumerate(TORCH.items()):
        x = torch.randint(0, 2 if name == "BOOL" else 100, (2, 3 + i % 3), generator=g)
        if dtype.is_floating_point:
            x = x.double() / 7 - 5
        tensors[f"t.{name}"] = x.to(dtype)
    tensors["scalar"] = torch.tensor(1.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["h\u00e9 \"quoted\""] = torch.arange(3, dtype=torch.float32)
    save_file(tensors, OUT / "all_dtypes.safetensors", metadata={"format": "pt"})
    expected["safetensors"]["all_dtypes.safetensors"] = describe(tensors)

    folder = OUT / "sharded"
    folder.mkdir()
    weights = {f"layer.{i}.weight": torch.arange(4 * i, 4 * i + 4, dtype=torch.float32)
               for i in range(5)}
    weights["big"] = torch.arange(16, dtype=torch.int64)
    save_torch_state_dict(weights, folder, max_shard_size=40)
    expected["safetensors"]["sharded"] = describe(weights)


# ---- GGUF ----
PLAIN = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I8": np.int8, "I16": np.int16,
         "I32": np.int32, "I64": np.int64}
BLOCKS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]


def gguf_tensors():
    rng = np.random.default_rng(2)
    for name, dtype in PLAIN.items():
        yield f"t.{name}", name, [2, 3], (rng.random((2, 3)) * 100).astype(dtype), None
    kind = gguf.GGMLQuantizationType
    x = rng.standard_normal((3, 512)).astype(np.float32)
    yield "t.BF16", "BF16", [3, 512], gguf.quants.quantize(x, kind.BF16), kind.BF16
    for name in BLOCKS:
        try:
            q = gguf.quants.quantize(x, kind[name])
        except NotImplementedError:  # the package only reads K-quants: any bytes are a block
            elements, size = gguf.GGML_QUANT_SIZES[kind[name]]
            q = rng.integers(0, 256, (3, 512 // elements * size)).astype(np.uint8)
        yield f"t.{name}", name, [3, 512], q, kind[name]


def add_keys(w):
    w.add_uint8("k.u8", 250)
    w.add_int8("k.i8", -5)
    w.add_uint16("k.u16", 65000)
    w.add_int16("k.i16", -300)
    w.add_uint32("k.u32", 4000000000)
    w.add_int32("k.i32", -70000)
    w.add_uint64("k.u64", 2**62)
    w.add_int64("k.i64", -(2**62))
    w.add_float32("k.f32", 0.1)
    w.add_float64("k.f64", 0.1)
    w.add_bool("k.bool", True)
    w.add_string("k.string", "h\u00e9llo")
    w.add_array("k.strings", ["a", "", "\u2581the"])
    w.add_array("k.ints", [1, -2, 3])
    w.add_array("k.floats", [0.5, -1.25])
    w.add_array("k.bools", [True, False])


def write(path, alignment=None, **options):
    w = gguf.GGUFWriter(path, "llama", **options)
    if alignment:
        w.add_custom_alignment(alignment)
    add_keys(w)
    tensors = {}
    for name, dtype, shape, data, kind in gguf_tensors():
        w.add_tensor(name, data, raw_dtype=kind)
        tensors[name] = {"dtype": dtype, "shape": shape, "hex": data.tobytes().hex()}
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return tensors


def make_gguf():
    expected["gguf"] = write(OUT / "all_types.gguf")
    write(OUT / "aligned.gguf", alignment=256)
    write(OUT / "split.gguf", split_max_tensors=7)


# ---- config.json: what Transformers makes of each spelling ----
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
CONFIGS = [
    {"model_type": "llama", "rope_theta": 5e5},
    {"model_type": "llama", "rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
    {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 2.0}},
    {"model_type": "qwen2", "rope_theta": 1e6,
     "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}},
    {"model_type": "qwen3", "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}},
    {"model_type": "gemma3_text", "rope_theta": 1e6, "rope_local_base_freq": 2e4,
     "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
    {"model_type": "gemma3_text", "rope_parameters": {
        "full_attention": {"rope_theta": 3e6, "rope_type": "linear", "factor": 4.0},
        "sliding_attention": {"rope_theta": 3e4, "rope_type": "default"}}},
]


def make_configs():
    for config in CONFIGS:
        kind = transformers.CONFIG_MAPPING[config["model_type"]]
        made = kind(**{k: (dict(v) if isinstance(v, dict) else v) for k, v in config.items()
                       if k != "model_type"})
        expected["rope"].append({"config": config, "rope_parameters": made.rope_parameters,
                                 "saved": json.loads(made.to_json_string())})


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    make_safetensors()
    make_gguf()
    make_configs()
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    files = sorted(p for p in OUT.rglob("*") if p.is_file())
    (GOLDEN / "SHA256SUMS-formats").write_text("".join(
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(GOLDEN)}\n" for p in files))


if __name__ == "__main__":
    main()
