/* generation_options.h - the options of making text, shared by `generate` and `chat`. Names and
 * meanings are those of Transformers' GenerationConfig. */
#ifndef GENERATION_OPTIONS_H
#define GENERATION_OPTIONS_H

#include "cli.h"

#include <limbeck/generate.h>

/* How a model is opened. */
typedef struct precision_args {
  int precision; /* lb_precision */
  double max_kl; /* 0 when not given */
} precision_args;

typedef struct generation_args {
  int64_t max_new_tokens, min_new_tokens, top_k, num_beams, num_return_sequences;
  bool do_sample, ignore_eos;
  double temperature, top_p, min_p, repetition_penalty, length_penalty;
  uint64_t seed;
  int early_stopping;
  precision_args precision;
  text_list stop;
  id_list eos_ids;
} generation_args;

/* Two rows for a precision_args, in the order of lb_precision. The other rows:
 * generation_options.def. */
#define PRECISION_OPTIONS(place, unless_said)                                                      \
  {.name = "precision",                                                                            \
   .kind = OPTION_CHOICE,                                                                          \
   .offset = (place) + offsetof(precision_args, precision),                                        \
   .choices = "auto|f32|bf16|int8|stored",                                                         \
   .fallback = (unless_said),                                                                      \
   .help = "how products are computed; auto: the fastest that stays close to f32, measured once "  \
           "per model on text of its own"},                                                        \
  {                                                                                                \
    .name = "precision-max-kl", .kind = OPTION_REAL,                                               \
    .offset = (place) + offsetof(precision_args, max_kl), .value = "X", .range = ">= 0",           \
    .help =                                                                                        \
        "precision auto: the most that KL(f32 || it) may be, in nats per token of the model's "    \
        "own text (default: 0.02); 0 means f32"                                                    \
  }

/* What the library is asked for: the options, with the model's recommendations where the user said
 * nothing. `like_the_model`: also sample when the model's makers do. Lists are borrowed. */
lb_generate_options generation_options_make(const cli *c, const generation_args *args,
                                            const lb_model *model, bool like_the_model);
/* What --precision and --precision-max-kl say.
 * @error LB_E_ARG: a bound for a precision that is not chosen by it */
lb_status generation_model_options(lb_model_options *options, const cli *c,
                                   const precision_args *args, lb_error *err);
/* lb_model_open with them. @error also LB_E_ARG, as before */
lb_status generation_open_model(lb_model **out, const cli *c, const char *path,
                                const precision_args *args, lb_error *err);

/* "prompt: 12 tokens, 310.2 tokens/s; new: 50 tokens, 124.0 tokens/s" as a remark. */
void generation_tell_times(const cli *c, lb_generation_times times, const char *ending);
/* New tokens per second; NaN when nothing was made. */
double generation_rate(lb_generation_times times);

#endif
