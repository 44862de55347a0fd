/* inspect.c - what is in a model file, without running it: works for families we do not know.
 * Owns: turning keys and tensors into text. Refuses: judging them. */
#include "model_internal.h"

#include <limbeck/inspect.h>

#include <stdio.h>

struct lb_inspection {
  lb__checkpoint *checkpoint;
  const char *architecture;
  bool known;
  char format[32];
  lb_stored_info *tensors;
  size_t n_tensors;
  lb_fact *facts;
  size_t n_facts, facts_capacity;
  lb__arena arena;
};

enum { LONGEST_VALUE = 4096 };

void lb_inspection_free(lb_inspection *i) {
  if (i == NULL) return;
  lb__arena_deinit(&i->arena);
  lb__free(i->tensors);
  lb__free(i->facts);
  lb__checkpoint_close(i->checkpoint);
  lb__free(i);
}

static lb_status add_fact(lb_inspection *i, const char *key, const char *value, lb_error *err) {
  if (!lb__grow(&i->facts, &i->facts_capacity, i->n_facts + 1, sizeof *i->facts))
    return lb__fail_nomem(err, "metadata");
  size_t size = strlen(value);
  bool cut = size > LONGEST_VALUE;
  if (cut) size = LONGEST_VALUE;
  while (cut && size > 0 && ((unsigned char)value[size] & 0xC0) == 0x80) size--;
  char *key_copy = lb__arena_strndup(&i->arena, key, strlen(key));
  char *value_copy = lb__arena_strndup(&i->arena, value, size);
  if (key_copy == NULL || value_copy == NULL) return lb__fail_nomem(err, "metadata");
  i->facts[i->n_facts++] = (lb_fact){key_copy, value_copy};
  return LB_OK;
}

/* ---- GGUF ---- */

static lb_status gguf_array_fact(lb_inspection *i, const lb__gguf *g, const char *key,
                                 lb_error *err) {
  static const lb__gguf_array_kind kinds[] = {LB__GGUF_ARRAY_OF_INTS, LB__GGUF_ARRAY_OF_REALS,
                                              LB__GGUF_ARRAY_OF_STRINGS};
  lb__gguf_array a = {0};
  size_t k = 0;
  while (k < 3 && lb__gguf_get_array(&a, g, key, kinds[k], true, NULL) != LB_OK) k++;
  char text[96];
  snprintf(text, sizeof text, "[%zu x %s]", a.n, k < 3 ? lb__gguf_type_name(a.type) : "?");
  return add_fact(i, key, text, err);
}

static lb_status gguf_fact(lb_inspection *i, const lb__gguf *g, size_t k, lb_error *err) {
  const char *key = lb__gguf_key(g, k);
  char text[64];
  const char *value = text;
  int64_t integer = 0;
  double real = 0.0;
  bool boolean = false;
  lb_status st = LB_OK;
  switch (lb__gguf_key_type(g, k)) {
  case LB__GGUF_ARRAY: return gguf_array_fact(i, g, key, err);
  case LB__GGUF_STRING:
    if (lb__gguf_get_string(&value, g, key, true, NULL) != LB_OK) value = "(not valid text)";
    break;
  case LB__GGUF_BOOL:
    st = lb__gguf_get_bool(&boolean, g, key, true, err);
    value = boolean ? "true" : "false";
    break;
  case LB__GGUF_F32:
  case LB__GGUF_F64:
    st = lb__gguf_get_real(&real, g, key, true, err);
    snprintf(text, sizeof text, "%.7g", real);
    break;
  default:
    if (lb__gguf_get_int(&integer, g, key, true, NULL) == LB_OK)
      snprintf(text, sizeof text, "%lld", (long long)integer);
    else
      value = "(does not fit 64 bits)";
  }
  return st == LB_OK ? add_fact(i, key, value, err) : st;
}

