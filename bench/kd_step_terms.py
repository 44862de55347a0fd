"""J2 with one more term, in PyTorch: python kd_step_terms.py MODELS f32|bf16 hidden|attention [compile]

gpt2-medium teaches gpt2 on 4 x 512 real tokens: 0.7 KL (temperature 2) + 0.3 CE, plus 0.3 times
hidden: the mean squared error of the last layer's states, the student's through a trained projector;
attention: MiniLMv2's relations (arXiv:2012.15828): 32 heads of the last layer's queries, keys and values each,
causal, KL(teacher || student), the mean of the three.
Prints the fastest of three steps after one that warms up, as kd_step.py does."""
import resource
import sys
import time

import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

B, S, V, TEMPERATURE, ALPHA, BETA, RELATION_HEADS = 4, 512, 50257, 2.0, 0.7, 0.3, 32


def log_relations(x):
    """[B, S, C] -> log softmax over the earlier positions of x x' / sqrt(d), [B, heads, S, S]"""
    x = x.float().view(B, S, RELATION_HEADS, -1).transpose(1, 2)
    scores = x @ x.transpose(-1, -2) / x.shape[-1] ** 0.5
    later = torch.ones(S, S, dtype=torch.bool).triu(1)
    return F.log_softmax(scores.masked_fill(later, -1e30), -1)


class Pair(torch.nn.Module):
    """Both models, and what the term compares: the last layer's output, or its queries, keys and values."""

    def __init__(self, folder, bf16, term):
        super().__init__()
        dtype = torch.bfloat16 if bf16 else torch.float32
        load = AutoModelForCausalLM.from_pretrained
        self.teacher = load(folder + "/gpt2-medium", attn_implementation="sdpa", dtype=dtype).eval().requires_grad_(False)
        self.student = load(folder + "/gpt2", attn_implementation="sdpa").train()
        self.projector = torch.nn.Linear(self.student.config.n_embd, self.teacher.config.n_embd)
        self.term, self.seen = term, {}
        for name, model in (("teacher", self.teacher), ("student", self.student)):
            last = model.transformer.h[-1]
            (last if term == "hidden" else last.attn.c_attn).register_forward_hook(
                lambda module, inputs, out, name=name: self.seen.__setitem__(name, out[0] if isinstance(out, tuple) else out))

    def extra(self):
        teacher, student = self.seen["teacher"], self.seen["student"]
        if self.term == "hidden":
            return F.mse_loss(self.projector(student), teacher.float())
        loss = 0
        for t, s in zip(teacher.chunk(3, -1), student.chunk(3, -1)):
            loss = loss + F.kl_div(log_relations(s), log_relations(t), log_target=True, reduction="sum") / 3
        return loss / (B * S * RELATION_HEADS)

    def forward(self, ids, bf16):
        with torch.no_grad():
            zt = self.teacher(ids, use_cache=False).logits[:, :-1].reshape(-1, V).float()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            zs = self.student(ids, use_cache=False).logits[:, :-1].reshape(-1, V)
            extra = self.extra()
        zs = zs.float()
        kd = F.kl_div(F.log_softmax(zs / TEMPERATURE, -1), F.log_softmax(zt / TEMPERATURE, -1), log_target=True, reduction="sum")
        ce = F.cross_entropy(zs, ids[:, 1:].reshape(-1))
        return ALPHA * kd / zs.shape[0] * TEMPERATURE**2 + (1 - ALPHA) * ce + BETA * extra.float()


def main():
    folder, precision, term = sys.argv[1:4]
    bf16, compiled = precision == "bf16", "compile" in sys.argv[4:]
    pair = Pair(folder, bf16, term)
    optimizer = torch.optim.AdamW([p for p in pair.parameters() if p.requires_grad], lr=5e-5, fused=True)
    loss = torch.compile(pair) if compiled else pair
    ids = torch.randint(0, V, (B, S))
    times = []
    for _ in range(4):
        begin = time.time()
        loss(ids, bf16).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.time() - begin)
    best = min(times[1:])
    print(f"J2 {term} {precision} {'compiled' if compiled else 'eager'}: {best:.2f} s/step, {B * S / best:.1f} tok/s, "
          f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


main()
