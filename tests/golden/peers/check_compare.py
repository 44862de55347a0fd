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
    """All as limbeck/comparison.h defines them; and each document's sums of the KL both ways."""
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
    sums = {"forward_kl": [kl.sum().item() for kl in forward], "reverse_kl": [kl.sum().item() for kl in reverse]}
    nll, forward, reverse, same, right, best = map(torch.cat, (nll, forward, reverse, same, right, best))
    bins = (best * BINS).long().clamp(max=BINS - 1)
    error = sum(abs((right[bins == b] - best[bins == b]).sum().item()) for b in range(BINS)) / len(best)
    return {"perplexity": math.exp(nll.mean()), "forward_kl": forward.mean().item(), "reverse_kl": reverse.mean().item(),
            "agreement": same.mean().item(), "accuracy": right.mean().item(), "calibration_error": error}, sums


def standard_error(sums, documents):
    """Of sum / tokens: documents are the sample, tokens their sizes (Cochran 1977, section 6.4)."""
    d, n = torch.tensor(sums, dtype=torch.float64), torch.tensor([len(ids) - 1 for ids in documents], dtype=torch.float64)
    rest = d - d.sum() / n.sum() * n
    return (rest.square().sum() * len(n) / (len(n) - 1)).sqrt().item() / n.sum().item()


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

    def check(what, value, wanted):
        nonlocal failed, checked
        checked += 1
        if not abs(value - wanted) <= TOLERANCE * max(abs(wanted), 1e-3):
            failed += 1
            print(f"{what}: limbeck {value}, PyTorch {wanted}")

    sums = {}
    for role, model in models.items():
        wanted, sums[role] = figures(model, models["teacher"], documents, len(tokenizer))
        for key, one in sums[role].items():
            wanted[f"{key}_error"] = standard_error(one, documents)
        for key, value in wanted.items():
            if role != "teacher" or key in ("perplexity", "accuracy", "calibration_error"):
                check(f"{role} {key}", found[role][key], value)
    for key in ("forward_kl", "reverse_kl"):
        difference = [b - s for b, s in zip(sums["baseline"][key], sums["student"][key])]
        check(f"{key}_gain", found[f"{key}_gain"], sum(difference) / found["measured_tokens"])
        check(f"{key}_gain_error", found[f"{key}_gain_error"], standard_error(difference, documents))
    gain = math.log(found["baseline"]["perplexity"] / found["student"]["perplexity"])
    assert abs(found["log_perplexity_gain"] - gain) < 1e-6, (found["log_perplexity_gain"], gain)
    print(f"{checked - failed} of {checked} figures agree within {TOLERANCE}")
    return failed != 0 or checked != 23


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
