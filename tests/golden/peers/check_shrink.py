#!/usr/bin/env python3
"""What `limbeck shrink` writes, Transformers loads, and it computes what we compute.

    check_shrink.py LIMBECK_BINARY MODELS_FOLDER

For every tiny model: shrink it to its last layer, to two layers, and to all; Transformers' logits on
the result against those of `limbeck score`. All layers must be the teacher again. And the teacher in
Transformers with the other layers taken out of its module list must be our shrunk folder. Then
narrower: what Transformers computes on the result is again what we compute, also as a GGUF; and
the influence of layers is that of Transformers' hidden states. And with a trimmed vocabulary: the
tokenizer gives our ids, and the logits are the teacher's of the tokens that are left. llama.cpp, where
the Python has llama_cpp, loads the GGUF files of both and gives the same ids and logits.
Run by ../test_peer_shrink.sh.
"""
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

import sides

logging.set_verbosity_error()
logging.disable_progress_bar()
TOLERANCE = 2e-4  # both sides compute in float32; see roundtrip.py
SEQUENCES = [[5, 17, 3, 99, 42, 8, 1, 77, 23, 11, 2, 64], [9]]
limbeck, models = sys.argv[1:3]
failures = 0


run = sides.Limbeck(limbeck).run


def our_logits(folder, vocab):
    return sides.Limbeck(limbeck).logits(folder, SEQUENCES, vocab)


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def logits(model):
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0].double().numpy() for ids in SEQUENCES]


def without_others(model, layers):
    """The teacher with only these layers, in Transformers' own objects."""
    body = getattr(model, "transformer", None) or model.model
    name = "h" if hasattr(body, "h") else "layers"
    kept = torch.nn.ModuleList([getattr(body, name)[i] for i in layers])
    setattr(body, name, kept)
    for config in {id(c): c for c in (model.config, body.config)}.values():
        config.num_hidden_layers = len(layers)
        if getattr(config, "layer_types", None):
            config.layer_types = [config.layer_types[i] for i in layers]
    for i, layer in enumerate(kept):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = i
    return model


def report(name, what, a, b, tolerance=TOLERANCE):
    global failures
    difference = max(float(np.abs(x - y).max()) for x, y in zip(a, b))
    ok = difference <= tolerance
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name:20s} {what:48s} {difference:.2g}", flush=True)


def pick(n, divisor, most):
    """The largest multiple of divisor below n, at most `most`."""
    return min(n - 1, most) // divisor * divisor


def narrow_sizes(config):
    """Fewer channels, heads and neurons, as far as the family can."""
    heads = config.get("num_attention_heads", config.get("n_head"))
    groups = config.get("num_key_value_heads", heads) or heads
    hidden = config.get("hidden_size", config.get("n_embd"))
    inner = config.get("intermediate_size", config.get("n_inner")) or 4 * hidden
    per_group = heads // groups
    kept_groups = max(1, groups - 1)
    kept_each = per_group if kept_groups < groups else max(1, per_group - 1)
    kept = kept_groups * kept_each
    new_hidden = hidden // heads * kept if "n_embd" in config else pick(hidden, kept, hidden)
    return {"hidden": new_hidden, "heads": kept, "kv-heads": kept_groups, "ffn": inner * 2 // 3}


def influence(model):
    """1 - mean cos over all tokens of what enters and what leaves each layer (ShortGPT)."""
    body = getattr(model, "transformer", None) or model.model
    streams = []
    final = getattr(body, "ln_f", None) or body.norm
    layers = getattr(body, "h", None) or body.layers
    hooks = [m.register_forward_pre_hook(lambda _, a, k: streams.append((a[0] if a else k["hidden_states"]).detach()),
                                         with_kwargs=True) for m in [*layers, final]]
    turned = np.zeros(len(layers))
    with torch.no_grad():
        for ids in SEQUENCES:
            streams.clear()
            model(torch.tensor([ids]))
            for i in range(len(layers)):
                cos = torch.nn.functional.cosine_similarity(streams[i][0].double(), streams[i + 1][0].double(), dim=-1)
                turned[i] += float((1 - cos).sum())
    for hook in hooks:
        hook.remove()
    return turned / sum(len(ids) for ids in SEQUENCES)


def as_gguf(name, student, gguf):
    """Whether there is one: not every family has a form there."""
    made = subprocess.run([limbeck, "convert", student, gguf, "--type", "f32", "--no-check", "--quiet"],
                          capture_output=True, text=True)
    if made.returncode != 0:
        print(f"     {name:20s} no GGUF: {made.stderr.strip()[-90:]}", flush=True)
    return made.returncode == 0


def llama_cpp_logits(name, what, gguf, sequences, theirs):
    """Returns llama.cpp's tokenizer, or None without llama_cpp."""
    if importlib.util.find_spec("llama_cpp") is None:
        print(f"     {name:20s} {what}: no module llama_cpp, left out", flush=True)
        return None
    llama = sides.LlamaCpp(gguf)
    _, tolerance = sides.TOLERANCES[sides.llama_cpp_peer(name), "f32"]
    report(name, f"{what}: llama.cpp", theirs, [llama.logits(ids) for ids in sequences], tolerance)
    return llama.tokenize


def check_narrow(name, teacher, config):
    with tempfile.TemporaryDirectory() as folder:
        student, gguf, texts = (os.path.join(folder, n) for n in ("student", "student.gguf", "texts.jsonl"))
        with open(texts, "w") as out:
            out.writelines(json.dumps({"ids": ids}) + "\n" for ids in SEQUENCES)
        sizes = narrow_sizes(config)
        done = run("shrink", teacher, student, "--json", "--type", "f32", "--calibration", texts, "--calibration-tokens",
                   "1000", *[word for key, n in sizes.items() for word in (f"--{key}", str(n))])[0]
        theirs = logits(load(student))
        what = "narrow " + " ".join(str(n) for n in sizes.values())
        report(name, f"{what}: Transformers and limbeck", theirs, our_logits(student, config["vocab_size"]))
        report(name, "influence of layers", [influence(load(teacher))], [np.array(done["layer_influence"])])
        if as_gguf(name, student, gguf):
            report(name, f"{what}: as a GGUF", theirs, our_logits(gguf, config["vocab_size"]))
            llama_cpp_logits(name, what, gguf, SEQUENCES, theirs)


TEXTS = ["the quick brown fox jumps over the lazy dog, 12 times.", " and  then\n\nit sleeps", "for (int i = 0; i < n; i++)"]
OTHERS = ["Größe ١٢½Ⅷ 数据 \U0001f600", "ZZZ\tqqq", ""]


def expect(name, what, ok):
    global failures
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name:20s} {what}", flush=True)


