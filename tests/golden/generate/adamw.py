"""Golden AdamW: tests/golden/data/adamw.json, read by test_golden_adamw.c.

torch.optim.AdamW in float64 over 20 steps, from float32 parameters and float32 gradients (a different one for
each step), with and without weight decay, learning rate warming up from 0 and gradients clipped by their norm.
Says also how far PyTorch's own float32 is from that: the test's tolerance.
Run: python adamw.py, then update tests/golden/SHA256SUMS-optimizer. Versions: requirements.txt."""
import json
import pathlib

import numpy as np
import torch

OUT = pathlib.Path(__file__).parent.parent / "data" / "adamw.json"
random = np.random.default_rng(20261125)
N, STEPS = 37, 20
start = random.standard_normal(N).astype(np.float32)
gradients = (random.standard_normal((STEPS, N)) * 10.0 ** random.integers(-3, 2, (STEPS, 1))).astype(np.float32)
gradients[3] = 0  # a step that changes only by momentum
rates = [0.01 * min(1, i / 4) for i in range(STEPS)]
settings = dict(betas=(0.9, 0.95), eps=1e-8)


def run(dtype, decay):
    p = torch.nn.Parameter(torch.tensor(start, dtype=dtype))
    optimizer = torch.optim.AdamW([p], lr=1.0, weight_decay=decay, foreach=False, **settings)
    norms = []
    for rate, gradient in zip(rates, gradients):
        optimizer.param_groups[0]["lr"] = rate
        p.grad = torch.tensor(gradient, dtype=dtype)
        norms.append(float(torch.nn.utils.clip_grad_norm_([p], 1.0)))
        optimizer.step()
    state = optimizer.state[p]
    return norms, {"parameter": p.detach(), "exp_avg": state["exp_avg"], "exp_avg_sq": state["exp_avg_sq"]}


cases = []
for decay in (0.0, 0.1):
    norms, wide = run(torch.float64, decay)
    _, narrow = run(torch.float32, decay)
    error = max(float((narrow[k].double() - wide[k]).abs().max() / wide[k].abs().max()) for k in wide)
    cases.append(dict(weight_decay=decay, norms=norms, float32_error=error, **{k: v.tolist() for k, v in wide.items()}))
    print("decay", decay, "float32 is off by", error)
OUT.write_text(json.dumps(dict(beta1=0.9, beta2=0.95, eps=1e-8, max_grad_norm=1.0, rates=rates, start=start.tolist(),
                               gradients=gradients.tolist(), cases=cases)) + "\n")
