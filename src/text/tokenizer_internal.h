/* tokenizer_internal.h - what a tokenizer is made of, and how loaders build one.
 * A loader (tokenizer_json.c, tokenizer_folder.c, tokenizer_gguf.c) does:
 *   lb__tokenizer_new, lb__tokenizer_configure(config), then vocabulary, merges or scores, then
 *   lb__tokenizer_finish. `config` is a tokenizer.json without model.vocab and model.merges, also
 *   when the vocabulary comes from a GGUF file: one description, one pipeline.
 * The pipeline of one encode: added_tokens (raw) -> normalize -> added_tokens (normalised) ->
 *   pretokenize -> bpe or unigram -> post_process. Decoding: decoders. */
#ifndef LB_TEXT_TOKENIZER_INTERNAL_H
#define LB_TEXT_TOKENIZER_INTERNAL_H

#include "added_tokens.h"
#include "bpe.h"
#include "decoders.h"
#include "post_process.h"
#include "pretokenize.h"
#include "unigram.h"

#include <limbeck/tokenizer.h>
#include <stdatomic.h>

/* What one encoding call needs; kept from call to call. */
typedef struct lb__encoder {
  lb__rewriting normal;
  lb__pieces pieces;
  lb__bpe_scratch *bpe;
  lb__unigram_scratch unigram;
  lb__ids ids;
} lb__encoder;
enum { LB__MAX_ENCODERS = 64 };

struct lb_tokenizer {
  json_t *config;
  lb__vocabulary vocabulary;
  bool is_unigram;
  lb__bpe bpe;
  lb__unigram unigram;
  lb__normalizers normalizers;
  lb__pretokenizers pretokenizers;
  lb__templates templates;
  lb__decoders decoders;
  lb__added_tokens added;
  int32_t n_ids;
  int32_t bos, eos, pad, unk;
  lb__ids eos_ids;
  bool add_bos, add_eos;
  /* Encoders waiting for the next call; a thread takes one and puts it back. */
  _Atomic(lb__encoder *) encoders[LB__MAX_ENCODERS];
};

#define LB__TOKENIZER_MAX_FILE ((size_t)1 << 30)

lb_status lb__tokenizer_new(lb_tokenizer **out, lb_error *err);
/* Parts of the pipeline name their place in the file ("normalizer.normalizers[1]"), not the file:
 * puts it before the message of a failure that lacks it. Returns st. */
lb_status lb__tokenizer_name_file(lb_status st, const char *name, lb_error *err);
/* Takes over `config` (also on failure); reads the options of its `model`. */
lb_status lb__tokenizer_configure(lb_tokenizer *t, json_t *config, lb_error *err);
/* Compiles the pipeline. */
lb_status lb__tokenizer_finish(lb_tokenizer *t, lb_error *err);

/* ---- loaders: *out is finished ---- */
lb_status lb__tokenizer_open_json(lb_tokenizer **out, const char *path, lb_error *err);
lb_status lb__tokenizer_open_folder(lb_tokenizer **out, const char *folder, lb_error *err);
lb_status lb__tokenizer_open_gguf(lb_tokenizer **out, const char *path, lb_error *err);

/* tokenizer.json text already in memory, text[size] a NUL; `name` appears in errors. */
lb_status lb__tokenizer_parse_json(lb_tokenizer **out, const char *text, size_t size,
                                   const char *name, lb_error *err);
/* Special tokens from the files beside a tokenizer; absent files are fine. */
lb_status lb__tokenizer_read_specials(lb_tokenizer *t, const char *folder, lb_error *err);
/* Adds to eos_ids, keeping it sorted, without duplicates. Ids out of range are dropped. */
lb_status lb__tokenizer_add_eos(lb_tokenizer *t, int64_t id, lb_error *err);

void lb__encoder_free(lb__encoder *e);

#endif
