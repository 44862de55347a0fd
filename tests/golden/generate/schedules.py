"""Golden learning rates: tests/golden/data/schedules.json, read by test_golden_schedule.c.

What transformers.get_scheduler gives at every step of a run, as doubles. Warm-up steps below 1 go through
TrainingArguments.get_warmup_steps, as the Trainer does it. The cosine is Python's math.cos.
Run: python schedules.py, then update tests/golden/SHA256SUMS-optimizer. Versions: requirements.txt."""
import itertools
import json
import pathlib
import warnings

import torch
from transformers import TrainingArguments, get_scheduler

OUT = pathlib.Path(__file__).parent.parent / "data" / "schedules.json"
warnings.filterwarnings("ignore")


def rates(name, peak, warmup, steps, min_lr):
    warmup_steps = TrainingArguments(output_dir="unused", warmup_steps=warmup, use_cpu=True).get_warmup_steps(steps)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    extra = {"min_lr": min_lr} if name == "cosine_with_min_lr" else None
    scheduler = get_scheduler(name, optimizer, warmup_steps, steps, scheduler_specific_kwargs=extra)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])  # what this step uses
        optimizer.step()
        scheduler.step()
    return warmup_steps, values


names = ["linear", "cosine", "constant", "constant_with_warmup", "cosine_with_min_lr"]
shapes = [(5e-5, 0, 1), (5e-5, 0, 7), (3e-4, 5, 40), (1e-3, 0.03, 101), (2e-5, 0.5, 9), (1e-4, 12, 10), (1e-4, 1, 3)]
cases = []
for name, (peak, warmup, steps) in itertools.product(names, shapes):
    min_lr = peak / 7
    warmup_steps, values = rates(name, peak, warmup, steps, min_lr)
    cases.append(dict(name=name, learning_rate=peak, warmup=warmup, warmup_steps=warmup_steps, max_steps=steps,
                      min_lr=min_lr, rates=values))
OUT.write_text(json.dumps(cases) + "\n")
print(OUT, len(cases), "schedules")
