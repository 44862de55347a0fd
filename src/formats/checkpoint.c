/* checkpoint.c - opening either kind and forwarding; the contracts are in checkpoint.h. */
#include "checkpoint.h"

#include "base/fail.h"

struct lb__checkpoint {
  lb__model_place place;
  json_t *config;               /* folder */
  lb__safetensors *safetensors; /* folder */
  lb__gguf *gguf;               /* file */
};

static lb_status open_place(lb__checkpoint *c, const char *path, lb_error *err) {
  lb_status st = lb__model_place_find(&c->place, path, err);
  if (st != LB_OK) return st;
  if (c->place.kind == LB__MODEL_GGUF) return lb__gguf_open(&c->gguf, c->place.file, err);
  st = lb__hf_config_read(&c->config, c->place.folder, err);
  if (st != LB_OK) return st;
  return lb__safetensors_open_folder(&c->safetensors, c->place.folder, err);
}

lb_status lb__checkpoint_open(lb__checkpoint **out, const char *path, lb_error *err) {
  lb_status st;
  lb__checkpoint *c = lb__new(sizeof *c);
  *out = NULL;
  if (c == NULL) return lb__fail_nomem(err, path);
  st = open_place(c, path, err);
  if (st == LB_OK)
    *out = c;
  else
    lb__checkpoint_close(c);
  return st;
}

void lb__checkpoint_close(lb__checkpoint *c) {
  if (c == NULL) return;
  lb__safetensors_close(c->safetensors);
  lb__gguf_close(c->gguf);
  json_decref(c->config);
  lb__model_place_deinit(&c->place);
  lb__free(c);
}

const lb__model_place *lb__checkpoint_place(const lb__checkpoint *c) {
  return &c->place;
}

const char *lb__checkpoint_name(const lb__checkpoint *c) {
  return c->place.file != NULL ? c->place.file : c->place.folder;
}

json_t *lb__checkpoint_config(const lb__checkpoint *c) {
  return c->config;
}

const lb__gguf *lb__checkpoint_gguf(const lb__checkpoint *c) {
  return c->gguf;
}

size_t lb__checkpoint_count(const lb__checkpoint *c) {
  return c->gguf != NULL ? lb__gguf_count(c->gguf) : lb__safetensors_count(c->safetensors);
}

const lb__stored_tensor *lb__checkpoint_tensor(const lb__checkpoint *c, size_t i) {
  return c->gguf != NULL ? lb__gguf_tensor(c->gguf, i) : lb__safetensors_tensor(c->safetensors, i);
}

const lb__stored_tensor *lb__checkpoint_find(const lb__checkpoint *c, const char *name) {
  return c->gguf != NULL ? lb__gguf_find(c->gguf, name)
                         : lb__safetensors_find(c->safetensors, name);
}

/* The stored name closest to a wanted one, or NULL; only for the text of an error. */
static const char *close_name(const lb__checkpoint *c, const char *name) {
  const char *best = NULL;
  size_t n = lb__checkpoint_count(c);
  const char **names = lb__new_array(n + 1, sizeof *names);
  for (size_t i = 0; names != NULL && i < n; i++) names[i] = lb__checkpoint_tensor(c, i)->name;
  if (names != NULL) best = lb__did_you_mean(name, names);
  lb__free(names);
  return best;
}

lb_status lb__checkpoint_need(const lb__stored_tensor **out, const lb__checkpoint *c,
                              const char *name, lb_error *err) {
  const char *close;
  *out = lb__checkpoint_find(c, name);
  if (*out != NULL) return LB_OK;
  close = close_name(c, name);
  return lb__fail(err, LB_E_FORMAT, "%.160s: tensor '%.120s' is missing%s%.120s%s",
                  lb__checkpoint_name(c), name, close ? " (did you mean '" : "", close ? close : "",
                  close ? "'?)" : "");
}
