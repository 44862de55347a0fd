#!/usr/bin/env python3
"""What `limbeck convert` writes, the real peers load, and their numbers agree with ours.

    roundtrip.py LIMBECK_BINARY DATA_FOLDER [name ...]

For every tiny model of DATA_FOLDER/models and every type: convert to GGUF; llama.cpp's logits, and
those of Transformers on a folder made from that GGUF, against `limbeck score --json` on it. Ids of
sample texts from AutoTokenizer and llama.cpp against the Rust tokenizers' (in the fixtures).
With LIMBECK_MODELS also the two real GGUF files. Prints one line per comparison; exit 1 when one fails.
Run by ../test_peers.sh; not needed by anything else.
"""
import json
import os
import sys
import tempfile
import unicodedata

import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import AutoTokenizer
from transformers.utils import logging

import sides
from sides import TYPES, Limbeck, LlamaCpp, compare, compare_ids, report, transformers_logits

# ---- tiny models ----


def check_tiny(limbeck, data, name, scratch):
    folder = os.path.join(data, "models", name)
    expected = json.load(open(os.path.join(data, "expected", name + ".json")))
    tensors = load_file(os.path.join(data, "expected", name + ".safetensors"))
    n = expected["logits"]["n_sequences"]
    sequences = [tensors[f"ids.{k}"].tolist() for k in range(n)]
    vocab = tensors["logits.0"].shape[1]
    ours = limbeck.logits(folder, sequences, vocab)
    compare(name, "Transformers", "f32", [tensors[f"logits.{k}"].astype(np.float64) for k in range(n)], ours)
    texts = expected["tokenizer"]["texts"]
    compare_ids(name, "AutoTokenizer", texts, lambda t: AutoTokenizer.from_pretrained(folder)(t)["input_ids"])
    if expected["llama_cpp_refuses"]:
        print(f"-    {name}: llama.cpp cannot express it", flush=True)
        return
    for kind in TYPES:
        gguf = os.path.join(scratch, f"{name}-{kind}.gguf")
        limbeck.convert(folder, gguf, kind)
        llama = LlamaCpp(gguf)
        vocab = llama.llama.n_vocab()
        ours = limbeck.logits(gguf, sequences, vocab)
        compare(name, sides.llama_cpp_peer(name, kind), kind, [llama.logits(ids) for ids in sequences], ours)
        back = os.path.join(scratch, f"{name}-{kind}-folder")
        limbeck.convert(gguf, back, "f32")
        compare(name, "Transformers", kind, transformers_logits(back, sequences), ours)
        if kind == "f32":
            # llama.cpp does not normalise to NFC as Qwen's tokenizer does: a letter with its accent apart differs
            plain = [t for t in texts if unicodedata.is_normalized("NFC", t["text"]) or not name.startswith("qwen")]
            compare_ids(name, "llama.cpp", plain, llama.tokenize)
            auto = AutoTokenizer.from_pretrained(back)
            compare_ids(name, "AutoTokenizer on the way back", texts, lambda t: auto(t)["input_ids"])


# ---- real models ----


def check_positions(name, peer, fixture, logits, tolerance):
    """logsumexp, argmax and the best five of data/real against one side's logits."""
    lse = logits.max(-1) + np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1))
    worst = np.abs(lse - np.array(fixture["logsumexp"])).max()
    logp = logits - lse[:, None]
    for t, top in enumerate(fixture["top"]):
        worst = max([worst] + [abs(logp[fixture["top_from"] + t, token] - value) for token, value in top])
    best = logits.argmax(-1)
    clear = [t for t, gap in enumerate(fixture["gap"]) if gap > 2 * tolerance]
    wrong = sum(int(best[t]) != fixture["argmax"][t] for t in clear)
    report(worst <= tolerance and wrong == 0, f"{name}: {peer}, {fixture['text'][:20]!r}",
           f"log-probabilities {worst:.2e} (tolerance {tolerance:g}), argmax {len(clear) - wrong} of {len(clear)}")


def check_real(limbeck, data, fixture_file, scratch):
    expected = json.load(open(os.path.join(data, "real", fixture_file)))
    gguf = os.path.join(os.environ["LIMBECK_MODELS"], expected["file"])
    name = expected["file"].split(".")[0]
    if not os.path.exists(gguf):
        print(f"-    {name}: {gguf} is not there", flush=True)
        return
    folder = os.path.join(scratch, name)
    limbeck.convert(gguf, folder, "f32")
    prompts = expected["prompts"]
    for fixture, logits in zip(prompts, transformers_logits(folder, [p["ids"] for p in prompts])):
        check_positions(name, "Transformers on our folder", fixture, logits, 1e-3)
    auto = AutoTokenizer.from_pretrained(folder)
    for p in (p for p in prompts if "messages" not in p):
        compare_ids(name, "AutoTokenizer on our folder", [p], lambda t: auto(t)["input_ids"])
    ours = limbeck.tokenize(gguf, [p["text"] for p in prompts if "messages" not in p])
    for p, ids in zip((p for p in prompts if "messages" not in p), ours):
        compare_ids(name, "limbeck tokenize", [p], lambda t: ids)
    # our own float32 GGUF in llama.cpp: no rounding of activations there, so the same numbers again
    plain = os.path.join(scratch, name + "-f32.gguf")
    limbeck.convert(folder, plain, "f32")
    llama = LlamaCpp(plain, n_ctx=512)
    for fixture in prompts:
        check_positions(name, "llama.cpp on our f32 GGUF", fixture, llama.logits(fixture["ids"]), 2e-2)


def main():
    binary, data, only = sys.argv[1], sys.argv[2], sys.argv[3:]
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(2)
    limbeck = Limbeck(binary)
    for name in sorted(os.listdir(os.path.join(data, "models"))):
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                check_tiny(limbeck, data, name, scratch)
            except Exception as error:  # one broken model must not hide the others
                report(False, name, f"{type(error).__name__}: {error}")
    if "LIMBECK_MODELS" not in os.environ:
        print("-    real models: LIMBECK_MODELS is not set", flush=True)
    else:
        for file in sorted(os.listdir(os.path.join(data, "real"))):
            if only and not any(file.startswith(o) for o in only):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    check_real(limbeck, data, file, scratch)
                except Exception as error:
                    report(False, file, f"{type(error).__name__}: {error}")
    print(f"{sides.failures} failed" if sides.failures else "all agree", flush=True)
    return 1 if sides.failures else 0


if __name__ == "__main__":
    sys.exit(main())
