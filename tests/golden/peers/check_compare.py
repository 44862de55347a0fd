"""Figures of `limbeck compare --json` beside PyTorch's, from logits in double.

usage: check_compare.py LIMBECK MODELS: a teacher, a student and a baseline of MODELS read the same texts"""
import json
import math
import os
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

ROLES = {"teacher": "llama-tied-gqa", "student": "llama-llama3-rope", "baseline": "llama-bf16-shards"}
BINS, TOLERANCE = 15, 1e-4
TEXTS = [f"document {i}: the quick brown fox {'jumps over ' * (1 + i % 5)}the lazy dog, {i * i} times." for i in range(24)]


def figures(model, teacher, documents, vocab):
    """All as limbeck/comparison.h defines them."""
    nll, forward, reverse, same, right, best = [], [], [], [], [], []
    for ids in documents:
        x, y = torch.tensor([ids]), torch.tensor(ids[1:])
        with torch.no_grad():
            q = model(x).logits[0, :-1, :vocab].double().log_softmax(-1)
            p = teacher(x).logits[0, :-1, :vocab].double().log_softmax(-1)
        nll.append(-q.gather(1, y[:, None])[:, 0])
        forward.append((p.exp() * (p - q)).sum(-1))
        reverse.append((q.exp() * (q - p)).sum(-1))
        same.append((p.argmax(-1) == q.argmax(-1)).double())
        right.append((q.argmax(-1) == y).double())
        best.append(q.max(-1).values.exp())
    nll, forward, reverse, same, right, best = map(torch.cat, (nll, forward, reverse, same, right, best))
    bins = (best * BINS).long().clamp(max=BINS - 1)
    error = sum(abs((right[bins == b] - best[bins == b]).sum().item()) for b in range(BINS)) / len(best)
    return {"perplexity": math.exp(nll.mean()), "forward_kl": forward.mean().item(), "reverse_kl": reverse.mean().item(),
            "agreement": same.mean().item(), "accuracy": right.mean().item(), "calibration_error": error}


def main(limbeck, folder):
    paths = {role: os.path.join(folder, name) for role, name in ROLES.items()}
    tokenizer = PreTrainedTokenizerFast.from_pretrained(paths["teacher"])
    with tempfile.TemporaryDirectory() as work:
        data = os.path.join(work, "ids.jsonl")
        documents = [tokenizer(text, add_special_tokens=False)["input_ids"][:200] for text in TEXTS]
        with open(data, "w") as file:
            file.writelines(json.dumps({"input_ids": ids}) + "\n" for ids in documents)
        command = [limbeck, "compare", "--data", data, "--json", "-q"]
        for role, path in paths.items():
            command += [f"--{role}", path]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    models = {role: AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval() for role, path in paths.items()}
    assert found["documents"] == len(documents) and found["measured_tokens"] == sum(len(d) - 1 for d in documents), found
    failed = checked = 0
    for role, model in models.items():
        want = figures(model, models["teacher"], documents, len(tokenizer))
        for key, value in want.items():
            if role == "teacher" and key in ("forward_kl", "reverse_kl", "agreement"):
                continue
            checked += 1
            off = abs(found[role][key] - value) / max(abs(value), 1e-3)
            if not off <= TOLERANCE:
                failed += 1
                print(f"{role} {key}: limbeck {found[role][key]}, PyTorch {value}")
    gain = math.log(found["baseline"]["perplexity"] / found["student"]["perplexity"])
    assert abs(found["log_perplexity_gain"] - gain) < 1e-6, (found["log_perplexity_gain"], gain)
    print(f"{checked - failed} of {checked} figures agree within {TOLERANCE}")
    return failed != 0 or checked != 15


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
