/* gguf.h - GGUF, the single-file format of llama.cpp: typed key-values, then tensors.
 * Owns: reading versions 2 and 3 (also split over several files), every check and cap, writing
 * version 3. Refuses: version 1, big-endian files, nested arrays, tensor types that lb_dtype lacks
 * (LB_E_UNSUPPORTED naming tensor and type number). What the keys mean is for text/ and model/.
 * Read next: gguf.c (reader), gguf_values.c (getters), gguf_writer.c. */
#ifndef LB_FORMATS_GGUF_H
#define LB_FORMATS_GGUF_H

#include "stored_tensor.h"

typedef enum lb__gguf_type { /* the numbers are the file's */
                             LB__GGUF_U8 = 0,
                             LB__GGUF_I8,
                             LB__GGUF_U16,
                             LB__GGUF_I16,
                             LB__GGUF_U32,
                             LB__GGUF_I32,
                             LB__GGUF_F32,
                             LB__GGUF_BOOL,
                             LB__GGUF_STRING,
                             LB__GGUF_ARRAY,
                             LB__GGUF_U64,
                             LB__GGUF_I64,
                             LB__GGUF_F64,
                             LB__GGUF_TYPE_COUNT
} lb__gguf_type;
const char *lb__gguf_type_name(lb__gguf_type type); /* "u8", "string", ... */

typedef struct lb__gguf lb__gguf;

/* Maps and checks a file. One of the parts of a split (name-00001-of-00003.gguf) opens all of
 * them; keys come from part 1. @owns *out: lb__gguf_close
 * @error LB_E_IO, LB_E_FORMAT, LB_E_LIMIT (our caps), LB_E_UNSUPPORTED, LB_E_NOMEM */
lb_status lb__gguf_open(lb__gguf **out, const char *path, lb_error *err);

/* One file in memory, which must outlive the handle; `name` appears in errors. A part of a split
 * is accepted and shows only its own tensors. */
lb_status lb__gguf_parse(lb__gguf **out, const void *bytes, size_t size, const char *name,
                         lb_error *err);
void lb__gguf_close(lb__gguf *g);             /* accepts NULL and half-built */
const char *lb__gguf_name(const lb__gguf *g); /* path (or name given), for messages */

/* ---- tensors, in the order of the file(s) ---- */
size_t lb__gguf_count(const lb__gguf *g);
const lb__stored_tensor *lb__gguf_tensor(const lb__gguf *g, size_t i); /* shape: PyTorch order */
const lb__stored_tensor *lb__gguf_find(const lb__gguf *g, const char *name); /* NULL: none */

/* ---- values. An absent key gives LB_OK and leaves *out alone when `required` is false, else
 * LB_E_FORMAT naming file and key. A value of another kind is LB_E_FORMAT "key 'k': want an
 * integer, found string". Strings are borrowed. ---- */
bool lb__gguf_has(const lb__gguf *g, const char *key);
/* Any integer type whose value fits. */
lb_status lb__gguf_get_int(int64_t *out, const lb__gguf *g, const char *key, bool required,
                           lb_error *err);
lb_status lb__gguf_get_u32(uint32_t *out, const lb__gguf *g, const char *key, bool required,
                           lb_error *err);
/* f32, f64, or any integer. */
lb_status lb__gguf_get_real(double *out, const lb__gguf *g, const char *key, bool required,
                            lb_error *err);
lb_status lb__gguf_get_bool(bool *out, const lb__gguf *g, const char *key, bool required,
                            lb_error *err);
/* NUL-terminated copy held by the handle; a string with a NUL or invalid UTF-8 is LB_E_FORMAT. */
lb_status lb__gguf_get_string(const char **out, const lb__gguf *g, const char *key, bool required,
                              lb_error *err);

/* An array, borrowed without copying. Elements are read through the functions below because the
 * file does not align them. */
