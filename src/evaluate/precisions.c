/* precisions.c - see precisions.h. All models read the same passes; the logits of ROWS tokens are
 * made by each, and the divergence kernel compares them with those of the first, which is float32.
 * Read next: lb_compare_precisions at the end, then compare_rows. */
#include "precisions.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/system_memory.h"
#include "ops/ops.h"
#include "passes.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 128, ROUNDS = 3, WRITTEN = 6 };

/* One of the models. */
typedef struct side {
  lb__pass_reader reader;
  lb_precision precision;
  lb_tensor *hidden;        /* of this pass */
  int64_t read_ns, step_ns; /* of all documents; of the fastest step of writing */
  int64_t token_ns;         /* when the last token came */
  double *kl;               /* [n_tokens] of all documents, in order until they are sorted */
  double nll_sum, n_agrees; /* over all tokens */
} side;

typedef struct measurement {
  side sides[LB_PRECISIONS_MOST];
  size_t n_sides;
  lb__passes *passes;
  size_t n_tokens, n_done; /* of all documents; in the passes before this one */
  int64_t n_written;
  const volatile int *cancel;
} measurement;

/* ---- writing ---- */

/* Notes the shortest time between two tokens: the step that nothing disturbed. */
static bool note_time(void *ctx, size_t prompt, size_t sequence, int32_t id, float logprob,
                      const char *text, size_t text_size) {
  side *s = ctx;
  int64_t now = lb__clock_ns(), ns = now - s->token_ns;
  (void)prompt, (void)sequence, (void)id, (void)logprob, (void)text, (void)text_size;
  if (ns < s->step_ns) s->step_ns = ns;
  s->token_ns = now;
  return true;
}

/* Reads one token and writes n: that many steps. */
static lb_status time_writing(side *s, int32_t first, int64_t n, lb_error *err) {
  lb_model *model = s->reader.model;
  lb_prompt prompt = {&first, 1};
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = n;
  o.ignore_eos = true;
  o.on_token = note_time;
  o.on_token_ctx = s;
  lb_generation *g = NULL;
  lb_status st = LB_OK;
  if (lb_model_get_info(model)->precision != s->precision)
    st = lb__model_set_precision(model, s->precision, err);
  s->token_ns = lb__clock_ns();
  if (st == LB_OK) st = lb_generate(&g, model, NULL, &prompt, 1, &o, err);
  lb_generation_free(g);
  return st;
}

/* By turns, so that what else the machine does meets all alike. */
static lb_status time_all_writing(measurement *m, int32_t first, lb_error *err) {
  lb_status st = LB_OK;
  for (int round = 0; round < ROUNDS; round++)
    for (size_t i = 0; i < m->n_sides && st == LB_OK; i++)
      st = time_writing(&m->sides[i], first, m->n_written, err);
  return st;
}

/* ---- reading ---- */

/* Row `row` of the pass has these facts. */
static lb_status add_row(measurement *m, side *s, size_t row, const double *facts, lb_error *err) {
  double kl = facts[LB__FACT_FORWARD_KL], nll = facts[LB__FACT_CE];
  if (!isfinite(kl) || !isfinite(nll))
    return lb__fail(err, LB_E_NUMERIC,
                    "document %zu: predictions after token %d in %s are not finite; are the "
                    "model's weights damaged?",
                    m->passes->document[row], m->passes->positions[row],
                    lb_precision_name(s->precision));
  s->kl[m->n_done + row] = fmax(kl, 0.0); /* rounding may leave less than nothing */
  s->nll_sum += nll;
  s->n_agrees += facts[LB__FACT_AGREES];
  return LB_OK;
}

/* Logits of n rows of a side beside the first side's. */
static lb_status add_rows(measurement *m, side *s, const lb_tensor *exact, const lb_tensor *own,
                          size_t first, size_t n, lb_error *err) {
  /* A term must be there; its loss is the same number as the fact. */
  static const lb__divergence_term ce = {
      .kind = LB__DIVERGENCE_cross_entropy, .coefficient = 1.0, .temperature = 1.0, .factor = 1.0};
  lb__stream *stream = &s->reader.stream;
  lb_tensor logits = *own, *targets;
  lb__divergence_args a = {
      .student = &logits, .teacher = exact, .terms = &ce, .n_terms = 1, .vocab = own->shape[1]};
  int32_t ids[ROWS];
  double facts[ROWS * LB__N_ROW_FACTS];
  int64_t N = (int64_t)n;
  for (size_t i = 0; i < n; i++) ids[i] = lb__pass_target(m->passes, first + i);
  lb_status st = lb__stream_i32(&targets, stream, ids, N, err);
  if (st == LB_OK)
    st = lb__stream_tensor(&a.losses, stream, LB_DTYPE_F64, 2, (int64_t[]){1, N}, err);
  if (st == LB_OK)
    st = lb__stream_tensor(&a.facts, stream, LB_DTYPE_F64, 2, (int64_t[]){N, LB__N_ROW_FACTS}, err);
  a.targets = targets;
  if (st == LB_OK) st = lb__op_divergence(stream, &a, err);
  if (st == LB_OK)
    st = lb__tensor_read(a.facts, 0, facts, n * LB__N_ROW_FACTS * sizeof *facts, err);
  for (size_t i = 0; i < n && st == LB_OK; i++)
    st = add_row(m, s, first + i, facts + i * LB__N_ROW_FACTS, err);
  return st;
}

