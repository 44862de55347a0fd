/* run_identity.c - see run_identity.h. */
#include "run_identity.h"

#include "method.h"
#include "recipe_values.h"

enum { TEXT_MAX = 1 << 20 };

/* Keys that may differ between the beginning of a run and its going on: where it writes, how often
 * it tells, and for how long it goes. */
static bool is_free(const char *path) {
  static const char *const free_keys[] = {
      "output_dir",
      "overwrite_output_dir",
      "save_dtype",
      "gguf",
      "train.logging_steps",
      "train.logging_first_step",
      "train.save_steps",
      "train.save_total_limit",
      "train.eval_steps",
      "train.report_to",
      "train.max_bad_steps",
      "train.resume_from_checkpoint",
      "train.resume_with_other_kernels",
      "train.gradient_checkpointing",
      "test.prompt",
      "test.max_new_tokens",
      "test.num_beams",
      "test.early_stopping",
      "data.train",
      "data.eval",
      "teacher",
      "student",
      "student.config",
      "student.tokenizer",
  };
  for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
    if (strcmp(free_keys[i], path) == 0) return true;
  return false;
}

static void add_model(lb__buf *b, const char *role, const lb_model *m) {
  const lb_model_info *i = lb_model_get_info(m);
  lb__buf_printf(b, "%s=%s layers %lld width %lld vocabulary %lld\n", role, i->family,
                 (long long)i->n_layers, (long long)i->hidden_size, (long long)i->vocab_size);
}

static const char *precision_of(const lb_model *m) {
  return lb_precision_name(lb_model_get_info(m)->precision);
}

char *lb__run_identity(const lb__setup *s) {
  lb__buf b;
  lb__buf_init(&b, TEXT_MAX);
  add_model(&b, "student", s->student);
  lb__buf_printf(&b, "student's products=%s\n", precision_of(s->student));
  if (s->teacher != NULL) {
    const lb_model *teacher = lb__teacher_model(s->teacher);
    add_model(&b, "teacher", teacher);
    lb__buf_printf(&b, "teacher's weights=%016llx\nteacher's products=%s\n",
                   (unsigned long long)lb__model_fingerprint(teacher), precision_of(teacher));
  }
  lb__buf_printf(&b, "data=%016llx\nvocabulary=%lld\n",
                 (unsigned long long)lb__corpus_get_facts(s->corpus)->hash, (long long)s->vocab);
  if (s->tokenizer != NULL)
    lb__buf_printf(&b, "tokenizer=%016llx\n", (unsigned long long)lb_tokenizer_hash(s->tokenizer));
  for (size_t i = 0; lb__recipe_row_at(i) != NULL; i++) {
    const lb__recipe_row *row = lb__recipe_row_at(i);
    bool is_silent = lb__recipe_is_bound(row) && !lb__recipe_is_given(s->recipe, row);
    if (is_free(row->key.path) || is_silent) continue;
    lb__buf_printf(&b, "%s=", row->key.path);
    lb__recipe_write(&b, s->recipe, row);
    lb__buf_add_char(&b, '\n');
  }
  char *text = lb__buf_take(&b);
  lb__buf_deinit(&b);
  return text;
}

static void add_term(lb__buf *b, double coefficient, const char *what) {
  if (b->size > 0) lb__buf_add_text(b, " + ");
  lb__buf_printf(b, "%g * %s", coefficient, what);
}

char *lb__run_loss_text(const lb__setup *s) {
  const lb_recipe *r = s->recipe;
  lb__buf b;
  lb__buf_init(&b, TEXT_MAX);
  if (!lb__learns_from_teacher(s)) {
    lb__buf_add_text(&b, "cross entropy");
  } else {
    double T = r->distill.temperature;
    add_term(&b, r->distill.alpha * (r->distill.t_squared ? T * T : 1.0), "KL(teacher || student)");
    lb__buf_printf(&b, " at temperature %g", T);
    add_term(&b, 1.0 - r->distill.alpha, "cross entropy");
    if (r->distill.type == LB__DISTILL_HIDDEN)
      add_term(&b, r->distill.beta, "mean squared error of hidden states");
    if (r->distill.type == LB__DISTILL_ATTENTION)
      add_term(&b, r->distill.beta, "KL of causal self-attention relations");
  }
  char *text = lb__buf_take(&b);
  lb__buf_deinit(&b);
  return text;
}
