/* generation_options.c - see generation_options.h. */
#include "generation_options.h"

#include <math.h>

/* The user's word, else the recommendation of the model's makers, else the library's default. */
static double choose(bool given, double user, double model, double fallback) {
  return given ? user : isnan(model) ? fallback : model;
}

static bool wants_sampling(const cli *c, const generation_args *args,
                           const lb_sampling_defaults *model, bool like_the_model) {
  bool given = cli_is_given(c, "temperature");
  if (given && args->temperature == 0) return false;
  if (cli_is_given(c, "do-sample")) return args->do_sample;
  if (given || cli_is_given(c, "top-k") || cli_is_given(c, "top-p") || cli_is_given(c, "min-p"))
    return true;
  return like_the_model && model->do_sample == 1;
}

/* What the makers recommend for sampling. */
static void set_warpers(lb_generate_options *o, const cli *c, const generation_args *args,
                        const lb_sampling_defaults *model) {
  o->temperature =
      choose(cli_is_given(c, "temperature"), args->temperature, model->temperature, o->temperature);
  o->top_p = choose(cli_is_given(c, "top-p"), args->top_p, model->top_p, o->top_p);
  o->min_p = choose(cli_is_given(c, "min-p"), args->min_p, model->min_p, o->min_p);
  if (cli_is_given(c, "top-k"))
    o->top_k = args->top_k;
  else if (model->top_k >= 0)
    o->top_k = model->top_k;
}

lb_generate_options generation_options_make(const cli *c, const generation_args *args,
                                            const lb_model *model, bool like_the_model) {
  const lb_sampling_defaults *recommended = lb_model_get_sampling_defaults(model);
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = args->max_new_tokens;
  o.min_new_tokens = args->min_new_tokens;
  o.do_sample = wants_sampling(c, args, recommended, like_the_model);
  if (o.do_sample) set_warpers(&o, c, args, recommended);
  /* Transformers applies the recommended penalty to greedy search and beams too. */
  o.repetition_penalty = choose(cli_is_given(c, "repetition-penalty"), args->repetition_penalty,
                                recommended->repetition_penalty, o.repetition_penalty);
  o.seed = args->seed;
  if (args->num_beams > 0) o.num_beams = args->num_beams;
  if (cli_is_given(c, "length-penalty")) o.length_penalty = args->length_penalty;
  o.early_stopping = (lb_early_stopping)args->early_stopping;
  if (args->num_return_sequences > 0) o.num_return_sequences = args->num_return_sequences;
  o.eos_ids = args->eos_ids.ids;
  o.n_eos_ids = args->eos_ids.n;
  o.ignore_eos = args->ignore_eos;
  o.stop = args->stop.items;
  o.n_stop = args->stop.n;
  o.cancel = &cli_cancelled;
  return o;
}

lb_status generation_model_options(lb_model_options *options, const cli *c,
                                   const precision_args *args, lb_error *err) {
  *options = lb_model_options_default();
  options->precision = (lb_precision)args->precision;
  if (!cli_is_given(c, "precision-max-kl")) return LB_OK;
  options->precision_max_kl = args->max_kl;
  if (options->precision == LB_PRECISION_AUTO) return LB_OK;
  *err = (lb_error){LB_E_ARG, "precision-max-kl: only --precision auto has a bound"};
  return LB_E_ARG;
}

lb_status generation_open_model(lb_model **out, const cli *c, const char *path,
                                const precision_args *args, lb_error *err) {
  lb_model_options options;
  *out = NULL;
  lb_status st = generation_model_options(&options, c, args, err);
  return st == LB_OK ? lb_model_open(out, path, &options, err) : st;
}

static double rate(int64_t tokens, int64_t ns) {
  return tokens > 0 && ns > 0 ? (double)tokens * 1e9 / (double)ns : NAN;
}

double generation_rate(lb_generation_times times) {
  return rate(times.new_tokens, times.generate_ns);
}

void generation_tell_times(const cli *c, lb_generation_times times, const char *ending) {
  text line = {0};
  double read = rate(times.prompt_tokens, times.prompt_ns), made = generation_rate(times);
  text_putf(&line, "prompt: %lld tokens", (long long)times.prompt_tokens);
  if (!isnan(read)) text_putf(&line, ", %.1f tokens/s", read);
  text_putf(&line, "; new: %lld tokens", (long long)times.new_tokens);
  if (!isnan(made)) text_putf(&line, ", %.1f tokens/s", made);
  if (ending != NULL) text_putf(&line, "; ended by %s", ending);
  cli_note(c, "%s", text_get(&line));
  text_free(&line);
}
