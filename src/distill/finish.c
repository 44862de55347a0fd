/* finish.c - see finish.h. */
#include "finish.h"

#include "base/fail.h"
#include "formats/hf_config.h"

#include <limbeck/convert.h>

#include <math.h>

enum { CHECKED_TOKENS = 64 };

/* How far predictions may move when weights are rounded to a format: mean KL in nats. Measured on
 * real models, with room: convert's own check has the same bounds. */
static double allowed_kl(lb_dtype dtype) {
  switch (dtype) {
  case LB_DTYPE_F32: return 1e-6;
  case LB_DTYPE_F16: return 1e-3;
  case LB_DTYPE_BF16: return 5e-2;
  case LB_DTYPE_Q8_0: return 0.1;
  default: return 1.5; /* Q4_0 */
  }
}

/* ---- comparing two models on the beginning of a document ---- */

/* The final hidden states of a document's first tokens, on a stream of its own. */
typedef struct look {
  lb__stream stream;
  lb__head_side side;
} look;

static lb_status look_at(look *l, lb_model *m, const int32_t *ids, int64_t n, lb_error *err) {
  int32_t positions[CHECKED_TOKENS], doc_start[2] = {0, (int32_t)n};
  lb_tensor *hidden;
  for (int64_t i = 0; i < n; i++) positions[i] = (int32_t)i;
  lb__batch b = {
      .n_tokens = n, .n_docs = 1, .ids = ids, .positions = positions, .doc_start = doc_start};
  lb__model_stream_init(&l->stream, m);
  lb_status st = lb__model_hidden(&hidden, m, &l->stream, &b, err);
  l->side.hidden = hidden;
  l->side.compute = l->stream.compute;
  l->side.weight = lb__model_head(m, &l->side.softcap);
  return st;
}

/* Mean KL(trained || saved) over the tokens, at temperature 1. */
static lb_status mean_kl(double *out, const lb__setup *s, lb_model *saved, lb_error *err) {
  lb__document_view d = lb__corpus_document(s->corpus, 0);
  int64_t n = d.n < CHECKED_TOKENS ? d.n : CHECKED_TOKENS;
  int32_t untrained[CHECKED_TOKENS];
  for (int64_t i = 0; i < n; i++) untrained[i] = LB__NOT_TRAINED;
  look trained = {0}, stored = {0};
  lb_tensor *targets;
  lb__fused_head_sums sums = {0};
  lb_status st = look_at(&trained, s->student, d.ids, n, err);
  if (st == LB_OK) st = look_at(&stored, saved, d.ids, n, err);
  if (st == LB_OK) st = lb__stream_i32(&targets, &stored.stream, untrained, n, err);
  lb__fused_head_args args = {.student = stored.side,
                              .teacher = &trained.side,
                              .targets = st == LB_OK ? targets : NULL,
                              .vocab = s->vocab,
                              .scale = 1.0,
                              .want_facts = true};
  if (st == LB_OK) st = lb__fused_head(&stored.stream, &sums, &args, err);
  *out = sums.facts[LB__FACT_FORWARD_KL] / (double)n;
  lb__stream_deinit(&trained.stream);
  lb__stream_deinit(&stored.stream);
  return st;
}

/* Opens what was written and compares it with the student in memory. */
static lb_status check_saved(const lb__setup *s, const char *path, lb_dtype dtype, lb_error *err) {
  lb_model *saved;
  double kl = NAN;
  lb__setup_phase(s, "reading the student back", 0, 0);
  lb_model_options like_trained = lb_model_options_default(); /* only what is stored may differ */
  like_trained.precision = lb_model_get_info(s->student)->precision;
  lb_status st = lb_model_open(&saved, path, &like_trained, err);
  if (st == LB_OK) st = mean_kl(&kl, s, saved, err);
  lb_model_free(saved);
  if (st != LB_OK || kl <= allowed_kl(dtype)) return st;
  return lb__fail(
      err, LB_E_NUMERIC,
      "%s: the model that was written does not think what the trained one does: KL %.3g "
      "nats a token, want at most %.3g for %s",
      path, kl, allowed_kl(dtype), lb_dtype_name(dtype));
}

/* ---- the folder ---- */

