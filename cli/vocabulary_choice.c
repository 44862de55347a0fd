/* vocabulary_choice.c - see vocabulary_choice.h. */
#include "vocabulary_choice.h"

#include "terminal.h"

static void show_progress(void *ctx, uint64_t done, uint64_t total) {
  progress_show(ctx, (size_t)done, (size_t)total, "bytes");
}

int vocabulary_count(lb_token_counts **out, cli *c, const vocabulary_args *args,
                     const char *model) {
  progress bar = {.c = c, .title = "counting tokens"};
  lb_token_counts_options o = lb_token_counts_options_default();
  lb_error err = {0};
  *out = NULL;
  if (args->from.n == 0 && args->size > 0)
    return cli_usage(c, "--vocab-from texts.jsonl --vocab-size 16000",
                     "--vocab-size: want --vocab-from, a text whose most used tokens are kept");
  if (args->from.n == 0) return CLI_DONE;
  o.on_progress = show_progress;
  o.on_progress_ctx = &bar;
  o.cancel = &cli_cancelled;
  lb_status st = lb_token_counts_read(out, model, args->from.items, args->from.n, &o, &err);
  progress_end(&bar);
  return st == LB_OK ? CLI_DONE : cli_error(c, &err);
}

void vocabulary_tell(const cli *c, const lb_token_counts *counts, const lb_model_info *teacher,
                     const lb_model_info *student) {
  if (counts == NULL) return;
  cli_note(c,
           "kept %lld of %lld rows of the vocabulary; %lld documents of %lld tokens use %lld "
           "different ones",
           (long long)student->vocab_size, (long long)teacher->vocab_size,
           (long long)counts->n_documents, (long long)counts->n_tokens, (long long)counts->n_used);
}
