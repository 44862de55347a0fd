"""What distillation asks of the frozen model: python inference.py LIMBECK OUT.csv MODELS SMALL.gguf
MODELS holds gpt2 and gpt2-medium (LIMBECK_JOB_MODELS of ./do bench), SMALL.gguf a model whose context is long.

teacher  2048 tokens of four documents through gpt2-medium: tokens/s, and the products' share of what oneDNN
         alone reaches in the same precision at that moment
beams    four beams, 60 new tokens, beside Transformers in the same Python, by turns (left out without it). Opening
         and the prompt are taken out on both sides: a run of one token is subtracted
curve    a prompt of 128 .. 8192 tokens: microseconds a token. Products cost the same for each token; attention
         adds what grows with the square: t(n) = n a + n^2 b / 2 . a and b are fitted, and printed."""
import csv
import json
import os
import statistics
import subprocess
import sys
import time

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
THREADS = 2
BEAMS, NEW = 4, 60
PROMPT = [464, 14283, 318, 257, 1402, 2746, 326, 22124, 422, 257, 1588, 530]


def run(binary, *words):
    out = subprocess.run([binary, *map(str, words), "--threads", str(THREADS), "--json", "--quiet"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[0])


def teacher(binary, models, row):
    for precision in ("f32", "bf16", "int8"):
        r = run(binary, "bench", "prompt", f"{models}/gpt2-medium", "--tokens", 512, "--batch", 4, "--precision",
                precision, "--repeat", ROUNDS)
        row("teacher", f"gpt2-medium {precision}", r["tokens_per_second"], "tokens/s", "",
            f"{100 * r['share_of_peak']:.0f} % of {r['peak_gflops']:.0f} GFLOP/s ({r['peak_of']})")


def beams(binary, models, row):
    try:
        import torch
        from transformers import AutoModelForCausalLM
    except ImportError:
        print("no Transformers in this Python: beams are left out")
        return
    torch.set_num_threads(THREADS)
    precision = os.environ.get("BENCH_PRECISION", "int8")

    def ours(name, n):
        start = time.perf_counter()
        run(binary, "generate", f"{models}/{name}", "--prompt-ids", ",".join(map(str, PROMPT)), "--num-beams", BEAMS,
            "--max-new-tokens", n, "--ignore-eos", "--precision", precision)
        return time.perf_counter() - start

    for name in ("gpt2", "gpt2-medium"):
        peer = AutoModelForCausalLM.from_pretrained(f"{models}/{name}").eval()
        ids = torch.tensor([PROMPT])

        def theirs(n, peer=peer, ids=ids):
            start = time.perf_counter()
            with torch.no_grad():
                peer.generate(ids, num_beams=BEAMS, max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0)
            return time.perf_counter() - start

        theirs(1)
        ours(name, 1)
        rounds = [(theirs(NEW) - theirs(1), ours(name, NEW), ours(name, 1)) for _ in range(ROUNDS)]
        peers = statistics.median(r[0] for r in rounds)
        whole = statistics.median(r[1] for r in rounds)
        mine = statistics.median(r[1] - r[2] for r in rounds)
        row("beams", f"{name} {precision}", mine, "s", peers,
            f"{peers / mine:.1f} times as fast; our whole program takes {whole:.2f} s")
        del peer


def curve(binary, model, row):
    points = []
    for n in (128, 256, 512, 1024, 2048, 4096, 8192):
        r = run(binary, "bench", "prompt", model, "--tokens", n, "--precision", "int8", "--repeat", ROUNDS)
        points.append((n, 1e6 / r["tokens_per_second"]))
        row("curve", f"{n} tokens", points[-1][1], "us a token", "", "")
    # least squares of t/n = a + b n / 2, every point with the same weight
    k, sx = len(points), sum(n / 2 for n, _ in points)
    sxx, sy = sum((n / 2) ** 2 for n, _ in points), sum(t for _, t in points)
    sxy = sum(n / 2 * t for n, t in points)
    b = (k * sxy - sx * sy) / (k * sxx - sx * sx)
    a = (sy - b * sx) / k
    row("curve", "fit", a, "us a token", "", f"and {1000 * b:.2f} ns for each token before it")


def main():
    binary, out, models, small = sys.argv[1:]
    with open(out, "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["what", "case", "limbeck", "unit", "peer", "note"])

        def row(what, case, ours, unit, peer, note):
            writer.writerow([what, case, ours, unit, peer, note])
            f.flush()
            beside = f"   Transformers {peer:.2f}" if peer != "" else ""
            print(f"{what:8} {case:18} {ours:9.4g} {unit:11}{beside}   {note}", flush=True)

        jobs = {"teacher": lambda: teacher(binary, models, row), "curve": lambda: curve(binary, small, row),
                "beams": lambda: beams(binary, models, row)}
        for name, job in jobs.items():
            if os.environ.get("BENCH_ONLY", name) == name:
                job()


main()
