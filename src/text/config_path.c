/* config_path.c - see config_path.h. */
#include "config_path.h"

#include "base/fail.h"
#include "base/memory.h"

#include <stdio.h>

lb__config_path lb__config_path_member(const char *path, const char *key) {
  lb__config_path out;
  snprintf(out.text, sizeof out.text, "%s.%s", path, key);
  return out;
}

lb__config_path lb__config_path_item(const char *path, const char *key, size_t index) {
  lb__config_path out;
  snprintf(out.text, sizeof out.text, "%s.%s[%zu]", path, key, index);
  return out;
}

lb_status lb__config_type(const char **type, const json_t *part, const char *path, lb_error *err) {
  if (!json_is_object(part))
    return lb__fail(err, LB_E_FORMAT, "%s: want an object with a type, found %s", path,
                    lb__json_type_name(part));
  return lb__json_get_string(type, part, "type", true, path, err);
}

lb_status lb__config_string(const char **text, size_t *size, const json_t *part, const char *key,
                            const char *path, lb_error *err) {
  const json_t *value = json_object_get(part, key);
  if (!json_is_string(value))
    return lb__fail(err, LB_E_FORMAT, "%s.%s: want a string, found %s", path, key,
                    lb__json_type_name(value));
  *text = json_string_value(value);
  *size = json_string_length(value);
  return LB_OK;
}

static lb_status set_regex(lb__pattern *pattern, const char *text, size_t size, const char *path,
                           lb_error *err) {
  pattern->scanner = lb__scanner_find(text, size);
  if (pattern->scanner != NULL) {
    pattern->kind = LB__PATTERN_SCANNER;
    return LB_OK;
  }
  pattern->kind = LB__PATTERN_REGEX;
  return lb__regex_new(&pattern->regex, text, size, path, err);
}

lb_status lb__config_pattern(lb__pattern *pattern, const json_t *part, const char *key,
                             const char *path, lb_error *err) {
  *pattern = (lb__pattern){0};
  const json_t *value = json_object_get(part, key);
  const json_t *regex = json_object_get(value, "Regex");
  lb__config_path where = lb__config_path_member(path, key);
  if (json_is_string(regex))
    return set_regex(pattern, json_string_value(regex), json_string_length(regex), where.text, err);
  const json_t *string = json_is_string(value) ? value : json_object_get(value, "String");
  if (!json_is_string(string))
    return lb__fail(err, LB_E_FORMAT, "%s: want {\"String\": ...} or {\"Regex\": ...}", where.text);
  pattern->kind = LB__PATTERN_STRING;
  pattern->string_size = json_string_length(string);
  pattern->string = lb__strndup(json_string_value(string), pattern->string_size);
  return pattern->string != NULL ? LB_OK : lb__fail_nomem(err, where.text);
}

lb_status lb__config_unknown(const char *what, const char *type, const char *known,
                             const char *path, lb_error *err) {
  return lb__fail(err, LB_E_UNSUPPORTED, "%s: unknown %s '%s' (known: %s)", path, what, type,
                  known);
}

/* Depth is bounded by the JSON reader's own cap. */
lb_status lb__config_each(const json_t *part, const char *list_key, const char *path,
                          lb__config_leaf *leaf, void *ctx, lb_error *err) {
  if (part == NULL || json_is_null(part)) return LB_OK;
  const char *type;
  lb_status st = lb__config_type(&type, part, path, err);
  if (st != LB_OK) return st;
  if (strcmp(type, "Sequence") != 0) return leaf(ctx, type, part, path, err);
  const json_t *list = json_object_get(part, list_key);
  if (!json_is_array(list))
    return lb__fail(err, LB_E_FORMAT, "%s.%s: want an array, found %s", path, list_key,
                    lb__json_type_name(list));
  for (size_t i = 0; i < json_array_size(list) && st == LB_OK; i++) {
    lb__config_path where = lb__config_path_item(path, list_key, i);
    st = lb__config_each(json_array_get(list, i), list_key, where.text, leaf, ctx, err);
  }
  return st;
}
