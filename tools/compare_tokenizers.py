#!/usr/bin/env python3
"""Compares Limbeck's tokenizer with Hugging Face's `tokenizers` on random text.

    python tools/compare_tokenizers.py build/liblimbeck.so 100000 FOLDER_OR_JSON...

Ids with and without special tokens, decoded text with and without special tokens, and the stream
decoder; prints the first differences and exits 1 if there are any. Seeded: same text every run."""
import ctypes
import json
import os
import random
import sys
import time

from tokenizers import Tokenizer


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 512)]


class Options(ctypes.Structure):
    _fields_ = [("add_special_tokens", ctypes.c_bool), ("parse_special", ctypes.c_bool)]


class Limbeck:
    lib = None

    def __init__(self, path):
        self.handle, self.error = ctypes.c_void_p(), Error()
        self.check(self.lib.lb_tokenizer_open(ctypes.byref(self.handle), path.encode(),
                                              ctypes.byref(self.error)))

    def __del__(self):
        self.lib.lb_tokenizer_free(self.handle)

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.error.message.decode("utf-8", "replace"))

    def encode(self, text, add_special_tokens=True, parse_special=True):
        data = text.encode("utf-8")
        ids, n = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        options = Options(add_special_tokens, parse_special)
        self.check(self.lib.lb_tokenizer_encode(
            self.handle, data, ctypes.c_size_t(len(data)), ctypes.byref(options),
            ctypes.byref(ids), ctypes.byref(n), ctypes.byref(self.error)))
        out = ids[:n.value]
        self.lib.lb_ids_free(ids)
        return out

    def decode(self, ids, skip_special_tokens=True):
        array = (ctypes.c_int32 * len(ids))(*ids)
        text, size = ctypes.c_void_p(), ctypes.c_size_t()
        self.check(self.lib.lb_tokenizer_decode(
            self.handle, array, ctypes.c_size_t(len(ids)), ctypes.c_bool(skip_special_tokens),
            ctypes.byref(text), ctypes.byref(size), ctypes.byref(self.error)))
        out = ctypes.string_at(text, size.value).decode("utf-8")
        self.lib.lb_text_free(text)
        return out

    def stream(self, ids, skip_special_tokens=True):
        decoder, text = ctypes.c_void_p(), ctypes.c_char_p()
        size, parts = ctypes.c_size_t(), []
        self.check(self.lib.lb_stream_decoder_new(
            ctypes.byref(decoder), self.handle, ctypes.c_bool(skip_special_tokens),
            ctypes.byref(self.error)))
        raw = ctypes.c_void_p()
        for token in ids:
            self.check(self.lib.lb_stream_decoder_feed(
                decoder, ctypes.c_int32(token), ctypes.byref(raw), ctypes.byref(size),
                ctypes.byref(self.error)))
            parts.append(ctypes.string_at(raw, size.value).decode("utf-8"))
        self.check(self.lib.lb_stream_decoder_finish(decoder, ctypes.byref(raw),
                                                     ctypes.byref(size), ctypes.byref(self.error)))
        parts.append(ctypes.string_at(raw, size.value).decode("utf-8"))
        self.lib.lb_stream_decoder_free(decoder)
        return "".join(parts)


RANGES = [(0x20, 0x7E)] * 4 + [
    (0x00, 0x1F), (0x80, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF),
    (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0xEFF), (0x1100, 0x11FF), (0x1E00, 0x1FFF),
    (0x2000, 0x206F), (0x20A0, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
    (0xE000, 0xE0FF), (0xF900, 0xFFFF), (0x10000, 0x1FFFF), (0x1F300, 0x1FAFF), (0x20000, 0x323AF),
    (0xE0000, 0xE01FF), (0x0, 0x10FFFF)]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2581", "\u180e",
          "\u200b", "\u2028", " \n ", "\x0b", "\x85", "      ", "\u2581\u2581"]
