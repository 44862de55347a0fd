/* hf_rope.c - rotary positions in config.json, which moved between Transformers 4 and 5:
 *   4  "rope_theta": t, "rope_scaling": null | {"rope_type" or "type": ..., ...},
 *      gemma3: "rope_local_base_freq" for the sliding layers
 *   5  "rope_parameters": {"rope_theta": t, "rope_type": ..., ...}, or one such object for each of
 *      "full_attention" and "sliding_attention"
 * When both are there the new one decides, as in Transformers 5. */
#include "hf_config.h"

#include "base/fail.h"

#include <math.h>

static const char *const rope_type_names[] = {
    [LB__ROPE_DEFAULT] = "default",   [LB__ROPE_LINEAR] = "linear",
    [LB__ROPE_DYNAMIC] = "dynamic",   [LB__ROPE_YARN] = "yarn",
    [LB__ROPE_LONGROPE] = "longrope", [LB__ROPE_LLAMA3] = "llama3",
};
#define N_ROPE_TYPES (sizeof rope_type_names / sizeof rope_type_names[0])

const char *lb__rope_type_name(lb__rope_type type) {
  return (unsigned)type < N_ROPE_TYPES ? rope_type_names[type] : "?";
}

/* The plain numbers, and which types need them (as bits of 1 << type). */
#define BIT(type) (1u << LB__ROPE_##type)
static const struct real_field {
  const char *key;
  size_t offset;
  unsigned needed_by;
} real_fields[] = {
    {"factor", offsetof(lb__hf_rope, factor), BIT(LINEAR) | BIT(DYNAMIC) | BIT(YARN) | BIT(LLAMA3)},
    {"low_freq_factor", offsetof(lb__hf_rope, low_freq_factor), BIT(LLAMA3)},
    {"high_freq_factor", offsetof(lb__hf_rope, high_freq_factor), BIT(LLAMA3)},
    {"beta_fast", offsetof(lb__hf_rope, beta_fast), 0},
    {"beta_slow", offsetof(lb__hf_rope, beta_slow), 0},
    {"attention_factor", offsetof(lb__hf_rope, attention_factor), 0},
    {"mscale", offsetof(lb__hf_rope, mscale), 0},
    {"mscale_all_dim", offsetof(lb__hf_rope, mscale_all_dim), 0},
    {"partial_rotary_factor", offsetof(lb__hf_rope, partial_rotary_factor), 0},
};
#define N_REAL_FIELDS (sizeof real_fields / sizeof real_fields[0])

static double *real_at(lb__hf_rope *r, size_t offset) {
  return (double *)((char *)r + offset);
}

static lb__hf_rope unset(double theta) {
  lb__hf_rope r = {.theta = theta, .original_max_position_embeddings = -1, .truncate = true};
  for (size_t i = 0; i < N_REAL_FIELDS; i++) *real_at(&r, real_fields[i].offset) = NAN;
  return r;
}

/* ---- reading ---- */
static lb_status read_type(lb__rope_type *out, const json_t *object, const char *name,
                           lb_error *err) {
  const char *text = NULL;
  lb_status st = lb__json_get_string(&text, object, "rope_type", false, name, err);
  if (st == LB_OK && text == NULL)
    st = lb__json_get_string(&text, object, "type", false, name, err);
  *out = LB__ROPE_DEFAULT;
  if (st != LB_OK || text == NULL) return st;
  for (size_t i = 0; i < N_ROPE_TYPES; i++) {
    if (strcmp(rope_type_names[i], text) != 0) continue;
    *out = (lb__rope_type)i;
    return LB_OK;
  }
  return lb__fail(err, LB_E_UNSUPPORTED,
                  "%.200s: rope type '%.60s' is not known (default, linear, dynamic, yarn, "
                  "longrope, llama3)",
                  name, text);
}

