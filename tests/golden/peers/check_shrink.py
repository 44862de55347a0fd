#!/usr/bin/env python3
"""What `limbeck shrink` writes, Transformers loads, and it computes what we compute.

    check_shrink.py LIMBECK_BINARY MODELS_FOLDER

For every tiny model: shrink it to its last layer, to two layers, and to all; Transformers' logits on
the result against those of `limbeck score`. All layers must be the teacher again. And the teacher in
Transformers with the other layers taken out of its module list must be our shrunk folder.
Run by ../test_peer_shrink.sh.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
TOLERANCE = 2e-4  # both sides compute in float32; see roundtrip.py
SEQUENCES = [[5, 17, 3, 99, 42, 8, 1, 77, 23, 11, 2, 64], [9]]
limbeck, models = sys.argv[1:3]
failures = 0


def run(*args, lines=()):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([limbeck, *args], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"limbeck {' '.join(args)}: exit {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def our_logits(folder, vocab):
    rows = run("score", folder, "--input", "-", "--top", str(vocab), "--json", lines=[{"ids": s} for s in SEQUENCES])
    result = []
    for row in rows:
        out = np.full((len(row["ids"]), vocab), np.nan)
        for t, best in enumerate(row["top"]):
            for token, logprob in best:
                out[t, token] = logprob + row["logsumexp"][t]
        result.append(out)
    return result


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


def report(name, what, a, b):
    global failures
    difference = max(float(np.abs(x - y).max()) for x, y in zip(a, b))
    ok = difference <= TOLERANCE
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name:20s} {what:48s} {difference:.2g}", flush=True)


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
sys.exit(failures != 0)
