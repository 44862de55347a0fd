#!/usr/bin/env python3
"""Golden data for the tokenizers: small tokenizers with every kind and option, and for them and the
real ones what the reference library makes of a list of awkward texts.

    python tests/golden/generate/golden_tokenizers.py [SHARED_TOKENIZERS]

Pinned: tokenizers 0.23.3, sentencepiece-free. Writes tests/golden/data/tokenizers/ and
tests/golden/SHA256SUMS-tokenizers. NAME.json is a tokenizer, NAME.cases.json its cases; a real
tokenizer has cases only."""
import base64
import hashlib
import json
import os
import random
import struct
import sys

import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "data", "tokenizers")

CORPUS = """The quick brown fox jumps over the lazy dog. It's 3.14 o'clock, isn't it? We'll see; they've
gone, I'm here. Numbers: 0 1 2 10 100 1000 2024-05-17. Code: for (int i = 0; i < n; i++) { x += 1; }
def main():\n    return 0\n\n\n# comment  with   spaces\n\tif x:\n\t\tpass
Ünïcödé çà et là; naïve café, Straße, Ångström. Привет, мир! Как дела? こんにちは世界。漢字とかな。
你好，世界！中文分词。한국어 토큰화 مرحبا بالعالم नमस्ते दुनिया 👍 🎉 👨‍👩‍👧 e\u0301 n\u0303
the the the and and of to in that it is was for on with as by at from this low lower lowest newer
new wide wider widest""".replace("\\n", "\n").replace("\\t", "\t").split("\n")

TEXTS = [
    "", " ", "  ", "a", "Hello world", " Hello  world ", "It's we'll I'M don'T 'S '\u017fx", "3.14 1234567 \u0661\u0662\u00bd\u2167",
    "line\nline\r\nline\n\n\nend\n", "\t\ttabs \t mixed\n \n  x", "   leading", "trailing   ",
    "Ünïcödé naïve e\u0301 n\u0303o \u1e9b\u0323 ﬁ ½ Å \u212b", "İstanbul ΣΑΣ ǅ", "Привет, мир!",
    "こんにちは世界。漢字かな", "你好，世界！", "한국어 \u1100\u1161\u11a8 각", "مرحبا بالعالم \u0651\u064b",
    "नमस्ते दुनिया", "👍🏽👨‍👩‍👧🇫🇷 🎉", "\u200b\u00a0\u3000\u2028\u180e\u2581x \u2581\u2581 y",
    "x\u0000y\u0001\u007f\ufeff", "\U0010ffff\ue000\ufffd", "<s>a</s> <s> b<unk>", "<tok>x <tok> y<tok>",
    "a<mask>b  <mask>  c", "wordword word-word word", "<|endoftext|>a<|im_start|>user\nhi<|im_end|>",
    "<bos><start_of_turn>user\nhi<end_of_turn>\n", "<0x0A><0xE6>", "!?...---///\\\\'\"`$+<=>^|~",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "the lowest newer widest lower", "def f(x):\n    return x**2  # ok\n",
    "a\u0334\u0301\u0323b \u0301start", "\u0344\u0958\u09dc\u2126\ufb1d\U0001d15e", "x\ufdfa end",
    "mixedCASE HTTPServer2 camelCase snake_case", "\u0130\u0049\u0307", "…“quoted” – dash—",
    "\u0897\u1c89\U00010d50 new \U000105c0", "x\u20dd①②Ⓐ🅰", "\u202emirror\u202c",
]


def char_map(pairs):
    """A Darts double array for a dictionary of strings, as sentencepiece stores it."""
    replacements, offsets = b"", {}
    for value in sorted(set(pairs.values())):
        offsets[value] = len(replacements)
        replacements += value.encode() + b"\0"
    root = {}
    for key, value in pairs.items():
        node = root
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[None] = offsets[value]
    units, used = {0: 0}, {0}

    def place(index, node, label):
        labels = [0 if k is None else k for k in node]
        base = 1
        while any((base ^ c) in used for c in labels) or base < 1:
            base += 1
        offset = base ^ index
        assert offset < 1 << 21
        units[index] = (offset << 10) | label | (0x100 if None in node else 0)
        used.update(base ^ c for c in labels)
        for key, child in node.items():
            if key is None:
                units[base] = child | 1 << 31
            else:
                place(base ^ key, child, key)

    place(0, root, 0)
    size = (max(units) // 256 + 2) * 256
    trie = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(size))
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + replacements).decode()


def bpe(vocab_size=400, pre=None, normalizer=None, decoder=None, alphabet=None, special=(), **options):
    trained = {k: options.pop(k) for k in ("continuing_subword_prefix", "end_of_word_suffix")
               if k in options}
    t = Tokenizer(models.BPE(**options, **trained))
    t.normalizer, t.pre_tokenizer = normalizer, pre
    if decoder is not None:
        t.decoder = decoder
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, initial_alphabet=alphabet or [],
                                  special_tokens=list(special), **trained)
    t.train_from_iterator(CORPUS, trainer)
    return json.loads(t.to_str())


