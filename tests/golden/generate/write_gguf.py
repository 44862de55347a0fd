"""GGUF files of some tiny models, written with the official `gguf` package and not by Limbeck.

Limbeck's own writer and reader could agree on the same mistake (say, no permutation in either); a
file from another hand cannot. llama.cpp loads these files and its logits agree with Transformers'
(models.py checks that while it writes them). Float32, so that the expected logits stay the same.
"""
import json
import os

import gguf
import numpy as np

NAMES = ["gpt2-tied", "llama-bias", "llama-llama3-rope", "qwen2-yarn", "qwen3-untied", "gemma3-linear"]
ARCH = {"gpt2": "gpt2", "llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3_text": "gemma3"}
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

COMMON = [
    ("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output"), ("model.layers.", "blk."),
    ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"), ("self_attn.q_norm", "attn_q_norm"), ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"), ("input_layernorm", "attn_norm"),
]
TENSOR_NAMES = {
    "gpt2": [
        ("transformer.wte", "token_embd"), ("transformer.wpe", "position_embd"), ("transformer.ln_f", "output_norm"),
        ("transformer.h.", "blk."), ("ln_1", "attn_norm"), ("ln_2", "ffn_norm"), ("attn.c_attn", "attn_qkv"),
        ("attn.c_proj", "attn_output"), ("mlp.c_fc", "ffn_up"), ("mlp.c_proj", "ffn_down"), ("lm_head", "output"),
    ],
    "gemma3": COMMON + [
        ("post_attention_layernorm", "post_attention_norm"), ("pre_feedforward_layernorm", "ffn_norm"),
        ("post_feedforward_layernorm", "post_ffw_norm"),
    ],
}
PLAIN = COMMON + [("post_attention_layernorm", "ffn_norm")]


def add_vocabulary(w, tree, config):
    model = tree["model"]
    n = config.vocab_size
    tokens = [f"[PAD{i}]" for i in range(n)]
    kinds = [UNUSED] * n
    for text, i in model["vocab"].items():
        tokens[i], kinds[i] = text, NORMAL
    for added in tree["added_tokens"]:
        tokens[added["id"]], kinds[added["id"]] = added["content"], CONTROL if added["special"] else USER_DEFINED
    merges = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
    if model.get("byte_fallback"):
        add_sentencepiece(w, model["vocab"], tokens, kinds, merges)
        w.add_add_space_prefix(config.model_type != "gemma3_text")
        w.add_add_bos_token(True)
    else:
        split = json.dumps(tree["pre_tokenizer"])
        pre = ("smollm" if "Digits" in split else "llama-bpe" if "{1,3}" in split else "qwen2" if "Regex" in split else "gpt-2")
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre(pre)
        w.add_token_list(tokens)
        w.add_token_types(kinds)
        w.add_token_merges([" ".join(pair) for pair in merges])
        w.add_add_bos_token(pre == "llama-bpe")
    if config.bos_token_id is not None:
        w.add_bos_token_id(config.bos_token_id)
    if config.eos_token_id is not None:
        w.add_eos_token_id(config.eos_token_id)


def add_sentencepiece(w, vocab, tokens, kinds, merges):
    scores = [-1000.0] * len(tokens)
    for rank, (a, b) in reversed(list(enumerate(merges))):
        scores[vocab[a + b]] = -float(rank)
    for i, text in enumerate(tokens):
        if text.startswith("<0x"):
            kinds[i], scores[i] = BYTE, 0.0
        if text == "<unk>":
            kinds[i] = UNKNOWN
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list(tokens)
    w.add_token_scores(scores)
    w.add_token_types(kinds)


def llama3_divisors(rope, head_dim):
    inv_freq = 1 / rope["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim)
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    turns = rope["original_max_position_embeddings"] * inv_freq / (2 * np.pi)
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def add_rope(w, arch, config, head_dim):
    rope = config.rope_parameters
    if arch == "gemma3":
        w.add_sliding_window(config.sliding_window)
        w.add_uint32("gemma3.attention.sliding_window_pattern", config.layer_types.index("full_attention") + 1)
        w.add_float32("gemma3.rope.freq_base_swa", rope["sliding_attention"]["rope_theta"])
        rope = rope["full_attention"]
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    if arch == "llama":
        w.add_rope_dimension_count(head_dim)
    if rope["rope_type"] in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        w.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_divisors(rope, head_dim))


def interleaved(t, heads):
    """llama.cpp rotates neighbours, Transformers rotates halves: the rows of q and k change places."""
    return t.reshape(heads, 2, t.shape[0] // heads // 2, *t.shape[1:]).swapaxes(1, 2).reshape(t.shape)


def add_tensors(w, arch, config, state):
    for name, tensor in state.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        t = tensor.float().numpy()
        if arch == "llama" and "q_proj" in name:
            t = interleaved(t, config.num_attention_heads)
        if arch == "llama" and "k_proj" in name:
            t = interleaved(t, config.num_key_value_heads)
        if arch == "gemma3" and name.endswith("norm.weight"):
            t = t + 1
        if arch == "gpt2" and ".c_" in name and name.endswith("weight"):
            t = t.T
        for ours, theirs in TENSOR_NAMES.get(arch, PLAIN):
            name = name.replace(ours, theirs)
        w.add_tensor(name, np.ascontiguousarray(t))


def write(path, folder, model):
    config = model.config
    arch = ARCH[config.model_type]
    w = gguf.GGUFWriter(path, arch)
    w.add_name(os.path.basename(folder))
    w.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_vocabulary(w, json.load(open(os.path.join(folder, "tokenizer.json"))), config)
    w.add_vocab_size(config.vocab_size)
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers)
    w.add_head_count(config.num_attention_heads)
    if arch == "gpt2":
        w.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
        w.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        w.add_feed_forward_length(config.intermediate_size)
        w.add_head_count_kv(config.num_key_value_heads)
        w.add_layer_norm_rms_eps(config.rms_norm_eps)
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        add_rope(w, arch, config, head_dim)
    if getattr(config, "final_logit_softcapping", None):
        w.add_final_logit_softcapping(config.final_logit_softcapping)
    add_tensors(w, arch, config, model.state_dict())
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def check(path, sequences, want):
    """llama.cpp loads the file and agrees: so the file is right, whatever we think of it."""
    import llama_cpp

    llama = llama_cpp.Llama(path, n_ctx=64, n_batch=64, logits_all=True, flash_attn=False, verbose=False,
                            type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32)
    worst = 0.0
    for ids, logits in zip(sequences, want):
        llama.reset()
        llama.eval(ids)
        worst = max(worst, float(np.abs(np.array(llama.scores[: len(ids)]) - logits).max()))
    gelu = "gpt2" in path or "gemma" in path  # llama.cpp's tanh-GELU is a float16 table
    assert worst < (5e-2 if gelu else 1e-4), (path, worst)
    return worst
