/* auto_precision.c - lb_model_open. With precision AUTO: the fastest that stays close enough to
 * float32, measured once for each model and machine, on text that the model itself writes.
 *
 *   open_int8    a second model, whose weights are packed
 *   write_text   a few documents, sampled from the fastest to be
 *   choose       what lb__precisions_measure found; the least time whose KL is within the bound
 *
 * Owns: the choice and its place in the user's cache. A cache that cannot be read or written is no
 * error: the answer is only measured again. Decision: docs/decisions/0010. */
#include "auto_precision.h"
#include "precisions.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "model/trainable.h"
#include "ops/kernel_table.h"

#include <limbeck/doctor.h>

#include <stdio.h>

enum { MOST_DOCS = 8, LENGTH = 16, TOP_K = 40, WRITTEN = 2 };
/* Of models above this size less text is read, so that it stays a matter of seconds. */
#define LARGE_MODEL 1000000000
/* What the time is counted of: a prompt of some length, and as much text as `generate` makes. */
enum { MIX_READ = 256, MIX_WRITTEN = 128 };

static const lb_precision candidates[] = {LB_PRECISION_F32, LB_PRECISION_BF16, LB_PRECISION_INT8,
                                          LB_PRECISION_STORED};
enum { N_CANDIDATES = sizeof candidates / sizeof *candidates };

/* ---- the model's own text ---- */

typedef struct own_text {
  size_t n_docs;
  int32_t ids[MOST_DOCS][LENGTH];
  lb_prompt docs[MOST_DOCS];
} own_text;

/* Documents begin with BOS, or with any token where there is no BOS. */
static int32_t first_token(const lb_model_info *info, size_t doc) {
  static const lb__random_key key = {.seed = 1, .purpose = LB__PURPOSE_SAMPLE};
  if (info->bos_token_id >= 0 && info->bos_token_id < info->vocab_size) return info->bos_token_id;
  return (int32_t)(lb__random_uniform(key, 0, doc) * (double)info->vocab_size);
}

static lb_status write_text(own_text *t, lb_model *writer, lb_error *err) {
  const lb_model_info *info = lb_model_get_info(writer);
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = LENGTH - 1;
  o.do_sample = true;
  o.top_k = TOP_K < info->vocab_size ? TOP_K : 0;
  o.ignore_eos = true;
  t->n_docs = info->n_parameters > LARGE_MODEL ? MOST_DOCS / 2 : MOST_DOCS;
  for (size_t i = 0; i < t->n_docs; i++) {
    t->ids[i][0] = first_token(info, i);
    t->docs[i] = (lb_prompt){t->ids[i], 1};
  }
  lb_generation *g;
  lb_status st = lb_generate(&g, writer, NULL, t->docs, t->n_docs, &o, err);
  for (size_t i = 0; i < t->n_docs && st == LB_OK; i++) {
    const lb_sequence *s = lb_generation_sequence(g, i, 0);
    memcpy(t->ids[i] + 1, s->ids, s->n_ids * sizeof *s->ids);
    t->docs[i].n_ids += s->n_ids;
    if (t->docs[i].n_ids > (size_t)info->max_positions) t->docs[i].n_ids--; /* it was not read */
  }
  lb_generation_free(g);
  return st;
}

/* ---- measuring ---- */

/* NULL where weights cannot be packed. */
static lb_status open_int8(lb_model **out, const char *path, const lb__vocabulary_map *rows,
                           lb_error *err) {
  lb_status st = lb__model_open_rows(out, path, LB_PRECISION_INT8, rows, err);
  return st == LB_E_UNSUPPORTED ? LB_OK : st;
}

/* int8 may be NULL. */
static lb_status measure(lb_precision_comparison *found, lb_model *plain, lb_model *int8,
                         lb_error *err) {
  lb__variant variants[N_CANDIDATES];
  size_t n = 0;
  own_text t;
  for (size_t i = 0; i < N_CANDIDATES; i++) {
    lb_model *m = candidates[i] == LB_PRECISION_INT8 ? int8 : plain;
    if (m == NULL || !lb__model_knows_precision(m, candidates[i])) continue;
    variants[n++] = (lb__variant){m, candidates[i]};
  }
  *found = (lb_precision_comparison){0};
  lb_status st = write_text(&t, int8 != NULL ? int8 : plain, err);
  return st == LB_OK
             ? lb__precisions_measure(found, variants, n, t.docs, t.n_docs, WRITTEN, NULL, err)
             : st;
}

