"""Tiny tokenizers of the kinds that the model families really use.

Each one has about 300 entries, is trained on the few sentences below and keeps the exact pipeline
(normalizer, pre-tokenizer, post-processor, decoder) of the family it stands for, so that llama.cpp
finds its own name for it (`tokenizer.ggml.pre`) and splits text the same way.
"""
from collections import Counter

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "The still drips slowly, and the spirit that leaves it is stronger than the wine that went in.",
    "A small model can learn from a large one: it reads the same words and tries to say the same thing.",
    "Numbers such as 12, 345 and 6789 are split; so are dates like 1999-12-31, don't you think?",
    "def add(a, b):\n    return a + b\n\nfor i in range(10):\n    print(i, add(i, 1))\n",
    "The teacher answers, the student listens; then the student answers and the teacher listens.",
    "Der Brennkolben steht auf dem Tisch. L'alambic est sur la table. El alambique está en la mesa.",
    "Маленькая модель учится у большой.  小さなモデルは大きなモデルから学ぶ。 小模型向大模型学习。",
]

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")


def byte_bpe(pre_tokenizer, n_merges, added, normalizer=None, post=None, ignore_merges=False):
    """256 bytes, then merges, then the added tokens: the layout of GPT-2, Llama 3 and Qwen."""
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=256 + n_merges, initial_alphabet=alphabet, show_progress=False)
    )
    tok.model.ignore_merges = ignore_merges
    for text, special in added:
        tok.add_tokens([AddedToken(text, special=special, normalized=False)])
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = post(tok) if post else processors.ByteLevel(trim_offsets=False)
    return tok


def gpt2():
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return byte_bpe(split, 40, [("<|endoftext|>", True)])


def smollm():
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    return byte_bpe(split, 36, [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True)])


def split_then_bytes(regex):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(regex), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False),
        ]
    )


def bos_template(tok, bos):
    return processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B:1", special_tokens=[(bos, tok.token_to_id(bos))]
    )


def llama3():
    bos = "<|begin_of_text|>"
    added = [(bos, True), ("<|end_of_text|>", True), ("<|start_header_id|>", True), ("<|end_header_id|>", True), ("<|eot_id|>", True)]
    post = lambda tok: processors.Sequence([processors.ByteLevel(trim_offsets=False), bos_template(tok, bos)])
    return byte_bpe(split_then_bytes(LLAMA3_SPLIT), 41, added, post=post, ignore_merges=True)


def qwen2():
    added = [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True)]
    return byte_bpe(split_then_bytes(QWEN2_SPLIT), 37, added, normalizer=normalizers.NFC())


def qwen3():
    added = [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True), ("<think>", False), ("</think>", False)]
    return byte_bpe(split_then_bytes(QWEN2_SPLIT), 33, added, normalizer=normalizers.NFC())


def sentencepiece_merges(pieces):
    """All pairs that join into a piece, best piece first: what SentencePiece does by score alone."""
    rank = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for piece in pieces:
        pairs = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        merges += sorted((p for p in pairs if p[0] in rank and p[1] in rank), key=lambda p: (rank[p[0]], rank[p[1]]))
    return merges


def spm_like(control, n_pieces, n_characters, extra=()):
    """Control tokens, 256 byte tokens, merged pieces (best first), single characters: Llama 2's layout."""
    lines = [line.replace("\n", " ").replace(" ", "▁") for line in CORPUS]
    counts = Counter("".join(lines))
    known = sorted(counts, key=lambda c: (-counts[c], c))[:n_characters]  # the trainer's own limit breaks ties at random
    words = ["▁" + word for line in lines for word in line.split("▁")]
    trainer_tok = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=n_pieces + n_characters, initial_alphabet=known, show_progress=False)
    trainer_tok.train_from_iterator((word for word in words if all(c in known for c in word)), trainer)
    order = sorted(trainer_tok.get_vocab().items(), key=lambda item: item[1])
    characters = [piece for piece, _ in order if len(piece) == 1]
    merged = list(extra) + [piece for piece, _ in order if len(piece) > 1]
    vocab = control + [f"<0x{byte:02X}>" for byte in range(256)] + merged + characters
    tok = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(vocab)},
            merges=sentencepiece_merges(merged + characters),
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    for text in control:
        tok.add_special_tokens([AddedToken(text, special=True, normalized=False)])
    return tok


def llama2():
    tok = spm_like(["<unk>", "<s>", "</s>"], 24, 27)
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tok.post_processor = bos_template(tok, "<s>")
    return tok


def gemma():
    control = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    tok = spm_like(control, 20, 27, extra=("▁▁", "▁▁▁"))
    tok.normalizer = normalizers.Replace(" ", "▁")
    tok.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tok.post_processor = bos_template(tok, "<bos>")
    return tok


CHATML = (
    "{%- for message in messages %}\n"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n"
    "{{- '<|im_start|>assistant\\n' }}\n"
    "{%- endif %}\n"
)
LLAMA3_CHAT = (
    "{{- bos_token }}\n"
    "{%- for message in messages %}\n"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}\n"
    "{%- endif %}\n"
)

# kind -> (maker, special-token names of tokenizer_config.json, chat template or None)
KINDS = {
    "gpt2": (gpt2, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}, None),
    "smollm": (smollm, {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}, CHATML),
    "llama3": (llama3, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}, LLAMA3_CHAT),
    "llama2": (llama2, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, None),
    "qwen2": (qwen2, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}, CHATML),
    "qwen3": (qwen3, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}, CHATML),
    "gemma": (gemma, {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}, None),
}
