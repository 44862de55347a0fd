#!/usr/bin/env python3
"""Writes data/train/ and SHA256SUMS-train: tiny teachers and students, documents, the losses and
gradients of one batch in double, and 40 steps of training in float32. See ../README.md.

    pip install -r requirements.txt && python3 train.py
"""
import json
import os
import random
import shutil

import torch
from safetensors.torch import save_file
from transformers import get_scheduler
from transformers.utils import logging

import gradients
import tiny_models
from distil_losses import NOT_TRAINED, loss_sums, mixture
from gradients import DATA, pack, write_sums
from in_double import everything_in_double, to_double
from tiny_models import GPT2, LLAMA, dims, rope

TRAIN = os.path.join(DATA, "train")
STEPS, MAX_LENGTH, BATCH, ACCUMULATION = 40, 32, 3, 2
LEARNING_RATE, WARMUP, WEIGHT_DECAY = 4e-3, 5, 0.1

MODELS = {
    "llama-teacher": (LLAMA, "llama3", dims(44, 60, 4, 2, 10, layers=3, rope_parameters=rope(1000.0)), {}),
    "llama-student": (LLAMA, "llama3", dims(26, 36, 2, 1, 12, tie_word_embeddings=True, rope_parameters=rope(10000.0)), {}),
    "gpt2-teacher": (GPT2, "gpt2", dict(n_embd=40, n_head=4, n_layer=3, n_positions=64), {}),
    # as wide as the student: no projector between them
    "gpt2-narrow": (GPT2, "gpt2", dict(n_embd=24, n_head=2, n_layer=3, n_positions=48), {}),
    "gpt2-student": (GPT2, "gpt2", dict(n_embd=24, n_head=3, n_layer=2, n_positions=48), dict(padded=7)),
}
HEADS = {"llama": 4, "gpt2": 8}  # relation heads: divide the widths of q, k and v on both sides
# name -> (teacher, student, documents, kind, clipping)
REPLAYS = {
    "llama-logits": ("llama-teacher", "llama-student", "llama", "logits", 2.0),
    "gpt2-logits": ("gpt2-teacher", "gpt2-student", "gpt2", "logits", 2.0),
    "llama-attention": ("llama-teacher", "llama-student", "llama", "attention", 2.0),
    "gpt2-hidden": ("gpt2-narrow", "gpt2-student", "gpt2", "hidden", 2.0),
    "gpt2-none": (None, "gpt2-student", "gpt2", "none", 4.0),
}


def write_model(name):
    model, fast, _ = tiny_models.make(name, MODELS)
    folder = os.path.join(TRAIN, name)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)  # ids need no tokenizer, but they tell which rows are padding


def load(name):
    return gradients.load(os.path.join(TRAIN, name))


# ---- documents ----


