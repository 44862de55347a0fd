/* model_card.c - see model_card.h. Read next: lb__model_card_write at the end; the parts of the
 * card follow in the order in which they are read. */
#include "model_card.h"

#include "outside_text.h"
#include "source_license.h"

#include "base/fail.h"
#include "base/files.h"
#include "formats/hub_cache.h"

#include <limbeck/environment.h>

#include <math.h>

enum { LARGEST_CARD = 4 << 20 };

static bool is_distilled(const lb__model_card *card) {
  return card->teacher != NULL && !card->only_measured;
}

/* ---- text from outside ---- */

/* On one line of Markdown, meaning nothing but itself: not a link, a table cell's end or HTML. */
static void add_plain(lb__buf *b, const char *text) {
  uint32_t c;
  while (lb__outside_next(&c, &text)) {
    if (c < 0x80 && strchr("\\`*_[]<>|&#~!$", (int)c) != NULL) lb__buf_add_char(b, '\\');
    lb__outside_add(b, c < 0x20 || c == 0x7F ? ' ' : c);
  }
}

/* A double-quoted scalar, as YAML and JSON have it. */
static void add_quoted(lb__buf *b, const char *text) {
  uint32_t c;
  lb__buf_add_char(b, '"');
  while (lb__outside_next(&c, &text)) {
    if (c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xA0) || c == 0x2028 || c == 0x2029) {
      lb__buf_printf(b, "\\u%04X", (unsigned)c);
    } else {
      if (c == '"' || c == '\\') lb__buf_add_char(b, '\\');
      lb__outside_add(b, c);
    }
  }
  lb__buf_add_char(b, '"');
}

/* A block that the text cannot end: its fence is longer than any run of backticks in it. */
static void add_block(lb__buf *b, const char *language, const char *text) {
  size_t longest = 2, run = 0, length = strlen(text);
  for (const char *p = text; *p != '\0'; p++) {
    run = *p == '`' ? run + 1 : 0;
    if (run > longest) longest = run;
  }
  for (size_t i = 0; i <= longest; i++) lb__buf_add_char(b, '`');
  lb__buf_printf(b, "%s\n", language);
  uint32_t c;
  for (const char *p = text; lb__outside_next(&c, &p);) {
    if (c >= 0x20 || c == '\n' || c == '\t') lb__outside_add(b, c);
  }
  if (length == 0 || text[length - 1] != '\n') lb__buf_add_char(b, '\n');
  for (size_t i = 0; i <= longest; i++) lb__buf_add_char(b, '`');
  lb__buf_add_char(b, '\n');
}

/* ---- front matter ---- */

static void add_field(lb__buf *b, const char *key, const char *value) {
  if (value == NULL) return;
  lb__buf_printf(b, "%s: ", key);
  add_quoted(b, value);
  lb__buf_add_char(b, '\n');
}

/* A folder may be called like a hub's model; where the student was found tells them apart. */
static bool is_on_a_hub(const lb__model_card *card) {
  bool is_local = card->student_path != NULL && card->student != NULL &&
                  lb__path_same(card->student_path, card->student);
  return card->student != NULL && !is_local && lb__hub_name_valid(card->student);
}

static void add_front_matter(lb__buf *b, const lb__model_card *card,
                             const lb__source_license *license) {
  lb__buf_add_text(b, "---\n");
  if (is_on_a_hub(card)) {
    add_field(b, "base_model", card->student);
    lb__buf_add_text(b, "base_model_relation: finetune\n");
  }
  lb__buf_add_text(b, "library_name: transformers\npipeline_tag: text-generation\n");
  add_field(b, "license", license->license);
  add_field(b, "license_name", license->name);
  add_field(b, "license_link", license->link);
  lb__buf_add_text(b, "tags:\n");
  lb__buf_add_text(b, is_distilled(card) ? "- distillation\n- knowledge-distillation\n" : "");
  lb__buf_add_text(b, "- limbeck\n---\n\n");
}

/* ---- prose ---- */

static void add_line(lb__buf *b, const char *what, const char *value) {
  if (value == NULL) return;
  lb__buf_printf(b, "- %s: ", what);
  add_plain(b, value);
  lb__buf_add_char(b, '\n');
}

static void add_count(lb__buf *b, const char *what, int64_t n) {
  if (n >= 0) lb__buf_printf(b, "- %s: %lld\n", what, (long long)n);
}

static void add_origin(lb__buf *b, const lb__model_card *card) {
  char *name = lb__path_name(card->result->output_dir);
  lb__buf_add_text(b, "# ");
  if (name != NULL) add_plain(b, name);
  b->failed |= name == NULL;
  lb__free(name);
  lb__buf_add_text(b, "\n\n");
  lb__buf_add_text(b, is_distilled(card) ? "A language model, distilled with Limbeck.\n\n"
                                         : "A language model, trained with Limbeck.\n\n");
  add_line(b, "teacher", is_distilled(card) ? card->teacher : "none");
  if (!is_distilled(card)) add_line(b, "measured against", card->teacher);
  add_line(b, "student", card->student);
  add_line(b, "loss", card->loss);
}

