#!/usr/bin/env python3
"""Golden data of src/data: ids and trained tokens as Transformers and TRL make them.

Usage: data_masks.py   (needs transformers==5.23.0, tokenizers==0.23.3, jinja2==3.1.6)
Writes tests/golden/data/data_masks.json and tests/golden/SHA256SUMS-data.

Three oracles. "assistant": apply_chat_template(return_assistant_tokens_mask=True) on templates with
{% generation %}. "turn": TRL's prompt-completion rule for message lists (the ids of the prompt with
add_generation_prompt, when they begin the ids of all) on templates without. "prompt": strings, TRL's
rule where the prompt's ids begin all ids, and always the tokenizer's own offsets: a token is trained
when it holds a character of the completion. Rows where TRL would warn of a mismatch are kept for
"prompt" (offsets decide) and left out for "turn" (TRL has no right answer there)."""
import datetime
import hashlib
import json
import os
import pathlib
import re
import sys
import time

import tokenizers
import transformers
from transformers.utils import chat_template_utils

from chat_conversations import CONVERSATIONS, assistant, call, system, tool, user
from golden_tokenizers import TEXTS

GOLDEN = pathlib.Path(__file__).resolve().parent.parent
NOW = 1721952000  # 2024-07-26, the date that src/data/render_rules.c shows to templates
MODELS = ["llama-tied-gqa", "gemma3-scale", "qwen2-tied", "mistral"]
FILES = ["byte_fallback_llama", "byte_fallback_gemma", "byte_level", "byte_level_prefix", "digits",
         "added_tokens", "prefix_suffix", "unigram_first", "unigram_always", "o200k"]


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.utcfromtimestamp(NOW)


chat_template_utils.datetime = Clock
os.environ["TZ"] = "UTC"
time.tzset()

MORE = [
    ("many turns", {"messages": [system("Be exact."), user("One?"), assistant("1"), user("Two?"),
                                 assistant("2\n"), user("  Three ?"), assistant("  3 3 3  ")]}),
    ("unicode answers", {"messages": [user("日本"), assistant("東京 🎉"), user("é"), assistant("ñ e\u0301 ﬁ 👍🏽")]}),
    ("long answer", {"messages": [user("Tell me."), assistant("The quick brown fox.\n\nIt's 3.14!\n\n\n- a\n- b\n")]}),
    ("code", {"messages": [user("def?"), assistant("def f(x):\n    return x**2  # ok\n\n\n\tdone")]}),
    ("tools twice", {"messages": [user("W?"), assistant("", tool_calls=[call("f", {"a": 1})]), tool("7"),
                                  assistant("It is 7."), user("And?"), assistant("8")]}),
]


def load(path):
    config = {}
    if path.is_dir():
        raw = json.loads((path / "tokenizer_config.json").read_text())
        config = {k: raw[k] for k in ("bos_token", "eos_token", "unk_token", "pad_token") if k in raw}
        path = path / "tokenizer.json"
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(path), **config)


def row_of(variables):
    """A row of JSON Lines, or None when it is no training data."""
    v = {k: x for k, x in variables.items() if k != "add_generation_prompt"}
    row = {k: v.pop(k) for k in ("messages", "tools", "documents") if k in v}
    if v:
        row["chat_template_kwargs"] = v
    return row


def has_special(tokenizer, row):
    """Transformers would read what a user writes as control tokens; we never do."""
    text = json.dumps(row, ensure_ascii=False)
    return any(t in text for t in tokenizer.get_added_vocab())


def apply(tokenizer, source, row, messages, **more):
    try:
        return tokenizer.apply_chat_template(messages, chat_template=source, tools=row.get("tools"),
                                             documents=row.get("documents"), tokenize=True, return_dict=True,
                                             **row.get("chat_template_kwargs", {}), **more)
    except Exception:
        chat_template_utils._compile_jinja_template.cache_clear()
        return None


def assistant_cases(tokenizer, name, template, source):
    for _, variables in CONVERSATIONS + MORE:
        row = row_of(variables)
        if has_special(tokenizer, row) or not any(m["role"] == "assistant" for m in row["messages"]):
            continue
        out = apply(tokenizer, source, row, row["messages"], return_assistant_tokens_mask=True)
        if out is not None:
            yield {"tokenizer": name, "template": template, "row": row, "ids": out["input_ids"],
                   "mask": out["assistant_masks"]}


