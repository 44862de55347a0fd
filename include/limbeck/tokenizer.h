/** limbeck/tokenizer.h - text to token ids and back.
 *
 *  Reads what models ship: a Hugging Face folder or tokenizer.json, vocab.json with merges.txt, or
 *  the vocabulary inside a GGUF file. Ids and decoded text equal those of Hugging Face's
 *  `tokenizers` library on the same tokenizer.json.
 *
 *      lb_tokenizer *t;
 *      int32_t *ids;
 *      size_t n;
 *      if (lb_tokenizer_open(&t, "models/smollm2", &err) != LB_OK) ...
 *      if (lb_tokenizer_encode(t, "Hello", 5, NULL, &ids, &n, &err) != LB_OK) ...
 *      lb_ids_free(ids);
 *      lb_tokenizer_free(t);
 *
 *  An opened tokenizer never changes; any number of threads may use it at once.             */
#ifndef LIMBECK_TOKENIZER_H
#define LIMBECK_TOKENIZER_H

#include <limbeck/status.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_tokenizer lb_tokenizer;

/** Opens a tokenizer.
 *  @param path  a folder (tokenizer.json, else vocab.json and merges.txt; the special tokens also
 *               from tokenizer_config.json, special_tokens_map.json, generation_config.json and
 *               config.json), a tokenizer.json, a .gguf file, or a name in the local hub cache
 *  @owns  *out: lb_tokenizer_free
 *  @error LB_E_IO, LB_E_FORMAT, LB_E_UNSUPPORTED (a kind we do not have, by name and place),
 *         LB_E_LIMIT, LB_E_NOMEM
 *  @test  tests/golden/test_golden_tokenizers.c, tests/unit/test_tokenizer_errors.c            */
LB_API LB_NODISCARD lb_status lb_tokenizer_open(lb_tokenizer **out, const char *path,
                                                lb_error *err);
LB_API void lb_tokenizer_free(lb_tokenizer *tokenizer);

/* ---- text to ids ---- */

typedef struct lb_encode_options {
  bool add_special_tokens; /**< what the post-processor adds: usually the beginning-of-text token */
  bool parse_special;      /**< "<|im_end|>" in the text is that token, not seven ordinary ones */
} lb_encode_options;

/** Both true, as in Hugging Face's encode(). For text that a chat template rendered, switch
 *  add_special_tokens off: the template wrote them. */
LB_API lb_encode_options lb_encode_options_default(void);

/** Encodes valid UTF-8 of `size` bytes; NUL is an ordinary character.
 *  @param options  NULL: lb_encode_options_default()
 *  @owns  *ids: lb_ids_free (also for n = 0)
 *  @error LB_E_ARG (invalid UTF-8, with the byte), LB_E_LIMIT (more than 1 GiB; a pattern of the
 *         file that explodes on this text), LB_E_FORMAT (the vocabulary lacks a token that the
 *         text needs), LB_E_NOMEM
 *  @test  tests/golden/test_golden_tokenizers.c                                                */
LB_API LB_NODISCARD lb_status lb_tokenizer_encode(const lb_tokenizer *tokenizer, const char *text,
                                                  size_t size, const lb_encode_options *options,
                                                  int32_t **ids, size_t *n, lb_error *err);

/** A stretch of text, and whether a user wrote it. */
typedef struct lb_text_span {
  const char *text;
  size_t size;
  bool is_user_text;
} lb_text_span;

/** Encodes the concatenation of the spans. A special token is recognised only where it lies wholly
 *  outside user text: nothing that a user writes can become a control token. Without user spans
 *  the ids are those of lb_tokenizer_encode on the whole text. Spans need not end at characters.
 *  @owns, @error as lb_tokenizer_encode
 *  @test tests/unit/test_tokenizer_spans.c                                                     */
LB_API LB_NODISCARD lb_status lb_tokenizer_encode_spans(const lb_tokenizer *tokenizer,
                                                        const lb_text_span *spans, size_t n_spans,
                                                        const lb_encode_options *options,
                                                        int32_t **ids, size_t *n, lb_error *err);

LB_API void lb_ids_free(int32_t *ids); /**< accepts NULL */

/* ---- ids to text ---- */

