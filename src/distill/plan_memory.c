/* plan_memory.c - see plan_memory.h. N tokens of a micro-batch, floats of 4 bytes:
 *
 *   parameters P: weights, gradients, two moments: 4 x 4 P
 *   recorded activations of a layer, per token: the residual stream twice, both norms' results, q,
 *   k, v, attention's result, the logsumexps, what the MLP's activation reads; with dropout also
 *   what went into it, twice
 *   the head: a chunk of logits of both models, and the rows' hidden states and their gradient
 *   gradients of activations: a few of the widest at a time, because their memory is used again;
 *   they lie where the head was
 *   the teacher runs in place: a few tensors of its widest kind */
#include "plan_memory.h"

#include "base/fail.h"
#include "base/system_memory.h"

#include <stdarg.h>
#include <stdio.h>

enum { REAL = 4, STATE_COPIES = 4 };

static int64_t query_width(const lb_model_info *i) {
  return i->n_heads * i->head_dim;
}
static int64_t key_width(const lb_model_info *i) {
  return i->n_kv_heads * i->head_dim;
}

/* Floats that the tape keeps of one layer for one token. */
static int64_t layer_floats(const lb_model_info *i, bool dropout) {
  bool gated = strcmp(i->family, "gpt2") != 0;
  bool head_norms = strcmp(i->family, "qwen3") == 0 || strcmp(i->family, "gemma3") == 0;
  bool sandwich = strcmp(i->family, "gemma3") == 0;
  int64_t C = i->hidden_size, Q = query_width(i), K = key_width(i), F = i->intermediate_size;
  int64_t stream_and_norms = (sandwich ? 6 : 4) * C + (dropout ? 2 : 0) * C;
  int64_t heads = (head_norms ? 2 : 1) * (Q + K) + K + Q + i->n_heads;
  return stream_and_norms + heads + (gated ? 2 : 1) * F;
}

static int64_t widest(const lb_model_info *i) {
  int64_t Q = query_width(i), F = i->intermediate_size, C = i->hidden_size;
  int64_t most = Q > F ? Q : F;
  return most > C ? most : C;
}

static uint64_t activation_bytes(const lb_model_info *i, int64_t n_tokens, const lb_recipe *r,
                                 bool checkpointing) {
  int64_t layers = i->n_layers, per_layer = layer_floats(i, r->distill.dropout != 0);
  int64_t kept = checkpointing ? layers * i->hidden_size + per_layer : layers * per_layer;
  return (uint64_t)(n_tokens * (kept + 3 * i->hidden_size)) * REAL;
}

static uint64_t gradient_bytes(const lb_model_info *i, int64_t n_tokens) {
  return (uint64_t)(n_tokens * (6 * widest(i) + 4 * i->hidden_size)) * REAL;
}

static uint64_t head_bytes(const lb_model_info *student, const lb_model_info *teacher,
                           int64_t n_tokens) {
  int64_t chunk = lb__head_chunk(student->vocab_size);
  if (chunk > n_tokens) chunk = n_tokens;
  int64_t logits = chunk * (student->vocab_size + (teacher != NULL ? teacher->vocab_size : 0));
  int64_t rows =
      n_tokens * (2 * student->hidden_size + (teacher != NULL ? teacher->hidden_size : 0));
  return (uint64_t)(logits + rows) * REAL;
}

/* Products of bfloat16 round a head's weight while it runs. */
static uint64_t rounded_head_bytes(const lb_model_info *i) {
  bool rounds = i->precision == LB_PRECISION_BF16;
  return rounds ? (uint64_t)(i->vocab_size * i->hidden_size) * sizeof(uint16_t) : 0;
}

static uint64_t pass_bytes(const lb_model_info *i, int64_t n_tokens) {
  int64_t per_token =
      3 * i->hidden_size + 2 * query_width(i) + 2 * key_width(i) + 3 * i->intermediate_size;
  return (uint64_t)(n_tokens * per_token) * REAL;
}

