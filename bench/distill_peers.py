"""Limbeck beside PyTorch on whole distillation jobs: python distill_peers.py LIMBECK OUT.csv JOBS MODELS

JOBS is a folder with the peers' programs: reference_job.py (the Hugging Face Trainer as a widely read
tutorial uses it), kd_step.py (a tuned step) and sentences.txt. MODELS holds gpt2-medium and gpt2, as
JOBS/make_models.py writes them. Rounds alternate between the two sides; the ratio is of medians.

J1: the reference job, eight sentences, five epochs: the whole program, start to end, and training alone.
J2: one step of knowledge distillation, 4 x 512 real tokens: tokens per second. Our teacher computes in int8,
once in bf16; random weights have no outliers, so int8's accuracy is not to be judged here.
terms: J2 with the hidden-state term, and with the attention term; the peer is kd_step_terms.py beside this file.
J6: plain fine-tuning of a model in float32, rows of 512 tokens, beside llama.cpp's finetune example, where
LIMBECK_FINETUNE names that program, LIMBECK_FINETUNE_MODEL a .gguf of floats and LIMBECK_FINETUNE_TEXT a text
of a few thousand tokens.
LIMBECK_BENCH_ROUNDS: how many rounds (1). LIMBECK_BENCH_JOBS: some of "J1 J2 terms J6" (all)."""
import csv
import json
import os
import platform
import random
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

THREADS, ROUNDS = 2, int(os.environ.get("LIMBECK_BENCH_ROUNDS", "1"))
JOBS = os.environ.get("LIMBECK_BENCH_JOBS", "J1 J2 terms J6").split()
J2_STEPS = 4  # the first warms up
TORCH_WAYS = (("f32",), ("bf16",), ("f32", "compile"), ("bf16", "compile"))
FINETUNE, FINETUNE_MODEL, FINETUNE_TEXT = (os.environ.get("LIMBECK_FINETUNE" + end) for end in ("", "_MODEL", "_TEXT"))


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def measured(command, **environment):
    """-> (standard output, seconds, peak GB). A wrapper of its own, because the peak of all children
    so far is what resource reports."""
    watch = "import json,resource,subprocess,sys,time; t=time.time(); d=subprocess.run(sys.argv[1:],capture_output=True,text=True); " \
            "print(json.dumps([d.returncode,d.stdout,d.stderr[-2000:],time.time()-t,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1e6]))"
    variables = dict(os.environ, OMP_NUM_THREADS=str(THREADS), LIMBECK_THREADS=str(THREADS), **environment)
    out = subprocess.run([sys.executable, "-c", watch, *command], capture_output=True, text=True, check=True, env=variables).stdout
    code, stdout, stderr, seconds, gigabytes = json.loads(out)
    if code != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {code}: {stderr}")
    return stdout, seconds, gigabytes


class Limbeck:
    def __init__(self, binary, jobs, models, scratch):
        self.binary, self.jobs, self.scratch = binary, jobs, scratch
        self.base = {"teacher": os.path.join(models, "gpt2-medium"), "student": os.path.join(models, "gpt2"),
                     "append_eos": "false", "report_to": "none"}

    def distill(self, documents, keys):
        """documents: a list of rows, or the path of a text. -> (rows of metrics.jsonl, seconds, peak GB)"""
        out, data = os.path.join(self.scratch, "out"), os.path.join(self.scratch, "data.jsonl")
        shutil.rmtree(out, ignore_errors=True)
        if isinstance(documents, str):
            data = documents
        else:
            with open(data, "w") as f:
                f.writelines(json.dumps(d) + "\n" for d in documents)
        recipe = os.path.join(self.scratch, "recipe.yaml")
        with open(recipe, "w") as f:
            f.writelines(f"{k}: {v}\n" for k, v in {**self.base, "train_file": data, "output_dir": out, **keys}.items())
        _, seconds, gigabytes = measured([self.binary, "distill", recipe])
        return [json.loads(line) for line in open(os.path.join(out, "metrics.jsonl"))], seconds, gigabytes

    def j1(self):
        """The values of the tutorial; the two answers with four beams are part of it."""
        sentences = open(os.path.join(self.jobs, "sentences.txt"), encoding="utf8").read().splitlines()
        keys = dict(max_length=512, num_train_epochs=5, per_device_train_batch_size=4, gradient_accumulation_steps=2,
                    learning_rate=5e-5, warmup_steps=100, logging_steps=1, save_steps=500, save_total_limit=2,
                    prompt="知识蒸馏的主要优势是", max_new_tokens=50, num_beams=4, early_stopping="true")
        rows, seconds, gigabytes = self.distill([{"text": s} for s in sentences], keys)
        return {"whole, s": seconds, "training, s": sum_of_steps(rows), "peak, GB": gigabytes}

    def j2(self, teacher_precision, term="logits"):
        rng = random.Random(0)
        documents = [{"input_ids": [rng.randrange(50257) for _ in range(512)]} for _ in range(4)]
        keys = dict(max_length=512, max_steps=J2_STEPS, per_device_train_batch_size=4, gradient_accumulation_steps=1,
                    learning_rate=5e-5, warmup_steps=0, logging_steps=1, save_steps=0, teacher_precision=teacher_precision,
                    distillation_type=term)
        rows, _, gigabytes = self.distill(documents, keys)
        speeds = [row["tokens_per_second"] for row in rows if "tokens_per_second" in row]
        return {"tok/s": max(speeds[1:]), "peak, GB": gigabytes}

    def j6(self):
        """All steps but the first, which warms up, as llama.cpp's figure is of all its rows."""
        keys = dict(teacher="none", student=FINETUNE_MODEL, max_length=512, num_train_epochs=2,
                    per_device_train_batch_size=1, gradient_accumulation_steps=1, learning_rate=1e-5, warmup_steps=0,
                    logging_steps=1, save_steps=0)
        rows, _, gigabytes = self.distill(FINETUNE_TEXT, keys)
        steps = [row for row in rows if "tokens_per_second" in row]
        return {"tok/s": (steps[-1]["tokens"] - steps[0]["tokens"]) / (sum_of_steps(steps) - sum_of_steps(steps[:1])),
                "peak, GB": gigabytes}


