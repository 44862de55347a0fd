"""J5: Limbeck's tokenizer beside Hugging Face's `tokenizers`, one thread each, on the same documents.
python tokenizer_peers.py LIBLIMBECK.so OUT.csv FOLDER_OR_JSON...        BENCH_ROUNDS=5 BENCH_ENGLISH=FOLDER

Documents of 2 kB: English (the .txt files of BENCH_ENGLISH, else Debian's licences and Perl manuals) and C
source (this tree and /usr/include). Ids must be the same. Rounds alternate between the two; the result is
the median in MB per second of CPU time, which a busy machine changes little. `first` is the first round of
a newly opened tokenizer, while caches of words are still empty. The peer runs `encode_batch_fast` on all
documents at once, its fastest call; Limbeck is called once a document, through ctypes."""
import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import csv
import ctypes
import glob
import platform
import random
import statistics
import sys
import time

import tokenizers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from compare_tokenizers import Limbeck, Options, load_reference

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SIZE, MOST = 2000, 1000  # characters of a document; documents


def english():
    folder = os.environ.get("BENCH_ENGLISH")
    if folder:
        return glob.glob(os.path.join(folder, "*.txt"))
    licences = {os.path.realpath(p) for p in glob.glob("/usr/share/common-licenses/*")}
    return [*licences, *glob.glob("/usr/share/perl/5*/**/*.pod", recursive=True)]


def source():
    return glob.glob(os.path.join(ROOT, "src", "*", "*.[ch]")) + glob.glob("/usr/include/*.h")


def documents(paths):
    found = []
    for path in sorted(paths):
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        found += [text[i:i + SIZE] for i in range(0, len(text), SIZE)]
    random.Random(1).shuffle(found)
    return found[:MOST]


class Ours:
    def __init__(self, path):
        self.tokenizer = Limbeck(path)
        ids, n, options = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t(), Options(False, True)
        self.ids, self.keep = ids, (n, options)
        self.rest = [ctypes.byref(x) for x in (options, ids, n, self.tokenizer.error)]

    def run(self, texts):
        encode, free, rest, ids = Limbeck.lib.lb_tokenizer_encode, Limbeck.lib.lb_ids_free, self.rest, self.ids
        handle = self.tokenizer.handle
        for data, size in texts:
            if encode(handle, data, size, *rest) != 0:
                raise RuntimeError(self.tokenizer.error.message.decode())
            free(ids)


def cpu_seconds(call, *arguments):
    start = time.process_time()
    call(*arguments)
    return time.process_time() - start


def race(path, texts):
    """Lists of MB/s: ours and theirs, the first round first."""
    encoded = [text.encode() for text in texts]
    pairs = [(data, ctypes.c_size_t(len(data))) for data in encoded]
    megabytes = sum(map(len, encoded)) / 1e6
    ours, theirs = Ours(path), load_reference(path)
    a, b = [], []
    for _ in range(ROUNDS + 1):
        a.append(megabytes / cpu_seconds(ours.run, pairs))
        b.append(megabytes / cpu_seconds(lambda: theirs.encode_batch_fast(texts, add_special_tokens=False)))
    for text in texts:
        if ours.tokenizer.encode(text, False) != theirs.encode(text, add_special_tokens=False).ids:
            raise SystemExit(f"{path}: other ids for {text!r}")
    return a, b


def cpu_name():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    Limbeck.lib = ctypes.CDLL(os.path.abspath(sys.argv[1]))
    for name in ("lb_tokenizer_free", "lb_text_free", "lb_ids_free"):
        getattr(Limbeck.lib, name).argtypes = [ctypes.c_void_p]
    corpora = {"english": documents(english()), "source": documents(source())}
    with open(sys.argv[2], "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["tokenizer", "text", "documents", "limbeck_mb_s", "limbeck_min", "limbeck_max",
                       "limbeck_first", "hf_mb_s", "hf_min", "hf_max", "hf_first", "ratio", "ratio_first",
                       "cpu", "tokenizers"])
        for path in sys.argv[3:]:
            for kind, texts in corpora.items():
                a, b = race(path, texts)
                name, ours, theirs = os.path.basename(path.rstrip("/")), statistics.median(a[1:]), statistics.median(b[1:])
                numbers = [ours, min(a[1:]), max(a[1:]), a[0], theirs, min(b[1:]), max(b[1:]), b[0],
                           ours / theirs, a[0] / b[0]]
                rows.writerow([name, kind, len(texts), *(f"{x:.2f}" for x in numbers), cpu_name(), tokenizers.__version__])
                file.flush()
                print(f"{name:16s} {kind:8s} limbeck {ours:6.1f} MB/s   tokenizers {theirs:5.2f}   ratio {ours / theirs:5.1f}"
                      f"   first {a[0]:6.1f} / {b[0]:4.2f}, {a[0] / b[0]:5.1f}   same ids", flush=True)


main()