/* ---- choosing ---- */

static double seconds_of_mix(const lb_precision_figures *f) {
  return MIX_READ / f->read_rate + MIX_WRITTEN / f->write_rate;
}

size_t lb__precision_best(const lb_precision_comparison *found, double max_kl) {
  const lb_precision_figures *f = found->precisions;
  size_t best = 0;
  for (size_t i = 1; i < found->n; i++)
    if (f[i].mean_kl <= max_kl && seconds_of_mix(&f[i]) < seconds_of_mix(&f[best])) best = i;
  return best;
}

/* ---- what was measured before ---- */

/* The answer depends on the weights, the bound, the CPU, the kernels and this program. */
static char *cache_path(const lb_model *m, double max_kl) {
  char number[64];
  lb_doctor d;
  if (lb_doctor_report(&d, NULL) != LB_OK) return NULL;
  uint64_t key[2] = {lb__model_fingerprint(m), 2};
  lb__hash_add(key, d.limbeck_version);
  lb__hash_add(key, d.cpu);
  for (int i = 0; i < d.n_features; i++)
    if (d.features[i].present) lb__hash_add(key, d.features[i].name);
  for (int i = 0; i < d.n_libraries; i++) lb__hash_add(key, d.libraries[i].version);
  for (int i = 0; i < d.n_kernels; i++) lb__hash_add(key, d.kernels[i].kernel);
  snprintf(number, sizeof number, "int8 %d, KL %.17g, %lld tokens", lb__kernels()->int8_version,
           max_kl, (long long)lb_model_get_info(m)->vocab_size);
  lb__hash_add(key, lb__kernels()->int8);
  lb__hash_add(key, number);
  snprintf(number, sizeof number, "precision-%016llx-%016llx.json", (unsigned long long)key[0],
           (unsigned long long)key[1]);
  return lb__cache_path(number);
}

static bool recall(lb_precision *precision, double *kl, const char *path, double max_kl) {
  enum { CACHE_FILE_MOST = 4096 };
  json_t *j = NULL;
  const char *name = NULL;
  bool found = path != NULL && lb__path_is_file(path) &&
               lb__json_read(&j, path, CACHE_FILE_MOST, NULL) == LB_OK && json_is_object(j) &&
               lb__json_get_string(&name, j, "precision", true, path, NULL) == LB_OK &&
               lb__json_get_real(kl, j, "kl", true, path, NULL) == LB_OK && *kl >= 0.0 &&
               *kl <= max_kl;
  size_t i = 0;
  while (found && i < N_CANDIDATES && strcmp(lb_precision_name(candidates[i]), name) != 0) i++;
  found = found && i < N_CANDIDATES;
  if (found) *precision = candidates[i];
  json_decref(j);
  return found;
}

static lb_status remember(const lb_precision_figures *f, const char *model, double max_kl,
                          const char *path, lb_error *err) {
  if (path == NULL) return lb__fail(err, LB_E_IO, "there is no cache folder");
  json_t *j = json_pack("{s:s, s:f, s:f, s:s}", "precision", lb_precision_name(f->precision), "kl",
                        f->mean_kl, "max_kl", max_kl, "model", model);
  lb_status st = lb__cache_save(path, j, err);
  json_decref(j);
  return st;
}

/* ---- telling ---- */

/* "measuring precisions once for this model: int8 KL 0.0046 -> int8 (1.2 s, remembered in ...)" */
static void tell(const lb_precision_comparison *found, const lb_precision_figures *best,
                 double seconds, const char *path, const lb_error *why) {
  const lb_precision_figures *f = found->precisions;
  lb__buf line;
  lb__buf_init(&line, 1024);
  lb__precisions_list(&line, found);
  lb__buf_printf(&line, " -> %s (%.1f s, ", lb_precision_name(best->precision), seconds);
  if (why->status == LB_OK)
    lb__buf_printf(&line, "remembered in %s)", path);
  else
    lb__buf_printf(&line, "not remembered: %s)", why->message);
  lb__log(LB_LOG_NOTE, "measuring precisions once for this model:%s", lb__buf_text(&line));
  lb__buf_deinit(&line);
  for (size_t i = 0; i < found->n; i++)
    lb__log(LB_LOG_INFO, "%s: reads %.0f tokens/s, writes %.1f", lb_precision_name(f[i].precision),
            f[i].read_rate, f[i].write_rate);
}

