#!/usr/bin/env python3
"""Reads, with the reference packages, the files that test_peer_formats.c wrote into a folder.
Byte j of tensor "tNN.DTYPE" must be (7 * NN + j) mod 256 (BOOL: mod 2). Exit 77: packages absent."""
import json
import pathlib
import sys

try:
    import gguf
    import numpy as np
    import safetensors
    import safetensors.torch
    import transformers
except ImportError as missing:
    print(f"skipped: {missing}", file=sys.stderr)
    sys.exit(77)

folder = pathlib.Path(sys.argv[1])


def pattern(name, size):
    index, dtype = int(name[1:3]), name.split(".")[1]
    bytes_ = (7 * index + np.arange(size)) % (2 if dtype == "BOOL" else 256)
    return bytes_.astype(np.uint8).tobytes(), dtype


def check_safetensors(path):
    blob = path.read_bytes()
    entries = safetensors.deserialize(blob)
    for name, entry in entries:
        want, dtype = pattern(name, len(entry["data"]))
        assert bytes(entry["data"]) == want, name
        assert entry["dtype"] == dtype and entry["shape"] == [2, 3], (name, entry)
    safetensors.torch.load_file(path)
    with safetensors.safe_open(path, "pt") as f:
        assert f.metadata()["format"] == "pt"
    return {name for name, _ in entries}


def check_shards(sharded, names):
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    found = set()
    for shard in sorted(set(index["weight_map"].values())):
        here = check_safetensors(sharded / shard)
        assert all(index["weight_map"][name] == shard for name in here)
        found |= here
    assert found == names == set(index["weight_map"])


def check_gguf(path):
    reader = gguf.GGUFReader(path)
    keys = {k: f.contents() for k, f in reader.fields.items() if not k.startswith("GGUF.")}
    assert keys["general.architecture"] == "llama"
    assert keys["k.u32"] == 4000000000 and keys["k.i32"] == -7 and keys["k.u64"] == 2**63
    assert keys["k.f32"] == np.float32(0.1) and keys["k.bool"] is True
    assert keys["k.string"] == "h\u00e9llo" and keys["k.strings"] == ["a", "", "\u2581the"]
    assert keys["k.ints"] == [1, -2, 3] and keys["k.floats"] == [0.5, -1.25]
    assert keys["k.bools"] == [True, False]
    for t in reader.tensors:
        want, dtype = pattern(t.name, t.n_bytes)
        assert t.data.tobytes() == want and t.tensor_type.name == dtype, t.name
        assert list(t.shape) == [512, 3], t.name  # ne: the contiguous extent first
    return len(reader.tensors)


def check_config():
    for name, full, sliding in (("llama", ("llama3", 5e5), None),
                                ("gemma3_text", ("linear", 1e6), ("default", 1e4))):
        config = transformers.AutoConfig.from_pretrained(folder / name)
        rope = config.rope_parameters
        assert str(config.dtype).endswith("bfloat16"), config.dtype
        for want, got in ((full, rope.get("full_attention", rope)),
                          (sliding, rope.get("sliding_attention"))):
            if want is not None:
                assert (got["rope_type"], got["rope_theta"]) == want, got


names = check_safetensors(folder / "x.safetensors")
assert len(names) == 15
check_shards(folder / "sharded", names)
assert check_gguf(folder / "x.gguf") == 17
check_config()
print("safetensors, shards, GGUF and configs read back as written")
