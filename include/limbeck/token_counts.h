/** limbeck/token_counts.h - which tokens a text uses, and how often: what a trimmed vocabulary is
 *  chosen by (limbeck/shrink.h).
 *
 *      const char *paths[] = {"texts.jsonl"};
 *      lb_token_counts *counts;
 *      lb_status st = lb_token_counts_read(&counts, "gemma-3-270m", paths, 1, NULL, &err);
 *      ...
 *      lb_token_counts_free(counts);                                                            */
#ifndef LIMBECK_TOKEN_COUNTS_H
#define LIMBECK_TOKEN_COUNTS_H

#include <limbeck/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_token_counts {
  int64_t n_documents, n_tokens; /* counted; n_tokens is the sum of counts */
  int64_t n_used;                /* ids with a count above 0 */
  int64_t n_ids;                 /* of the tokenizer */
  const int64_t *counts;         /* [n_ids] */
} lb_token_counts;

typedef struct lb_token_counts_options {
  const char *text_field; /* of rows that are text; NULL: "text" */
  /* called now and then with how many bytes of how many are read; may be NULL */
  void (*on_progress)(void *ctx, uint64_t done, uint64_t total);
  void *on_progress_ctx;
  const volatile int *cancel; /* non-zero there ends it with LB_E_CANCELLED; or NULL */
} lb_token_counts_options;
LB_API lb_token_counts_options lb_token_counts_options_default(void);

/** Tokenises every document of the files as training does (text, conversations through the chat
 *  template, prompts, lists of ids), whole, and counts all of its tokens, also those that training
 *  would not learn.
 *  @param  model  a folder, a .gguf file or a hub name: whose tokenizer and chat template it is
 *  @param  paths  .txt, .jsonl and .json files, each also .gz or .zst, and folders of them
 *  @owns   *out: lb_token_counts_free; NULL on failure
 *  @error  LB_E_ARG (no document; an id outside the vocabulary), LB_E_IO, LB_E_FORMAT,
 *          LB_E_UNSUPPORTED, LB_E_LIMIT, LB_E_NOMEM, LB_E_CANCELLED
 *  @test   tests/unit/test_token_counts.c                                                       */
LB_API LB_NODISCARD lb_status lb_token_counts_read(lb_token_counts **out, const char *model,
                                                   const char *const *paths, size_t n_paths,
                                                   const lb_token_counts_options *options,
                                                   lb_error *err);
LB_API void lb_token_counts_free(lb_token_counts *counts); /**< accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