def check_vocabulary(name, teacher):
    """Trimmed: Transformers' tokenizer gives our ids, those that the map says; its logits are the teacher's of these."""
    with tempfile.TemporaryDirectory() as folder:
        student, gguf, texts = (os.path.join(folder, n) for n in ("student", "student.gguf", "texts.jsonl"))
        with open(texts, "w") as out:
            out.writelines(json.dumps({"text": text}) + "\n" for text in TEXTS)
        run("shrink", teacher, student, "--json", "--vocab-from", texts)
        ids = json.load(open(os.path.join(student, "vocab_map.json")))["ids"]
        theirs, whole = (AutoTokenizer.from_pretrained(f) for f in (student, teacher))
        ours = [row["ids"] for row in run("tokenize", student, "--json", lines=[{"text": t} for t in TEXTS + OTHERS])]
        found = [theirs(text)["input_ids"] for text in TEXTS + OTHERS]
        expect(name, f"{len(ids)} tokens: Transformers' ids are ours", found == ours)
        expect(name, f"{len(ids)} tokens: the text has the teacher's",
               [[ids[i] for i in row] for row in found[:len(TEXTS)]] == [whole(text)["input_ids"] for text in TEXTS])
        expect(name, f"{len(ids)} tokens: other text decodes alike",
               [theirs.decode(row) for row in found] == [whole.decode(whole(t)["input_ids"]) for t in TEXTS + OTHERS])
        same = [(a, b) for a, b in ((getattr(theirs, k), getattr(whole, k)) for k in ("bos_token", "eos_token", "pad_token"))]
        expect(name, f"{len(ids)} tokens: special tokens", all(a == b for a, b in same))
        cut, uncut = load(student), load(teacher)
        for config, was in ((cut.config, uncut.config), (cut.generation_config, uncut.generation_config)):
            end, want = config.eos_token_id, was.eos_token_id
            pairs = zip(*([x] if isinstance(x, int) else x or [] for x in (end, want)), strict=True)
            expect(name, f"{len(ids)} tokens: end tokens", all(ids[a] == b for a, b in pairs))
        with torch.no_grad():
            new = [cut(torch.tensor([row])).logits[0].double().numpy() for row in found[:len(TEXTS)]]
            old = [uncut(torch.tensor([[ids[i] for i in row]])).logits[0].double().numpy()[:, ids] for row in found[:len(TEXTS)]]
        report(name, f"{len(ids)} tokens: the teacher's logits", new, old)
        if as_gguf(name, student, gguf):
            tokenize = llama_cpp_logits(name, f"{len(ids)} tokens", gguf, found[:len(TEXTS)], new)
            if tokenize is not None:
                expect(name, f"{len(ids)} tokens: llama.cpp's ids are ours", [tokenize(t) for t in TEXTS] == found[:len(TEXTS)])


for name in sorted(os.listdir(models)):
    teacher = os.path.join(models, name)
    config = json.load(open(os.path.join(teacher, "config.json")))
    n_layers, vocab = config.get("num_hidden_layers", config.get("n_layer")), config["vocab_size"]
    for layers in ([n_layers - 1], [0, n_layers - 1], list(range(n_layers))):
        with tempfile.TemporaryDirectory() as folder:
            student = os.path.join(folder, "student")
            run("shrink", teacher, student, "--json", "--layers", ",".join(f"{i}-{i}" for i in layers))
            what = "layers " + " ".join(map(str, layers))
            theirs = logits(load(student))
            report(name, f"{what}: Transformers and limbeck", theirs, our_logits(student, vocab))
            report(name, f"{what}: as cut in Transformers", theirs, logits(without_others(load(teacher), layers)))
    check_narrow(name, teacher, config)
    check_vocabulary(name, teacher)
sys.exit(failures != 0)
