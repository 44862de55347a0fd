#!/usr/bin/env python3
"""The demo's tokenizer: byte-level BPE (Sennrich et al. 2016; bytes as GPT-2 spells them) learned from its texts.

    tools/make_demo_tokenizer.py TEXTS.jsonl FOLDER [VOCABULARY]

Writes tokenizer.json and tokenizer_config.json for Transformers, vLLM and Limbeck. Only the standard library; of
equally frequent pairs the alphabetically first is merged, so that the same texts give the same file."""
import collections
import json
import os
import re
import sys

END = "<|end|>"
# What "ByteLevel" splits, for ASCII text, after "Digits" has put each digit on its own.
WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[0-9]| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def byte_letters():
    """GPT-2's spelling of the 256 bytes as printable characters."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def count_words(path):
    letters, words = byte_letters(), collections.Counter()
    for line in open(path, encoding="utf8"):
        for piece in re.split(r"([0-9])", json.loads(line)["text"]):
            words.update(WORD.findall(piece))
    return {tuple(letters[b] for b in word.encode()): n for word, n in words.items()}


def merge_pair(word, pair):
    out, i = [], 0
    while i < len(word):
        whole = word[i:i + 2] == pair
        out.append(word[i] + word[i + 1] if whole else word[i])
        i += 2 if whole else 1
    return tuple(out)


def learn(words, n_merges):
    merges = []
    while len(merges) < n_merges:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        words = {merge_pair(w, best): n for w, n in words.items()}
        merges.append(best)
    return merges


def main():
    texts, folder = sys.argv[1:3]
    size = int(sys.argv[3]) if len(sys.argv) > 3 else 1024
    letters = sorted(byte_letters().values())
    merges = learn(count_words(texts), size - len(letters) - 1)
    tokens = [END] + letters + [a + b for a, b in merges]
    special = {"id": 0, "content": END, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
               "special": True}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [special], "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {t: i for i, t in enumerate(tokens)}, "merges": [f"{a} {b}" for a, b in merges]}}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "model_max_length": 512,
              "clean_up_tokenization_spaces": False}
    os.makedirs(folder, exist_ok=True)
    for name, content in (("tokenizer.json", tokenizer), ("tokenizer_config.json", config)):
        with open(os.path.join(folder, name), "w", encoding="utf8") as f:
            json.dump(content, f, ensure_ascii=False, indent=1)
            f.write("\n")
    print(f"{len(tokens)} tokens, {len(merges)} merges: {folder}")


main()
