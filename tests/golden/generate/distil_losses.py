"""The three kinds of distillation, written plainly: what Limbeck's objective must equal.

A micro-batch is padded on the right here, as most programs do; the padding enters no loss. Sums are
returned, not means: the caller divides by the counts of the whole optimizer batch.
"""
import contextlib
import math

import torch
from torch.nn import functional as F

NOT_TRAINED = -100
TEMPERATURE, ALPHA, BETA = 2.0, 0.7, 0.3


def pad(documents):
    """-> ids [B,S], attention mask [B,S], targets [B,S] (the next label, or -100)"""
    longest = max(len(ids) for ids, _ in documents)
    ids, mask, targets = (torch.full((len(documents), longest), fill) for fill in (0, 0, NOT_TRAINED))
    for b, (document, labels) in enumerate(documents):
        ids[b, : len(document)] = torch.tensor(document)
        mask[b, : len(document)] = 1
        targets[b, : len(document) - 1] = torch.tensor(labels[1:])
    return ids, mask, targets


@contextlib.contextmanager
def attention_inputs(model):
    """Collects (query, key, value) of every layer, after rotation, as [B, S, heads * head size]."""
    import importlib
    module = importlib.import_module(type(model).__module__)
    original, seen = module.eager_attention_forward, []

    def watch(layer, query, key, value, *args, **kwargs):
        seen.append([x.transpose(1, 2).flatten(2) for x in (query, key, value)])
        return original(layer, query, key, value, *args, **kwargs)

    module.eager_attention_forward = watch
    try:
        yield seen
    finally:
        module.eager_attention_forward = original


def run(model, ids, mask):
    with attention_inputs(model) as seen:
        out = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
    return {"logits": out.logits, "hidden": out.hidden_states[-1], "qkv": seen[-1]}


def cross_entropy_sum(logits, targets, vocab):
    return F.cross_entropy(logits[..., :vocab].flatten(0, 1), targets.flatten(), reduction="sum", ignore_index=NOT_TRAINED)


def kd_sum(student, teacher, targets, vocab):
    """T^2 * KL(teacher || student) at temperature T over the trained positions."""
    rows = targets != NOT_TRAINED
    q = F.log_softmax(student[rows][:, :vocab] / TEMPERATURE, -1)
    p = F.log_softmax(teacher[rows][:, :vocab] / TEMPERATURE, -1)
    return F.kl_div(q, p, log_target=True, reduction="sum") * TEMPERATURE**2


def hidden_sum(student, teacher, targets, projector):
    """Mean squared difference of a token's hidden states, summed over the trained positions."""
    x = student if projector is None else F.linear(student, *projector)
    return (x - teacher).pow(2).mean(-1)[targets != NOT_TRAINED].sum()


def relations(x, heads):
    """[S, width] -> log softmax over j <= i of x_i . x_j / sqrt(d), [heads, S, S]"""
    S, width = x.shape
    x = x.view(S, heads, width // heads).transpose(0, 1)
    scores = x @ x.transpose(1, 2) / math.sqrt(width // heads)
    return F.log_softmax(scores.masked_fill(torch.ones(S, S).triu(1).bool(), float("-inf")), -1)


def attention_sum(student, teacher, mask, heads):
    """MiniLMv2 (arXiv:2012.15828), causal: a token's mean over heads and over q, k, v, summed over
    all real tokens: each has a row of relations, whether its successor is learned or not."""
    total = 0.0
    for xs, xt in zip(student, teacher):
        for b in range(len(mask)):
            S = int(mask[b].sum())
            log_q, log_p = relations(xs[b, :S], heads), relations(xt[b, :S], heads)
            seen = torch.ones(S, S).tril().bool()
            terms = log_p.exp() * (log_p - log_q)
            total = total + terms[:, seen].sum() / heads / 3
    return total


def loss_sums(kind, student, teacher, documents, vocab, heads=0, projector=None):
    """-> (sums that are divided by the trained tokens, sums that are divided by all tokens)"""
    ids, mask, targets = pad(documents)
    s = run(student, ids, mask)
    trained = {"ce": cross_entropy_sum(s["logits"], targets, vocab)}
    if teacher is None:
        return trained, {}
    with torch.no_grad():
        t = run(teacher, ids, mask)
    trained["kd"] = kd_sum(s["logits"], t["logits"], targets, vocab)
    if kind == "hidden":
        trained["hidden"] = hidden_sum(s["hidden"], t["hidden"], targets, projector)
    if kind == "attention":
        return trained, {"attention": attention_sum(s["qkv"], t["qkv"], mask, heads)}
    return trained, {}


def mixture(terms):
    """The loss that is minimised, of the terms' means."""
    if "kd" not in terms:
        return terms["ce"]
    loss = ALPHA * terms["kd"] + (1 - ALPHA) * terms["ce"]
    return loss + BETA * sum(terms[name] for name in ("hidden", "attention") if name in terms)
