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
import subprocess
import sys
import tempfile
import unicodedata

import llama_cpp
import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

# What each comparison may differ by, and why. "logits": largest difference; "kl": mean KL, nats.
TOLERANCES = {
    # both sides compute in float32; 2.3e-5 was seen
    ("llama.cpp", "f32"): ("logits", 2e-4),
    # llama.cpp looks tanh-GELU up in a float16 table: 3.3e-2 was seen after seven layers
    ("llama.cpp, GELU", "f32"): ("logits", 1e-1),
    # llama.cpp rounds activations to the type of the weights (f16, bf16) or to 8 bits per block of
    # 32 (q8_0, q4_0); we do not. Seen with files of the official gguf package against their exact
    # weights in Transformers: 6e-6, 6e-4, 3e-3, 4e-3
    ("llama.cpp", "f16"): ("kl", 5e-5),
    ("llama.cpp", "bf16"): ("kl", 3e-3),
    ("llama.cpp", "q8_0"): ("kl", 1.5e-2),
    ("llama.cpp", "q4_0"): ("kl", 2e-2),
    # Transformers computes in float32 with the very weights that the GGUF holds
    ("Transformers", "f32"): ("logits", 2e-4),
    ("Transformers", "f16"): ("logits", 2e-4),
    ("Transformers", "bf16"): ("logits", 2e-4),
    ("Transformers", "q8_0"): ("logits", 2e-4),
    ("Transformers", "q4_0"): ("logits", 2e-4),
}
TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0"]
failures = 0


def report(ok, what, detail):
    global failures
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {what:58s} {detail}", flush=True)


# ---- the three sides ----


class Limbeck:
    def __init__(self, binary):
        self.binary = binary

    def run(self, *args, lines=()):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        done = subprocess.run([self.binary, *args], input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"limbeck {' '.join(args)}: exit {done.returncode}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def convert(self, source, target, kind=None):
        self.run("convert", source, target, "--json", *(["--type", kind] if kind else []))

    def logits(self, model, sequences, vocab):
        """The top of the whole vocabulary plus logsumexp is the logits."""
        lines = [{"ids": ids} for ids in sequences]
        rows = self.run("score", model, "--input", "-", "--top", str(vocab), "--json", lines=lines)
        return [self.logits_of(row, vocab) for row in rows]

    @staticmethod
    def logits_of(row, vocab):
        out = np.full((len(row["ids"]), vocab), np.nan)
        for t, best in enumerate(row["top"]):
            for token, logprob in best:
                out[t, token] = logprob + row["logsumexp"][t]
        return out

    def tokenize(self, model, texts):
        return [row["ids"] for row in self.run("tokenize", model, "--json", lines=[{"text": t} for t in texts])]


def without_repacking():
    """llama.cpp's repacked Q8_0 and Q4_0 kernels crash on matrices with few rows (seen with 0.3.36)."""
    params = default_params()
    params.use_extra_bufts = False
    return params


default_params = llama_cpp.llama_cpp.llama_model_default_params
llama_cpp.llama_cpp.llama_model_default_params = without_repacking


class LlamaCpp:
    def __init__(self, path, n_ctx=0):
        self.llama = llama_cpp.Llama(path, n_ctx=n_ctx or 256, n_batch=max(n_ctx, 256), logits_all=True, flash_attn=False,
                                     type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, n_threads=2,
                                     verbose=False)

    def logits(self, ids):
        self.llama.reset()
        self.llama.eval(ids)
        return np.array(self.llama.scores[: len(ids)], dtype=np.float64)

    def tokenize(self, text):
        return self.llama.tokenize(text.encode(), add_bos=True, special=True)


def transformers_logits(folder, sequences):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0].double().numpy() for ids in sequences]


# ---- comparing ----


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def distance(measure, a, b):
    n = min(a.shape[1], b.shape[1])  # a GGUF may drop the padding of the vocabulary
    a, b = a[:, :n], b[:, :n]
    if measure == "logits":
        return float(np.abs(a - b).max())
    p, q = log_softmax(a), log_softmax(b)
    return float((np.exp(p) * (p - q)).sum(-1).mean())


def compare(name, peer, kind, theirs, ours):
    measure, tolerance = TOLERANCES[peer, kind]
    d = max(distance(measure, a, b) for a, b in zip(theirs, ours))
    report(d <= tolerance, f"{name}: {peer}, {kind}", f"{measure} {d:.2e} (tolerance {tolerance:g})")


def compare_ids(name, peer, texts, tokenize):
    for text in texts:
        got = tokenize(text["text"])
        report(got == text["ids"], f"{name}: ids of {peer}, {text['text'][:24]!r}",
               "" if got == text["ids"] else f"want {text['ids']}, got {got}")


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
        peer = "llama.cpp, GELU" if kind == "f32" and name.startswith(("gpt2", "gemma")) else "llama.cpp"
        compare(name, peer, kind, [llama.logits(ids) for ids in sequences], ours)
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
    print(f"{failures} failed" if failures else "all agree", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
