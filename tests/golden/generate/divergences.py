"""Golden divergences: tests/golden/ops/divergences.safetensors, read by test_golden_divergences.c.

Losses of each row by torch.nn.functional's own functions in float64 and their gradients by autograd, from float32
logits: with temperature, factors, soft caps, weights, masked rows, both heads padded beyond the common vocabulary.
The generalized JSD is TRL's (trl/experimental/gkd/gkd_trainer.py, generalized_jsd_loss), ends included.
Run: python divergences.py, then update tests/golden/SHA256SUMS-ops. Versions: requirements.txt."""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

OUT = pathlib.Path(__file__).parent.parent / "ops" / "divergences.safetensors"
random = np.random.default_rng(20261125)
N, V, STUDENT, TEACHER, NOT_TRAINED = 6, 131, 136, 133, -100
student = (random.standard_normal((N, STUDENT)) * 4).astype(np.float32)
teacher = (random.standard_normal((N, TEACHER)) * 4).astype(np.float32)
teacher[1, :V] = student[1, :V] + 0.01 * random.standard_normal(V).astype(np.float32)  # nearly the teacher
teacher[2, 7] = 60  # sure of itself
targets = np.array([5, 130, 7, NOT_TRAINED, 0, 99], np.int32)
weights = np.array([1, 0.5, 2, 1, 0, 1], np.float32)


def forward_kl(log_p, log_q, beta):
    return F.kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)


def reverse_kl(log_p, log_q, beta):
    return forward_kl(log_q, log_p, beta)


def generalized_jsd(log_p, log_q, beta):
    if beta == 0:
        return forward_kl(log_p, log_q, beta)
    if beta == 1:
        return reverse_kl(log_p, log_q, beta)
    beta = torch.tensor(beta, dtype=torch.float64)
    mixture = torch.logsumexp(torch.stack([log_q + torch.log1p(-beta), log_p + torch.log(beta)]), dim=0)
    kl_teacher = F.kl_div(mixture, log_p, reduction="none", log_target=True)
    kl_student = F.kl_div(mixture, log_q, reduction="none", log_target=True)
    return (beta * kl_teacher + (1 - beta) * kl_student).sum(-1)


def tvd(log_p, log_q, beta):
    return (log_p.exp() - log_q.exp()).abs().sum(-1) / 2


def capped(x, cap):
    return cap * torch.tanh(x / cap) if cap else x


def loss_of(kind, z, T, factor, beta, caps):
    z = capped(z, caps[0])[:, :V]
    if kind == "cross_entropy":
        return F.cross_entropy(z, torch.tensor(targets).long(), reduction="none", ignore_index=NOT_TRAINED)
    y = capped(torch.tensor(teacher, dtype=torch.float64), caps[1])[:, :V]
    return factor * globals()[kind](F.log_softmax(y / T, -1), F.log_softmax(z / T, -1), beta)


CASES = {  # name: kind, temperature, factor, beta, soft caps of student and teacher; as in test_golden_divergences.c
    "cross_entropy": ("cross_entropy", 1, 1, 0, (0, 0)),
    "cross_entropy_capped": ("cross_entropy", 1, 1, 0, (5, 0)),
    "forward_kl": ("forward_kl", 1, 1, 0, (0, 0)),
    "forward_kl_warm": ("forward_kl", 2, 4, 0, (0, 0)),
    "forward_kl_capped": ("forward_kl", 2, 4, 0, (5, 8)),
    "reverse_kl": ("reverse_kl", 1, 1, 0, (0, 0)),
    "reverse_kl_warm": ("reverse_kl", 3, 1, 0, (0, 0)),
    "jsd_half": ("generalized_jsd", 1, 1, 0.5, (0, 0)),
    "jsd_0.1": ("generalized_jsd", 2, 1, 0.1, (0, 0)),
    "jsd_0.9": ("generalized_jsd", 0.9, 1, 0.9, (0, 0)),
    "jsd_0": ("generalized_jsd", 1.5, 1, 0, (0, 0)),
    "jsd_1": ("generalized_jsd", 1.5, 1, 1, (0, 0)),
    "tvd": ("tvd", 1, 1, 0, (0, 0)),
}


def main():
    tensors = {"student": student, "teacher": teacher, "targets": targets, "weights": weights}
    for name, case in CASES.items():
        z = torch.tensor(student, dtype=torch.float64, requires_grad=True)
        losses = loss_of(case[0], z, *case[1:])
        (losses * torch.tensor(weights, dtype=torch.float64)).sum().backward()
        tensors["losses." + name] = losses.detach().numpy()
        tensors["gradient." + name] = z.grad.numpy()
    save_file(tensors, OUT)


main()
