/* gguf_parts.h - what the gguf_*.c files share; nobody else includes it. */
#ifndef LB_FORMATS_GGUF_PARTS_H
#define LB_FORMATS_GGUF_PARTS_H

#include "gguf.h"

#include "base/map.h"

#define LB__GGUF_STRING_MAX        ((uint64_t)64 << 20)
#define LB__GGUF_ARRAY_MAX         ((uint64_t)1 << 26)
#define LB__GGUF_ALIGNMENT_MAX     ((uint64_t)1 << 20)
#define LB__GGUF_KEY_MAX           65535u /* the specification's */
#define LB__GGUF_NAME_MAX          63u    /* ggml's array of 64, with the NUL */
#define LB__GGUF_RANK_MAX          4u     /* ggml's */
#define LB__GGUF_ALIGNMENT_DEFAULT 32u

/* One key-value. Scalars and arrays of numbers stay in the file; strings are indexed because they
 * cannot be found by arithmetic. */
typedef struct lb__gguf_value {
  const char *key;
  lb__gguf_type type;    /* LB__GGUF_ARRAY for arrays */
  lb__gguf_type element; /* of an array */
  size_t n;              /* elements; 1 for scalars */
  const uint8_t *bytes;  /* of the value in the file, all of it, for copying */
  size_t size;
  const uint8_t *elements;  /* first number of the scalar or array */
  lb__gguf_string *strings; /* n, when type or element is string */
  const char *text;         /* scalar string: NUL-terminated copy; NULL when it is not text */
} lb__gguf_value;

struct lb__gguf {
  char *name;
  lb__mapping map; /* empty for bytes in memory */
  uint32_t version;
  size_t alignment;
  lb__gguf_value *values;
  size_t n_values;
  lb__map by_key;
  lb__stored_tensor *tensors;
  size_t n, capacity;
  lb__map by_name;
  lb__arena arena;   /* keys, names, string indexes */
  lb__gguf **others; /* parts 2.. of a split; they own the bytes of their tensors */
  size_t n_others;
};

/* Size of a number type in the file; 0 for strings and arrays. */
size_t lb__gguf_type_size(lb__gguf_type type);

/* The number of a dtype in the file; false when GGUF lacks it. */
bool lb__gguf_dtype_number(uint32_t *out, lb_dtype dtype);

/* Maps and checks one file without looking for other parts. */
lb_status lb__gguf_open_part(lb__gguf **out, const char *path, lb_error *err);

const lb__gguf_value *lb__gguf_value_find(const lb__gguf *g, const char *key);

#endif