static lb_status gguf_facts(lb_inspection *i, const lb__gguf *g, lb_error *err) {
  snprintf(i->format, sizeof i->format, "GGUF v%u", lb__gguf_version(g));
  (void)lb__gguf_get_string(&i->architecture, g, "general.architecture", false, NULL);
  lb_status st = LB_OK;
  for (size_t k = 0; k < lb__gguf_n_keys(g) && st == LB_OK; k++) st = gguf_fact(i, g, k, err);
  return st;
}

/* ---- config.json ---- */

static lb_status config_facts(lb_inspection *i, json_t *config, lb_error *err) {
  const char *key;
  json_t *value;
  lb_status st = LB_OK;
  snprintf(i->format, sizeof i->format, "safetensors");
  i->architecture = json_string_value(json_object_get(config, "model_type"));
  json_object_foreach(config, key, value) {
    char *text =
        json_is_string(value) ? lb__strdup(json_string_value(value)) : lb__json_text(value, 0);
    st = text != NULL ? add_fact(i, key, text, err) : lb__fail_nomem(err, "metadata");
    lb__free(text);
    if (st != LB_OK) break;
  }
  return st;
}

/* ---- tensors ---- */

static lb_status list_tensors(lb_inspection *i, lb_error *err) {
  i->n_tensors = lb__checkpoint_count(i->checkpoint);
  i->tensors = lb__new_array(i->n_tensors, sizeof *i->tensors);
  if (i->tensors == NULL) return lb__fail_nomem(err, "the list of tensors");
  for (size_t k = 0; k < i->n_tensors; k++) {
    const lb__stored_tensor *t = lb__checkpoint_tensor(i->checkpoint, k);
    lb_stored_info *out = &i->tensors[k];
    *out = (lb_stored_info){
        .name = t->name, .dtype = t->dtype, .rank = t->rank, .size_bytes = t->size};
    for (int d = 0; d < t->rank && d < LB_STORED_INFO_RANK; d++) out->shape[d] = t->shape[d];
  }
  return LB_OK;
}

static bool is_known(const lb_inspection *i) {
  const lb__family *f;
  bool gguf = lb__checkpoint_gguf(i->checkpoint) != NULL;
  for (size_t k = 0; (f = lb__family_at(k)) != NULL && i->architecture != NULL; k++)
    if (strcmp(gguf ? f->gguf : f->model_type, i->architecture) == 0) return true;
  return false;
}

lb_status lb_inspect(lb_inspection **out, const char *path, lb_error *err) {
  *out = NULL;
  lb_inspection *i = lb__new(sizeof *i);
  if (i == NULL) return lb__fail_nomem(err, "an inspection");
  lb__arena_init(&i->arena, 0);
  lb_status st = lb__checkpoint_open(&i->checkpoint, path, err);
  if (st == LB_OK) {
    const lb__gguf *g = lb__checkpoint_gguf(i->checkpoint);
    st = g != NULL ? gguf_facts(i, g, err)
                   : config_facts(i, lb__hf_text_config(lb__checkpoint_config(i->checkpoint)), err);
  }
  if (st == LB_OK) st = list_tensors(i, err);
  if (st != LB_OK) {
    lb_inspection_free(i);
    return st;
  }
  i->known = is_known(i);
  *out = i;
  return LB_OK;
}

const char *lb_inspection_path(const lb_inspection *i) {
  return lb__checkpoint_name(i->checkpoint);
}
const char *lb_inspection_format(const lb_inspection *i) {
  return i->format;
}
const char *lb_inspection_architecture(const lb_inspection *i) {
  return i->architecture != NULL ? i->architecture : "?";
}
bool lb_inspection_is_known(const lb_inspection *i) {
  return i->known;
}
size_t lb_inspection_n_tensors(const lb_inspection *i) {
  return i->n_tensors;
}
const lb_stored_info *lb_inspection_tensor(const lb_inspection *i, size_t k) {
  return &i->tensors[k];
}
size_t lb_inspection_n_facts(const lb_inspection *i) {
  return i->n_facts;
}
const lb_fact *lb_inspection_fact(const lb_inspection *i, size_t k) {
  return &i->facts[k];
}