def sum_of_steps(rows):
    """Seconds in optimizer steps; with logging_steps 1 every row is one."""
    steps = [row for row in rows if "tokens_per_second" in row]
    tokens = [b["tokens"] - a["tokens"] for a, b in zip([{"tokens": 0}] + steps, steps)]
    return sum(n / row["tokens_per_second"] for n, row in zip(tokens, steps))


class Peer:
    def __init__(self, jobs, models):
        self.jobs, self.models = jobs, models

    def j1(self):
        out, seconds, gigabytes = measured([sys.executable, os.path.join(self.jobs, "reference_job.py"), self.models])
        return {"whole, s": seconds, "training, s": number(r"train ([\d.]+) s", out), "peak, GB": gigabytes}

    def j2(self, *how):
        out, _, gigabytes = measured([sys.executable, os.path.join(self.jobs, "kd_step.py"), self.models, *how])
        return {"tok/s": number(r"([\d.]+) tok/s", out), "peak, GB": gigabytes}

    def terms(self, term, how):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kd_step_terms.py")
        out, _, gigabytes = measured([sys.executable, program, self.models, how[0], term, *how[1:]])
        return {"tok/s": number(r"([\d.]+) tok/s", out), "peak, GB": gigabytes}


def llama_finetune(scratch):
    """Rows of 512, one a step; its own clock has whole seconds."""
    out = os.path.join(scratch, "finetuned.gguf")
    command = [FINETUNE, "--file", FINETUNE_TEXT, "-m", FINETUNE_MODEL, "-c", "512", "-b", "512", "-ub", "512", "-t",
               str(THREADS), "-epochs", "1", "-o", out]
    log, _, gigabytes = measured(["sh", "-c", shlex.join(command) + " 2>&1"])
    n, _, h, m, s = re.findall(r"train: .*?data=(\d+)/(\d+).*?t=(\d+):(\d+):(\d+)", log)[-1]
    os.remove(out)
    return {"tok/s": int(n) * 512 / (int(h) * 3600 + int(m) * 60 + int(s)), "peak, GB": gigabytes}


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"no {pattern} in: {text}")
    return float(found.group(1))


def race(limbeck, peer):
    """-> (job, what the peer is, figures of ours, figures of theirs), a list of rounds each"""
    contests = []
    if "J1" in JOBS:
        contests.append(("J1", "Trainer, f32", limbeck.j1, peer.j1))
    if "J2" in JOBS:
        for how in TORCH_WAYS:
            contests.append(("J2", "torch " + " ".join(how), lambda: limbeck.j2("int8"), lambda how=how: peer.j2(*how)))
        contests.append(("J2 bf16", "torch bf16 compile", lambda: limbeck.j2("bf16"), lambda: peer.j2("bf16", "compile")))
    for term in ("hidden", "attention") if "terms" in JOBS else ():
        for how in TORCH_WAYS:
            contests.append((f"J2 {term}", "torch " + " ".join(how), lambda term=term: limbeck.j2("int8", term),
                             lambda term=term, how=how: peer.terms(term, how)))
    if "J6" in JOBS and FINETUNE and FINETUNE_MODEL and FINETUNE_TEXT:
        contests.append(("J6", "llama.cpp finetune", limbeck.j6, lambda: llama_finetune(limbeck.scratch)))
    elif "J6" in JOBS:
        print("J6 is left out: LIMBECK_FINETUNE, LIMBECK_FINETUNE_MODEL or LIMBECK_FINETUNE_TEXT is not set")
    for job, name, ours, theirs in contests:
        rounds = [(ours(), theirs()) for _ in range(ROUNDS)]
        yield job, name, [a for a, _ in rounds], [b for _, b in rounds]


def write(rows, job, name, ours, theirs):
    for what in ours[0]:
        a, b = [r[what] for r in ours], [r[what] for r in theirs]
        m, n = statistics.median(a), statistics.median(b)
        better = m / n if what == "tok/s" else n / m  # how many times better Limbeck is
        rows.writerow([job, what, name, f"{m:.3f}", f"{min(a):.3f}", f"{max(a):.3f}", f"{n:.3f}", f"{min(b):.3f}",
                       f"{max(b):.3f}", f"{better:.2f}", ROUNDS, THREADS, cpu_name(), time.strftime("%Y-%m-%d")])
        print(f"{job} {what:12s} limbeck {m:9.2f}   {name:20s} {n:9.2f}   {better:6.2f} times better", flush=True)


def main():
    binary, path, jobs, models = sys.argv[1:5]
    for name in ("gpt2-medium", "gpt2"):
        if not os.path.exists(os.path.join(models, name, "config.json")):
            sys.exit(f"{models}/{name} is not there; {sys.executable} {jobs}/make_models.py {models} makes it")
    with open(path, "w", newline="") as file, tempfile.TemporaryDirectory() as scratch:
        rows = csv.writer(file)
        rows.writerow(["job", "what", "peer", "limbeck", "limbeck_min", "limbeck_max", "peer_median", "peer_min",
                       "peer_max", "times_better", "rounds", "threads", "cpu", "date"])
        for job, name, ours, theirs in race(Limbeck(binary, jobs, models, scratch), Peer(jobs, models)):
            write(rows, job, name, ours, theirs)


main()
