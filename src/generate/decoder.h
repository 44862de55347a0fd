/* decoder.h - where logits come from, as the searches see it: sequences that can be fed, forked and
 * dropped. The real one runs a model with a KV cache (model_decoder.c); tests put a toy language
 * model behind the same table. Refuses: choosing tokens. */
#ifndef LB_GENERATE_DECODER_H
#define LB_GENERATE_DECODER_H

#include <limbeck/model.h>

/* Tokens for one sequence. Feeds of one call name different sequences. */
typedef struct lb__feed {
  int32_t sequence;
  const int32_t *ids;
  int64_t n_ids;     /* >= 1 */
  bool wants_logits; /* of the prediction after the last id; the call's rows are these, in order */
} lb__feed;

/* Of one row of logits; logsumexp is not finite when the logits are not. */
typedef struct lb__row_summary {
  float logsumexp, best_logit;
  int32_t best_id;
} lb__row_summary;

typedef struct lb__decoder lb__decoder;

typedef struct lb__decoder_ops {
  lb_status (*sequence_new)(lb__decoder *d, int32_t *sequence, lb_error *err);
  lb_status (*fork)(lb__decoder *d, int32_t *copy, int32_t sequence, lb_error *err);
  void (*drop)(lb__decoder *d, int32_t sequence); /* -1 is fine */
  void (*truncate)(lb__decoder *d, int32_t sequence, int64_t n_tokens);
  int64_t (*length)(const lb__decoder *d, int32_t sequence);
  /* summaries [number of feeds that want logits]. On failure no sequence has changed. */
  lb_status (*feed)(lb__decoder *d, const lb__feed *feeds, size_t n, lb__row_summary *summaries,
                    lb_error *err);
  /* Logits first .. first+n-1 of a row of the last feed. */
  lb_status (*read)(lb__decoder *d, size_t row, int64_t first, int64_t n, float *logits,
                    lb_error *err);
  void (*free)(lb__decoder *d);
} lb__decoder_ops;

struct lb__decoder {
  const lb__decoder_ops *ops;
  int64_t vocab_size, max_positions;
};

static inline void lb__decoder_free(lb__decoder *d) {
  if (d != NULL) d->ops->free(d);
}

/* A model with a KV cache. The model is borrowed. */
lb_status lb__model_decoder_new(lb__decoder **out, lb_model *model, lb_error *err);

#endif