static lb_status logits_of(lb_tensor **logits, side *s, size_t first, size_t n, lb_error *err) {
  lb_tensor rows = lb__tensor_rows(s->hidden, (int64_t)first, (int64_t)n);
  int64_t begin = lb__clock_ns();
  lb_status st = lb__model_logits(logits, s->reader.model, &s->reader.stream, &rows, err);
  s->read_ns += lb__clock_ns() - begin;
  return st;
}

/* Rows first .. first+n-1 of the pass, by every side: two blocks of logits at a time. */
static lb_status compare_rows(measurement *m, size_t first, size_t n, lb_error *err) {
  lb_tensor *exact, *own;
  lb__arena *arena = &m->sides[0].reader.stream.arena;
  lb__arena_mark begin = lb__arena_get_mark(arena);
  lb_status st = logits_of(&exact, &m->sides[0], first, n, err);
  if (st == LB_OK) st = add_rows(m, &m->sides[0], exact, exact, first, n, err);
  for (size_t i = 1; i < m->n_sides && st == LB_OK; i++) {
    side *s = &m->sides[i];
    lb__arena_mark mark = lb__arena_get_mark(&s->reader.stream.arena);
    st = logits_of(&own, s, first, n, err);
    if (st == LB_OK) st = add_rows(m, s, exact, own, first, n, err);
    lb__arena_release(&s->reader.stream.arena, mark);
  }
  lb__arena_release(arena, begin);
  return st;
}

static lb_status read_pass(measurement *m, lb_error *err) {
  lb_status st = LB_OK;
  if (m->cancel != NULL && *m->cancel != 0)
    return lb__fail(err, LB_E_CANCELLED, "comparing precisions: stopped");
  for (size_t i = 0; i < m->n_sides && st == LB_OK; i++) {
    side *s = &m->sides[i];
    int64_t begin = lb__clock_ns();
    st = lb__pass_read(&s->hidden, &s->reader, m->passes, err);
    s->read_ns += lb__clock_ns() - begin;
  }
  size_t n = m->passes->n_tokens;
  for (size_t first = 0; first < n && st == LB_OK; first += ROWS)
    st = compare_rows(m, first, n - first < ROWS ? n - first : ROWS, err);
  m->n_done += n;
  return st;
}

/* ---- figures ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void fill_figures(lb_precision_figures *f, side *s, size_t n_tokens, int64_t n_predicted) {
  double sum = 0.0, n = (double)n_tokens;
  for (size_t i = 0; i < n_tokens; i++) sum += s->kl[i];
  qsort(s->kl, n_tokens, sizeof *s->kl, by_value);
  f->precision = s->precision;
  f->mean_kl = sum / n;
  f->p99_kl = s->kl[(n_tokens * 99 + 99) / 100 - 1]; /* 99 % are not above it */
  f->worst_kl = s->kl[n_tokens - 1];
  f->agreement = s->n_agrees / n;
  f->nll = n_predicted > 0 ? s->nll_sum / (double)n_predicted : NAN;
  f->perplexity = exp(f->nll);
  f->read_rate = 1e9 * n / (double)s->read_ns;
  f->write_rate = 1e9 / (double)s->step_ns;
}

static lb_status begin_side(side *s, const lb__variant *v, size_t n_tokens, lb_error *err) {
  lb__pass_reader_init(&s->reader, v->model);
  s->reader.stream.compute = lb__model_compute(v->precision);
  s->precision = v->precision;
  s->step_ns = INT64_MAX;
  s->kl = lb__new_array(n_tokens, sizeof *s->kl);
  return s->kl != NULL ? LB_OK : lb__fail_nomem(err, "KL of every token");
}

