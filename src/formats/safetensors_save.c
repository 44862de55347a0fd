/* safetensors_save.c - writing one file the strict way: byte for byte what the reference
 * implementation writes for the same tensors and metadata. */
#include "safetensors_save.h"

#include "base/fail.h"
#include "base/map.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- checking the declarations, before anything touches the disk ---- */
static lb_status check_decl(size_t *size, const lb__tensor_decl *t, lb__map *seen, lb_error *err) {
  const char *dtype;
  bool twice;
  size_t length = t->name == NULL ? 0 : strlen(t->name);
  if (length == 0 || !lb__utf8_valid(t->name, length) || strcmp(t->name, "__metadata__") == 0)
    return lb__fail(err, LB_E_ARG, "tensor name '%.120s' cannot be written", length ? t->name : "");
  if (lb__safetensors_dtype(&dtype, t->dtype) < 0)
    return lb__fail(err, LB_E_ARG, "tensor '%.120s': safetensors has no dtype %s", t->name,
                    lb_dtype_name(t->dtype));
  if (!lb__stored_size(size, t->dtype, t->rank, t->shape))
    return lb__fail(err, LB_E_ARG, "tensor '%.120s': the shape is invalid or too large", t->name);
  if (!lb__map_put(seen, t->name, length, 0, &twice)) return lb__fail_nomem(err, "tensor names");
  if (twice) return lb__fail(err, LB_E_ARG, "tensor '%.120s' is listed twice", t->name);
  return LB_OK;
}

lb_status lb__safetensors_check(lb__planned_tensor **out, const lb__tensor_decl *tensors, size_t n,
                                lb_error *err) {
  lb_status st = LB_OK;
  lb__map seen;
  lb__planned_tensor *plan = lb__new_array(n, sizeof *plan);
  *out = NULL;
  if (plan == NULL) return lb__fail_nomem(err, "list of tensors");
  lb__map_init(&seen, false);
  for (size_t i = 0; st == LB_OK && i < n; i++) {
    plan[i].decl = &tensors[i];
    plan[i].index = i;
    st = check_decl(&plan[i].size, &tensors[i], &seen, err);
  }
  lb__map_deinit(&seen);
  if (st == LB_OK)
    *out = plan;
  else
    lb__free(plan);
  return st;
}

/* ---- the header ---- */
/* Larger dtypes first, so that every tensor ends up aligned to its own element size. */
static int in_file_order(const void *a, const void *b) {
  const lb__planned_tensor *x = a, *y = b;
  const char *name;
  int dx = lb__safetensors_dtype(&name, x->decl->dtype);
  int dy = lb__safetensors_dtype(&name, y->decl->dtype);
  return dx != dy ? dy - dx : strcmp(x->decl->name, y->decl->name);
}

static void add_json_string(lb__buf *b, const char *text) {
  static const char plain[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
  lb__buf_add_char(b, '"');
  for (; *text != '\0'; text++) {
    const char *escape = strchr(plain, *text);
    if (escape != NULL)
      lb__buf_printf(b, "\\%c", letters[escape - plain]);
    else if ((unsigned char)*text < 0x20)
      lb__buf_printf(b, "\\u%04x", (unsigned)(unsigned char)*text);
    else
      lb__buf_add_char(b, *text);
  }
  lb__buf_add_char(b, '"');
}

static void add_metadata(lb__buf *b, const lb__text_pair *metadata, size_t n) {
  bool has_format = false;
  for (size_t i = 0; i < n; i++) has_format |= strcmp(metadata[i].key, "format") == 0;
  lb__buf_add_text(b, "\"__metadata__\":{");
  if (!has_format) lb__buf_add_text(b, "\"format\":\"pt\"");
  for (size_t i = 0; i < n; i++) {
    if (i > 0 || !has_format) lb__buf_add_char(b, ',');
    add_json_string(b, metadata[i].key);
    lb__buf_add_char(b, ':');
    add_json_string(b, metadata[i].value);
  }
  lb__buf_add_char(b, '}');
}

static void add_entry(lb__buf *b, const lb__planned_tensor *t, uint64_t begin) {
  const char *dtype;
  char shape[LB__SHAPE_TEXT_SIZE];
  lb__safetensors_dtype(&dtype, t->decl->dtype);
  lb__buf_add_char(b, ',');
  add_json_string(b, t->decl->name);
  lb__buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                 dtype, lb__shape_text(shape, t->decl->rank, t->decl->shape), begin,
                 begin + t->size);
}

