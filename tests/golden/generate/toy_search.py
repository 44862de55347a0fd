"""Runs Transformers' own greedy and beam search on a toy language model that both sides compute bit
for bit (tests/support/toy_decoder.c: logits by a hash of all ids), and writes what it finds.

    python tests/golden/generate/toy_search.py > tests/golden/data/toy_search.txt

torch 2.15, transformers 5.23. A line of the output:
    vocab prompt_ids max_new min_new eos_ids beams length_penalty early_stopping penalty n_return |
    score ids | score ids ...          lists joined by commas, "-" when empty
"""
import random
import sys

import torch
from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import CausalLMOutput

MASK = (1 << 64) - 1


def toy_logits(ids, vocab_size):
    h = 1469598103934665603
    for i in ids:
        h = ((h ^ i) * 1099511628211) & MASK
    row = []
    for v in range(vocab_size):
        x = ((h ^ ((v + 1) * 0x9E3779B97F4A7C15 & MASK)) * 0xBF58476D1CE4E5B9) & MASK
        x ^= x >> 31
        x = (x * 0x94D049BB133111EB) & MASK
        row.append((x >> 40) / 16777216.0 * 8.0 - 4.0)
    return row


class ToyConfig(PretrainedConfig):
    model_type = "toy"

    def __init__(self, vocab_size=8, **kwargs):
        self.vocab_size = vocab_size
        self.num_hidden_layers = 1
        self.num_attention_heads = 1
        self.hidden_size = 1
        super().__init__(**kwargs)


class Toy(PreTrainedModel, GenerationMixin):
    config_class = ToyConfig
    main_input_name = "input_ids"

    def __init__(self, config):
        super().__init__(config)
        self.dummy = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids, attention_mask=None, **kwargs):
        rows = [toy_logits(r, self.config.vocab_size) for r in input_ids.tolist()]
        return CausalLMOutput(logits=torch.tensor(rows, dtype=torch.float32)[:, None, :])

    def prepare_inputs_for_generation(self, input_ids, **kwargs):
        return {"input_ids": input_ids}


def join(ids):
    return ",".join(map(str, ids)) if ids else "-"


def run(case):
    vocab, prompt, max_new, min_new, eos, beams, lp, early, penalty, n_return = case
    torch.manual_seed(0)
    model = Toy(ToyConfig(vocab_size=vocab)).eval()
    cfg = GenerationConfig(
        max_new_tokens=max_new, min_new_tokens=min_new or None, do_sample=False, num_beams=beams,
        length_penalty=lp, early_stopping={"false": False, "true": True, "never": "never"}[early],
        repetition_penalty=penalty, num_return_sequences=n_return, use_cache=False,
        eos_token_id=eos or None, pad_token_id=0, return_dict_in_generate=True, output_scores=True)
    with torch.no_grad():
        ids = torch.tensor([prompt])  # with a mask, or a 0 at the front would count as padding
        out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=cfg)
    parts = []
    for i in range(n_return):
        ids = out.sequences[i, len(prompt):].tolist()
        if beams > 1:
            used = int((out.beam_indices[i] >= 0).sum())
            ids, score = ids[:used], float(out.sequences_scores[i])
        else:
            cut = [k for k, t in enumerate(ids) if t in eos]
            ids, score = (ids[:cut[0] + 1] if cut else ids), 0.0
        parts.append(f"{score:.9g} {join(ids)}")
    head = f"{vocab} {join(prompt)} {max_new} {min_new} {join(eos)} {beams} {lp} {early} {penalty} {n_return}"
    return head + " | " + " | ".join(parts)


def main():
    rnd = random.Random(7)
    n = 0
    while n < 240:
        vocab = rnd.choice([5, 8, 13, 40])
        eos = rnd.sample(range(vocab), rnd.choice([0, 1, 1, 1, 2, 3]))
        beams = rnd.choice([1, 2, 3, 4, 4, 5, 8])
        max_new = rnd.choice([1, 2, 3, 5, 9, 14, 20])
        case = (vocab, [rnd.randrange(vocab) for _ in range(rnd.randint(1, 7))], max_new,
                rnd.choice([0, 0, 0, min(4, max_new)]), eos, beams,
                rnd.choice([1.0, 1.0, 0.0, 2.0, 0.6, -1.0]), rnd.choice(["false", "true", "never"]),
                rnd.choice([1.0, 1.0, 1.0, 1.3, 0.8]), rnd.randint(1, beams) if beams > 1 else 1)
        line = run(case)
        if "e+0" in line:  # more beams than candidates: ties at -1e9, whose order torch leaves open
            continue
        print(line)
        sys.stdout.flush()
        n += 1


main()
