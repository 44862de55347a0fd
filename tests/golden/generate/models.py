#!/usr/bin/env python3
"""Writes the model fixtures: data/models/<name>/, data/expected/<name>.{safetensors,json},
data/gguf/<name>.gguf, data/sampler.json and SHA256SUMS-models. See ../README.md.

    pip install -r requirements.txt && python3 models.py
"""
import hashlib
import json
import os
import random
import shutil
import zlib

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

import generation_goldens
import tiny_models
import write_gguf
from in_double import everything_in_double

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.dirname(HERE)
DATA = os.path.join(GOLDEN, "data")
LENGTHS = [1, 2, 7, 23]
TEXTS = [
    "The still drips slowly.",
    "  two spaces, then\n\na break\tand a tab; it's 12345 o'clock",
    "def add(a, b):\n    return a + b\n",
    "Маленькая модель, 小さなモデル, naïve café \U0001F943",
    "e\u0301 is one letter",
]
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " What drips? "},
    {"role": "assistant", "content": "The still."},
    {"role": "user", "content": "How?\nSay it."},
]


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def logits_of(model, sequences):
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0] for ids in sequences]


def write_logits(name, model, n_ids):
    """ids and logits of several lengths; how far float32 itself is from double."""
    rng = random.Random(zlib.crc32(name.encode()) + 1)
    sequences = [[rng.randrange(n_ids) for _ in range(n)] for n in LENGTHS]
    logits = logits_of(model, sequences)
    tensors = {}
    for k, (ids, rows) in enumerate(zip(sequences, logits)):
        tensors[f"ids.{k}"] = torch.tensor(ids, dtype=torch.int32)
        tensors[f"logits.{k}"] = rows.contiguous()
    save_file(tensors, os.path.join(DATA, "expected", name + ".safetensors"), metadata={"format": "pt"})
    with everything_in_double():
        double = logits_of(model.double(), sequences)
    model.float()
    error = max(float((a.double() - b).abs().max()) for a, b in zip(logits, double))
    spread = float(torch.cat(logits).std())
    assert error < 1e-4 * spread, (name, error, spread)
    return {"n_sequences": len(sequences), "max_abs_f32_minus_f64": error, "logits_std": spread}


def choose_own_eos(model, prompt):
    """A generation_config.json whose end tokens (several) the model does meet."""
    free = generation_goldens.run(model, prompt, dict(max_new_tokens=12, eos_token_id=[]))[0][0]
    return [free[6], model.config.eos_token_id]


def token_goldens(folder, rust, fast):
    auto = AutoTokenizer.from_pretrained(folder)
    texts = []
    for text in TEXTS:
        ids = rust.encode(text).ids
        assert auto(text)["input_ids"] == ids, (folder, text, auto(text)["input_ids"], ids)
        texts.append({"text": text, "ids": ids, "decoded": rust.decode(ids, skip_special_tokens=True)})
    chat = []
    if fast.chat_template:
        for add in (False, True):
            text = auto.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=add)
            chat.append({"messages": MESSAGES, "add_generation_prompt": add, "text": text,
                         "ids": rust.encode(text, add_special_tokens=False).ids})
    return {"texts": texts, "chat": chat}


def make_fixture(name):
    folder = os.path.join(DATA, "models", name)
    how = tiny_models.MODELS[name][3]
    model, fast, rust = tiny_models.make(name)
    rng = random.Random(zlib.crc32(name.encode()))
    prompts = [[rng.randrange(rust.get_vocab_size()) for _ in range(n)] for n in (1, 5, 12)]
    own = None
    if how.get("own_eos"):
        own = choose_own_eos(model.float(), prompts[1])
        model.generation_config.eos_token_id = own
    tiny_models.save(name, folder, model, fast)

    reference = load(folder)  # from here on only what the folder holds counts
    same = torch.equal(reference(torch.tensor([prompts[2]])).logits, model.float()(torch.tensor([prompts[2]])).logits)
    assert same, f"{name}: the saved folder is another model"
    expected = {"model": name, "llama_cpp_refuses": how.get("llama_cpp_refuses"), "tokenizer_size": rust.get_vocab_size()}
    expected["logits"] = write_logits(name, reference, rust.get_vocab_size())
    expected["tokenizer"] = token_goldens(folder, rust, fast)
    expected["greedy"] = generation_goldens.greedy_cases(reference, prompts)
    if own:
        expected["own_eos"] = {"eos": sorted(own), "case": generation_goldens.case(
            reference, prompts[1], dict(max_new_tokens=12, eos_token_id=own))}
        assert expected["own_eos"]["case"]["finish"] == ["eos"]
    full = name in ("gpt2-tied", "llama-tied-gqa", "gemma3-softcap")
    expected["beams"] = generation_goldens.beam_cases(reference, prompts, zlib.crc32(name.encode()), full)
    write_json(os.path.join(DATA, "expected", name + ".json"), expected)
    if name in write_gguf.NAMES:
        make_gguf(name, folder, reference)
    summary(name, folder, expected)


def make_gguf(name, folder, model):
    path = os.path.join(DATA, "gguf", name + ".gguf")
    write_gguf.write(path, folder, model)
    tensors = load_file(os.path.join(DATA, "expected", name + ".safetensors"))
    ks = range(len(LENGTHS))
    worst = write_gguf.check(path, [tensors[f"ids.{k}"].tolist() for k in ks], [tensors[f"logits.{k}"].numpy() for k in ks])
    print(f"{name}.gguf: llama.cpp differs by {worst:.1e}")


def write_json(path, tree):
    """One case a line: small, and a difference shows where it is."""
    with open(path, "w") as f:
        f.write("{\n")
        for i, (key, value) in enumerate(tree.items()):
            f.write(",\n" if i else "")
            if isinstance(value, list):
                rows = ",\n  ".join(json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in value)
                f.write(f" {json.dumps(key)}: [\n  {rows}\n ]")
            else:
                f.write(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}")
        f.write("\n}\n")


def summary(name, folder, expected):
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)) // 1024
    finishes = [f for c in expected["beams"] for f in c["finish"]]
    distinct = [len(set(c["sequences"][0])) for c in expected["greedy"][:1]]
    print(f"{name:18s} {size:4d} KB  std {expected['logits']['logits_std']:.2f}"
          f"  f32 error {expected['logits']['max_abs_f32_minus_f64']:.1e}  greedy {len(expected['greedy'])}"
          f" (distinct {distinct})  beams {len(expected['beams'])} ({finishes.count('eos')}/{len(finishes)} eos)", flush=True)


def write_sums():
    lines = []
    for root, _, files in os.walk(DATA):
        for file in files:
            path = os.path.relpath(os.path.join(root, file), GOLDEN)
            if path.startswith(("data/models/", "data/expected/", "data/gguf/", "data/sampler.json")):
                lines.append(hashlib.sha256(open(os.path.join(GOLDEN, path), "rb").read()).hexdigest() + "  " + path)
    with open(os.path.join(GOLDEN, "SHA256SUMS-models"), "w") as f:
        f.write("\n".join(sorted(lines, key=lambda line: line[66:])) + "\n")


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # one summation order
    for folder in ("models", "expected", "gguf"):
        shutil.rmtree(os.path.join(DATA, folder), ignore_errors=True)
        os.makedirs(os.path.join(DATA, folder))
    for name in tiny_models.MODELS:
        make_fixture(name)
    write_json(os.path.join(DATA, "sampler.json"), generation_goldens.warper_cases())
    write_sums()


if __name__ == "__main__":
    main()
