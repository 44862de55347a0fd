/* corpus.h - every document of a data set, tokenised once, with its trained positions.
 *
 * Tokens live in a file that is mapped (larger than memory is fine); the index of documents is in
 * memory, 24 bytes each. Owns: reading what users have (dataset.h), rendering, masking, truncation,
 * the held-out split. Refuses: order and packing (loader.h). */
#ifndef LB_DATA_CORPUS_H
#define LB_DATA_CORPUS_H

#include <limbeck/chat.h>
#include <limbeck/tokenizer.h>

#include <stdbool.h>

typedef enum lb__data_format { /* names: lb__data_format_name */
                               LB__DATA_AUTO,
                               LB__DATA_TEXT,   /* {"text"}, plain text files */
                               LB__DATA_PROMPT, /* {"prompt","completion"}: strings or message lists
                                                 */
                               LB__DATA_MESSAGES, /* {"messages"[,"tools"]} */
                               LB__DATA_ALPACA, /* {"instruction","input","output"[,"system","history"]}
                                                 */
                               LB__DATA_SHAREGPT, /* {"conversations":[{"from","value"}]} */
                               LB__DATA_TOKENS    /* {"input_ids"[,"labels","attention_mask"]} */
} lb__data_format;
const char *lb__data_format_name(lb__data_format f); /* "auto", "text", ... NULL past the end */

typedef enum lb__train_on {                    /* which positions are learned */
                            LB__TRAIN_ON_AUTO, /* text: all; prompt/completion, alpaca: completion;
                                                  messages, sharegpt: assistant turns; tokens:
                                                  labels */
                            LB__TRAIN_ON_ALL,
                            LB__TRAIN_ON_COMPLETION,
                            LB__TRAIN_ON_ASSISTANT
} lb__train_on;

typedef struct lb__corpus_options {
  const char *const *paths; /* .jsonl .json .txt, each also .gz .zst, and folders of them */
  size_t n_paths;
  lb__data_format format;
  lb__train_on train_on;
  const char *text_field;                /* NULL: "text" */
  const char *messages_field;            /* NULL: "messages" */
  bool append_eos;                       /* an end token after text and completions; default true */
  int64_t max_length;                    /* a longer document keeps its first max_length tokens */
  int64_t max_documents;                 /* 0: all */
  int64_t vocab_size;                    /* ids from here on are an error */
  const lb_tokenizer *tokenizer;         /* NULL: only LB__DATA_TOKENS can be read */
  const lb_chat_template *chat_template; /* NULL: conversations are an error */
  const char *cache_path;                /* where the tokens' file goes; NULL: memory */
  const volatile int *cancel;
  void (*on_progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total, int64_t n_documents);
  void *on_progress_ctx;
} lb__corpus_options;
lb__corpus_options lb__corpus_options_default(void);

typedef struct lb__document_view {
  const int32_t *ids;     /* [n] */
  const int32_t *targets; /* [n] as in batch.h: the next id, or -100 */
  int64_t n, n_trained;
} lb__document_view;

typedef struct lb__corpus_facts {
  lb__data_format format; /* as detected (of the first file) */
  lb__train_on train_on;  /* as resolved */
  int64_t n_documents, n_tokens, n_trained, longest;
  int64_t n_untrained; /* examples without a trained token: left out, counted */
  int64_t n_truncated, n_bad_lines, n_too_short;
  char first_bad[256]; /* what was wrong with the first bad line, with file and line; "" */
  uint64_t hash;       /* of all tokens and targets: part of a checkpoint */
} lb__corpus_facts;

typedef struct lb__corpus lb__corpus;
/* Reads and tokenises everything. @owns *out: lb__corpus_free
 * @error LB_E_IO, LB_E_FORMAT (file:line, what was expected, what was found), LB_E_ARG (no document
 *        with a trained token, with the reason; an id outside the vocabulary), LB_E_LIMIT,
 *        LB_E_CANCELLED, LB_E_NOMEM   @test tests/unit/test_corpus.c */
lb_status lb__corpus_open(lb__corpus **out, const lb__corpus_options *options, lb_error *err);
/* A held-out part: documents move from `from` into *held_out; which ones is a pure function of
 * (seed, index). At least one each. fraction in (0, 1). The tokens are shared; free *held_out
 * first. */
lb_status lb__corpus_split(lb__corpus **held_out, lb__corpus *from, double fraction, uint64_t seed,
                           lb_error *err);
/* Documents from memory, for tests and for callers that have their own: n_docs documents of ids and
 * targets end to end, copied. */
lb_status lb__corpus_from_arrays(lb__corpus **out, const int32_t *ids, const int32_t *targets,
                                 const int64_t *doc_start, int64_t n_docs, lb_error *err);
void lb__corpus_free(lb__corpus *c);
const lb__corpus_facts *lb__corpus_get_facts(const lb__corpus *c);
int64_t lb__corpus_n_documents(const lb__corpus *c);
lb__document_view lb__corpus_document(const lb__corpus *c, int64_t i);

/* The first document as a person sees it: its text cut where training begins and ends. */
typedef struct lb__shown_piece {
  char *text; /* decoded; special tokens as they are spelled */
  size_t size;
  bool is_trained;
} lb__shown_piece;
lb_status lb__corpus_show(lb__shown_piece **pieces, size_t *n, const lb__corpus *c,
                          int64_t document, const lb_tokenizer *tokenizer, lb_error *err);
void lb__shown_pieces_free(lb__shown_piece *pieces, size_t n);

#endif