/* One rope_scaling or rope_parameters object. */
static lb_status read_parameters(lb__hf_rope *r, const json_t *object, const char *name,
                                 lb_error *err) {
  lb_status st = read_type(&r->type, object, name, err);
  if (st == LB_OK) st = lb__json_get_real(&r->theta, object, "rope_theta", false, name, err);
  if (st == LB_OK) st = lb__json_get_bool(&r->truncate, object, "truncate", false, name, err);
  if (st == LB_OK)
    st =
        lb__json_get_int(&r->original_max_position_embeddings, object,
                         "original_max_position_embeddings", r->type == LB__ROPE_LLAMA3, name, err);
  for (size_t i = 0; st == LB_OK && i < N_REAL_FIELDS; i++) {
    const struct real_field *f = &real_fields[i];
    bool needed = (f->needed_by >> r->type & 1u) != 0;
    st = lb__json_get_real(real_at(r, f->offset), object, f->key, needed, name, err);
  }
  return st;
}

/* The v5 object for a layer type, or NULL. */
static lb_status find_parameters(const json_t **out, const json_t *config, const char *layer_type,
                                 const char *name, lb_error *err) {
  const json_t *parameters = json_object_get(config, "rope_parameters");
  const char *nested = layer_type != NULL ? layer_type : "full_attention";
  *out = NULL;
  if (parameters == NULL || json_is_null(parameters)) return LB_OK;
  if (json_is_object(json_object_get(parameters, nested)))
    parameters = json_object_get(parameters, nested);
  if (!json_is_object(parameters))
    return lb__fail(err, LB_E_FORMAT, "%.200s: key 'rope_parameters': want an object, found %s",
                    name, lb__json_type_name(parameters));
  *out = parameters;
  return LB_OK;
}

static lb_status read_old(lb__hf_rope *r, const json_t *config, const char *name, lb_error *err) {
  const json_t *scaling = json_object_get(config, "rope_scaling");
  lb_status st = lb__json_get_real(&r->theta, config, "rope_theta", false, name, err);
  if (st != LB_OK || scaling == NULL || json_is_null(scaling)) return st;
  if (!json_is_object(scaling))
    return lb__fail(err, LB_E_FORMAT, "%.200s: key 'rope_scaling': want an object, found %s", name,
                    lb__json_type_name(scaling));
  return read_parameters(r, scaling, name, err);
}

static lb_status check_numbers(const lb__hf_rope *r, const char *name, lb_error *err) {
  if (!(r->theta > 0) || !isfinite(r->theta))
    return lb__fail(err, LB_E_FORMAT, "%.200s: rope_theta is %g, want more than 0", name, r->theta);
  if (r->factor <= 0) /* false for NaN, which is absent */
    return lb__fail(err, LB_E_FORMAT, "%.200s: rope factor is %g, want more than 0", name,
                    r->factor);
  if (r->high_freq_factor <= r->low_freq_factor)
    return lb__fail(err, LB_E_FORMAT,
                    "%.200s: high_freq_factor is %g, want more than low_freq_factor, which is %g",
                    name, r->high_freq_factor, r->low_freq_factor);
  if (r->original_max_position_embeddings < -1 || r->original_max_position_embeddings == 0)
    return lb__fail(err, LB_E_FORMAT,
                    "%.200s: original_max_position_embeddings is %lld, want more than 0", name,
                    (long long)r->original_max_position_embeddings);
  return LB_OK;
}