static void add_training(lb__buf *b, const lb__model_card *card) {
  const lb_distill_result *r = card->result;
  for (size_t i = 0; i < card->n_data; i++) add_line(b, "data", card->data[i]);
  add_count(b, "documents", card->n_documents);
  add_count(b, "tokens of these", card->n_tokens);
  add_count(b, "held-out documents", card->n_held_out);
  add_count(b, "optimizer steps", r->steps);
  add_count(b, "tokens seen in training", r->tokens);
  add_count(b, "tokens trained on", r->trained_tokens);
  if (r->skipped_steps > 0) add_count(b, "steps skipped for numbers not finite", r->skipped_steps);
  if (r->rollbacks > 0) add_count(b, "returns to an earlier checkpoint", r->rollbacks);
}

/* ---- figures ---- */

typedef enum figure_kind { SHORT, PERCENT, WHOLE } figure_kind;

static void add_figure(lb__buf *b, figure_kind kind, double value) {
  if (!isfinite(value))
    lb__buf_add_text(b, " - |");
  else if (kind == PERCENT)
    lb__buf_printf(b, " %.1f %% |", 100.0 * value);
  else
    lb__buf_printf(b, kind == WHOLE ? " %.0f |" : " %.4g |", value);
}

static void add_row(lb__buf *b, const char *what, figure_kind kind, double teacher, double before,
                    double after) {
  if (!isfinite(teacher) && !isfinite(before) && !isfinite(after)) return;
  lb__buf_printf(b, "| %s |", what);
  add_figure(b, kind, teacher);
  add_figure(b, kind, before);
  add_figure(b, kind, after);
  lb__buf_add_char(b, '\n');
}

static double positive(double n) {
  return n > 0.0 ? n : NAN;
}

static void add_figures(lb__buf *b, const lb_distill_result *r) {
  const lb_model_figures *t = &r->teacher, *x = &r->before, *y = &r->after;
  lb__buf_printf(b,
                 "\n## Figures\n\n%s\n\n"
                 "| | teacher | student before | student after |\n|---|---|---|---|\n",
                 r->is_measured_on_training_data
                     ? "On documents that it was trained on: nothing was held out."
                     : "On held-out documents.");
  add_row(b, "perplexity", SHORT, t->perplexity, x->perplexity, y->perplexity);
  add_row(b, "KL from the teacher, nats per token", SHORT, t->kl_to_teacher, x->kl_to_teacher,
          y->kl_to_teacher);
  add_row(b, "same most likely token as the teacher", PERCENT, t->agreement, x->agreement,
          y->agreement);
  add_row(b, "parameters", WHOLE, positive((double)t->n_parameters),
          positive((double)x->n_parameters), positive((double)y->n_parameters));
  add_row(b, "weights, MB", SHORT, positive((double)t->size_bytes / 1e6),
          positive((double)x->size_bytes / 1e6), positive((double)y->size_bytes / 1e6));
  add_row(b, "tokens read per second", WHOLE, t->tokens_per_second, x->tokens_per_second,
          y->tokens_per_second);
}

/* ---- all of it ---- */

static void add_use(lb__buf *b) {
  lb__buf_add_text(b, "\n## Use\n\n```python\n"
                      "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
                      "folder = \"path/to/this/folder\"\n"
                      "tokenizer = AutoTokenizer.from_pretrained(folder)\n"
                      "model = AutoModelForCausalLM.from_pretrained(folder)\n```\n");
}

static void add_settings(lb__buf *b, const lb__model_card *card) {
  lb__buf_printf(b, "\n## Settings\n\n- Limbeck %s\n", lb_version());
  if (card->settings == NULL) return;
  lb__buf_add_char(b, '\n');
  add_block(b, "yaml", card->settings);
}

static lb_status save(const char *folder, const lb__buf *b, lb_error *err) {
  lb_status st = lb__buf_check(b, "the model card", err);
  if (st != LB_OK) return st;
  char *path = lb__path_join(folder, "README.md");
  if (path == NULL) return lb__fail_nomem(err, "a path");
  st = lb__file_save(path, b->bytes, b->size, err);
  lb__free(path);
  return st;
}

lb_status lb__model_card_write(const char *folder, const lb__model_card *card, lb_error *err) {
  lb__source_license license = {0};
  lb__buf b;
  lb__buf_init(&b, LARGEST_CARD);
  lb_status st = LB_OK;
  if (card->student_path != NULL) st = lb__source_license_read(&license, card->student_path, err);
  if (st == LB_OK) {
    add_front_matter(&b, card, &license);
    add_origin(&b, card);
    add_training(&b, card);
    add_figures(&b, card->result);
    add_use(&b);
    add_settings(&b, card);
    st = save(folder, &b, err);
  }
  lb__source_license_deinit(&license);
  lb__buf_deinit(&b);
  return st;
}