/* The 8 bytes of length and the padded JSON. */
static lb_status build_header(lb__buf *b, const lb__planned_tensor *plan, size_t n,
                              const lb__text_pair *metadata, size_t n_metadata, lb_error *err) {
  size_t begin = 0;
  lb_status st;
  lb__buf_add(b, "\0\0\0\0\0\0\0\0", 8);
  lb__buf_add_char(b, '{');
  add_metadata(b, metadata, n_metadata);
  for (size_t i = 0; i < n; i++) {
    size_t end;
    if (!lb__ck_add(&end, begin, plan[i].size) || end > INT64_MAX)
      return lb__fail(err, LB_E_ARG, "the tensors together are too large for one file");
    add_entry(b, &plan[i], begin);
    begin = end;
  }
  lb__buf_add_char(b, '}');
  while (b->size % 8 != 0 && !b->failed) lb__buf_add_char(b, ' ');
  st = lb__buf_check(b, "safetensors header", err);
  if (st != LB_OK) return st;
  for (int i = 0; i < 8; i++) b->bytes[i] = (char)(((uint64_t)b->size - 8) >> (8 * i) & 0xff);
  return LB_OK;
}

/* ---- the file ---- */
lb_status lb__safetensors_write(lb__save *save, lb__planned_tensor *plan, size_t n,
                                const lb__text_pair *metadata, size_t n_metadata, lb__fill_fn *fill,
                                void *ctx, lb_error *err) {
  lb__buf header;
  lb_status st;
  if (n > 1) qsort(plan, n, sizeof *plan, in_file_order);
  lb__buf_init(&header, (size_t)LB__SAFETENSORS_HEADER_MAX + 8);
  st = build_header(&header, plan, n, metadata, n_metadata, err);
  if (st == LB_OK) st = lb__save_write(save, header.bytes, header.size, err);
  lb__buf_deinit(&header);
  for (size_t i = 0; st == LB_OK && i < n; i++)
    st = lb__sink_fill(save, plan[i].decl, plan[i].index, plan[i].size, fill, ctx, err);
  return st;
}

static lb_status check_metadata(const lb__text_pair *metadata, size_t n, lb_error *err) {
  for (size_t i = 0; i < n; i++) {
    const lb__text_pair *m = &metadata[i];
    if (!lb__utf8_valid(m->key, strlen(m->key)) || !lb__utf8_valid(m->value, strlen(m->value)))
      return lb__fail(err, LB_E_ARG, "metadata '%.120s' is not UTF-8", m->key);
    for (size_t j = 0; j < i; j++)
      if (strcmp(metadata[j].key, m->key) == 0)
        return lb__fail(err, LB_E_ARG, "metadata '%.120s' is given twice", m->key);
  }
  return LB_OK;
}

lb_status lb__safetensors_save(const char *path, const lb__tensor_decl *tensors, size_t n,
                               const lb__text_pair *metadata, size_t n_metadata, lb__fill_fn *fill,
                               void *ctx, lb_error *err) {
  lb__planned_tensor *plan = NULL;
  lb__save save = {0};
  lb_status st = check_metadata(metadata, n_metadata, err);
  if (st == LB_OK) st = lb__safetensors_check(&plan, tensors, n, err);
  if (st == LB_OK) st = lb__save_begin(&save, path, err);
  if (st == LB_OK) st = lb__safetensors_write(&save, plan, n, metadata, n_metadata, fill, ctx, err);
  if (st == LB_OK) st = lb__save_commit(&save, err);
  lb__save_abort(&save);
  lb__free(plan);
  return st;
}