lb_status lb__finish_folder(const lb__setup *s, lb_error *err) {
  const lb_recipe *r = s->recipe;
  lb_dtype dtype =
      r->save_dtype >= 0 ? (lb_dtype)r->save_dtype : lb__model_source_dtype(s->student);
  lb__setup_phase(s, "writing the student", 0, 0);
  lb_status st = lb__model_save_folder(s->student, r->output_dir, dtype, err);
  if (st == LB_OK && s->is_teachers_tokenizer) {
    const lb_model_info *teacher = lb_model_get_info(lb__teacher_model(s->teacher));
    if (strcmp(teacher->format, "GGUF") != 0)
      st = lb__hf_folder_copy_files(r->output_dir, teacher->path, err);
  }
  return st == LB_OK ? check_saved(s, r->output_dir, dtype, err) : st;
}

/* *file: lb__free */
static lb_status describe_gguf(char **file, lb_convert_options *options, const lb__setup *s,
                               lb_error *err) {
  const lb_recipe *r = s->recipe;
  *options = lb_convert_options_default();
  if (!lb_dtype_from_name(&options->dtype, r->gguf))
    return lb__fail(err, LB_E_ARG, "gguf: '%s' is no number format", r->gguf);
  options->has_dtype = options->overwrite = true;
  options->cancel = s->options->cancel;
  *file = lb__format("%s/model-%s.gguf", r->output_dir, lb_dtype_name(options->dtype));
  return *file != NULL ? LB_OK : lb__fail_nomem(err, "a path");
}

lb_status lb__finish_check(const lb__setup *s, lb_error *err) {
  lb_convert_options options;
  char *file;
  if (s->recipe->gguf == NULL) return LB_OK;
  lb_status st = describe_gguf(&file, &options, s, err);
  if (st != LB_OK) return st;
  st = lb_convert_check(lb_model_get_info(s->student)->path, file, &options, err);
  lb__free(file);
  return st == LB_OK ? LB_OK : lb__fail_prefix(err, st, "gguf");
}

lb_status lb__finish_gguf(char **path, const lb__setup *s, lb_error *err) {
  const lb_recipe *r = s->recipe;
  lb_convert_options options;
  char *file;
  *path = NULL;
  if (r->gguf == NULL) return LB_OK;
  lb_status st = describe_gguf(&file, &options, s, err);
  if (st != LB_OK) return st;
  lb__setup_phase(s, "writing GGUF", 0, 0);
  st = lb_convert(r->output_dir, file, &options, err);
  if (st == LB_OK) st = check_saved(s, file, options.dtype, err);
  if (st == LB_OK) {
    *path = file;
    return LB_OK;
  }
  lb__free(file);
  return lb__fail_prefix(err, st, "the student is whole in '%s', but not its GGUF", r->output_dir);
}

/* ---- the test prompt ---- */

static lb_status answer(char **out, const lb__setup *s, lb_model *m, const lb_prompt *prompt,
                        lb_error *err) {
  const lb_recipe *r = s->recipe;
  lb_generate_options options = lb_generate_options_default();
  lb_generation *g = NULL;
  options.max_new_tokens = r->test.max_new_tokens;
  options.num_beams = r->test.num_beams;
  options.early_stopping =
      r->test.early_stopping ? LB_EARLY_STOPPING_TRUE : LB_EARLY_STOPPING_FALSE;
  options.cancel = s->options->cancel;
  lb_status st = lb_generate(&g, m, s->tokenizer, prompt, 1, &options, err);
  if (st != LB_OK) return st;
  const lb_sequence *sequence = lb_generation_sequence(g, 0, 0);
  *out = lb__strndup(sequence->text, sequence->text_size);
  lb_generation_free(g);
  return *out != NULL ? LB_OK : lb__fail_nomem(err, "an answer");
}

lb_status lb__finish_answers(char **student, char **teacher, const lb__setup *s, lb_error *err) {
  const char *text = s->recipe->test.prompt;
  int32_t *ids = NULL;
  size_t n = 0;
  lb_model *saved = NULL;
  *student = *teacher = NULL;
  if (text == NULL) return LB_OK;
  if (s->tokenizer == NULL)
    return lb__fail(err, LB_E_ARG, "test.prompt: neither model has a tokenizer to read it with");
  lb__setup_phase(s, "answering the test prompt", 0, 0);
  lb_status st = lb_tokenizer_encode(s->tokenizer, text, strlen(text), NULL, &ids, &n, err);
  lb_prompt prompt = {.ids = ids, .n_ids = n};
  if (st == LB_OK) st = lb_model_open(&saved, s->recipe->output_dir, NULL, err);
  if (st == LB_OK) st = answer(student, s, saved, &prompt, err);
  if (st == LB_OK && s->teacher != NULL)
    st = answer(teacher, s, lb__teacher_model(s->teacher), &prompt, err);
  lb_model_free(saved);
  lb_ids_free(ids);
  return st;
}