def draw_line(rng, n_ids, length, kind):
    """Words repeat within a line, so that there is something to learn."""
    words = [[rng.randrange(n_ids) for _ in range(rng.randrange(1, 4))] for _ in range(4)]
    ids = []
    while len(ids) < length:
        ids += rng.choice(words)
    ids = ids[:length]
    if kind == "all":
        return {"input_ids": ids}
    if kind == "nothing":
        return {"input_ids": ids, "labels": [NOT_TRAINED] * length}
    prompt = rng.randrange(length // 2 + 1)
    keep = lambda t: t >= prompt and (kind == "completion" or rng.random() < 0.7)
    return {"input_ids": ids, "labels": [i if keep(t) else NOT_TRAINED for t, i in enumerate(ids)]}


def draw_lines(seed, n_ids):
    """22 lines, 20 of them usable: with 3 documents a micro-batch, the epoch's last step has one
    micro-batch of two documents. One line is cut off, one has one token, one nothing to learn."""
    rng = random.Random(seed)
    kinds = ["all", "completion", "scattered"] * 6 + ["completion"] * 2
    lines = [draw_line(rng, n_ids, 45 if i == 4 else rng.randrange(3, 31), kind) for i, kind in enumerate(kinds)]
    lines.insert(7, draw_line(rng, n_ids, 1, "all"))
    lines.insert(12, draw_line(rng, n_ids, 9, "nothing"))
    return lines


def read_documents(name):
    """-> [(ids, labels)] as training sees them: cut, without those that teach nothing."""
    documents = []
    for line in open(os.path.join(TRAIN, name + ".jsonl")):
        entry = json.loads(line)
        ids = entry["input_ids"][:MAX_LENGTH]
        labels = entry.get("labels", entry["input_ids"])[:MAX_LENGTH]
        if count_trained([(ids, labels)]) > 0:
            documents.append((ids, labels))
    assert len(documents) == 20
    return documents


def count_trained(documents):
    return sum(label != NOT_TRAINED for _, labels in documents for label in labels[1:])


def count_tokens(documents):
    return sum(len(ids) for ids, _ in documents)


def optimizer_batches(documents):
    """An epoch: lists of up to ACCUMULATION micro-batches."""
    micro = [documents[i : i + BATCH] for i in range(0, len(documents), BATCH)]
    return [micro[i : i + ACCUMULATION] for i in range(0, len(micro), ACCUMULATION)]


def vocab_of(student, teacher):
    sizes = [m.config.vocab_size for m in (student, teacher) if m is not None]
    return min(sizes)


# ---- one batch in double: every term, every gradient ----


def means(kind, student, teacher, batch, heads, projector=None):
    """The terms of one optimizer batch, each a sum over all its tokens divided by their number."""
    all_documents = [d for micro in batch for d in micro]
    n_trained, n_tokens = count_trained(all_documents), count_tokens(all_documents)
    terms = {}
    for micro in batch:
        by_trained, by_tokens = loss_sums(kind, student, teacher, micro, vocab_of(student, teacher), heads, projector)
        for sums, n in ((by_trained, n_trained), (by_tokens, n_tokens)):
            for name, value in sums.items():
                terms[name] = terms.get(name, 0.0) + value / n
    return terms


def write_losses(pair):
    student, teacher = load(pair + "-student"), load(pair + "-teacher")
    batch = [read_documents(pair)[:8]]
    documents = batch[0]
    tensors = pack([(ids, labels[1:] + [NOT_TRAINED]) for ids, labels in documents])
    gen = torch.Generator().manual_seed(11)
    shape = (teacher.config.hidden_size, student.config.hidden_size)
    projector = {"weight": torch.randn(shape, generator=gen) / shape[1] ** 0.5, "bias": torch.randn(shape[:1], generator=gen) * 0.2}
    tensors |= {"projector." + name: t.clone() for name, t in projector.items()}
    values = {}
    with everything_in_double():
        to_double(student), to_double(teacher)
        for kind in ("logits", "hidden", "attention"):
            student.zero_grad(set_to_none=True)
            linear = {name: t.double().requires_grad_() for name, t in projector.items()}
            terms = means(kind, student, teacher, batch, HEADS[pair], tuple(linear.values()))
            loss = mixture(terms)
            loss.backward()
            values[kind] = {"loss": float(loss.detach())} | {n: float(v.detach()) for n, v in terms.items()}
            for name, p in student.named_parameters():
                tensors[f"{kind}.{name}"] = p.grad.type(torch.float32).contiguous()
            if kind == "hidden":
                tensors |= {"hidden.projector." + name: t.grad.type(torch.float32) for name, t in linear.items()}
    save_file(tensors, os.path.join(TRAIN, f"losses-{pair}.safetensors"), metadata={"format": "pt"})
    facts = {"n_tokens": count_tokens(documents), "n_trained": count_trained(documents),
             "relation_heads": HEADS[pair], "vocab": vocab_of(student, teacher)}
    write_json(f"losses-{pair}.json", facts | values)
    print(pair, facts, values, flush=True)


# ---- 40 steps in float32 ----


def make_optimizer(student):
    """Decay on matrices only, as Transformers' Trainer does for these models."""
    groups = [{"params": [p for p in student.parameters() if (p.dim() >= 2) == decays], "weight_decay": decay}
              for decays, decay in ((True, WEIGHT_DECAY), (False, 0.0))]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    return optimizer, get_scheduler("linear", optimizer, num_warmup_steps=WARMUP, num_training_steps=STEPS)


def replay(name, in_double=False):
    teacher_name, student_name, data, kind, clip = REPLAYS[name]
    student, teacher = load(student_name), load(teacher_name) if teacher_name else None
    for model in (student, teacher):
        if in_double and model is not None:
            to_double(model)
    documents = read_documents(data)
    epoch = optimizer_batches(documents)
    optimizer, scheduler = make_optimizer(student)
    steps, trained = [], 0
    for step in range(STEPS):
        batch = epoch[step % len(epoch)]
        optimizer.zero_grad()
        terms = means(kind, student, teacher, batch, HEADS[data])
        loss = mixture(terms)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(student.parameters(), clip)
        rate = scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()
        trained += sum(count_trained(micro) for micro in batch)
        steps.append({"loss": float(loss.detach()), **{f"loss_{n}": float(v.detach()) for n, v in terms.items()},
                      "grad_norm": float(norm), "learning_rate": rate, "trained_tokens": trained})
    return steps


def worst_difference(a, b):
    """How far two runs are apart, relative, by figure."""
    return {key: max(abs(x[key] - y[key]) / abs(y[key]) for x, y in zip(a, b)) for key in a[0]
            if key not in ("learning_rate", "trained_tokens")}


def write_replay(name):
    teacher, student, data, kind, clip = REPLAYS[name]
    steps = replay(name)
    with everything_in_double():
        double = replay(name, in_double=True)
    off = worst_difference(steps, double)
    clipped = sum(s["grad_norm"] > clip for s in steps)
    print(f"{name:16s} loss {steps[0]['loss']:.4f} -> {steps[-1]['loss']:.4f}  clipped {clipped} of {STEPS}"
          f"  float32 is off by", {k: f"{v:.1e}" for k, v in off.items()}, flush=True)
    assert max(off.values()) < 3e-5, "ill-conditioned: nobody could repeat this run"
    assert 5 <= clipped <= 35
    recipe = {"teacher": teacher or "none", "student": student, "data": data + ".jsonl", "type": kind,
              "max_length": MAX_LENGTH, "batch": BATCH, "accumulation": ACCUMULATION, "steps": STEPS,
              "learning_rate": LEARNING_RATE, "warmup_steps": WARMUP, "weight_decay": WEIGHT_DECAY,
              "max_grad_norm": clip, "relation_heads": HEADS[data]}
    write_json(f"replay-{name}.json", {"recipe": recipe, "float32_minus_double": off, "steps": steps})


def write_json(file, tree):
    with open(os.path.join(TRAIN, file), "w") as f:
        f.write("{\n")
        for i, (key, value) in enumerate(tree.items()):
            f.write((",\n" if i else "") + f" {json.dumps(key)}: ")
            rows = value if isinstance(value, list) else None
            f.write("[\n  " + ",\n  ".join(map(json.dumps, rows)) + "\n ]" if rows else json.dumps(value))
        f.write("\n}\n")


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # one summation order
    shutil.rmtree(TRAIN, ignore_errors=True)
    os.makedirs(TRAIN)
    for name in MODELS:
        write_model(name)
    for seed, pair in ((5, "llama"), (6, "gpt2")):
        n_ids = vocab_of(load(pair + "-student"), load(pair + "-teacher"))
        with open(os.path.join(TRAIN, pair + ".jsonl"), "w") as f:
            f.writelines(json.dumps(line) + "\n" for line in draw_lines(seed, n_ids))
        write_losses(pair)
    for name in REPLAYS:
        write_replay(name)
    write_sums("train")


if __name__ == "__main__":
    main()
