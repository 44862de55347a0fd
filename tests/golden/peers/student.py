#!/usr/bin/env python3
"""What `limbeck distill` writes, the real peers load, and their numbers agree with ours.

    student.py LIMBECK_BINARY DATA_FOLDER

First students of random weights, of every family: Transformers begins a model of the same config.json
with the same distributions. Then tiny runs of three kinds. The student's folder and a checkpoint in Transformers: no weight missing or
left over, logits of `limbeck score --json`, tokenizer; trainer_state.json in Transformers' own reader;
TensorBoard's events in tensorboard's; the GGUF in llama.cpp. Prints one line per comparison; exit 1
when one fails. Run by ../../e2e/test_student.sh.
"""
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, TrainerState
from transformers.utils import logging

import sides
from sides import Limbeck, LlamaCpp, compare, compare_ids, report, transformers_logits

STEPS, SAVE_STEPS = 8, 4
RUNS = {  # name -> (teacher, student, documents, kind, what the weights are written as, GGUF)
    "llama logits": ("llama-teacher", "llama-student", "llama.jsonl", "logits", "f32", "f32"),
    "gpt2 hidden": ("gpt2-teacher", "gpt2-student", "gpt2.jsonl", "hidden", "f32", None),
    "llama attention, bf16": ("llama-teacher", "llama-student", "llama.jsonl", "attention", "bf16", "f16"),
}
TEXTS = ["The still drips slowly.", "def add(a, b):\n    return a + b\n", "Маленькая модель, naïve café"]
SEQUENCES = [[5], [9, 41, 7, 280], list(range(30, 62))]


FAMILIES = ["gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma3_text"]


def has(module):
    return importlib.util.find_spec(module) is not None


def left_out(name, what, module):
    print(f"-    {name}: {what}: this Python has no module {module}", flush=True)


def distill(limbeck, data, run, out):
    teacher, student, documents, kind, dtype, gguf = run
    at = lambda name: os.path.join(data, "train", name)
    keys = dict(teacher=at(teacher), student=at(student), train_file=at(documents), type=kind, save_dtype=dtype,
                output_dir=out, max_steps=STEPS, save_steps=SAVE_STEPS, logging_steps=1, warmup_steps=2,
                learning_rate=3e-3, max_length=32, precision="f32")
    if gguf:
        keys["gguf"] = gguf
    recipe = os.path.join(os.path.dirname(out), "recipe.yaml")
    with open(recipe, "w") as f:
        f.writelines(f"{key}: {value}\n" for key, value in keys.items())
    done = subprocess.run([limbeck.binary, "distill", recipe], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"limbeck distill: exit {done.returncode}: {done.stderr.strip()}")


# ---- students of random weights ----


def begin(limbeck, data, family, out):
    """Trains a new student for a step, so that its folder is made and used."""
    shape = dict(model_type=family, hidden_size=64, num_hidden_layers=6, num_attention_heads=4,
                 num_key_value_heads=4 if family == "gpt2" else 2)
    keys = dict(teacher=os.path.join(data, "train", "llama-teacher"), train=os.path.join(data, "train", "llama.jsonl"),
                output_dir=out, max_steps=1, warmup_steps=0, max_length=32,
                report_to="none")
    keys.update({f"student.config.{key}": value for key, value in shape.items()})
    done = subprocess.run([limbeck.binary, "distill", "--no-plan"] + [f"{key}={value}" for key, value in keys.items()],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"limbeck distill: exit {done.returncode}: {done.stderr.strip()}")


def check_beginning(name, folder):
    """Every parameter: Transformers' own initialisation has this mean and deviation, within six standard errors."""
    torch.manual_seed(1)
    theirs = dict(AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).named_parameters())
    ours = dict(AutoModelForCausalLM.from_pretrained(folder).named_parameters())
    report(theirs.keys() == ours.keys(), f"{name}: parameters", str(theirs.keys() ^ ours.keys()))
    odd = []
    for key in ours.keys() & theirs.keys():
        a, b, n = ours[key].detach().double(), theirs[key].detach().double(), ours[key].numel()
        deviation = b.std().item()
        if deviation == 0.0:
            same = torch.equal(a, b)
        else:
            same = (abs(a.mean() - b.mean()) < 6 * deviation * (2 / n) ** 0.5
                    and abs(a.std() / deviation - 1) < 6 * (1 / n) ** 0.5)
        if not same:
            odd.append(key)
    report(not odd, f"{name}: mean and deviation of {len(ours)} parameters", " ".join(odd))


def check_new(limbeck, data, family, scratch):
    name, out = f"new {family}", os.path.join(scratch, "new")
    begin(limbeck, data, family, out)
    init = os.path.join(out, "student-init")
    check_loading(name, init, "f32")
    check_beginning(name, init)
    check_folder(name, limbeck, init, "f32")
    check_tokenizer(name, limbeck, os.path.join(data, "train", "llama-teacher"), init)
    check_folder(f"{name}, trained", limbeck, out, "f32")


