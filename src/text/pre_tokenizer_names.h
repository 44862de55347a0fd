/* pre_tokenizer_names.h - what GGUF's tokenizer.ggml.pre means, as parts of a tokenizer.json, and
 * the way back. Owns: the table of names. To teach Limbeck another name, add a row. */
#ifndef LB_TEXT_PRE_TOKENIZER_NAMES_H
#define LB_TEXT_PRE_TOKENIZER_NAMES_H

#include "base/json.h"

typedef struct lb__pre_tokenizer_row {
  const char *name;
  const char *aliases;       /* separated by spaces, with one before and behind; NULL: none */
  const char *normalizer;    /* JSON */
  const char *pre_tokenizer; /* JSON */
  bool ignore_merges;
} lb__pre_tokenizer_row;

/* NULL when no row has the name. */
const lb__pre_tokenizer_row *lb__pre_tokenizer_find(const char *name);
/* The row whose pipeline is that of a tokenizer.json, or NULL in *out. @error LB_E_NOMEM */
lb_status lb__pre_tokenizer_identify(const lb__pre_tokenizer_row **out, const json_t *config,
                                     lb_error *err);
/* "default gpt-2 llama-bpe ...". Static. */
const char *lb__pre_tokenizer_known(void);

/* A tokenizer.json of a byte-level BPE with this row's pipeline, without vocab, merges and added
 * tokens. @owns *out: json_decref */
lb_status lb__pre_tokenizer_config(json_t **out, const lb__pre_tokenizer_row *row, lb_error *err);

#endif