BITS = ["'s", "'T", "'re", "'LL", "'\u017f", "don't", "I'M", "123", "1234567", "3.14", "\u0661\u0662",
        "\u00bd", "\u2167", "...", "!?", "//", "/", "_", "ﬁ", "İ", "Σς", "e\u0301", "n\u0303o", "가",
        "각", "각", "👍🏽", "👨‍👩‍👧", "🇫🇷", "日本語", "漢字かな交じり", "مرحبا",
        "नमस्ते", "привет", "Ünïcödé", "\u1e9b\u0323", "\ufdfa", "\ufeff", "\x00", "<0x0A>", "<0xE6>",
        "def f(x):", "    return", "hello", "world", "the", " the", "The", "ing", "é", "ß", "{", "}"]


def make_text(rng, vocabulary, added):
    parts = []
    for _ in range(rng.randint(0, 12)):
        kind = rng.random()
        if kind < 0.2:
            parts.append(rng.choice(SPACES))
        elif kind < 0.45:
            parts.append(rng.choice(BITS))
        elif kind < 0.65:
            parts.append(rng.choice(vocabulary))
        elif kind < 0.72 and added:
            parts.append(rng.choice(added))
        else:
            low, high = rng.choice(RANGES)
            parts.append("".join(chr(c) for c in (rng.randint(low, high)
                                                  for _ in range(rng.randint(1, 5)))
                                 if not 0xD800 <= c <= 0xDFFF))
    return "".join(parts)


def load_reference(path):
    if os.path.isdir(path) and not os.path.exists(os.path.join(path, "tokenizer.json")):
        from tokenizers import AddedToken, decoders, models, pre_tokenizers
        t = Tokenizer(models.BPE.from_file(os.path.join(path, "vocab.json"),
                                           os.path.join(path, "merges.txt")))
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        t.decoder = decoders.ByteLevel()
        t.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
        return t
    if os.path.isdir(path):
        path = os.path.join(path, "tokenizer.json")
    return Tokenizer.from_file(path)


def compare(path, count, seed=1):
    ours, theirs, rng = Limbeck(path), load_reference(path), random.Random(seed)
    vocabulary = [v for v in theirs.get_vocab() if len(v) < 20]
    vocabulary.sort()
    vocabulary = [v.replace("\u0120", " ").replace("\u010a", "\n").replace("\u2581", " ")
                  for v in vocabulary]
    added = sorted(t.content for t in theirs.get_added_tokens_decoder().values())
    n_ids, bad, started = theirs.get_vocab_size(), 0, time.time()
    for i in range(count):
        text = make_text(rng, vocabulary, added)
        checks = []
        special = i % 4 != 0
        theirs.encode_special_tokens = i % 7 == 0
        try:
            want = theirs.encode(text, add_special_tokens=special).ids
        except Exception as e:
            want = "error"
        try:
            got = ours.encode(text, special, i % 7 != 0)
        except RuntimeError as e:
            got = "error"
        checks.append(("encode", want, got))
        random_ids = i % 3 == 0 or want == "error"
        ids = [rng.randrange(n_ids) for _ in range(rng.randint(0, 12))] if random_ids else want
        skip = i % 2 == 0
        text_back = theirs.decode(ids, skip_special_tokens=skip)
        checks.append(("decode", text_back, ours.decode(ids, skip)))
        if i % 5 == 0:
            checks.append(("stream", text_back, ours.stream(ids, skip)))
        for what, wanted, found in checks:
            if wanted == found:
                continue
            bad += 1
            if bad <= 5:
                print(f"  {what} {text!r} special={special} parse={i % 7 != 0} skip={skip} ids={ids[:20]}\n"
                      f"    want {wanted!r}\n    have {found!r}")
    print(f"{path}: {count} texts, {bad} differences, {time.time() - started:.0f} s", flush=True)
    return bad


def main():
    Limbeck.lib = ctypes.CDLL(os.path.abspath(sys.argv[1]))
    Limbeck.lib.lb_tokenizer_hash.restype = ctypes.c_uint64
    Limbeck.lib.lb_tokenizer_free.argtypes = [ctypes.c_void_p]
    Limbeck.lib.lb_text_free.argtypes = [ctypes.c_void_p]
    return 1 if sum(compare(p, int(sys.argv[2])) for p in sys.argv[3:]) else 0


if __name__ == "__main__":
    sys.exit(main())
