/* calibration.c - see calibration.h. */
#include "calibration.h"

#include "document_input.h"
#include "terminal.h"

#include <stdlib.h>

typedef struct calibration {
  cli *c;
  lb_model *model;
  text_side side;
  document *documents; /* [n] */
  size_t n, capacity, n_tokens;
} calibration;

static void add(calibration *k, document d) {
  if (k->n == k->capacity) {
    k->capacity = k->capacity * 2 + 64;
    k->documents = cli_resize(k->documents, k->capacity * sizeof *k->documents);
  }
  k->documents[k->n++] = d;
  k->n_tokens += d.ids.n;
}

static int read_documents(calibration *k, const char *path, size_t max_tokens) {
  line_input in;
  line_result result = LINE_READ;
  if (!line_input_open(&in, k->c, path)) return CLI_FAILED;
  while (result == LINE_READ && k->n_tokens < max_tokens && !cli_cancelled) {
    document d;
    result = document_next(&d, &in, &k->side, k->model, true);
    if (result == LINE_READ) add(k, d);
  }
  line_input_close(&in);
  if (cli_cancelled) return CLI_INTERRUPTED;
  if (result == LINE_BAD) return CLI_FAILED;
  if (k->n == 0)
    return cli_failure(k->c, "one JSON object a line: {\"text\":...} or {\"ids\":[...]}",
                       "%s: want at least one document to calibrate on, found none", path);
  return CLI_DONE;
}

static void show_progress(void *ctx, size_t done, size_t total) {
  progress_show(ctx, done, total, "tokens");
}

static int measure(lb_importance **out, const calibration *k) {
  progress bar = {.c = k->c, .title = "calibrating"};
  lb_error err = {0};
  lb_importance_options o = lb_importance_options_default();
  o.on_progress = show_progress;
  o.on_progress_ctx = &bar;
  o.cancel = &cli_cancelled;
  lb_prompt *prompts = cli_alloc(k->n * sizeof *prompts);
  for (size_t i = 0; i < k->n; i++)
    prompts[i] = (lb_prompt){k->documents[i].ids.ids, k->documents[i].ids.n};
  lb_status st = lb_importance_measure(out, k->model, prompts, k->n, &o, &err);
  progress_end(&bar);
  free(prompts);
  return st == LB_OK ? CLI_DONE : cli_error(k->c, &err);
}

int calibration_measure(lb_importance **out, cli *c, const char *model, const char *path,
                        int64_t max_tokens) {
  calibration k = {.c = c};
  lb_model_options o = lb_model_options_default();
  lb_error err = {0};
  o.precision = LB_PRECISION_F32;
  *out = NULL;
  lb_status st = lb_model_open(&k.model, model, &o, &err);
  if (st == LB_OK) st = text_side_open(&k.side, lb_model_get_info(k.model)->path, &err);
  if (st == LB_E_IO && k.model != NULL) st = LB_OK; /* ids need no tokenizer */
  int code = st == LB_OK ? read_documents(&k, path, (size_t)max_tokens) : cli_error(c, &err);
  if (code == CLI_DONE) code = measure(out, &k);
  for (size_t i = 0; i < k.n; i++) document_free(&k.documents[i]);
  free(k.documents);
  text_side_close(&k.side);
  lb_model_free(k.model);
  return code;
}