lb_status lb__hf_rope_read(lb__hf_rope *out, const json_t *config, const char *layer_type,
                           double default_theta, const char *name, lb_error *err) {
  const json_t *parameters;
  bool sliding = layer_type != NULL && strcmp(layer_type, "sliding_attention") == 0;
  lb__hf_rope r = unset(default_theta);
  lb_status st = find_parameters(&parameters, config, layer_type, name, err);
  *out = r;
  if (st == LB_OK)
    st = lb__json_get_real(&r.partial_rotary_factor, config, "partial_rotary_factor", false, name,
                           err);
  if (st != LB_OK) return st;
  if (parameters != NULL) {
    /* a rope_theta outside rope_parameters counts when there is none inside */
    if (!sliding) st = lb__json_get_real(&r.theta, config, "rope_theta", false, name, err);
    if (st == LB_OK) st = read_parameters(&r, parameters, name, err);
  } else if (sliding && json_is_number(json_object_get(config, "rope_local_base_freq"))) {
    st = lb__json_get_real(&r.theta, config, "rope_local_base_freq", true, name, err);
  } else {
    st = read_old(&r, config, name, err);
  }
  /* Transformers: yarn stretches from max_position_embeddings unless told otherwise. */
  if (st == LB_OK && r.type == LB__ROPE_YARN && r.original_max_position_embeddings < 0)
    st = lb__json_get_int(&r.original_max_position_embeddings, config, "max_position_embeddings",
                          true, name, err);
  if (st == LB_OK) st = check_numbers(&r, name, err);
  if (st == LB_OK) *out = r;
  return st;
}

/* ---- writing ---- */
/* False: no memory. A NaN stays unwritten. */
static bool set_real(json_t *object, const char *key, double value) {
  return isnan(value) || json_object_set_new(object, key, json_real(value)) == 0;
}

/* The members that rope_scaling and rope_parameters share. NULL: no memory. */
static json_t *parameters_of(const lb__hf_rope *rope, bool with_theta) {
  lb__hf_rope r = *rope;
  json_t *object = json_object();
  bool ok = object != NULL &&
            json_object_set_new(object, "rope_type", json_string(lb__rope_type_name(r.type))) == 0;
  if (ok && with_theta) ok = set_real(object, "rope_theta", r.theta);
  for (size_t i = 0; ok && i < N_REAL_FIELDS; i++)
    ok = set_real(object, real_fields[i].key, *real_at(&r, real_fields[i].offset));
  if (ok && r.original_max_position_embeddings >= 0)
    ok = json_object_set_new(object, "original_max_position_embeddings",
                             json_integer(r.original_max_position_embeddings)) == 0;
  if (ok && !r.truncate) ok = json_object_set_new(object, "truncate", json_false()) == 0;
  if (ok) return object;
  json_decref(object);
  return NULL;
}

static json_t *nested_parameters(const lb__hf_rope *full, const lb__hf_rope *sliding) {
  json_t *object = json_object();
  if (object != NULL &&
      json_object_set_new(object, "full_attention", parameters_of(full, true)) == 0 &&
      json_object_set_new(object, "sliding_attention", parameters_of(sliding, true)) == 0)
    return object;
  json_decref(object);
  return NULL;
}

lb_status lb__hf_rope_write(json_t *config, const lb__hf_rope *full, const lb__hf_rope *sliding,
                            lb_error *err) {
  bool scaled = full->type != LB__ROPE_DEFAULT;
  bool ok;
  if (full->type == LB__ROPE_LONGROPE || (sliding != NULL && sliding->type != LB__ROPE_DEFAULT))
    return lb__fail(err, LB_E_UNSUPPORTED, "config.json: rope type %s cannot be written here",
                    lb__rope_type_name(sliding != NULL ? sliding->type : full->type));
  ok = json_object_set_new(config, "rope_parameters",
                           sliding != NULL ? nested_parameters(full, sliding)
                                           : parameters_of(full, true)) == 0 &&
       set_real(config, "rope_theta", full->theta) &&
       json_object_set_new(config, "rope_scaling",
                           scaled ? parameters_of(full, false) : json_null()) == 0;
  if (ok && sliding != NULL) ok = set_real(config, "rope_local_base_freq", sliding->theta);
  if (ok && sliding == NULL) json_object_del(config, "rope_local_base_freq");
  return ok ? LB_OK : lb__fail_nomem(err, "config.json");
}