def trim(tokenizer, ids, mask):
    """White space behind the last special token of the end is not learned (src/data/token_mask.h)."""
    last = max((i for i, t in enumerate(ids) if mask[i] and t in tokenizer.all_special_ids), default=None)
    if last is not None and tokenizer.decode(ids[last + 1:]).strip(" \t\r\n") == "":
        mask = mask[:last + 1] + [0] * (len(ids) - last - 1)
    return mask


def turn_cases(tokenizer, name, template, source):
    for _, variables in CONVERSATIONS + MORE:
        row = row_of(variables)
        messages = row.pop("messages")
        if has_special(tokenizer, messages) or len(messages) < 2 or messages[-1]["role"] != "assistant":
            continue
        prompt = apply(tokenizer, source, row, messages[:-1], add_generation_prompt=True)
        whole = apply(tokenizer, source, row, messages)
        if prompt is None or whole is None:
            continue
        p, ids = prompt["input_ids"], whole["input_ids"]
        if ids[:len(p)] != p:
            continue
        mask = trim(tokenizer, ids, [0] * len(p) + [1] * (len(ids) - len(p)))
        yield {"tokenizer": name, "template": template, "ids": ids, "mask": mask,
               "row": {"prompt": messages[:-1], "completion": messages[-1:], **row}}


def cuts(text):
    """A few places to cut a text in two, not inside a cluster that a normaliser might join."""
    places = [m.start() for m in re.finditer(r"(?<=\S)(?=\s)|(?<=\s)(?=\S)|(?<=[a-z])(?=[a-z])", text)]
    step = max(1, len(places) // 3)
    return places[::step][:3]


def prompt_cases(tokenizer, name):
    for text in TEXTS:
        if tokenizer.eos_token and tokenizer.eos_token in text:
            continue
        for at in cuts(text):
            prompt, completion = text[:at], text[at:]
            ended = completion + (tokenizer.eos_token or "")
            whole = tokenizer(prompt + ended, return_offsets_mapping=True)
            ids, p = whole["input_ids"], tokenizer(prompt)["input_ids"]
            mask = [int(end > at and end > begin) for begin, end in whole["offset_mapping"]]
            for i in reversed(range(len(ids))):  # what the tokenizer puts behind the text ends it: learned
                if whole["offset_mapping"][i] != (0, 0):
                    break
                mask[i] = 1
            if ids[:len(p)] == p:
                trl = [0] * len(p) + [1] * (len(ids) - len(p))
                if trl != mask:  # offsets are approximate for some tokens of one character; TRL decides
                    mask = trl
            yield {"tokenizer": name, "row": {"prompt": prompt, "completion": completion}, "ids": ids, "mask": mask}


def main():
    templates = sorted((GOLDEN / "chat" / "templates").glob("*.jinja"))
    out = {"versions": {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__},
           "assistant": [], "turn": [], "prompt": []}
    for model in MODELS:
        folder = GOLDEN / "data" / "models" / model
        tokenizer, name = load(folder), f"models/{model}"
        for path in templates:
            source = path.read_bytes().decode()
            marks = re.search(r"\{%-?\s*generation\s*-?%\}", source)
            cases = assistant_cases if marks else turn_cases
            out["assistant" if marks else "turn"] += cases(tokenizer, name, f"chat/templates/{path.name}", source)
        own = folder / "chat_template.jinja"
        if own.exists():
            out["turn"] += turn_cases(tokenizer, name, f"data/{name}/chat_template.jinja", own.read_text())
        out["prompt"] += prompt_cases(tokenizer, name)
    for file in FILES:
        path = GOLDEN / "data" / "tokenizers" / f"{file}.json"
        out["prompt"] += prompt_cases(load(path), f"tokenizers/{file}.json")
    path = GOLDEN / "data" / "data_masks.json"
    text = json.dumps(out, ensure_ascii=False, indent=0, separators=(",", ":"))
    text = re.sub(r"\[[\d,\n-]+\]", lambda m: m.group().replace("\n", ""), text)
    path.write_text(text + "\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (GOLDEN / "SHA256SUMS-data").write_text(f"{digest}  data/data_masks.json\n")
    print({k: len(v) for k, v in out.items() if k != "versions"}, path.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())
