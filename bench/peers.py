"""Limbeck beside llama.cpp on the same file and cores: python peers.py LIMBECK OUT.csv MODEL.gguf...

Rounds alternate between the two; the ratio is of medians. Reading a prompt of 512 tokens and making
64, greedily, two threads each. llama.cpp comes from llama-cpp-python, as its wheel was built. Where
its repacked kernels crash (seen with 0.3.36 on a Xeon with AMX) it runs without them, and the CSV
says so."""
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import time

THREADS, PROMPT, NEW, ROUNDS = 2, 512, 64, 5


def limbeck(binary, what, model, tokens):
    out = subprocess.run([binary, "bench", what, model, "--tokens", str(tokens), "--repeat", "1",
                          "--threads", str(THREADS), "--json", "--quiet"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["tokens_per_second"]


def repacking_works(model):
    """Tries it in a process of its own, since what fails is the process."""
    run = [sys.executable, __file__, "--try-repacking", model]
    return subprocess.run(run, capture_output=True).returncode == 0


class LlamaCpp:
    def __init__(self, model, repacking):
        import llama_cpp
        if not repacking:
            default_params = llama_cpp.llama_cpp.llama_model_default_params

            def plain_params():
                params = default_params()
                params.use_extra_bufts = False
                return params

            llama_cpp.llama_cpp.llama_model_default_params = plain_params
        self.version = llama_cpp.__version__ + ("" if repacking else " without repacking")
        self.llama = llama_cpp.Llama(model, n_ctx=PROMPT + NEW + 8, n_batch=PROMPT, verbose=False,
                                     n_threads=THREADS, n_threads_batch=THREADS)

    def prompt(self):
        ids = [(i * 7919) % 30000 + 10 for i in range(PROMPT)]
        self.llama.reset()
        start = time.perf_counter()
        self.llama.eval(ids)
        return PROMPT / (time.perf_counter() - start)

    def generate(self):
        self.llama.reset()
        self.llama.eval([10])
        start = time.perf_counter()
        for i in range(NEW):
            self.llama.eval([(i * 7919) % 30000 + 10])
        return NEW / (time.perf_counter() - start)


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def race(binary, model):
    peer = LlamaCpp(model, repacking_works(model))
    for what, run, tokens in (("prompt", peer.prompt, PROMPT), ("generate", peer.generate, NEW)):
        run()
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(limbeck(binary, what, model, tokens))
            theirs.append(run())
        yield what, ours, theirs, peer.version


def main():
    if sys.argv[1] == "--try-repacking":
        LlamaCpp(sys.argv[2], True).prompt()
        return
    binary, path, models = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["model", "what", "limbeck_tok_s", "limbeck_min", "limbeck_max", "llamacpp_tok_s",
                       "llamacpp_min", "llamacpp_max", "ratio", "threads", "cpu", "llama_cpp_python"])
        for model in models:
            for what, ours, theirs, version in race(binary, model):
                a, b = statistics.median(ours), statistics.median(theirs)
                rows.writerow([os.path.basename(model), what, f"{a:.1f}", f"{min(ours):.1f}", f"{max(ours):.1f}",
                               f"{b:.1f}", f"{min(theirs):.1f}", f"{max(theirs):.1f}", f"{a / b:.2f}",
                               THREADS, cpu_name(), version])
                print(f"{os.path.basename(model):42s} {what:9s} limbeck {a:8.1f} tok/s   "
                      f"llama.cpp {b:8.1f} tok/s   ratio {a / b:5.2f}", flush=True)


main()