def unigram(vocab_size=300, pre=None, normalizer=None, decoder=None, byte_fallback=False, special=("<unk>",)):
    t = Tokenizer(models.Unigram())
    t.normalizer, t.pre_tokenizer = normalizer, pre
    if decoder is not None:
        t.decoder = decoder
    trainer = trainers.UnigramTrainer(vocab_size=vocab_size, show_progress=False, unk_token="<unk>",
                                      special_tokens=list(special))
    t.train_from_iterator(CORPUS, trainer)
    d = json.loads(t.to_str())
    d["model"]["byte_fallback"] = byte_fallback
    return d


BYTES = [f"<0x{b:02X}>" for b in range(256)]
ALPHABET = pre_tokenizers.ByteLevel.alphabet()
METASPACE_DECODER = decoders.Metaspace()
LLAMA_DECODER = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                   decoders.Fuse(), decoders.Strip(" ", 1, 0)])


def added(content, **flags):
    item = {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": False}
    item.update(flags)
    return item


def make_custom():
    split, seq = pre_tokenizers.Split, pre_tokenizers.Sequence
    level = pre_tokenizers.ByteLevel
    made = {}
    made["byte_level"] = bpe(pre=level(add_prefix_space=False), decoder=decoders.ByteLevel(), alphabet=ALPHABET)
    d = bpe(pre=level(add_prefix_space=True), decoder=decoders.ByteLevel(), alphabet=ALPHABET, special=["<s>", "</s>"])
    d["post_processor"] = json.loads(processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]).__getstate__())
    made["byte_level_prefix"] = d
    d = bpe(pre=level(add_prefix_space=False), decoder=decoders.ByteLevel(), alphabet=ALPHABET[:200], ignore_merges=True)
    d["model"]["vocab"]["Ġquick"] = len(d["model"]["vocab"]) + 3  # a hole, and a token no merge makes
    made["byte_level_lacks_bytes"] = d
    d = bpe(pre=seq([split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
                          "isolated"), level(add_prefix_space=False, use_regex=False)]), normalizer=normalizers.NFC(),
            decoder=decoders.ByteLevel(), alphabet=ALPHABET)
    d["added_tokens"] = [added("<|endoftext|>", special=True), added("<|im_start|>", special=True),
                         added("<|im_end|>", special=True, rstrip=True), added("<tok>"),
                         added("<tok><tok>"), added("word", single_word=True),
                         added("<mask>", lstrip=True, rstrip=True, special=True)]
    made["added_tokens"] = d
    d = bpe(pre=pre_tokenizers.Whitespace(), normalizer=normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase()]), unk_token="<unk>", special=["<unk>"])
    d["added_tokens"] += [added("NAÏVE", normalized=True), added("<S>", normalized=True, special=True)]
    made["normalized_added"] = d
    made["unk_fused"] = bpe(pre=pre_tokenizers.WhitespaceSplit(), unk_token="<unk>", fuse_unk=True, special=["<unk>"])
    made["unk_single"] = bpe(pre=pre_tokenizers.WhitespaceSplit(), unk_token="<unk>", special=["<unk>"], vocab_size=160)
    made["prefix_suffix"] = bpe(pre=pre_tokenizers.BertPreTokenizer(), unk_token="<unk>", special=["<unk>"],
                                continuing_subword_prefix="##", decoder=decoders.WordPiece())
    made["suffix"] = bpe(pre=pre_tokenizers.Whitespace(), unk_token="<unk>", special=["<unk>"],
                         end_of_word_suffix="</w>", decoder=decoders.BPEDecoder())
    for name, normalizer in (("llama", normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])),
                             ("gemma", normalizers.Replace(" ", "▁"))):
        d = bpe(normalizer=normalizer, pre=split(" ", "merged_with_previous"), decoder=LLAMA_DECODER, vocab_size=600, unk_token="<unk>",
                fuse_unk=True, byte_fallback=True, special=["<unk>", "<s>", "</s>"] + BYTES)
        d["added_tokens"] = d["added_tokens"][:3]
        d["pre_tokenizer"] = None
        made["byte_fallback_" + name] = d
    d = bpe(pre=pre_tokenizers.Metaspace(), decoder=METASPACE_DECODER, unk_token="<unk>", fuse_unk=True, byte_fallback=True,
            special=["<unk>"] + BYTES[:200])  # some bytes lacking
    d["added_tokens"] = d["added_tokens"][:1]
    made["byte_fallback_partial"] = d
    for scheme in ("always", "first", "never"):
        d = unigram(pre=pre_tokenizers.Metaspace(prepend_scheme=scheme, split=scheme != "first"),
                    decoder=decoders.Metaspace(prepend_scheme=scheme), byte_fallback=scheme == "never")
        d["added_tokens"] += [added("<s>", special=True), added("<tok>")]
        if scheme == "never":
            d["model"]["vocab"] += [[b, -20.0] for b in BYTES]
        made["unigram_" + scheme] = d
    d = unigram(pre=pre_tokenizers.Metaspace(), decoder=METASPACE_DECODER)
    d["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": char_map(
        {"ﬁ": "fi", "Å": "Å", "½": "1/2", "\u00a0": " ", "\u3000": " ", "e\u0301": "é", "\ufdfa": "x y z", "\t": " ",
         "\u200b": "", "①": "1", "…": "...", "👍": "+1", "각": "각"})}
    made["unigram_charsmap"] = d
    d = unigram(pre=seq([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")]),
                normalizer=normalizers.Sequence([normalizers.Strip(), normalizers.NFKD(), normalizers.StripAccents()]))
    made["unigram_no_decoder"] = d
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            d = bpe(pre=seq([split(Regex(r"[\s\p{P}]"), behavior, invert), split("o", behavior)]), vocab_size=120,
                    unk_token="<unk>", special=["<unk>"])
            made[f"split_{behavior}{'_inverted' if invert else ''}"] = d
        made["punctuation_" + behavior] = bpe(pre=pre_tokenizers.Punctuation(behavior), vocab_size=120)
    made["digits"] = bpe(pre=seq([pre_tokenizers.Digits(True), level(add_prefix_space=False)]), decoder=decoders.ByteLevel(), alphabet=ALPHABET)
    made["digits_together"] = bpe(pre=seq([pre_tokenizers.Digits(False), pre_tokenizers.CharDelimiterSplit("e")]), vocab_size=120)
    made["bytes_then_split"] = bpe(pre=seq([level(add_prefix_space=False), split("Ġ", "merged_with_next"), split(Regex(r"\w+|\d|[^\w]"), "isolated")]),
                                   decoder=decoders.ByteLevel(), alphabet=ALPHABET)
    made["o200k"] = bpe(pre=seq([split(Regex(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
        "isolated"), level(add_prefix_space=False, use_regex=False)]), decoder=decoders.ByteLevel(), alphabet=ALPHABET)
    d = bpe(normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.Replace(Regex(r"\s+"), " "),
                                             normalizers.Strip(left=True, right=False)]), vocab_size=150,
            decoder=decoders.Sequence([decoders.Replace(Regex("[aeiou]"), "_"), decoders.Strip("t", 1, 0),
                                       decoders.Fuse(), decoders.Strip(" ", 2, 0)]))
    made["regex_everywhere"] = d
    d = bpe(normalizer=normalizers.ByteLevel(), vocab_size=300, alphabet=ALPHABET, decoder=decoders.ByteLevel())
    d["post_processor"] = json.loads(processors.RobertaProcessing(("</s>", 2), ("<s>", 1)).__getstate__())
    made["byte_level_normalizer"] = d
    return made


def cases(tokenizer):
    rng, rows = random.Random(7), []
    n = tokenizer.get_vocab_size()
    texts = list(TEXTS)
    for _ in range(30):
        texts.append("".join(rng.choice(TEXTS)[:rng.randint(1, 8)] for _ in range(rng.randint(2, 6))))
    for text in texts:
        row = {"text": text}
        for key, special in (("ids", True), ("plain", False)):
            try:
                row[key] = tokenizer.encode(text, add_special_tokens=special).ids
            except Exception:  # an unknown character and no unknown token
                row[key] = None
        tokenizer.encode_special_tokens = True
        try:
            row["unparsed"] = tokenizer.encode(text, add_special_tokens=False).ids
        except Exception:
            row["unparsed"] = None
        tokenizer.encode_special_tokens = False
        ids = row["ids"] if row["ids"] is not None else [rng.randrange(n) for _ in range(8)]
        row["decode"] = ids
        row["decoded"] = tokenizer.decode(ids, skip_special_tokens=False)
        row["skipped"] = tokenizer.decode(ids, skip_special_tokens=True)
        rows.append(row)
    for _ in range(20):  # ids that no text gives: halves of characters, runs of bytes
        ids = [rng.randrange(n) for _ in range(rng.randint(1, 9))]
        rows.append({"decode": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                     "skipped": tokenizer.decode(ids, skip_special_tokens=True)})
    return rows


def write(name, value):
    with open(os.path.join(OUT, name), "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def gpt2(folder):
    t = Tokenizer(models.BPE.from_file(os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt")))
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return t


def main():
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    os.makedirs(OUT, exist_ok=True)
    for name, config in make_custom().items():
        write(name + ".json", config)
        tokenizer = Tokenizer.from_file(os.path.join(OUT, name + ".json"))
        write(name + ".cases.json", cases(tokenizer))
    if len(sys.argv) > 1:
        for name in sorted(os.listdir(sys.argv[1])):
            folder = os.path.join(sys.argv[1], name)
            file = os.path.join(folder, "tokenizer.json")
            tokenizer = Tokenizer.from_file(file) if os.path.exists(file) else gpt2(folder)
            write(f"shared.{name}.cases.json", cases(tokenizer))
    with open(os.path.join(HERE, "..", "SHA256SUMS-tokenizers"), "w") as f:
        for name in sorted(os.listdir(OUT)):
            digest = hashlib.sha256(open(os.path.join(OUT, name), "rb").read()).hexdigest()
            f.write(f"{digest}  data/tokenizers/{name}\n")


if __name__ == "__main__":
    main()
