"""J4, the end of a distillation step beside PyTorch: both heads on 1024 tokens, 50304 x 768, KL at temperature 2
and cross entropy, and the gradients of the student's head and hidden states.

    python head_peers.py BENCH_HEAD OUT.csv        HEAD_ROUNDS=3

PyTorch eager and compiled, float32 and autocast to bfloat16; Limbeck's student in the precision the row names,
its teacher in int8 too. Each round runs everybody once, a process each, two threads; a process warms up, then
takes the fastest of three."""
import csv
import os
import resource
import statistics
import subprocess
import sys
import time

THREADS, ROUNDS, REPEATS = 2, int(os.environ.get("HEAD_ROUNDS", "3")), 3
TOKENS, WIDTH, VOCAB, TEMPERATURE, ALPHA = 1024, 768, 50304, 2.0, 0.7


def torch_side(precision, how):
    """Runs in a process of its own; prints seconds and MB as bench_head does."""
    import torch
    from torch.nn import functional as F
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    bf16 = precision == "bf16"
    ht, wt = torch.rand(TOKENS, WIDTH) * 2 - 1, (torch.rand(VOCAB, WIDTH) * 2 - 1) * 0.02
    if bf16:  # a frozen teacher in bfloat16
        ht, wt = ht.bfloat16(), wt.bfloat16()
    hs = (torch.rand(TOKENS, WIDTH) * 2 - 1).requires_grad_()
    ws = ((torch.rand(VOCAB, WIDTH) * 2 - 1) * 0.02).requires_grad_()
    y = torch.arange(TOKENS) * 37 % VOCAB

    def loss():
        with torch.no_grad():
            zt = (ht @ wt.T).float()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            zs = (hs @ ws.T).float()
        kd = F.kl_div(F.log_softmax(zs / TEMPERATURE, -1), F.log_softmax(zt / TEMPERATURE, -1), log_target=True,
                      reduction="sum") / TOKENS * TEMPERATURE**2
        return ALPHA * kd + (1 - ALPHA) * F.cross_entropy(zs, y)

    run = torch.compile(loss) if how == "compiled" else loss
    for i in range(REPEATS + 1):
        hs.grad = ws.grad = None
        begin = time.time()
        run().backward()
        if i > 0:
            print(f"{time.time() - begin:.4f}")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6:.0f}")


def measured(command):
    """-> (seconds of the fastest, MB)"""
    environment = dict(os.environ, OMP_NUM_THREADS=str(THREADS), LIMBECK_THREADS=str(THREADS))
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
    return min(map(float, lines[:-1])), float(lines[-1])


def main():
    binary, path = sys.argv[1:3]
    ours = [(f"limbeck {s}, teacher {t}", [binary, s, t, str(REPEATS)])
            for s, t in (("f32", "f32"), ("bf16", "bf16"), ("bf16", "int8"))]
    theirs = [(f"torch {p} {how}", [sys.executable, __file__, "--torch", p, how])
              for p in ("f32", "bf16") for how in ("eager", "compiled")]
    found = {name: [] for name, _ in ours + theirs}
    for _ in range(ROUNDS):
        for name, command in ours + theirs:
            found[name].append(measured(command))
    seconds = {name: statistics.median(s for s, _ in rounds) for name, rounds in found.items()}
    best = min(seconds[name] for name, _ in theirs)
    with open("/proc/cpuinfo") as info:
        cpu = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["side", "seconds", "min", "max", "megabytes", "times_faster_than_best_peer", "rounds",
                       "threads", "cpu", "date"])
        for name, rounds in found.items():
            times, megabytes = [s for s, _ in rounds], max(m for _, m in rounds)
            rows.writerow([name, f"{seconds[name]:.4f}", min(times), max(times), f"{megabytes:.0f}",
                           f"{best / seconds[name]:.2f}", ROUNDS, THREADS, cpu, time.strftime("%Y-%m-%d")])
            print(f"J4 {name:26s} {seconds[name]:7.3f} s   {megabytes:6.0f} MB   {best / seconds[name]:5.2f} "
                  "times the speed of PyTorch's best", flush=True)


if sys.argv[1:2] == ["--torch"]:
    torch_side(*sys.argv[2:4])
else:
    main()
