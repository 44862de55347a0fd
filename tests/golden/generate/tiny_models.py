"""The tiny models: one row each, and how their random weights are drawn and written.

A row says what is awkward about the model. `v4` writes config.json with the spellings of
Transformers 4 (rope_theta, rope_scaling, torch_dtype, n_ctx, ...), the others as Transformers 5
writes it. `llama_cpp_refuses` lists reasons, of which convert must give one, why llama.cpp cannot
express the model.
"""
import json
import math
import os
import zlib

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Gemma3ForCausalLM, Gemma3TextConfig, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig,
    MistralForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
)

import tiny_tokenizers

GPT2 = (GPT2Config, GPT2LMHeadModel)
LLAMA = (LlamaConfig, LlamaForCausalLM)
MISTRAL = (MistralConfig, MistralForCausalLM)
QWEN2 = (Qwen2Config, Qwen2ForCausalLM)
QWEN3 = (Qwen3Config, Qwen3ForCausalLM)
GEMMA3 = (Gemma3TextConfig, Gemma3ForCausalLM)


def dims(hidden, inter, heads, kv, head_dim=None, layers=2, **more):
    out = dict(hidden_size=hidden, intermediate_size=inter, num_hidden_layers=layers, num_attention_heads=heads,
               num_key_value_heads=kv, max_position_embeddings=256, **more)
    if head_dim:
        out["head_dim"] = head_dim
    return out


def rope(theta, kind="default", **more):
    return {"rope_theta": theta, "rope_type": kind, **more}


def gemma_rope(theta, local, **more):
    return {"full_attention": rope(theta, **more), "sliding_attention": rope(local)}


LLAMA3_ROPE = rope(500.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=32)
YARN = dict(factor=4.0, original_max_position_embeddings=64)

# name: (family, tokenizer, config, how it is written)
MODELS = {
    # ---- gpt2: hub layout (no "transformer." prefix, mask buffers present), tied head
    "gpt2-tied": (GPT2, "gpt2", dict(n_embd=30, n_head=3, n_layer=2, n_positions=72, n_inner=None),
                  dict(v4=True, hub_gpt2=True)),
    "gpt2-untied": (GPT2, "gpt2", dict(n_embd=28, n_head=2, n_layer=2, n_positions=80, n_inner=50,
                                       layer_norm_epsilon=1e-6, tie_word_embeddings=False), dict(padded=7)),
    # ---- llama
    "llama-tied-gqa": (LLAMA, "llama3", dims(40, 36, 4, 2, tie_word_embeddings=True, rope_parameters=rope(1000.0)), {}),
    "llama-bias": (LLAMA, "llama2", dims(30, 36, 3, 3, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-5), {}),
    "llama-headdim": (LLAMA, "smollm", dims(33, 40, 3, 1, 14, tie_word_embeddings=True,
                                            rope_parameters=rope(100000.0)), dict(v4=True)),
    "llama-llama3-rope": (LLAMA, "llama3", dims(32, 64, 4, 2, tie_word_embeddings=True, rope_parameters=LLAMA3_ROPE),
                          dict(v4=True)),
    "llama-linear-rope": (LLAMA, "llama2", dims(28, 40, 2, 1, rope_parameters=rope(5000.0, "linear", factor=4.0)), {}),
    "llama-yarn-rope": (LLAMA, "smollm", dims(24, 40, 2, 2, tie_word_embeddings=True,
                                              rope_parameters=rope(10000.0, "yarn", **YARN)), {}),
    "llama-bf16-shards": (LLAMA, "llama3", dims(32, 64, 4, 2, rope_parameters=rope(10000.0)),
                          dict(dtype="bfloat16", shard="36KB")),
    "llama-f16": (LLAMA, "llama2", dims(36, 64, 3, 3, tie_word_embeddings=True), dict(dtype="float16", v4=True)),
    # ---- mistral: llama under another name; its sliding window is null since v0.2
    "mistral": (MISTRAL, "llama2", dims(24, 40, 2, 1, sliding_window=None, rope_parameters=rope(1000000.0)),
                dict(v4=True)),
    # ---- qwen2: biases on q, k, v only
    "qwen2-tied": (QWEN2, "qwen2", dims(40, 34, 4, 2, tie_word_embeddings=True, rope_parameters=rope(1000000.0)),
                   dict(padded=13, own_eos=True)),
    "qwen2-untied": (QWEN2, "qwen2", dims(24, 36, 4, 1, rope_parameters=rope(10000.0)), dict(v4=True)),
    "qwen2-yarn": (QWEN2, "qwen2", dims(32, 40, 2, 2, tie_word_embeddings=True,
                                        rope_parameters=rope(1000000.0, "yarn", **YARN)), dict(v4=True)),
    # ---- qwen3: head_dim of its own, norms on q and k
    "qwen3-tied": (QWEN3, "qwen3", dims(32, 48, 4, 2, 12, tie_word_embeddings=True, rope_parameters=rope(1000000.0)), {}),
    "qwen3-untied": (QWEN3, "qwen3", dims(28, 36, 2, 1, 18, rope_parameters=rope(5000.0)),
                     dict(padded=6, v4=True, dtype="bfloat16")),
    # ---- gemma3: window of 5, attention scale of its own; as the 270M and 1B; as the 4B (linear scaling)
    "gemma3-scale": (GEMMA3, "gemma", dims(30, 36, 2, 1, 16, layers=3, query_pre_attn_scalar=25, sliding_window=5,
                                           layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                                           rope_parameters=gemma_rope(50000.0, 300.0, kind="linear", factor=2.0)),
                     dict(own_eos=True, llama_cpp_refuses=["query_pre_attn_scalar", "6th layer"])),
    "gemma3-softcap": (GEMMA3, "gemma", dims(24, 28, 3, 1, 10, layers=7, query_pre_attn_scalar=10, sliding_window=5,
                                             final_logit_softcapping=6.0,
                                             rope_parameters=gemma_rope(1000000.0, 10000.0)), dict(padded=5)),
    "gemma3-linear": (GEMMA3, "gemma", dims(24, 32, 2, 2, 14, layers=6, query_pre_attn_scalar=14, sliding_window=5,
                                            rope_parameters=gemma_rope(1000000.0, 10000.0, kind="linear", factor=8.0)),
                      dict(v4=True)),
}