# ---- what is in a folder ----


def check_loading(name, folder, dtype):
    """Transformers reports weights that it misses, does not know, or finds in another shape."""
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", output_loading_info=True)
    odd = {key: list(value) for key, value in info.items() if value}
    report(not odd, f"{name}: weights as Transformers names them", json.dumps(odd) if odd else "")
    want = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    report(model.dtype == want, f"{name}: dtype", str(model.dtype))


def check_folder(name, limbeck, folder, dtype):
    check_loading(name, folder, dtype)
    vocab = AutoModelForCausalLM.from_pretrained(folder).config.vocab_size
    ours = limbeck.logits(folder, SEQUENCES, vocab)
    compare(name, "Transformers", dtype, transformers_logits(folder, SEQUENCES), ours)


def check_learned(name, source, folder):
    """The student must not be what it was, or the comparison would hold of any copy."""
    before, after = transformers_logits(source, SEQUENCES), transformers_logits(folder, SEQUENCES)
    moved = max(abs(a - b).max() for a, b in zip(before, after))
    report(moved > 1e-2, f"{name}: it has learned", f"logits moved by {moved:.2f}")


def check_tokenizer(name, limbeck, source, folder):
    if not os.path.exists(os.path.join(source, "tokenizer.json")):
        return
    same = all(open(os.path.join(source, f), "rb").read() == open(os.path.join(folder, f), "rb").read()
               for f in ("tokenizer.json", "tokenizer_config.json"))
    report(same, f"{name}: tokenizer files byte for byte", "")
    auto = AutoTokenizer.from_pretrained(folder)
    texts = [{"text": text, "ids": ids} for text, ids in zip(TEXTS, limbeck.tokenize(folder, TEXTS))]
    compare_ids(name, "AutoTokenizer", texts, lambda t: auto(t)["input_ids"])


def check_state(name, folder):
    state = TrainerState.load_from_json(os.path.join(folder, "trainer_state.json"))
    losses = [row["loss"] for row in state.log_history if "loss" in row]
    ok = state.global_step == SAVE_STEPS and state.max_steps == STEPS and len(losses) == SAVE_STEPS
    report(ok, f"{name}: trainer_state.json", f"step {state.global_step} of {state.max_steps}, {len(losses)} losses")


def check_events(name, out):
    if not has("tensorboard"):
        return left_out(name, "TensorBoard's events", "tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    folders = [root for root, _, files in os.walk(out) if any("tfevents" in f for f in files)]
    report(len(folders) == 1, f"{name}: TensorBoard", f"{len(folders)} folders with events")
    events = EventAccumulator(folders[0]).Reload()
    tags = events.Tags()["scalars"]
    loss = next((t for t in tags if t.endswith("loss")), None)
    report(loss is not None and len(events.Scalars(loss)) == STEPS, f"{name}: TensorBoard's loss", f"{tags}")


def check_gguf(name, limbeck, path, kind):
    if not has("llama_cpp"):
        return left_out(name, "the GGUF in llama.cpp", "llama_cpp")
    llama = LlamaCpp(path)
    ours = limbeck.logits(path, SEQUENCES, llama.llama.n_vocab())
    compare(name, "llama.cpp", kind, [llama.logits(ids) for ids in SEQUENCES], ours)
    texts = [{"text": text, "ids": ids} for text, ids in zip(TEXTS, limbeck.tokenize(path, TEXTS))]
    compare_ids(name, "llama.cpp", texts, llama.tokenize)


def check_run(limbeck, data, name, run, scratch):
    out, source = os.path.join(scratch, "out"), os.path.join(data, "train", run[1])
    distill(limbeck, data, run, out)
    check_learned(name, source, out)
    check_folder(name, limbeck, out, run[4])
    check_tokenizer(name, limbeck, source, out)
    checkpoint = os.path.join(out, f"checkpoint-{SAVE_STEPS}")
    check_folder(f"{name}, checkpoint", limbeck, checkpoint, "f32")
    check_state(name, checkpoint)
    check_events(name, out)
    if run[5]:
        ggufs = [os.path.join(out, f) for f in os.listdir(out) if f.endswith(".gguf")]
        report(len(ggufs) == 1, f"{name}: one GGUF", " ".join(ggufs))
        check_gguf(name, limbeck, ggufs[0], run[5])


def main():
    binary, data = sys.argv[1:3]
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(2)
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                check_new(Limbeck(binary), data, family, scratch)
            except Exception as error:
                report(False, f"new {family}", f"{type(error).__name__}: {error}")
    for name, run in RUNS.items():
        with tempfile.TemporaryDirectory() as scratch:
            try:
                check_run(Limbeck(binary), data, name, run, scratch)
            except Exception as error:  # one broken run must not hide the others
                report(False, name, f"{type(error).__name__}: {error}")
    print(f"{sides.failures} failed" if sides.failures else "all agree", flush=True)
    return 1 if sides.failures else 0


if __name__ == "__main__":
    sys.exit(main())
