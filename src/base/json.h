/* json.h - jansson's trees, our parser and limits: size and depth caps, duplicate keys refused, our
 * allocator, errors with file, line and column. Getters name the key and the type found. Integers
 * beyond 64 bits, and only those, become reals (tokenizer_config.json holds 10^30 written out).
 * Strings may hold NUL characters; lb__json_get_string refuses those. */
#ifndef LB_BASE_JSON_H
#define LB_BASE_JSON_H

#include <limbeck/status.h>

#include <jansson.h>
#include <stdbool.h>

#define LB__JSON_MAX_DEPTH 128

/* Parses exactly one JSON value. `name` appears in errors (usually the path). Python's NaN and
 * Infinity are not accepted. Free the result with json_decref (children never deeper than the cap).
 */
lb_status lb__json_parse(json_t **out, const char *text, size_t size, const char *name,
                         lb_error *err);
lb_status lb__json_read(json_t **out, const char *path, size_t max_size, lb_error *err);

/* A new NUL-terminated string; indent 0 = one line. Sorted keys when indent > 0. Reals have as few
 * digits as give the same number back. NULL: no memory */
char *lb__json_text(const json_t *value, int indent);
/* Saves atomically as Python's json.dumps(indent=2, sort_keys=True) + "\n" writes. */
lb_status lb__json_save(const char *path, const json_t *value, lb_error *err);
/* The same for a path of lb__cache_path (files.h), whose folder is made. */
lb_status lb__cache_save(const char *path, const json_t *value, lb_error *err);

/* ---- typed members of an object. An absent or null key gives LB_OK and leaves *out alone when
 * `required` is false; wrong type is LB_E_FORMAT "name: key 'k': want an integer, found string".
 * Strings are borrowed from the tree. get_int also takes a real that is a whole number up to 2^53
 * (some writers write 2 as 2.0). ---- */
lb_status lb__json_get_int(int64_t *out, const json_t *object, const char *key, bool required,
                           const char *name, lb_error *err);
lb_status lb__json_get_real(double *out, const json_t *object, const char *key, bool required,
                            const char *name, lb_error *err); /* accepts an integer */
lb_status lb__json_get_bool(bool *out, const json_t *object, const char *key, bool required,
                            const char *name, lb_error *err);
lb_status lb__json_get_string(const char **out, const json_t *object, const char *key,
                              bool required, const char *name, lb_error *err);
const char *lb__json_type_name(const json_t *value); /* "object", "integer", ... "nothing" (NULL) */

#endif