typedef struct lb__gguf_string {
  const char *bytes; /* not NUL-terminated; any bytes */
  size_t size;
} lb__gguf_string;
typedef struct lb__gguf_array {
  lb__gguf_type type; /* of the elements */
  size_t n;
  const uint8_t *bytes;           /* n packed little-endian numbers; unused for strings */
  const lb__gguf_string *strings; /* n strings when type is LB__GGUF_STRING, else NULL */
} lb__gguf_array;
typedef enum lb__gguf_array_kind {                          /* what the caller is going to read */
                                   LB__GGUF_ARRAY_OF_INTS,  /* any integer type, or bool */
                                   LB__GGUF_ARRAY_OF_REALS, /* f32 or f64 */
                                   LB__GGUF_ARRAY_OF_STRINGS
} lb__gguf_array_kind;
/* *out is zeroed (n = 0) when the key is absent and not required. Never trust n: compare it with
 * what you need. */
lb_status lb__gguf_get_array(lb__gguf_array *out, const lb__gguf *g, const char *key,
                             lb__gguf_array_kind kind, bool required, lb_error *err);
int64_t lb__gguf_array_int(const lb__gguf_array *a, size_t i);            /* i < n; u64 saturates */
double lb__gguf_array_real(const lb__gguf_array *a, size_t i);            /* i < n */
lb__gguf_string lb__gguf_array_string(const lb__gguf_array *a, size_t i); /* i < n */

/* ---- looking around (limbeck inspect) ---- */
size_t lb__gguf_n_keys(const lb__gguf *g);
const char *lb__gguf_key(const lb__gguf *g, size_t i); /* in the order of the file */
lb__gguf_type lb__gguf_key_type(const lb__gguf *g, size_t i);
uint32_t lb__gguf_version(const lb__gguf *g);

/* ---- writing: collect keys and tensors, then save. The first failure is remembered and returned
 * by lb__gguf_writer_save, so that setters need no checks in between. ---- */
typedef struct lb__gguf_writer lb__gguf_writer;
lb_status lb__gguf_writer_new(lb__gguf_writer **out, lb_error *err);
void lb__gguf_writer_free(lb__gguf_writer *w);

/* Keys are written in the order they are set; setting one twice is LB_E_ARG. */
void lb__gguf_set_u32(lb__gguf_writer *w, const char *key, uint32_t value);
void lb__gguf_set_i32(lb__gguf_writer *w, const char *key, int32_t value);
void lb__gguf_set_u64(lb__gguf_writer *w, const char *key, uint64_t value);
void lb__gguf_set_f32(lb__gguf_writer *w, const char *key, float value);
void lb__gguf_set_bool(lb__gguf_writer *w, const char *key, bool value);
void lb__gguf_set_string(lb__gguf_writer *w, const char *key, const char *value);
void lb__gguf_set_i32_array(lb__gguf_writer *w, const char *key, const int32_t *values, size_t n);
void lb__gguf_set_f32_array(lb__gguf_writer *w, const char *key, const float *values, size_t n);
void lb__gguf_set_bool_array(lb__gguf_writer *w, const char *key, const bool *values, size_t n);
void lb__gguf_set_string_array(lb__gguf_writer *w, const char *key, const lb__gguf_string *values,
                               size_t n);
/* Copies one key and its value (also an array) of an open file; an absent key is LB_E_ARG. */
void lb__gguf_set_from(lb__gguf_writer *w, const lb__gguf *g, const char *key);

/* Declares a tensor (name copied); written in this order. Shape in PyTorch order. */
void lb__gguf_add_tensor(lb__gguf_writer *w, const lb__tensor_decl *decl);

/* Writes version 3, alignment 32, atomically; `fill` gets the index of lb__gguf_add_tensor. */
lb_status lb__gguf_writer_save(lb__gguf_writer *w, const char *path, lb__fill_fn *fill, void *ctx,
                               lb_error *err);

#endif