/* ---- the plan ---- */

static void add_line(lb_plan *p, const char *what, uint64_t bytes) {
  lb_plan_line *line = &p->memory[p->n_memory++];
  snprintf(line->what, sizeof line->what, "%s", what);
  line->bytes = bytes;
  p->memory_total += bytes;
}

static int64_t trained_elements(const lb__setup *s) {
  const lb_model_info *student = lb_model_get_info(s->student);
  int64_t n = student->n_parameters;
  if (s->teacher == NULL || s->recipe->distill.type != LB__DISTILL_HIDDEN) return n;
  int64_t to = lb_model_get_info(lb__teacher_model(s->teacher))->hidden_size;
  int64_t pairs =
      s->recipe->distill.hidden_layers.n > 0 ? (int64_t)s->recipe->distill.hidden_layers.n : 1;
  return to == student->hidden_size ? n : n + pairs * (to * student->hidden_size + to);
}

static void estimate_memory(lb_plan *p, const lb__setup *s, bool recomputes) {
  const lb_recipe *r = s->recipe;
  const lb_model_info *student = lb_model_get_info(s->student);
  const lb_model_info *teacher =
      s->teacher != NULL ? lb_model_get_info(lb__teacher_model(s->teacher)) : NULL;
  int64_t n = lb__loader_most_tokens(s->loader);
  uint64_t parameters = (uint64_t)p->trained_parameters * REAL;
  add_line(p, "student: weights", parameters);
  add_line(p, "student: gradients", parameters);
  add_line(p, "student: optimizer (AdamW)", 2 * parameters);
  add_line(p, "student: activations", activation_bytes(student, n, r, recomputes));
  if (teacher != NULL) {
    add_line(p, "teacher: weights", lb__model_held_bytes(lb__teacher_model(s->teacher)));
    add_line(p, "teacher: activations", pass_bytes(teacher, n));
  }
  uint64_t head = head_bytes(student, teacher, n) + rounded_head_bytes(student);
  uint64_t gradients = gradient_bytes(student, n);
  if (teacher != NULL) head += rounded_head_bytes(teacher);
  add_line(p, "heads: a chunk of logits", head);
  if (gradients > head) add_line(p, "student: gradients of activations", gradients - head);
  add_line(p, "documents", (uint64_t)lb__corpus_n_documents(s->corpus) * 40);
}

static void estimate_disk(lb_plan *p, const lb__setup *s) {
  const lb_recipe *r = s->recipe;
  uint64_t weights = (uint64_t)p->trained_parameters * REAL;
  uint64_t kept = r->train.save_total_limit > 0 ? (uint64_t)r->train.save_total_limit + 1 : 3;
  bool saves = r->train.save_steps > 0 && p->total_steps >= r->train.save_steps;
  p->disk_needed = weights + (saves ? kept * 3 * weights : 3 * weights);
  p->disk_needed += (uint64_t)p->tokens * 8;
  p->disk_available = lb__system_disk_available(r->output_dir);
}

/* ---- what would help ---- */

enum { HELPFUL = 3 }; /* settings that a refusal names */

void lb__plan_advise(lb_plan *p, const char *format, ...) {
  if (p->n_advice == LB_PLAN_ADVICE_MAX) return;
  va_list args;
  va_start(args, format);
  vsnprintf(p->advice[p->n_advice], sizeof p->advice[0], format, args);
  va_end(args);
  p->n_advice++;
}

static double gigabytes(uint64_t bytes) {
  return (double)bytes / 1e9;
}

