"""The sides of a comparison: Limbeck's binary, Transformers, llama.cpp; and how far they may be apart.
llama_cpp is imported only where it is used, so that the other comparisons run without it."""
import functools
import json
import subprocess

import numpy as np
import torch
from transformers import AutoModelForCausalLM

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


def llama_cpp_peer(name, kind="f32"):
    """Which tolerance holds for llama.cpp on a tiny model."""
    return "llama.cpp, GELU" if kind == "f32" and name.startswith(("gpt2", "gemma")) else "llama.cpp"


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


@functools.cache
def without_repacking():
    """llama.cpp's repacked Q8_0 and Q4_0 kernels crash on matrices with few rows (seen with 0.3.36)."""
    import llama_cpp

    def params():
        params = default_params()
        params.use_extra_bufts = False
        return params

    default_params = llama_cpp.llama_cpp.llama_model_default_params
    llama_cpp.llama_cpp.llama_model_default_params = params
    return llama_cpp


class LlamaCpp:
    def __init__(self, path, n_ctx=0):
        llama_cpp = without_repacking()
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
