"""What Transformers' generate() answers: greedy, penalties, beams; and its logits warpers alone.

A case is kept only if its answer survives noise of NOISE on every logit, so that a right
implementation with another summation order can never fail it.
"""
import itertools
import random

import torch
from transformers import (
    LogitsProcessor, LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
    TopKLogitsWarper, TopPLogitsWarper,
)

NOISE = 1e-3


class Jitter(LogitsProcessor):
    def __init__(self, seed):
        self.gen = torch.Generator().manual_seed(seed)

    def __call__(self, ids, scores):
        return scores + NOISE * (2 * torch.rand(scores.shape, generator=self.gen) - 1)


def run(model, prompt, options, jitter=None):
    """-> (new ids of every sequence, scores or None)"""
    config = dict(do_sample=False, pad_token_id=0, output_scores=True, return_dict_in_generate=True)
    config.update(options)
    eos = config.pop("eos_token_id")
    eos = None if eos == [] else eos
    processors = LogitsProcessorList([Jitter(jitter)] if jitter is not None else [])
    ids = torch.tensor([prompt])
    with torch.no_grad():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), logits_processor=processors,
                             eos_token_id=eos if eos is not None else -1, **config)
    sequences = []
    for row in out.sequences[:, len(prompt):].tolist():
        end = next((i + 1 for i, token in enumerate(row) if eos and token in eos), len(row))
        sequences.append(row[:end])
    if options.get("num_beams", 1) == 1:
        return sequences, None
    return sequences, [float(s) for s in out.sequences_scores]


def case(model, prompt, options):
    """The golden of one call; None when it hangs on a near tie."""
    sequences, scores = run(model, prompt, options)
    for seed in range(4):
        if run(model, prompt, options, jitter=seed)[0] != sequences:
            return None
    eos = options["eos_token_id"]
    out = {"prompt": prompt, "options": options, "sequences": sequences,
           "finish": ["eos" if s and s[-1] in eos else "length" for s in sequences]}
    if scores:
        out["scores"] = [round(s, 7) for s in scores]
    return out


def raw_logprobs(model, prompt, sequence):
    """Sum of the model's own log-probabilities, no processors."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt + sequence])).logits[0].double()
    logp = logits.log_softmax(-1)
    return sum(float(logp[len(prompt) + i - 1, token]) for i, token in enumerate(sequence))


def greedy_cases(model, prompts):
    cases = []
    for i, prompt in enumerate(prompts):
        free = run(model, prompt, dict(max_new_tokens=18, eos_token_id=[]))[0][0]
        end = free[7 + i]
        for options in (
            dict(max_new_tokens=18, eos_token_id=[]),
            dict(max_new_tokens=18, eos_token_id=[end]),
            dict(max_new_tokens=16, eos_token_id=[end, free[10]], min_new_tokens=12),
            dict(max_new_tokens=14, eos_token_id=[], repetition_penalty=1.7),
            dict(max_new_tokens=12, eos_token_id=[end], repetition_penalty=0.8),
        ):
            cases.append(case(model, prompt, options))
    cases = [c for c in cases if c]
    for c in cases:
        c["logprob"] = round(raw_logprobs(model, c["prompt"], c["sequences"][0]), 6)
    return cases


def ending_tokens(model, prompt, rng, n):
    """End tokens that some beams meet and others do not."""
    beams = run(model, prompt, dict(max_new_tokens=9, num_beams=4, num_return_sequences=4, eos_token_id=[]))[0]
    seen = sorted({token for beam in beams for token in beam[2:]})
    return sorted(rng.sample(seen, min(n, len(seen))))


GRID = list(itertools.product((2, 3, 4), (1.0, 0.0, 2.0, -0.5), (False, True, "never")))


def beam_cases(model, prompts, seed, full):
    """The whole grid for `full`, a sample of it otherwise."""
    rng = random.Random(seed)
    grid = GRID if full else rng.sample(GRID, 9)
    cases = []
    for i, (beams, penalty, early) in enumerate(grid):
        for attempt in range(8):  # until one case is free of near ties and some beams finish early
            prompt = prompts[(i + attempt) % len(prompts)]
            options = dict(max_new_tokens=rng.choice([8, 12]), num_beams=beams, length_penalty=penalty,
                           early_stopping=early, num_return_sequences=(1, 2, beams)[i % 3],
                           eos_token_id=ending_tokens(model, prompt, rng, 1 + (i + attempt) % 3))
            got = case(model, prompt, options)
            if got and (attempt > 4 or "eos" in got["finish"]):
                cases.append(got)
                break
    for options in (
        dict(max_new_tokens=7, num_beams=3, num_return_sequences=3, length_penalty=1.0, early_stopping=False, eos_token_id=[]),
        dict(max_new_tokens=8, num_beams=3, num_return_sequences=2, length_penalty=1.0, early_stopping=True,
             repetition_penalty=1.4, eos_token_id=ending_tokens(model, prompts[0], rng, 2)),
    ):
        got = case(model, prompts[0], options)
        if got:
            cases.append(got)
    return cases


def warper_cases():
    """Probabilities after the warpers, in Transformers' order, for vectors without a model."""
    gen = torch.Generator().manual_seed(77)
    vectors = {
        "wide": (3.0 * torch.randn(61, generator=gen)).tolist(),
        "flat": (0.2 * torch.randn(29, generator=gen)).tolist(),
        "ties": [1.0, 2.0, 2.0, 2.0, 0.5, -1.0, 3.0, 0.5],
        "single": [0.25],
        "huge": [80000.0, 79999.0, -80000.0, 79990.0, 0.0],
    }
    grid = [
        {}, {"temperature": 0.3}, {"temperature": 2.5}, {"top_k": 1}, {"top_k": 3}, {"top_k": 500}, {"top_p": 0.1},
        {"top_p": 0.63}, {"top_p": 0.97}, {"min_p": 0.05}, {"min_p": 0.6}, {"repetition_penalty": 1.6},
        {"repetition_penalty": 0.7}, {"temperature": 0.7, "top_k": 7, "top_p": 0.8},
        {"temperature": 1.8, "top_p": 0.9, "min_p": 0.1},
        {"temperature": 0.9, "top_k": 4, "top_p": 0.95, "min_p": 0.02, "repetition_penalty": 1.3},
    ]
    cases = []
    for (name, logits), options in itertools.product(vectors.items(), grid):
        previous = [i % len(logits) for i in (0, 3, 3, 5, 2)]
        scores = torch.tensor([logits])
        steps = []
        if "repetition_penalty" in options:
            steps.append(RepetitionPenaltyLogitsProcessor(options["repetition_penalty"]))
        if "temperature" in options:
            steps.append(TemperatureLogitsWarper(options["temperature"]))
        if "top_k" in options:
            steps.append(TopKLogitsWarper(options["top_k"]))
        if "top_p" in options and name != "ties":  # which of equal tokens stays depends on the sort
            steps.append(TopPLogitsWarper(options["top_p"]))
        elif "top_p" in options:
            continue
        if "min_p" in options:
            steps.append(MinPLogitsWarper(options["min_p"]))
        for step in steps:
            scores = step(torch.tensor([previous]), scores)
        cases.append({"vector": name, "previous": previous, "options": options,
                      "probabilities": [float(f"{p:.9g}") for p in scores[0].softmax(-1).tolist()]})
    return {"vectors": {k: [float(f"{x:.9g}") for x in v] for k, v in vectors.items()}, "cases": cases}