/* ---- all of it ---- */

static void swap(lb_model **a, lb_model **b) {
  lb_model *kept = *a;
  *a = *b;
  *b = kept;
}

/* *m, open in float32, is put into the precision that is chosen, or gives way to a packed one. */
static lb_status choose(lb_model **m, const char *path, const lb__vocabulary_map *rows,
                        double max_kl, const char *cache, lb_error *err) {
  int64_t begin = lb__clock_ns();
  lb_precision_comparison found;
  lb_error why = {0};
  lb_model *int8;
  lb_status st = open_int8(&int8, path, rows, err);
  if (st == LB_OK) st = measure(&found, *m, int8, err);
  if (st == LB_OK) {
    const lb_precision_figures *best = &found.precisions[lb__precision_best(&found, max_kl)];
    if (best->precision == LB_PRECISION_INT8)
      swap(m, &int8);
    else
      st = lb__model_set_precision(*m, best->precision, err);
    lb__model_set_kl(*m, best->mean_kl);
    (void)remember(best, lb_model_get_info(*m)->path, max_kl, cache, &why);
    tell(&found, best, 1e-9 * (double)(lb__clock_ns() - begin), cache, &why);
  }
  lb_model_free(int8);
  return st;
}

static lb_status open_auto(lb_model **out, const char *path, const lb__vocabulary_map *rows,
                           double max_kl, int64_t least_parameters, lb_error *err) {
  lb_precision remembered;
  double kl;
  *out = NULL;
  if (!(max_kl >= 0.0))
    return lb__fail(err, LB_E_ARG, "precision_max_kl: want a number >= 0, got %g", max_kl);
  lb_model *m;
  lb_status st = lb__model_open_rows(&m, path, LB_PRECISION_F32, rows, err);
  if (st != LB_OK || lb_model_get_info(m)->n_parameters < least_parameters) return *out = m, st;
  char *cache = cache_path(m, max_kl);
  if (recall(&remembered, &kl, cache, max_kl)) {
    st = lb__model_set_precision(m, remembered, err);
    lb__model_set_kl(m, kl);
  } else {
    st = choose(&m, path, rows, max_kl, cache, err);
  }
  lb__free(cache);
  if (st == LB_OK) st = lb__model_settle(m, err);
  if (st == LB_OK)
    *out = m;
  else
    lb_model_free(m);
  return st;
}

lb_status lb__model_open_auto(lb_model **out, const char *path, double max_kl,
                              int64_t least_parameters, lb_error *err) {
  return open_auto(out, path, NULL, max_kl, least_parameters, err);
}

lb_model_options lb_model_options_default(void) {
  return (lb_model_options){.precision = LB_PRECISION_F32, .precision_max_kl = 0.02};
}

lb_status lb__model_open_with(lb_model **out, const char *path, const lb_model_options *o,
                              const lb__vocabulary_map *rows, lb_error *err) {
  if (o->precision == LB_PRECISION_AUTO)
    return open_auto(out, path, rows, o->precision_max_kl, LB__AUTO_LEAST_PARAMETERS, err);
  lb_status st = lb__model_open_rows(out, path, o->precision, rows, err);
  if (st == LB_OK) st = lb__model_settle(*out, err);
  if (st == LB_OK) return LB_OK;
  lb_model_free(*out);
  *out = NULL;
  return st;
}

lb_status lb_model_open(lb_model **out, const char *path, const lb_model_options *options,
                        lb_error *err) {
  lb_model_options o = options != NULL ? *options : lb_model_options_default();
  lb__vocabulary_map *rows = NULL;
  lb_status st = LB_OK;
  *out = NULL;
  if (o.vocabulary_of != NULL) st = lb__vocabulary_map_between(&rows, path, o.vocabulary_of, err);
  if (st == LB_OK) st = lb__model_open_with(out, path, &o, rows, err);
  lb__vocabulary_map_free(rows);
  return st;
}
