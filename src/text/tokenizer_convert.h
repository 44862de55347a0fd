/* tokenizer_convert.h - for `convert` and the model loader: tokenizers from and to GGUF, and from
 * GGUF to a Hugging Face folder. (From folder to folder the files themselves are copied.) */
#ifndef LB_TEXT_TOKENIZER_CONVERT_H
#define LB_TEXT_TOKENIZER_CONVERT_H

#include "formats/gguf.h"

#include <limbeck/tokenizer.h>

/* As lb_tokenizer_open on an open file. @owns *out: lb_tokenizer_free */
lb_status lb__tokenizer_from_gguf(lb_tokenizer **out, const lb__gguf *file, lb_error *err);

/* Sets every tokenizer.ggml.* key but chat_template. `n_rows`: rows of the embedding matrix; ids
 * without a token become "[PAD<id>]", unused; added tokens without a row are left out, with a
 * warning.
 * @error LB_E_UNSUPPORTED when llama.cpp has no name for this pipeline (with the list of names) or
 *        no such model; LB_E_ARG when n_rows is smaller than the vocabulary
 *        without added tokens */
lb_status lb__tokenizer_set_gguf(lb__gguf_writer *w, const lb_tokenizer *t, size_t n_rows,
                                 lb_error *err);

/* Whether a model's embedding has a row for every token; those of added tokens may be missing,
 * which is told as a warning. @error LB_E_ARG, as above */
lb_status lb__tokenizer_check_rows(const lb_tokenizer *t, size_t n_rows, lb_error *err);

/* Writes tokenizer.json and tokenizer_config.json into an existing folder; Hugging Face's
 * tokenizers then gives the same ids. @error LB_E_IO, LB_E_NOMEM */
lb_status lb__tokenizer_save_json(const lb_tokenizer *t, const char *folder, lb_error *err);
/* tokenizer.json alone; and the same of byte pair encoding as vocab.json and merges.txt. */
lb_status lb__tokenizer_save_description(const lb_tokenizer *t, const char *folder, lb_error *err);
lb_status lb__tokenizer_save_pair(const lb_tokenizer *t, const char *folder, lb_error *err);

#endif
