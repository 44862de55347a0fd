"""J3: Limbeck beside llama.cpp on the same files and cores.
python peers.py LIMBECK OUT.csv MODEL.gguf...        BENCH_PRECISION=auto BENCH_ROUNDS=5 BENCH_TYPES="f32 bf16 q8_0 q4_0"

Rounds alternate between the two; the ratio is of medians. Measured, two threads each: a prompt of 512
tokens; 64 tokens one after the other; 16 sequences of 64 tokens together; peak memory of a process that
did each (of the peer, what it added to a Python that had imported it). llama.cpp comes from
llama-cpp-python, as its wheel was built. Where its repacked kernels crash (seen with 0.3.36 on Xeons with
AMX) it runs without them, and the CSV says so.

From each file that does not hold them yet, copies in BENCH_TYPES are made with `limbeck convert`
beside OUT.csv, so that the fastest type of the peer is known: the last lines."""
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import time

THREADS, PROMPT, NEW, BATCH = 2, 512, 64, 16
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PRECISION = os.environ.get("BENCH_PRECISION", "auto")
TYPES = os.environ.get("BENCH_TYPES", "f32 bf16 q8_0 q4_0").split()


def limbeck(binary, what, model):
    how = {"prompt": ["prompt", "--tokens", PROMPT], "generate": ["generate", "--tokens", NEW],
           "batch": ["generate", "--tokens", NEW, "--batch", BATCH]}[what]
    out = subprocess.run([binary, "bench", how[0], model, *map(str, how[1:]), "--repeat", "1", "--threads",
                          str(THREADS), "--precision", PRECISION, "--json", "--quiet"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def memory(field):
    """Of this process; ru_maxrss would count what its parent had."""
    for line in open("/proc/self/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(field)


class LlamaCpp:
    def __init__(self, model, repacking):
        import llama_cpp
        self.c = llama_cpp.llama_cpp
        self.import_memory = memory("VmRSS")
        self.version = llama_cpp.__version__ + ("" if repacking else " without repacking")
        silent = self.c.llama_log_callback(lambda *_: None)
        self.keep = silent
        self.c.llama_log_set(silent, None)
        self.c.llama_backend_init()
        params = self.c.llama_model_default_params()
        params.use_extra_bufts = repacking
        self.model = self.c.llama_model_load_from_file(model.encode(), params)
        self.context = None

    def fresh(self, n_ctx, n_seq):
        if self.context is not None:
            self.c.llama_free(self.context)
        params = self.c.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, PROMPT, PROMPT
        params.n_seq_max, params.n_threads, params.n_threads_batch = n_seq, THREADS, THREADS
        self.context = self.c.llama_init_from_model(self.model, params)

    def decode(self, ids, positions, sequences, wanted):
        batch = self.c.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, positions[i], 1
            batch.seq_id[i][0], batch.logits[i] = sequences[i], wanted[i]
        failed = self.c.llama_decode(self.context, batch)
        self.c.llama_batch_free(batch)
        if failed:
            raise RuntimeError("llama_decode failed")

    @staticmethod
    def token(i):
        return (i * 7919) % 30000 + 10

    def prompt(self):
        self.fresh(PROMPT, 1)
        start = time.perf_counter()
        self.decode([self.token(i) for i in range(PROMPT)], range(PROMPT), [0] * PROMPT,
                    [i == PROMPT - 1 for i in range(PROMPT)])
        return PROMPT / (time.perf_counter() - start)

    def steps(self, n_seq):
        self.fresh(n_seq * (NEW + 8), n_seq)
        start = time.perf_counter()
        for i in range(NEW):
            self.decode([self.token(i + s) for s in range(n_seq)], [i] * n_seq, list(range(n_seq)),
                        [True] * n_seq)
        return n_seq * NEW / (time.perf_counter() - start)

    def run(self, what):
        return self.prompt() if what == "prompt" else self.steps(BATCH if what == "batch" else 1)


def alone(model, repacking, what):
    """Peak memory of the peer in a process of its own, above what Python takes; None: it crashed."""
    run = subprocess.run([sys.executable, __file__, "--alone", model, str(int(repacking)), what],
                         capture_output=True, text=True)
    return int(run.stdout) if run.returncode == 0 else None


def run_alone(model, repacking, what):
    peer = LlamaCpp(model, repacking)
    peer.run(what)
    print(memory("VmHWM") - peer.import_memory)


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def copies(binary, folder, model):
    """The model in every type; one that cannot be made is left out, by name."""
    yield model
    for kind in TYPES:
        path = os.path.join(folder, os.path.basename(model)[:-len(".gguf")] + f".{kind}.gguf")
        if not os.path.exists(path):
            made = subprocess.run([binary, "convert", model, path, "--dtype", kind, "--quiet"],
                                  capture_output=True, text=True)
            if made.returncode != 0:
                print(f"{os.path.basename(path)}: {made.stderr.strip()}", flush=True)
                continue
        yield path


def race(binary, model):
    repacking = alone(model, True, "prompt") is not None
    peer = LlamaCpp(model, repacking)
    for what in ("prompt", "generate", "batch"):
        peer.run(what)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(limbeck(binary, what, model))
            theirs.append(peer.run(what))
        yield (what, [o["tokens_per_second"] for o in ours], theirs, peer.version, ours[0]["precision"],
               max(o["peak_memory_bytes"] for o in ours), alone(model, repacking, what))


def main():
    if sys.argv[1] == "--alone":
        run_alone(sys.argv[2], sys.argv[3] == "1", sys.argv[4])
        return
    binary, path, models = sys.argv[1], sys.argv[2], sys.argv[3:]
    fastest = {}
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["model", "what", "limbeck_tok_s", "limbeck_min", "limbeck_max", "llamacpp_tok_s",
                       "llamacpp_min", "llamacpp_max", "ratio", "limbeck_bytes", "llamacpp_bytes",
                       "memory_ratio", "precision", "threads", "cpu", "llama_cpp_python"])
        for model in models:
            for copy in copies(binary, os.path.dirname(path), model):
                for what, ours, theirs, version, precision, mine, its in race(binary, copy):
                    a, b, name = statistics.median(ours), statistics.median(theirs), os.path.basename(copy)
                    rows.writerow([name, what, f"{a:.1f}", f"{min(ours):.1f}", f"{max(ours):.1f}", f"{b:.1f}",
                                   f"{min(theirs):.1f}", f"{max(theirs):.1f}", f"{a / b:.2f}", mine, its,
                                   f"{mine / its:.2f}", precision, THREADS, cpu_name(), version])
                    file.flush()
                    print(f"{name:42s} {what:9s} limbeck {a:8.1f} tok/s ({precision})   llama.cpp {b:8.1f}   "
                          f"ratio {a / b:5.2f}   memory {mine / 2**20:5.0f} / {its / 2**20:5.0f} MiB", flush=True)
                    key = (os.path.basename(model), what)
                    fastest[key] = max(fastest.get(key, (0, "")), (b, name))
                    if copy == model:
                        fastest[key, "ours"] = a
    for (model, what), (b, name) in ((k, v) for k, v in fastest.items() if k[1] != "ours"):
        ours = fastest[(model, what), "ours"]
        print(f"{model} {what}: {ours / b:.2f} times llama.cpp's fastest type ({name}, {b:.1f} tok/s)")


main()