static void help_memory(lb_plan *p, const lb__setup *s) {
  const lb_recipe *r = s->recipe;
  const lb_model_info *student = lb_model_get_info(s->student);
  int64_t n = lb__loader_most_tokens(s->loader), rows = r->train.per_device_train_batch_size;
  bool checkpointing = s->recomputes;
  uint64_t now = activation_bytes(student, n, r, checkpointing);
  if (!checkpointing)
    lb__plan_advise(
        p, "gradient_checkpointing=true saves %.2f GB (each step takes about a third longer)",
        gigabytes(now - activation_bytes(student, n, r, true)));
  if (rows > 1)
    lb__plan_advise(p,
                    "per_device_train_batch_size=%lld with twice the gradient_accumulation_steps "
                    "saves %.2f GB and trains the same",
                    (long long)(rows / 2),
                    gigabytes(now - activation_bytes(student, n / 2, r, checkpointing)));
  if (n > 256)
    lb__plan_advise(p, "max_length=%lld saves %.2f GB; longer documents lose their end",
                    (long long)(r->data.max_length / 2),
                    gigabytes(now - activation_bytes(student, n / 2, r, checkpointing)));
  lb__plan_advise(p, "a smaller student: each million parameters takes 16 MB");
}

static void help_disk(lb_plan *p, const lb__setup *s) {
  const lb_recipe *r = s->recipe;
  double each = gigabytes(3 * (uint64_t)p->trained_parameters * REAL);
  lb__plan_advise(p, "save_total_limit=1 keeps one checkpoint of %.2f GB", each);
  lb__plan_advise(p, "save_steps=0 saves only at the end and when interrupted");
  lb__plan_advise(p, "another output_dir than '%s', on a larger disk", r->output_dir);
}

bool lb__plan_recomputes(const lb__setup *s, uint64_t available) {
  if (s->recipe->train.gradient_checkpointing != LB__CHECKPOINTING_AUTO)
    return s->recipe->train.gradient_checkpointing == LB__CHECKPOINTING_ON;
  lb_plan p = {.trained_parameters = trained_elements(s)};
  estimate_memory(&p, s, false);
  return p.memory_total > available;
}

/* Nobody asked for it, so it is said. */
static void tell_recomputing(lb_plan *p, const lb__setup *s) {
  if (!s->recomputes || s->recipe->train.gradient_checkpointing != LB__CHECKPOINTING_AUTO) return;
  lb_plan kept = {.trained_parameters = p->trained_parameters};
  estimate_memory(&kept, s, false);
  lb__plan_advise(
      p,
      "activations are computed again in backward (gradient_checkpointing: auto): keeping "
      "them needs %.2f GB more; steps take about a third longer",
      gigabytes(kept.memory_total - p->memory_total));
}

void lb__plan_estimate(lb_plan *p, const lb__setup *s) {
  p->trained_parameters = trained_elements(s);
  estimate_memory(p, s, s->recomputes);
  estimate_disk(p, s);
  p->memory_available = lb__system_memory_available();
  bool memory = p->memory_total <= p->memory_available;
  bool disk = p->disk_available == 0 || p->disk_needed <= p->disk_available;
  p->fits = memory && disk;
  if (!memory) help_memory(p, s);
  if (memory && !disk) help_disk(p, s);
  if (p->fits) tell_recomputing(p, s);
}

lb_status lb__plan_refuse(const lb_plan *p, lb_error *err) {
  if (p->fits) return LB_OK;
  bool memory = p->memory_total > p->memory_available;
  lb__buf help;
  lb__buf_init(&help, 4096);
  for (size_t i = 0; i < p->n_advice && i < HELPFUL; i++)
    lb__buf_printf(&help, "%s%s", i > 0 ? "; " : "", p->advice[i]);
  lb_status st =
      lb__fail(err, LB_E_LIMIT,
               "this run needs about %.2f GB of %s and %.2f GB are free. What would help: %s",
               gigabytes(memory ? p->memory_total : p->disk_needed), memory ? "memory" : "disk",
               gigabytes(memory ? p->memory_available : p->disk_available), lb__buf_text(&help));
  lb__buf_deinit(&help);
  return st;
}