static lb_status measure(measurement *m, lb_precision_comparison *out, const lb__variant *variants,
                         const lb_prompt *documents, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < m->n_sides && st == LB_OK; i++)
    st = begin_side(&m->sides[i], &variants[i], m->n_tokens, err);
  if (st == LB_OK) st = time_all_writing(m, documents[0].ids[0], err);
  while (st == LB_OK && lb__passes_next(m->passes)) st = read_pass(m, err);
  for (size_t i = 0; i < m->n_sides && st == LB_OK; i++)
    fill_figures(&out->precisions[i], &m->sides[i], m->n_tokens, out->n_predicted);
  return st;
}

lb_status lb__precisions_measure(lb_precision_comparison *out, const lb__variant *variants,
                                 size_t n, const lb_prompt *documents, size_t n_documents,
                                 int64_t n_written, const volatile int *cancel, lb_error *err) {
  measurement m = {.n_sides = n, .n_written = n_written, .cancel = cancel};
  m.passes = lb__new(sizeof *m.passes);
  if (m.passes == NULL) return lb__fail_nomem(err, "passes");
  lb_status st =
      lb__documents_check(documents, n_documents, lb_model_get_info(variants[0].model), err);
  for (size_t i = 0; i < n_documents && st == LB_OK; i++) m.n_tokens += documents[i].n_ids;
  if (st == LB_OK && n_documents == 0)
    st = lb__fail(err, LB_E_ARG, "comparing precisions: want at least one document, found none");
  out->n = n;
  out->n_tokens = (int64_t)m.n_tokens;
  out->n_predicted = (int64_t)(m.n_tokens - n_documents);
  lb__passes_init(m.passes, documents, n_documents);
  if (st == LB_OK) st = measure(&m, out, variants, documents, err);
  for (size_t i = 0; i < n; i++) {
    lb__pass_reader_deinit(&m.sides[i].reader);
    lb__free(m.sides[i].kl);
  }
  lb__free(m.passes);
  return st;
}

void lb__precisions_list(lb__buf *line, const lb_precision_comparison *found) {
  for (size_t i = 1; i < found->n; i++) {
    const lb_precision_figures *f = &found->precisions[i];
    lb__buf_printf(line, "%s %s KL %.4f", i > 1 ? "," : "", lb_precision_name(f->precision),
                   f->mean_kl);
  }
}

/* ---- all precisions ---- */

/* Opened and used once: what of the file is needed has come into memory then. */
static lb_status open_and_use(lb_model **out, uint64_t *resident_bytes, const char *path,
                              lb_precision precision, lb_error *err) {
  static const int32_t id = 0;
  static const lb_prompt any = {&id, 1};
  uint64_t before = lb__system_memory_resident();
  lb_scores *scores = NULL;
  lb_status st = lb__model_open(out, path, precision, err);
  if (st == LB_OK) st = lb_score(&scores, *out, &any, 1, NULL, err);
  lb_scores_free(scores);
  uint64_t after = lb__system_memory_resident();
  *resident_bytes = after > before ? after - before : 0;
  if (st == LB_OK) return LB_OK;
  lb_model_free(*out);
  *out = NULL;
  return st;
}

lb_status lb_compare_precisions(lb_precision_comparison *out, const char *path,
                                const lb_prompt *documents, size_t n_documents,
                                const volatile int *cancel, lb_error *err) {
  static const lb_precision precisions[] = {LB_PRECISION_F32, LB_PRECISION_BF16, LB_PRECISION_INT8,
                                            LB_PRECISION_STORED};
  lb__variant variants[LB_PRECISIONS_MOST] = {{0}};
  lb_status st = LB_OK;
  *out = (lb_precision_comparison){0};
  for (size_t i = 0; i < sizeof precisions / sizeof *precisions && st == LB_OK; i++) {
    if (i > 0 && !lb__model_knows_precision(variants[0].model, precisions[i])) continue;
    uint64_t *resident_bytes = &out->precisions[out->n].resident_bytes;
    variants[out->n].precision = precisions[i];
    st = open_and_use(&variants[out->n].model, resident_bytes, path, precisions[i], err);
    if (st == LB_OK)
      out->n++;
    else if (st == LB_E_UNSUPPORTED && i > 0)
      st = LB_OK; /* weights that cannot be packed */
  }
  if (st == LB_OK)
    st =
        lb__precisions_measure(out, variants, out->n, documents, n_documents, WRITTEN, cancel, err);
  for (size_t i = 0; i < LB_PRECISIONS_MOST; i++) lb_model_free(variants[i].model);
  return st;
}
