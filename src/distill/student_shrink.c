/* student_shrink.c - see student_shrink.h. */
#include "student_shrink.h"
#include "setup.h"

#include "base/fail.h"

#include <limbeck/shrink.h>

/* As `limbeck shrink` reads: so many tokens, in so many documents at most. */
enum { CALIBRATION_TOKENS = 65536, MOST_DOCUMENTS = 4096 };

/* For one more option of lb_shrink: a row in recipe.def, a member of the recipe, a line here. */
static lb_shrink_options options_of(const lb_recipe *r, const volatile int *cancel) {
  const lb__int_list *layers = &r->student.shrink.layers;
  int dtype = r->student.shrink.dtype;
  lb_shrink_options o = lb_shrink_options_default();
  o.n_layers = layers->n == 1 ? layers->items[0] : 0;
  o.layers = layers->n > 1 ? layers->items : NULL;
  o.n_chosen = layers->n > 1 ? layers->n : 0;
  o.layer_selection = (lb_layer_selection)r->student.shrink.layer_selection;
  o.hidden_size = r->student.shrink.hidden_size;
  o.n_heads = r->student.shrink.num_attention_heads;
  o.n_kv_heads = r->student.shrink.num_key_value_heads;
  o.intermediate_size = r->student.shrink.intermediate_size;
  o.width_selection = (lb_width_selection)r->student.shrink.selection;
  o.seed = (uint64_t)r->train.seed;
  o.has_dtype = dtype > 0;
  o.dtype = dtype > 0 ? (lb_dtype)(dtype - 1) : LB_DTYPE_F32;
  o.overwrite = true;
  o.cancel = cancel;
  return o;
}

static bool needs_importance(const lb_shrink_options *o) {
  bool is_narrower =
      o->hidden_size > 0 || o->n_heads > 0 || o->n_kv_heads > 0 || o->intermediate_size > 0;
  return (o->n_layers > 0 && o->layer_selection == LB_LAYERS_INFLUENCE) ||
         (is_narrower && o->width_selection == LB_WIDTH_ACTIVATION);
}

/* ---- the text ---- */

/* Documents until there are enough tokens; the last one is whole. */
static lb_status measure_on(lb_importance **out, lb_model *teacher, const lb__corpus *text,
                            const volatile int *cancel, lb_error *err) {
  int64_t n_documents = lb__corpus_n_documents(text), n_tokens = 0;
  size_t n = 0;
  lb_importance_options o = lb_importance_options_default();
  lb_prompt *documents = lb__alloc_array((size_t)n_documents, sizeof *documents);
  if (documents == NULL) return lb__fail_nomem(err, "the calibration text");
  o.cancel = cancel;
  for (int64_t i = 0; i < n_documents && n_tokens < CALIBRATION_TOKENS; i++) {
    lb__document_view d = lb__corpus_document(text, i);
    documents[n++] = (lb_prompt){d.ids, (size_t)d.n};
    n_tokens += d.n;
  }
  lb_status st = lb_importance_measure(out, teacher, documents, n, &o, err);
  lb__free(documents);
  return st;
}

static lb_status open_text(lb__corpus **out, lb__setup *s, const lb_model_info *teacher,
                           lb_error *err) {
  const lb_recipe *r = s->recipe;
  bool has_own = r->student.shrink.calibration.n > 0;
  lb_status st = lb_tokenizer_open(&s->tokenizer, teacher->path, err);
  if (st == LB_E_IO) st = LB_OK; /* ids need none */
  if (st == LB_OK) st = lb__setup_open_template(s, teacher->path, err);
  if (st != LB_OK) return st;
  lb__corpus_options o =
      lb__setup_corpus_options(s, has_own ? &r->student.shrink.calibration : &r->data.train);
  o.max_documents = MOST_DOCUMENTS;
  o.vocab_size = teacher->vocab_size;
  if (o.max_length > teacher->max_positions) o.max_length = teacher->max_positions;
  return lb__corpus_open(out, &o, err);
}

static lb_status measure(lb_importance **out, lb_recipe *r, const volatile int *cancel,
                         lb_error *err) {
  const lb_distill_options options = {.cancel = cancel};
  lb__setup s = {.recipe = r, .options = &options}; /* its text side */
  lb_model *teacher = NULL;
  lb__corpus *text = NULL;
  lb_status st = lb__model_open(&teacher, r->teacher, LB_PRECISION_F32, err);
  if (st == LB_OK) st = open_text(&text, &s, lb_model_get_info(teacher), err);
  if (st == LB_OK) st = measure_on(out, teacher, text, cancel, err);
  lb__corpus_free(text);
  lb__setup_close(&s);
  lb_model_free(teacher);
  return st;
}

/* *out: NULL when the vocabulary stays whole. */
static lb_status count_tokens(lb_token_counts **out, const lb_recipe *r, const volatile int *cancel,
                              lb_error *err) {
  const lb__text_list *from = &r->student.shrink.vocab_from;
  lb_token_counts_options o = lb_token_counts_options_default();
  *out = NULL;
  if (from->n == 0 && r->student.shrink.vocab_size == 0) return LB_OK;
  if (from->n == 0) from = &r->data.train;
  o.text_field = r->data.text_field;
  o.cancel = cancel;
  return lb_token_counts_read(out, r->teacher, from->items, from->n, &o, err);
}

lb_status lb__student_shrink(lb_recipe *r, const char *to, const volatile int *cancel,
                             lb_error *err) {
  lb_shrink_options o = options_of(r, cancel);
  lb_importance *importance = NULL;
  lb_token_counts *counts = NULL;
  lb_status st = count_tokens(&counts, r, cancel, err);
  if (st == LB_OK && needs_importance(&o)) st = measure(&importance, r, cancel, err);
  o.importance = importance;
  o.vocabulary = counts;
  o.vocab_size = r->student.shrink.vocab_size;
  if (st == LB_OK) st = lb_shrink(r->teacher, to, &o, err);
  lb_importance_free(importance);
  lb_token_counts_free(counts);
  return st;
}
