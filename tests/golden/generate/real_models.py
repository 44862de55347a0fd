#!/usr/bin/env python3
"""Writes data/real/<model>.json: what Transformers says with the weights of two real GGUF files.

    LIMBECK_MODELS=folder GEMMA_TOKENIZER=gemma3/tokenizer.json python3 real_models.py

The weights are expanded to float32. The ids come from the Rust tokenizers library, never from
Transformers' GGUF reader, which loses SmolLM2's digit splitting: the tokenizer of SmolLM2 is built
here from the vocabulary in the file, the one of Gemma is Google's tokenizer.json.
"""
import hashlib
import json
import os

import gguf
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from generation_goldens import case, raw_logprobs
from models import DATA, GOLDEN, write_json

PROMPTS = [
    "The capital of France is",
    "Distillation, in chemistry, is the process of separating the components of a mixture by",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "1234 + 5678 =",
    "Столица России — это город",
    "日本で一番高い山は",
]
CHAT = [{"role": "user", "content": "Name three uses of a still, in one line."}]
LONG = " ".join(
    f"{i + 1}. The {'small' if i % 3 else 'large'} still number {i * 7 % 23} gave {i * 13 % 41} drops of spirit." for i in range(40)
)
TOP = 5


def gguf_field(reader, key):
    field = reader.fields.get(key)
    return None if field is None else field.contents()


def smollm_tokenizer(reader):
    tokens = gguf_field(reader, "tokenizer.ggml.tokens")
    kinds = gguf_field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in gguf_field(reader, "tokenizer.ggml.merges")]
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, kinds) if k == 3])
    return tok


def positions(model, ids, first):
    """argmax and logsumexp after every token; the best five from `first` on."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    logsumexp = logits.logsumexp(-1)
    top = (logits - logsumexp[:, None]).topk(TOP, -1)
    gap = top.values[:, 0] - top.values[:, 1]
    return {
        "argmax": logits.argmax(-1).tolist(),
        "gap": [round(float(g), 4) for g in gap],
        "logsumexp": [round(float(x), 5) for x in logsumexp],
        "top_from": first,
        "top": [[[i, round(float(v), 5)] for i, v in zip(a, b)]
                for a, b in zip(top.indices.tolist()[first:], top.values.tolist()[first:])],
    }


def write_model(file, tokenizer_of, chat, eos):
    path = os.path.join(os.environ["LIMBECK_MODELS"], file)
    reader = gguf.GGUFReader(path)
    tok = tokenizer_of(reader)
    model = AutoModelForCausalLM.from_pretrained(
        os.path.dirname(path), gguf_file=file, dtype=torch.float32, attn_implementation="eager").eval()
    print(model.config, flush=True)
    texts = [(text, tok.encode(text).ids, {}) for text in PROMPTS]
    if chat:
        fast = PreTrainedTokenizerFast(tokenizer_object=tok, eos_token="<|im_end|>", bos_token="<|im_start|>")
        fast.chat_template = gguf_field(reader, "tokenizer.chat_template")
        text = fast.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
        texts.append((text, tok.encode(text, add_special_tokens=False).ids, {"messages": CHAT}))
    prompts = []
    for text, ids, more in texts:
        greedy = case(model, ids, dict(max_new_tokens=28, eos_token_id=[eos])) or case(
            model, ids, dict(max_new_tokens=10, eos_token_id=[eos]))
        assert greedy, text
        out = {"text": text, "ids": ids, **more, "greedy": greedy["sequences"][0], "finish": greedy["finish"][0],
               "logprob": round(raw_logprobs(model, ids, greedy["sequences"][0]), 5), **positions(model, ids, 0)}
        prompts.append(out)
        print(len(ids), repr(tok.decode(out["greedy"])), "least gap", min(out["gap"]), flush=True)
    beams = []
    for options in (
        dict(max_new_tokens=12, num_beams=4, num_return_sequences=4, length_penalty=1.0, early_stopping=True, eos_token_id=[eos]),
        dict(max_new_tokens=10, num_beams=3, num_return_sequences=2, length_penalty=0.0, early_stopping=False, eos_token_id=[eos]),
    ):
        found = (case(model, prompt["ids"], options) for prompt in prompts)
        beams.append(next(got for got in found if got))  # the first prompt without a near tie
    ids = tok.encode(LONG).ids
    long = {"text": LONG, "ids": ids, **positions(model, ids, len(ids) - 24)}
    print("long", len(ids), "beams", len(beams))
    tree = {"file": file, "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest(), "eos": [eos],
            "prompts": prompts, "beams": beams, "long": [long]}
    write_json(os.path.join(DATA, "real", file.split(".")[0] + ".json"), tree)


def main():
    logging.set_verbosity_error()
    os.makedirs(os.path.join(DATA, "real"), exist_ok=True)
    write_model("SmolLM2-135M-Instruct.Q4_1.gguf", smollm_tokenizer, True, 2)
    gemma = lambda reader: Tokenizer.from_file(os.environ["GEMMA_TOKENIZER"])
    write_model("gemma-3-270m-q4_k_m.gguf", gemma, False, 1)
    with open(os.path.join(GOLDEN, "SHA256SUMS-real"), "w") as f:
        for file in sorted(os.listdir(os.path.join(DATA, "real"))):
            data = open(os.path.join(DATA, "real", file), "rb").read()
            f.write(f"{hashlib.sha256(data).hexdigest()}  data/real/{file}\n")


if __name__ == "__main__":
    main()
