/* generation_options.h - the options of making text, shared by `generate` and `chat`. Names and
 * meanings are those of Transformers' GenerationConfig. */
#ifndef GENERATION_OPTIONS_H
#define GENERATION_OPTIONS_H

#include "cli.h"

#include <limbeck/generate.h>

typedef struct generation_args {
  int64_t max_new_tokens, min_new_tokens, top_k, num_beams, num_return_sequences;
  bool do_sample, ignore_eos;
  double temperature, top_p, min_p, repetition_penalty, length_penalty;
  uint64_t seed;
  int early_stopping, precision;
  text_list stop;
  id_list eos_ids;
} generation_args;

/* "auto|f32|bf16" in the order of lb_precision */
#define PRECISION_OPTION(place)                                                                    \
  {                                                                                                \
    .name = "precision", .kind = OPTION_CHOICE, .offset = (place), .choices = "auto|f32|bf16",     \
    .fallback = "auto", .help = "how products are computed; auto is f32"                           \
  }

/* Rows for a struct `type` whose member `member` is a generation_args. */
#define GENERATION_FIELD(type, member, field) offsetof(type, member.field)
#define GENERATION_OPTIONS(type, member, new_tokens)                                               \
  {.name = "max-new-tokens",                                                                       \
   .aliases = "n",                                                                                 \
   .kind = OPTION_INT,                                                                             \
   .offset = GENERATION_FIELD(type, member, max_new_tokens),                                       \
   .value = "N",                                                                                   \
   .range = ">= 0",                                                                                \
   .fallback = new_tokens,                                                                         \
   .help = "stop after N new tokens"},                                                             \
      {.name = "min-new-tokens",                                                                   \
       .kind = OPTION_INT,                                                                         \
       .offset = GENERATION_FIELD(type, member, min_new_tokens),                                   \
       .value = "N",                                                                               \
       .range = ">= 0",                                                                            \
       .fallback = "0",                                                                            \
       .help = "no end token before N new tokens"},                                                \
      {.name = "do-sample",                                                                        \
       .kind = OPTION_FLAG,                                                                        \
       .offset = GENERATION_FIELD(type, member, do_sample),                                        \
       .help = "draw tokens at random instead of taking the best one; implied by --temperature, "  \
               "--top-k, --top-p and --min-p unless do_sample=false is given"},                    \
      {.name = "temperature",                                                                      \
       .kind = OPTION_REAL,                                                                        \
       .offset = GENERATION_FIELD(type, member, temperature),                                      \
       .value = "T",                                                                               \
       .range = ">= 0",                                                                            \
       .help =                                                                                     \
           "flatten (> 1) or sharpen (< 1) the distribution; 0 means the best token. Default: "    \
           "what the model's makers recommend, else 1"},                                           \
      {.name = "top-k",                                                                            \
       .kind = OPTION_INT,                                                                         \
       .offset = GENERATION_FIELD(type, member, top_k),                                            \
       .value = "K",                                                                               \
       .range = ">= 0",                                                                            \
       .help = "draw from the K best tokens; 0 is off. Default: the model's, else off"},           \
      {.name = "top-p",                                                                            \
       .kind = OPTION_REAL,                                                                        \
       .offset = GENERATION_FIELD(type, member, top_p),                                            \
       .value = "P",                                                                               \
       .range = "0..1",                                                                            \
       .help =                                                                                     \
           "draw from the fewest tokens that together have probability P; 1 is off. Default: the " \
           "model's, else off"},                                                                   \
      {.name = "min-p",                                                                            \
       .kind = OPTION_REAL,                                                                        \
       .offset = GENERATION_FIELD(type, member, min_p),                                            \
       .value = "P",                                                                               \
       .range = "0..1",                                                                            \
       .help =                                                                                     \
           "drop tokens less likely than P times the best; 0 is off. Default: the model's, else "  \
           "off"},                                                                                 \
      {.name = "repetition-penalty",                                                               \
       .kind = OPTION_REAL,                                                                        \
       .offset = GENERATION_FIELD(type, member, repetition_penalty),                               \
       .value = "X",                                                                               \
       .range = "> 0",                                                                             \
       .help =                                                                                     \
           "make tokens of prompt and answer less likely (> 1); 1 is off. Default: the model's, "  \
           "else off"},                                                                            \
      {.name = "seed",                                                                             \
       .kind = OPTION_UINT,                                                                        \
       .offset = GENERATION_FIELD(type, member, seed),                                             \
       .value = "N",                                                                               \
       .fallback = "0",                                                                            \
       .help = "the same seed draws the same tokens"},                                             \
      {.name = "stop",                                                                             \
       .kind = OPTION_TEXTS,                                                                       \
       .offset = GENERATION_FIELD(type, member, stop),                                             \
       .value = "TEXT",                                                                            \
       .help = "end before TEXT appears; may be repeated"},                                        \
      {.name = "eos-ids",                                                                          \
       .aliases = "eos-token-id",                                                                  \
       .kind = OPTION_IDS,                                                                         \
       .offset = GENERATION_FIELD(type, member, eos_ids),                                          \
       .value = "IDS",                                                                             \
       .help = "end at these tokens instead of the model's own"},                                  \
      {.name = "ignore-eos",                                                                       \
       .kind = OPTION_FLAG,                                                                        \
       .offset = GENERATION_FIELD(type, member, ignore_eos),                                       \
       .help = "never stop at an end token"},                                                      \
      PRECISION_OPTION(GENERATION_FIELD(type, member, precision))

#define BEAM_OPTIONS(type, member)                                                                 \
  {.name = "num-beams",                                                                            \
   .kind = OPTION_INT,                                                                             \
   .offset = GENERATION_FIELD(type, member, num_beams),                                            \
   .value = "N",                                                                                   \
   .range = "1..4096",                                                                             \
   .fallback = "1",                                                                                \
   .help = "beam search over N beams"},                                                            \
      {.name = "length-penalty",                                                                   \
       .kind = OPTION_REAL,                                                                        \
       .offset = GENERATION_FIELD(type, member, length_penalty),                                   \
       .value = "X",                                                                               \
       .fallback = "1",                                                                            \
       .help = "beams: score = sum of log-probabilities / length^X"},                              \
      {.name = "early-stopping",                                                                   \
       .kind = OPTION_CHOICE,                                                                      \
       .offset = GENERATION_FIELD(type, member, early_stopping),                                   \
       .choices = "false|true|never",                                                              \
       .fallback = "false",                                                                        \
       .help =                                                                                     \
           "beams: stop when enough are finished (true), when no better one is likely (false), "   \
           "or when none is possible (never)"},                                                    \
  {                                                                                                \
    .name = "num-return-sequences", .kind = OPTION_INT,                                            \
    .offset = GENERATION_FIELD(type, member, num_return_sequences), .value = "N",                  \
    .range = "1..4096", .fallback = "1", .help = "answers per prompt (with sampling or beams)"     \
  }

/* What the library is asked for: the options, with the model's recommendations where the user said
 * nothing. `like_the_model`: also sample when the model's makers do. Lists are borrowed. */
lb_generate_options generation_options_make(const cli *c, const generation_args *args,
                                            const lb_model *model, bool like_the_model);
lb_model_options generation_model_options(int precision);

/* "prompt: 12 tokens, 310.2 tokens/s; new: 50 tokens, 124.0 tokens/s" as a remark. */
void generation_tell_times(const cli *c, lb_generation_times times, const char *ending);
/* New tokens per second; NaN when nothing was made. */
double generation_rate(lb_generation_times times);

#endif