/** The text of ids, as decode(ids, skip_special_tokens, clean_up_tokenization_spaces=False). An
 *  incomplete character becomes U+FFFD.
 *  @owns  *text: lb_text_free; NUL-terminated, *size (may be NULL) does not count the NUL
 *  @error LB_E_ARG (an id outside the vocabulary, with the range), LB_E_LIMIT, LB_E_NOMEM
 *  @test  tests/golden/test_golden_tokenizers.c                                                */
LB_API LB_NODISCARD lb_status lb_tokenizer_decode(const lb_tokenizer *tokenizer, const int32_t *ids,
                                                  size_t n, bool skip_special_tokens, char **text,
                                                  size_t *size, lb_error *err);
LB_API void lb_text_free(char *text); /**< accepts NULL */

/** Decodes a stream of ids: every piece it returns consists of whole characters, and the pieces
 *  together are exactly what lb_tokenizer_decode gives.                                        */
typedef struct lb_stream_decoder lb_stream_decoder;

/** @owns *out: lb_stream_decoder_free; the tokenizer must outlive it */
LB_API LB_NODISCARD lb_status lb_stream_decoder_new(lb_stream_decoder **out,
                                                    const lb_tokenizer *tokenizer,
                                                    bool skip_special_tokens, lb_error *err);
/** Takes one id. *text (never NULL, often empty) is valid until the next call; *size may be NULL.
 *  @owns *text stays with the decoder
 *  @error as lb_tokenizer_decode
 *  @test tests/unit/test_tokenizer_decode.c */
LB_API LB_NODISCARD lb_status lb_stream_decoder_feed(lb_stream_decoder *decoder, int32_t id,
                                                     const char **text, size_t *size,
                                                     lb_error *err);
/** The rest: what was held back for a character or a run that never ended. Then only free.
 *  @owns *text stays with the decoder
 *  @error as lb_tokenizer_decode */
LB_API LB_NODISCARD lb_status lb_stream_decoder_finish(lb_stream_decoder *decoder,
                                                       const char **text, size_t *size,
                                                       lb_error *err);
LB_API void lb_stream_decoder_free(lb_stream_decoder *decoder); /**< accepts NULL */

/* ---- looking around ---- */

/** Number of ids, holes included: every id is in [0, size). This, not config.json's vocab_size, is
 *  the size that two models with one tokenizer share. */
LB_API int32_t lb_tokenizer_size(const lb_tokenizer *tokenizer);

/** The token's own text ("Ġthe"); NULL for an id outside the range or a hole. Borrowed;
 *  *size may be NULL. */
LB_API const char *lb_tokenizer_token_text(const lb_tokenizer *tokenizer, int32_t id, size_t *size);

/** The id of a token's own text, or -1. */
LB_API int32_t lb_tokenizer_token_id(const lb_tokenizer *tokenizer, const char *text);

/** Special tokens; -1 where the model has none. */
LB_API int32_t lb_tokenizer_bos(const lb_tokenizer *tokenizer);
LB_API int32_t lb_tokenizer_eos(const lb_tokenizer *tokenizer);
LB_API int32_t lb_tokenizer_pad(const lb_tokenizer *tokenizer);
LB_API int32_t lb_tokenizer_unk(const lb_tokenizer *tokenizer);

/** All ids that end a text: the union of what the tokenizer and the model's configuration say,
 *  ascending. Borrowed. */
LB_API const int32_t *lb_tokenizer_eos_ids(const lb_tokenizer *tokenizer, size_t *n);

/** True for a token that skip_special_tokens leaves out. */
LB_API bool lb_tokenizer_is_special(const lb_tokenizer *tokenizer, int32_t id);

/** What tokenizer_config.json (add_bos_token) or GGUF (add_bos_token) says; false when silent.
 *  The post-processor decides what lb_tokenizer_encode adds; the two disagree in some models. */
LB_API bool lb_tokenizer_add_bos(const lb_tokenizer *tokenizer);

/** "BPE" or "Unigram". */
LB_API const char *lb_tokenizer_model_name(const lb_tokenizer *tokenizer);

/** A number that two tokenizers share when all tokens have the same texts, ids and kinds: to check
 *  that a checkpoint, a cache or a student belongs to this tokenizer. Same on every machine. */
LB_API uint64_t lb_tokenizer_hash(const lb_tokenizer *tokenizer);

#ifdef __cplusplus
}
#endif
#endif
