/* post_process.c - see post_process.h. */
#include "post_process.h"

#include "base/fail.h"
#include "base/memory.h"

static lb_status add_id(lb__ids *template, int64_t id, const char *path, lb_error *err) {
  if (id < 0 || id > INT32_MAX)
    return lb__fail(err, LB_E_FORMAT, "%s: %lld is not a token id", path, (long long)id);
  return lb__ids_add(template, (int32_t)id) ? LB_OK : lb__fail_nomem(err, path);
}

/* {"SpecialToken":{"id":"<s>"}}: its ids stand in special_tokens["<s>"].ids. */
static lb_status add_special(lb__ids *template, const json_t *part, const json_t *special,
                             const char *path, lb_error *err) {
  const char *name;
  lb_status st = lb__json_get_string(&name, special, "id", true, path, err);
  if (st != LB_OK) return st;
  const json_t *ids =
      json_object_get(json_object_get(json_object_get(part, "special_tokens"), name), "ids");
  if (!json_is_array(ids))
    return lb__fail(err, LB_E_FORMAT, "%s: special_tokens has no ids for '%s'", path, name);
  for (size_t i = 0; i < json_array_size(ids) && st == LB_OK; i++) {
    const json_t *id = json_array_get(ids, i);
    st = add_id(template, json_is_integer(id) ? json_integer_value(id) : -1, path, err);
  }
  return st;
}

static lb_status compile_template(lb__ids *template, const json_t *part, const char *path,
                                  lb_error *err) {
  const json_t *single = json_object_get(part, "single");
  if (!json_is_array(single))
    return lb__fail(err, LB_E_FORMAT, "%s.single: want an array, found %s", path,
                    lb__json_type_name(single));
  lb_status st = LB_OK;
  for (size_t i = 0; i < json_array_size(single) && st == LB_OK; i++) {
    lb__config_path where = lb__config_path_item(path, "single", i);
    const json_t *item = json_array_get(single, i);
    const json_t *special = json_object_get(item, "SpecialToken");
    const json_t *sequence = json_object_get(item, "Sequence");
    if (special != NULL) {
      st = add_special(template, part, special, where.text, err);
    } else if (json_is_object(sequence)) {
      const char *id = "A";
      st = lb__json_get_string(&id, sequence, "id", false, where.text, err);
      if (st == LB_OK && strcmp(id, "A") != 0)
        st = lb__fail(err, LB_E_FORMAT, "%s: a single text has no sequence '%s'", where.text, id);
      if (st == LB_OK && !lb__ids_add(template, LB__SEQUENCE)) st = lb__fail_nomem(err, path);
    } else {
      st = lb__fail(err, LB_E_FORMAT, "%s: want SpecialToken or Sequence", where.text);
    }
  }
  return st;
}

/* {"sep":["</s>",2],"cls":["<s>",0]} */
static lb_status compile_bert(lb__ids *template, const json_t *part, const char *path,
                              lb_error *err) {
  const json_t *cls = json_array_get(json_object_get(part, "cls"), 1);
  const json_t *sep = json_array_get(json_object_get(part, "sep"), 1);
  if (!json_is_integer(cls) || !json_is_integer(sep))
    return lb__fail(err, LB_E_FORMAT, "%s: want cls and sep as [token, id]", path);
  lb_status st = add_id(template, json_integer_value(cls), path, err);
  if (st == LB_OK && !lb__ids_add(template, LB__SEQUENCE)) st = lb__fail_nomem(err, path);
  return st != LB_OK ? st : add_id(template, json_integer_value(sep), path, err);
}

static lb_status compile_leaf(void *ctx, const char *type, const json_t *part, const char *path,
                              lb_error *err) {
  lb__templates *list = ctx;
  if (strcmp(type, "ByteLevel") == 0) return LB_OK; /* changes offsets only */
  bool template = strcmp(type, "TemplateProcessing") == 0;
  if (!template && strcmp(type, "BertProcessing") != 0 && strcmp(type, "RobertaProcessing") != 0)
    return lb__config_unknown("post-processor", type,
                              "TemplateProcessing ByteLevel BertProcessing RobertaProcessing", path,
                              err);
  if (!lb__grow(&list->items, &list->capacity, list->n + 1, sizeof *list->items))
    return lb__fail_nomem(err, path);
  lb__ids *ids = &list->items[list->n++];
  *ids = (lb__ids){0};
  return template ? compile_template(ids, part, path, err) : compile_bert(ids, part, path, err);
}

lb_status lb__templates_compile(lb__templates *out, const json_t *part, lb_error *err) {
  return lb__config_each(part, "processors", "post_processor", compile_leaf, out, err);
}

lb_status lb__templates_check(const lb__templates *t, int32_t n_ids, lb_error *err) {
  for (size_t i = 0; i < t->n; i++)
    for (size_t k = 0; k < t->items[i].n; k++)
      if (t->items[i].items[k] >= n_ids)
        return lb__fail(err, LB_E_FORMAT,
                        "post_processor: token id %d: the tokens have ids 0 to %d",
                        t->items[i].items[k], n_ids - 1);
  return LB_OK;
}

void lb__templates_deinit(lb__templates *t) {
  for (size_t i = 0; i < t->n; i++) lb__free(t->items[i].items);
  lb__free(t->items);
  *t = (lb__templates){0};
}

static lb_status apply_one(const lb__ids *template, lb__ids *ids, lb_error *err) {
  lb__ids out = {0};
  bool fits = true;
  for (size_t i = 0; i < template->n && fits; i++)
    fits = template->items[i] == LB__SEQUENCE ? lb__ids_append(&out, ids->items, ids->n)
                                              : lb__ids_add(&out, template->items[i]);
  if (!fits) {
    lb__free(out.items);
    return lb__fail_nomem(err, "tokens");
  }
  lb__free(ids->items);
  *ids = out;
  return LB_OK;
}

lb_status lb__templates_apply(const lb__templates *t, lb__ids *ids, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < t->n && st == LB_OK; i++) st = apply_one(&t->items[i], ids, err);
  return st;
}
