/* config_path.h - small helpers to read the parts of a tokenizer.json: every error names the JSON
 * path ("pre_tokenizer.pretokenizers[1].pattern"). */
#ifndef LB_TEXT_CONFIG_PATH_H
#define LB_TEXT_CONFIG_PATH_H

#include "base/json.h"
#include "split.h"

typedef struct lb__config_path {
  char text[160];
} lb__config_path;

lb__config_path lb__config_path_member(const char *path, const char *key);
lb__config_path lb__config_path_item(const char *path, const char *key, size_t index);

/* The "type" of a part; LB_E_FORMAT when it has none. */
lb_status lb__config_type(const char **type, const json_t *part, const char *path, lb_error *err);
/* A string with its size (it may hold NULs). */
lb_status lb__config_string(const char **text, size_t *size, const json_t *part, const char *key,
                            const char *path, lb_error *err);
/* {"String": s} or {"Regex": r} or a plain string; `pattern` is deinited by the caller. */
lb_status lb__config_pattern(lb__pattern *pattern, const json_t *part, const char *key,
                             const char *path, lb_error *err);
/* LB_E_UNSUPPORTED "path: unknown <what> 'X' (known: ...)". */
lb_status lb__config_unknown(const char *what, const char *type, const char *known,
                             const char *path, lb_error *err);

/* Calls `leaf` for every part that is not a Sequence, in order; nested Sequences are flattened.
 * `list_key` is the member that holds a Sequence's parts. null is an empty list. */
typedef lb_status lb__config_leaf(void *ctx, const char *type, const json_t *part, const char *path,
                                  lb_error *err);
lb_status lb__config_each(const json_t *part, const char *list_key, const char *path,
                          lb__config_leaf *leaf, void *ctx, lb_error *err);

#endif