def draw_weights(model, seed):
    """Every tensor non-trivial, and logits spread far enough that the best token is clearly the best."""
    gen = torch.Generator().manual_seed(seed)
    gemma = model.config.model_type == "gemma3_text"
    hidden = model.get_input_embeddings().weight.shape[1]
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if name.endswith("bias"):
            p.data = 0.2 * noise
        elif "norm" in name or ".ln_" in name:
            p.data = 0.3 * noise + (0.0 if gemma else 1.0)  # gemma multiplies by 1 + w
            if gemma and (name == "model.norm.weight" or "post_" in name):
                p.data += 1.5  # or the scaled embedding drowns what the layers add
        elif "wpe" in name:
            p.data = 0.5 * noise
        elif "embed" in name or "wte" in name or "lm_head" in name:
            p.data = ((1.0 if gemma else 2.5) / math.sqrt(hidden)) * noise
        else:
            fan_in = p.shape[0] if "c_" in name else p.shape[1]  # GPT-2's Conv1D stores [in, out]
            gain = 3.0 if any(w in name for w in ("o_proj", "down_proj", "c_proj")) else 1.4
            p.data = (gain / math.sqrt(fan_in)) * noise


def says_something(model):
    """A random model with a tied head likes to repeat one token for ever; such a one tests little."""
    ids = [3]
    with torch.no_grad():
        for _ in range(18):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return len(set(ids)) >= 11


def make(name, models=MODELS):
    """-> (model in the dtype it is saved in, transformers tokenizer, Rust tokenizer)"""
    (config_class, model_class), kind, options, how = models[name]
    make_tokenizer, special, template = tiny_tokenizers.KINDS[kind]
    rust = make_tokenizer()
    ids = {key: rust.token_to_id(text) for key, text in special.items()}
    config = config_class(
        vocab_size=rust.get_vocab_size() + how.get("padded", 0), bos_token_id=ids.get("bos_token"),
        eos_token_id=ids.get("eos_token"), pad_token_id=ids.get("pad_token"), **options)
    config._attn_implementation = "eager"
    model = model_class(config).eval()
    for salt in range(50):
        draw_weights(model, zlib.crc32(name.encode()) + salt)
        model.tie_weights()
        if says_something(model):
            break
    for p in model.parameters():  # not model.to(), which would round the rotation's table too
        p.data = p.data.to(getattr(torch, how.get("dtype", "float32")))
    model.config.dtype = getattr(torch, how.get("dtype", "float32"))
    fast = PreTrainedTokenizerFast(tokenizer_object=rust, model_max_length=options.get("n_positions", 256), **special)
    fast.chat_template = template
    return model, fast, rust


def rewrite_v4(folder, dtype):
    """config.json as Transformers 4 spelled it; the same model."""
    path = os.path.join(folder, "config.json")
    config = json.load(open(path))
    config.pop("dtype", None)
    config["torch_dtype"] = dtype
    config["transformers_version"] = "4.49.0"
    parameters = config.pop("rope_parameters", None)
    if config["model_type"] == "gpt2":
        config["n_ctx"] = config["n_positions"]
    elif config["model_type"] == "gemma3_text":
        layer_types = config.pop("layer_types")
        config.pop("_sliding_window_pattern", None)
        config["sliding_window_pattern"] = layer_types.index("full_attention") + 1
        config["rope_local_base_freq"] = parameters["sliding_attention"]["rope_theta"]
        full = dict(parameters["full_attention"])
        config["rope_theta"] = full.pop("rope_theta")
        config["rope_scaling"] = full if full["rope_type"] != "default" else None
    else:
        scaling = dict(parameters)
        config["rope_theta"] = scaling.pop("rope_theta")
        config["rope_scaling"] = scaling if scaling["rope_type"] != "default" else None
        if config["model_type"] == "qwen2":
            config.pop("layer_types", None)
            if config["rope_scaling"]:
                config["rope_scaling"]["type"] = config["rope_scaling"].pop("rope_type")  # older still
    with open(path, "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
        f.write("\n")


def rewrite_hub_gpt2(folder, n_layer, n_positions):
    """The hub's gpt2 was saved from the bare model: no prefix, no head, causal masks as tensors."""
    path = os.path.join(folder, "model.safetensors")
    tensors = {name.removeprefix("transformer."): t for name, t in load_file(path).items() if name != "lm_head.weight"}
    for i in range(n_layer):
        tensors[f"h.{i}.attn.bias"] = torch.tril(torch.ones(n_positions, n_positions, dtype=torch.uint8))[None, None]
    save_file(tensors, path, metadata={"format": "pt"})


def save(name, folder, model, fast):
    """Writes the folder; generation_config.json is the caller's to change before."""
    how = MODELS[name][3]
    model.save_pretrained(folder, max_shard_size=how.get("shard", "50GB"))
    fast.save_pretrained(folder)
    if how.get("hub_gpt2"):
        rewrite_hub_gpt2(folder, model.config.n_layer, model.config.n_positions)
    if how.get("v4"):
        rewrite_v4(folder, how.get("dtype", "float32"))
