"""How the time of a training step grows: with the length of documents, the size of the student, its vocabulary.

    python step_curves.py LIMBECK OUT_FOLDER        needs numpy; CURVES="length size vocabulary"

Students are Llamas of random weights, without a teacher, in the precision that `auto` chooses; a step has 4096
tokens in documents of one length. Each figure is `limbeck bench step --repeat 3`. Writes OUT_FOLDER/curves.csv and a
file of JSON lines a curve, for tools/curves.py."""
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import numpy

TOKENS = 4096
LENGTHS = (128, 256, 512, 1024, 2048, 4096)
#        name: hidden, layers, heads, kv heads, ffn
SIZES = {"10M": (256, 8, 4, 4, 688), "40M": (512, 8, 8, 4, 1376), "130M": (768, 12, 12, 12, 2048),
         "350M": (1024, 24, 16, 16, 2736)}
VOCABULARIES = (1024, 4096, 16384, 65536, 262144)


def write_tensors(path, shapes):
    """A safetensors file of small random numbers."""
    rng, header, at = numpy.random.default_rng(0), {}, 0
    for name, shape in shapes.items():
        size = 4 * int(numpy.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            norm = len(shape) == 1
            values = numpy.ones(shape, "f4") if norm else rng.standard_normal(shape, "f4") * numpy.float32(0.02)
            f.write(values.tobytes())


def make_student(folder, size, vocabulary):
    """-> number of parameters"""
    C, L, H, G, F = SIZES[size]
    D = C // H
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": C,
                   "intermediate_size": F, "num_hidden_layers": L, "num_attention_heads": H,
                   "num_key_value_heads": G, "head_dim": D, "vocab_size": vocabulary, "tie_word_embeddings": True,
                   "max_position_embeddings": max(LENGTHS), "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
                   "hidden_act": "silu", "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": 2}, f)
    shapes = {"model.embed_tokens.weight": (vocabulary, C), "model.norm.weight": (C,)}
    for i in range(L):
        p = f"model.layers.{i}."
        shapes |= {p + "input_layernorm.weight": (C,), p + "post_attention_layernorm.weight": (C,),
                   p + "self_attn.q_proj.weight": (H * D, C), p + "self_attn.k_proj.weight": (G * D, C),
                   p + "self_attn.v_proj.weight": (G * D, C), p + "self_attn.o_proj.weight": (C, H * D),
                   p + "mlp.gate_proj.weight": (F, C), p + "mlp.up_proj.weight": (F, C),
                   p + "mlp.down_proj.weight": (C, F)}
    write_tensors(os.path.join(folder, "model.safetensors"), shapes)
    return int(sum(numpy.prod(s) for s in shapes.values()))


def measure(binary, scratch, student, vocabulary, length, threads):
    rng, data = random.Random(0), os.path.join(scratch, "data.jsonl")
    with open(data, "w") as f:
        for _ in range(TOKENS // length):
            f.write(json.dumps({"input_ids": [rng.randrange(vocabulary) for _ in range(length)]}) + "\n")
    keys = dict(teacher="none", student=student, train=data, append_eos="false", max_length=length,
                per_device_train_batch_size=TOKENS // length, gradient_accumulation_steps=1, report_to="none",
                output_dir=os.path.join(scratch, "out"))
    out = subprocess.run([binary, "bench", "step", *(f"{k}={v}" for k, v in keys.items()), "--repeat", "3", "--json",
                          "--quiet", "--threads", str(threads)], capture_output=True, text=True)
    if out.returncode != 0:
        raise RuntimeError(f"{keys}: {out.stderr}")
    return json.loads(out.stdout)


def cases(scratch):
    """-> curve, what it grows with, its value, size, vocabulary, length, threads"""
    wanted = os.environ.get("CURVES", "length size vocabulary").split()
    if "length" in wanted:
        for threads in (1, 2):
            for n in LENGTHS:
                yield f"length, {threads} thread{'s' * (threads > 1)}", "document_length", n, "40M", 16384, n, threads
    if "size" in wanted:
        for size in SIZES:
            yield "size", "parameters_in_millions", None, size, 32000, 512, 2
    if "vocabulary" in wanted:
        for v in VOCABULARIES:
            yield "vocabulary", "vocabulary", v, "10M", v, 512, 2


def main():
    binary, folder = sys.argv[1:3]
    os.makedirs(folder, exist_ok=True)
    curves = {}
    with tempfile.TemporaryDirectory() as scratch, open(os.path.join(folder, "curves.csv"), "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["curve", "student", "parameters", "vocabulary", "document_length", "threads", "tokens_per_second",
                       "us_per_token", "spread", "share_of_bound", "peak_memory_bytes", "precision", "date"])
        for curve, across, x, size, vocabulary, length, threads in cases(scratch):
            student = os.path.join(scratch, f"{size}-{vocabulary}")
            n = make_student(student, size, vocabulary)
            r = measure(binary, scratch, student, vocabulary, length, threads)
            us = 1e6 / r["tokens_per_second"]
            rows.writerow([curve, size, n, vocabulary, length, threads, f"{r['tokens_per_second']:.1f}", f"{us:.1f}",
                           f"{r['spread']:.3f}", f"{r['share_of_bound']:.3f}", r["peak_memory_bytes"], r["precision"],
                           time.strftime("%Y-%m-%d")])
            file.flush()
            curves.setdefault(curve, []).append({across: x if x is not None else n / 1e6, "us_per_token": us})
            print(f"{curve:18s} {size:5s} {n / 1e6:6.1f} M  vocabulary {vocabulary:6d}  documents of {length:4d}  "
                  f"{threads} threads  {r['tokens_per_second']:8.1f} tok/s  {us:8.1f} us/token  "
                  f"{100 * r['share_of_bound']:3.0f} % of the bound  {r['precision']}", flush=True)
    for curve, points in curves.items():
        name = curve.replace(", ", "-").replace(" ", "-")
        with open(os.path.join(folder, name + ".jsonl"), "w") as f:
            f.writelines(json.dumps(p) + "\n" for p in points)


main()
