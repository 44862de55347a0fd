/* hf_config.c - reading and writing config.json, its dtype and its token ids. Rotary positions are
 * in hf_rope.c, generation_config.json in hf_generation.c, the other files in hf_files.c. */
#include "hf_config.h"

#include "base/fail.h"

#define CONFIG_MAX_BYTES ((size_t)16 << 20)

lb_status lb__hf_object_read(json_t **out, const char *folder, const char *file, lb_error *err) {
  lb_status st;
  char *path = lb__path_join(folder, file);
  *out = NULL;
  if (path == NULL) return lb__fail_nomem(err, folder);
  st = lb__json_read(out, path, CONFIG_MAX_BYTES, err);
  if (st == LB_OK && !json_is_object(*out)) {
    st = lb__fail(err, LB_E_FORMAT, "%.200s: want an object, found %s", path,
                  lb__json_type_name(*out));
    json_decref(*out);
    *out = NULL;
  }
  lb__free(path);
  return st;
}

static lb_status write_object(const char *folder, const char *file, const json_t *tree,
                              lb_error *err) {
  lb_status st;
  char *path = lb__path_join(folder, file);
  if (path == NULL) return lb__fail_nomem(err, folder);
  st = lb__json_save(path, tree, err);
  lb__free(path);
  return st;
}

lb_status lb__hf_config_read(json_t **out, const char *folder, lb_error *err) {
  return lb__hf_object_read(out, folder, "config.json", err);
}

lb_status lb__hf_config_write(const char *folder, const json_t *config, lb_error *err) {
  return write_object(folder, "config.json", config, err);
}

lb_status lb__hf_generation_write(const char *folder, const json_t *tree, lb_error *err) {
  return write_object(folder, "generation_config.json", tree, err);
}

json_t *lb__hf_text_config(json_t *config) {
  json_t *text = json_object_get(config, "text_config");
  return json_is_object(text) ? text : config;
}

/* ---- dtype ---- */
static const struct {
  const char *name;
  lb_dtype dtype;
} torch_dtypes[] = {{"float32", LB_DTYPE_F32},        {"float", LB_DTYPE_F32},
                    {"float16", LB_DTYPE_F16},        {"half", LB_DTYPE_F16},
                    {"bfloat16", LB_DTYPE_BF16},      {"float64", LB_DTYPE_F64},
                    {"double", LB_DTYPE_F64},         {"float8_e4m3fn", LB_DTYPE_F8_E4M3},
                    {"float8_e5m2", LB_DTYPE_F8_E5M2}};
#define N_TORCH_DTYPES (sizeof torch_dtypes / sizeof torch_dtypes[0])

lb_status lb__hf_dtype_read(lb_dtype *out, bool *found, const json_t *config, const char *name,
                            lb_error *err) {
  const char *text = NULL;
  lb_status st = lb__json_get_string(&text, config, "dtype", false, name, err);
  *found = false;
  if (st == LB_OK && text == NULL)
    st = lb__json_get_string(&text, config, "torch_dtype", false, name, err);
  if (st != LB_OK || text == NULL) return st;
  if (strncmp(text, "torch.", 6) == 0) text += 6;
  for (size_t i = 0; i < N_TORCH_DTYPES; i++) {
    if (strcmp(torch_dtypes[i].name, text) != 0) continue;
    *out = torch_dtypes[i].dtype;
    *found = true;
    return LB_OK;
  }
  return lb__fail(err, LB_E_UNSUPPORTED, "%.200s: dtype '%.60s' is not known", name, text);
}

lb_status lb__hf_dtype_write(json_t *config, lb_dtype dtype, lb_error *err) {
  const char *text = NULL;
  for (size_t i = N_TORCH_DTYPES; i > 0; i--)
    if (torch_dtypes[i - 1].dtype == dtype) text = torch_dtypes[i - 1].name;
  if (text == NULL)
    return lb__fail(err, LB_E_UNSUPPORTED, "config.json cannot say dtype %s", lb_dtype_name(dtype));
  if (json_object_set_new(config, "dtype", json_string(text)) != 0 ||
      json_object_set_new(config, "torch_dtype", json_string(text)) != 0)
    return lb__fail_nomem(err, "config.json");
  return LB_OK;
}

/* ---- token ids ---- */
bool lb__token_ids_add(lb__token_ids *list, int32_t id) {
  int32_t *ids;
  for (size_t i = 0; i < list->n; i++)
    if (list->ids[i] == id) return true;
  ids = lb__resize(list->ids, list->n * sizeof *ids, (list->n + 1) * sizeof *ids);
  if (ids == NULL) return false;
  ids[list->n++] = id;
  list->ids = ids;
  return true;
}

void lb__token_ids_deinit(lb__token_ids *list) {
  lb__free(list->ids);
  *list = (lb__token_ids){0};
}

static lb_status add_id(lb__token_ids *out, const json_t *value, const char *key, const char *name,
                        lb_error *err) {
  json_int_t id;
  if (!json_is_integer(value))
    return lb__fail(err, LB_E_FORMAT,
                    "%.200s: key '%s': want an integer or a list of them, found %s", name, key,
                    lb__json_type_name(value));
  id = json_integer_value(value);
  if (id > INT32_MAX)
    return lb__fail(err, LB_E_FORMAT, "%.200s: key '%s': %lld is no token id", name, key,
                    (long long)id);
  if (id < 0) return LB_OK;
  return lb__token_ids_add(out, (int32_t)id) ? LB_OK : lb__fail_nomem(err, name);
}

lb_status lb__hf_ids_read(lb__token_ids *out, const json_t *object, const char *key,
                          const char *name, lb_error *err) {
  enum { MOST = 1024 }; /* adding looks at all earlier ones */
  const json_t *value = json_object_get(object, key);
  lb_status st = LB_OK;
  *out = (lb__token_ids){0};
  if (value == NULL || json_is_null(value)) return LB_OK;
  if (json_array_size(value) > MOST)
    return lb__fail(err, LB_E_LIMIT, "%.200s: key '%s': %zu ids, want at most %d", name, key,
                    json_array_size(value), MOST);
  if (!json_is_array(value)) st = add_id(out, value, key, name, err);
  for (size_t i = 0; st == LB_OK && i < json_array_size(value); i++)
    st = add_id(out, json_array_get(value, i), key, name, err);
  if (st != LB_OK) lb__token_ids_deinit(out);
  return st;
}

json_t *lb__token_ids_json(const lb__token_ids *list) {
  json_t *array;
  if (list->n == 0) return json_null();
  if (list->n == 1) return json_integer(list->ids[0]);
  array = json_array();
  for (size_t i = 0; array != NULL && i < list->n; i++) {
    if (json_array_append_new(array, json_integer(list->ids[i])) == 0) continue;
    json_decref(array);
    array = NULL;
  }
  return array;
}
