#!/usr/bin/env python3
"""Writes data/gradients/<name>.safetensors and SHA256SUMS-gradients: for every tiny model of
data/models the gradient of every parameter, computed by PyTorch in double. See ../README.md.

    pip install -r requirements.txt && python3 gradients.py

Documents of ragged lengths lie end to end in the file and were run one by one here; the loss is the
sum of -log q(target) over all trained positions, divided by their number.
"""
import hashlib
import os
import random
import shutil
import zlib

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from in_double import everything_in_double, to_double

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.dirname(HERE)
DATA = os.path.join(GOLDEN, "data")
LENGTHS = [7, 1, 23, 2, 40]  # one without a target; one longer than every window and original context
NOT_TRAINED = -100


def draw_documents(seed, n_ids):
    """-> [(ids, targets)]: targets are the next ids, three in ten masked; a prompt masked whole."""
    rng = random.Random(seed)
    documents = []
    for length in LENGTHS:
        ids = [rng.randrange(n_ids) for _ in range(length)]
        targets = [t if rng.random() < 0.7 else NOT_TRAINED for t in ids[1:]] + [NOT_TRAINED]
        if length == max(LENGTHS):
            targets[:10] = [NOT_TRAINED] * 10
        documents.append((ids, targets))
    return documents


def pack(documents):
    starts = [0]
    for ids, _ in documents:
        starts.append(starts[-1] + len(ids))
    as_int = lambda x: torch.tensor(x, dtype=torch.int32)
    return {"doc_start": as_int(starts), "ids": as_int([i for ids, _ in documents for i in ids]),
            "targets": as_int([t for _, targets in documents for t in targets])}


def mean_cross_entropy(model, documents):
    total, count = 0.0, 0
    for ids, targets in documents:
        logits = model(torch.tensor([ids])).logits[0]
        total = total + torch.nn.functional.cross_entropy(logits, torch.tensor(targets), reduction="sum", ignore_index=NOT_TRAINED)
        count += sum(t != NOT_TRAINED for t in targets)
    return total / count


def gradients(model, documents):
    model.zero_grad(set_to_none=True)
    loss = mean_cross_entropy(model, documents)
    loss.backward()
    return float(loss.detach()), {name: p.grad for name, p in model.named_parameters()}


def load(folder):
    """eval(): no dropout. Weights stored in 16 bits are widened, as training does. PyTorch's embedding
    drops the gradient of the padding token, also where that token is a real one (SmolLM2 pads with
    its end token); without padding there is nothing to drop."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    model.get_input_embeddings().padding_idx = None
    return model


def float32_error(exact, approximate):
    """The worst parameter's largest error, against its largest gradient."""
    worst = 0.0
    for name, g in exact.items():
        if float(g.abs().max()) > 1e-7:  # the bias of keys has none: softmax cannot see it
            worst = max(worst, float((g - approximate[name].double()).abs().max() / g.abs().max()))
    return worst


def make(name):
    model = load(os.path.join(DATA, "models", name))
    documents = draw_documents(zlib.crc32(name.encode()) + 2, model.config.vocab_size)
    _, approximate = gradients(model, documents)
    with everything_in_double():
        loss, exact = gradients(to_double(model), documents)
    tensors = pack(documents)
    tensors["loss"] = torch.tensor([loss], dtype=torch.float64)
    tensors |= {"gradient." + n: g.float().contiguous() for n, g in exact.items()}
    path = os.path.join(DATA, "gradients", name + ".safetensors")
    save_file(tensors, path, metadata={"format": "pt"})
    print(f"{name:18s} {os.path.getsize(path) // 1024:4d} KB  loss {loss:.6f}  {len(exact)} parameters"
          f"  float32 is off by {float32_error(exact, approximate):.1e}", flush=True)


def write_sums(folder):
    lines = []
    for root, _, files in os.walk(os.path.join(DATA, folder)):
        for path in (os.path.join(root, f) for f in files):
            lines.append(hashlib.sha256(open(path, "rb").read()).hexdigest() + "  " + os.path.relpath(path, GOLDEN))
    with open(os.path.join(GOLDEN, "SHA256SUMS-" + folder), "w") as f:
        f.write("\n".join(sorted(lines, key=lambda line: line[66:])) + "\n")


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # one summation order
    shutil.rmtree(os.path.join(DATA, "gradients"), ignore_errors=True)
    os.makedirs(os.path.join(DATA, "gradients"))
    for name in sorted(os.listdir(os.path.join(DATA, "models"))):
        make(name)
    write_sums("gradients")


if __name__ == "__main__":
    main()
