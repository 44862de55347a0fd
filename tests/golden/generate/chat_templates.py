#!/usr/bin/env python3
"""Golden data of chat templates: what jinja2, as Transformers sets it up, renders.

Usage: chat_templates.py [--shared FOLDER] [--extra FOLDER_OF_JINJA_FILES --out FILE]
Needs transformers==5.23.0 and jinja2==3.1.6; writes tests/golden/chat/*.json and SHA256SUMS-chat.
--extra writes cases for more templates to FILE instead, for a comparison that is not committed."""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import sys
import time

import jinja2
import transformers
from transformers.utils import chat_template_utils

from chat_conversations import CONVERSATIONS
from chat_snippets import VARIABLES, snippets

GOLDEN = pathlib.Path(__file__).resolve().parent.parent
NOW = 1753920000 + 3723  # 2025-07-31 01:02:03 UTC
SHARED = ["deepseek_v3", "gemma3", "llama3_1", "qwen2_5"]  # templates that stay in ../shared


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.utcfromtimestamp(NOW)


chat_template_utils.datetime = Clock
os.environ["TZ"] = "UTC"
time.tzset()


def merged(spans, text):
    """Character spans to byte spans, empty ones dropped, neighbours joined."""
    out = []
    for begin, end in sorted(spans):
        b, e = len(text[:begin].encode()), len(text[:end].encode())
        if b == e:
            continue
        if out and out[-1][1] == b:
            out[-1][1] = e
        else:
            out.append([b, e])
    return out


def render(source, variables, bos, eos):
    variables = json.loads(json.dumps(variables))
    messages = variables.pop("messages")
    kwargs = {k: v for k, v in (("bos_token", bos), ("eos_token", eos)) if v is not None}
    kwargs.update(variables)
    try:
        texts, spans = chat_template_utils.render_jinja_template([messages], chat_template=source,
                                                                return_assistant_tokens_mask=True, **kwargs)
    except jinja2.exceptions.TemplateError as e:
        return {"error": e.message if type(e) is jinja2.exceptions.TemplateError else ""}
    except Exception:
        return {"error": ""}
    finally:
        # a failed render leaves the tracker of the cached template active
        chat_template_utils._compile_jinja_template.cache_clear()
    case = {"text": texts[0]}
    if spans[0]:
        case["generation"] = merged(spans[0], texts[0])
    return case


def snippet_cases():
    cases = []
    for line in snippets():
        variants = [line]
        if "\\n" in line or "\\r" in line:
            variants.append(line.replace("\\n", "\n").replace("\\r", "\r"))
        for source in variants:
            cases.append({"source": source, **render(source, VARIABLES, "<s>", None)})
    return cases


def template_cases(name, source, bos, eos):
    out = []
    for index, (_, variables) in enumerate(CONVERSATIONS):
        out.append({"template": name, "conversation": index, **render(source, variables, bos, eos)})
    return out


def token(value):
    return value["content"] if isinstance(value, dict) else value


def shared_template(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text())
    return config["chat_template"], token(config.get("bos_token")), token(config.get("eos_token"))


def write(path, value):
    text = json.dumps(value, ensure_ascii=False, indent=0, separators=(",", ":"))
    path.write_bytes(text.encode("utf-8") + b"\n")


def conversations():
    return [{"name": name, "json": json.dumps(v, ensure_ascii=False)} for name, v in CONVERSATIONS]


def from_folder(folder):
    templates, cases = {}, []
    for path in sorted(folder.glob("*.jinja")):
        source = path.read_bytes().decode("utf-8")
        templates[path.stem] = {"file": path.name, "bos": "<s>", "eos": "</s>"}
        cases += template_cases(path.stem, source, "<s>", "</s>")
    return templates, cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=pathlib.Path, default=GOLDEN.parent.parent.parent / "shared")
    parser.add_argument("--extra", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    versions = {"transformers": transformers.__version__, "jinja2": jinja2.__version__}
    if args.extra:
        templates, cases = from_folder(args.extra)
        write(args.out, {"now": NOW, "templates": templates, "conversations": conversations(), "cases": cases})
        return
    folder = GOLDEN / "chat"
    write(folder / "chat_snippets.json", {"versions": versions, "now": NOW, "bos": "<s>",
          "variables": json.dumps(VARIABLES, ensure_ascii=False), "cases": snippet_cases()})
    templates, cases = from_folder(folder / "templates")
    for name in SHARED:
        source, bos, eos = shared_template(args.shared / "tokenizers" / name)
        key = "shared_" + name
        templates[key] = {"shared": name, "bos": bos, "eos": eos}
        cases += template_cases(key, source, bos, eos)
    write(folder / "chat_cases.json", {"versions": versions, "now": NOW, "templates": templates,
          "conversations": conversations(), "cases": cases})
    files = sorted([*folder.glob("*.json"), *(folder / "templates").glob("*")])
    sums = ["%s  %s\n" % (hashlib.sha256(f.read_bytes()).hexdigest(), f.relative_to(GOLDEN)) for f in files]
    (GOLDEN / "SHA256SUMS-chat").write_text("".join(sums))


if __name__ == "__main__":
    sys.exit(main())
