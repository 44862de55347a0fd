/* search.h - what greedy search, sampling and beam search share: options after checking, reading
 * prompts, feeding with its checks, and the result. Private to src/generate.
 * Refuses: deciding anything about a token. */
#ifndef LB_GENERATE_SEARCH_H
#define LB_GENERATE_SEARCH_H

#include "decoder.h"
#include "sampler.h"
#include "text_stream.h"

enum {
  LB__PROMPT_CHUNK = 512, /* prompt tokens per feed: bounds a step's activations */
  LB__MAX_LIVE = 64,      /* sequences per feed: bounds a step's logits */
  LB__MAX_BEAMS = 256,    /* of one prompt, which are fed together */
  LB__MAX_RETURN = 4096   /* num_return_sequences */
};

struct lb_generation {
  size_t n_prompts, n_per_prompt;
  lb_sequence *sequences; /* [n_prompts, n_per_prompt]; ids and text are owned */
  lb_generation_times times;
};

/* One prompt on its way into a sequence. */
typedef struct lb__reading {
  size_t prompt;
  int32_t sequence;
  size_t done; /* ids the sequence already has */
} lb__reading;

typedef struct lb__search {
  lb__decoder *decoder;
  const lb__text_source *text; /* NULL: ids only */
  const lb_generate_options *options;
  const lb_prompt *prompts;
  size_t n_prompts;
  int32_t *eos_ids; /* owned; in the vocabulary, each once; none with ignore_eos */
  size_t n_eos_ids, eos_capacity;
  const lb__reading *resume; /* a session's sequence, which outlives the search; else NULL */
  lb__sampler sampler;
  lb__feed *feeds; /* of the next feed, and what came of the last one */
  lb__row_summary *rows;
  size_t n_feeds, feeds_capacity, rows_capacity;
  lb_generation *out;
} lb__search;

/* What a search needs besides the options. */
typedef struct lb__search_input {
  lb__decoder *decoder;
  const lb__text_source *text;
  const int32_t *eos_ids; /* used when the options give none; may repeat and exceed V */
  size_t n_eos_ids;
  const lb_prompt *prompts;
  size_t n_prompts;
  const lb__reading *resume;
} lb__search_input;

/* The whole of lb_generate, for any decoder. */
lb_status lb__search_run(lb_generation **out, const lb__search_input *input,
                         const lb_generate_options *options, lb_error *err);

/* generate_options.c: every check of lb_generate. options are not NULL. */
lb_status lb__generate_check(const lb__search_input *input, const lb_generate_options *options,
                             lb_error *err);

/* The two searches; s->out has room for every sequence. */
lb_status lb__search_sample(lb__search *s, lb_error *err);
lb_status lb__search_beams(lb__search *s, lb_error *err);

/* ---- services for them ---- */

/* New tokens a prompt may get: max_new_tokens or what the context leaves. The last token is never
 * fed, so a prompt as long as the context still gets one. */
int64_t lb__search_limit(const lb__search *s, size_t prompt);
bool lb__search_is_eos(const lb__search *s, int32_t id);

/* Queues a feed, then runs all queued ones. @error LB_E_CANCELLED, LB_E_NUMERIC, LB_E_NOMEM */
lb_status lb__search_add_feed(lb__search *s, lb__feed feed, lb_error *err);
lb_status lb__search_feed(lb__search *s, lb_error *err);

/* Reads prompts into their sequences in chunks. `fn` is called for each one whose last token was
 * read, while its row of logits is there. */
typedef lb_status lb__prompt_fn(void *ctx, const lb__reading *reading, size_t row, lb_error *err);
lb_status lb__search_read(lb__search *s, lb__reading *readings, size_t n, lb__prompt_fn *fn,
                          void *ctx, lb_error *err);

/* Row into s->sampler.row. */
lb_status lb__search_load_row(lb__search *s, size_t row, lb_error *err);

lb_sequence *lb__generation_slot(lb_generation *g, size_t prompt, size_t i);

#endif
