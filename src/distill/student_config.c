/* student_config.c - see student_config.h. */
#include "student_config.h"

#include "base/fail.h"
#include "model/model_create.h"

enum { CONFIG_SIZE_MAX = 16 << 20 };

void lb__student_config_deinit(lb__student_config *c) {
  json_decref(c->json);
  *c = (lb__student_config){0};
}

static bool has_teacher(const lb_recipe *r) {
  return strcmp(r->teacher, "none") != 0;
}

/* ---- the tokenizer ---- */

/* A teacher may have none; a model that the recipe names for its tokenizer must have one. */
static lb_status find_tokenizer(lb_tokenizer **t, lb__student_config *c, const lb_recipe *r,
                                lb_error *err) {
  const char *own = r->student.tokenizer;
  *t = NULL;
  if (own == NULL && !has_teacher(r)) return LB_OK;
  lb_status st = lb_tokenizer_open(t, own != NULL ? own : r->teacher, err);
  if (st == LB_E_IO && own == NULL) return LB_OK;
  if (st != LB_OK) return lb__fail_prefix(err, st, "student.tokenizer");
  c->tokenizer = own != NULL ? own : r->teacher;
  c->tokenizer_hash = lb_tokenizer_hash(*t);
  return LB_OK;
}

/* ---- what is not given ---- */

static lb__model_shape shape_of(const lb_recipe *r) {
  static const int tied[] = {0, 1, -1};
  return (lb__model_shape){
      .model_type = r->student.config.model_type,
      .hidden_size = r->student.config.hidden_size,
      .num_hidden_layers = r->student.config.num_hidden_layers,
      .num_attention_heads = r->student.config.num_attention_heads,
      .num_key_value_heads = r->student.config.num_key_value_heads,
      .head_dim = r->student.config.head_dim,
      .intermediate_size = r->student.config.intermediate_size,
      .max_position_embeddings = r->student.config.max_position_embeddings,
      .vocab_size = r->student.config.vocab_size,
      .tie_word_embeddings = tied[r->student.config.tie_word_embeddings],
      .rope_theta = r->student.config.rope_theta,
      .rms_norm_eps = r->student.config.rms_norm_eps,
      .initializer_range = r->student.config.initializer_range,
      .bos_token_id = -1,
  };
}

static bool is_of_family(const lb__model_shape *s, const lb__family *f) {
  return strcmp(s->model_type, f->model_type) == 0 || strcmp(s->model_type, f->name) == 0;
}

static const lb__family *family_of(const lb__model_shape *s) {
  const lb__family *f = NULL;
  for (size_t i = 0; s->model_type != NULL && (f = lb__family_at(i)) != NULL; i++)
    if (is_of_family(s, f)) break;
  return f;
}

/* What a student may have in common with any teacher, and the epsilon of one of its own family. */
static void fill_from_teacher(lb__model_shape *s, const lb__model_config *t, bool same_tokens) {
  if (s->model_type == NULL) s->model_type = t->family->model_type;
  const lb__family *f = family_of(s);
  if (s->max_position_embeddings == 0) s->max_position_embeddings = t->max_positions;
  if (s->vocab_size == 0 && same_tokens) s->vocab_size = t->vocab_size;
  if (s->tie_word_embeddings == 0) s->tie_word_embeddings = t->tied ? 1 : -1;
  if (f == NULL) return; /* refused by name later */
  bool both_rotate = !f->learned_positions && !t->family->learned_positions;
  if (s->rope_theta == 0.0 && both_rotate) s->rope_theta = t->rope.theta;
  if (s->rms_norm_eps == 0.0 && f == t->family) s->rms_norm_eps = (double)t->norm_eps;
}

static lb_status add_teacher(lb__model_shape *s, const lb_recipe *r, lb_error *err) {
  lb__checkpoint *c = NULL;
  lb__model_config config = {0};
  if (!has_teacher(r)) return LB_OK;
  lb_status st = lb__checkpoint_open(&c, r->teacher, err);
  if (st == LB_OK) st = lb__model_config_read(&config, c, err);
  if (st == LB_OK) fill_from_teacher(s, &config, r->student.tokenizer == NULL);
  lb__model_config_deinit(&config);
  lb__checkpoint_close(c);
  return st == LB_OK ? LB_OK : lb__fail_prefix(err, st, "teacher");
}

/* The tokenizer knows the special tokens of its model, from wherever they are said. */
static lb_status add_tokens(lb__model_shape *s, const lb_tokenizer *t, lb_error *err) {
  size_t n = 0;
  const int32_t *ids = t != NULL ? lb_tokenizer_eos_ids(t, &n) : NULL;
  if (t == NULL) return LB_OK;
  if (s->vocab_size == 0) s->vocab_size = lb_tokenizer_size(t);
  s->bos_token_id = lb_tokenizer_bos(t);
  for (size_t i = 0; i < n; i++)
    if (!lb__token_ids_add(&s->eos, ids[i])) return lb__fail_nomem(err, "end tokens");
  return LB_OK;
}

/* ---- all of it ---- */

static lb_status make_config(lb__student_config *out, const lb_recipe *r, const lb_tokenizer *t,
                             lb_error *err) {
  lb__model_shape s = shape_of(r);
  out->name = "student.config";
  lb_status st = add_teacher(&s, r, err);
  if (st == LB_OK) st = add_tokens(&s, t, err);
  if (st == LB_OK && s.model_type == NULL)
    st = lb__fail(err, LB_E_ARG,
                  "student.config.model_type is missing: without a teacher there is no family to "
                  "take");
  if (s.max_position_embeddings == 0) s.max_position_embeddings = r->data.max_length;
  if (st == LB_OK) {
    st = lb__model_shape_config(&out->json, &s, err);
    if (st != LB_OK) st = lb__fail_prefix(err, st, "student.config");
  }
  lb__token_ids_deinit(&s.eos);
  return st;
}

lb_status lb__student_config_make(lb__student_config *out, const lb_recipe *r, lb_error *err) {
  lb_tokenizer *t;
  *out = (lb__student_config){.name = r->student.config.path};
  lb_status st = find_tokenizer(&t, out, r, err);
  if (st == LB_OK)
    st = r->student.config.path != NULL
             ? lb__json_read(&out->json, r->student.config.path, CONFIG_SIZE_MAX, err)
             : make_config(out, r, t, err);
  lb_tokenizer_free(t);
  return st;
}
