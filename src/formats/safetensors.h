/* safetensors.h - the safetensors format: one file, or shards behind an index.json.
 * Owns: every validation rule of the format (each error names file and tensor, wanted and found),
 * the strict writer, sharding. Refuses: dtypes that lb_dtype lacks (F4, F6, F8_E8M0, *FNUZ, C64:
 * LB_E_UNSUPPORTED), rank above 8, names that leave the folder, pickle.
 * Read next: safetensors.c (reader), safetensors_save.c (writer).
 *
 *   u64le N | N bytes of JSON | tensor bytes, back to back without holes */
#ifndef LB_FORMATS_SAFETENSORS_H
#define LB_FORMATS_SAFETENSORS_H

#include "stored_tensor.h"

#define LB__SAFETENSORS_HEADER_MAX 100000000u /* the reference implementation's cap */

typedef struct lb__safetensors lb__safetensors;

/* Maps and checks one file. @owns *out: lb__safetensors_close
 * @error LB_E_IO, LB_E_FORMAT, LB_E_UNSUPPORTED, LB_E_NOMEM */
lb_status lb__safetensors_open(lb__safetensors **out, const char *path, lb_error *err);

/* The same for bytes in memory, which must outlive the handle; `name` appears in errors. */
lb_status lb__safetensors_parse(lb__safetensors **out, const void *bytes, size_t size,
                                const char *name, lb_error *err);

/* The tensors of a Hugging Face folder: model.safetensors, else every shard that
 * model.safetensors.index.json names. The index decides: a tensor it lists and its shard lacks is
 * an error naming both, a tensor that a shard has and the index does not place there is left out.
 * A folder with only pytorch_model.bin is refused with a hint. */
lb_status lb__safetensors_open_folder(lb__safetensors **out, const char *folder, lb_error *err);

/* The format's own name of a dtype and its rank in the reference's sort order; -1 (and NULL) for a
 * dtype the format lacks, which are the block types. */
int lb__safetensors_dtype(const char **name, lb_dtype dtype);

void lb__safetensors_close(lb__safetensors *s); /* accepts NULL and half-built */

size_t lb__safetensors_count(const lb__safetensors *s);
/* i < count; sorted by name (as bytes). */
const lb__stored_tensor *lb__safetensors_tensor(const lb__safetensors *s, size_t i);
/* NULL when there is none. */
const lb__stored_tensor *lb__safetensors_find(const lb__safetensors *s, const char *name);
/* A value of __metadata__ (of the first shard), e.g. "format" -> "pt"; NULL when absent. */
const char *lb__safetensors_metadata(const lb__safetensors *s, const char *key);

/* ---- writing ---- */
typedef struct lb__text_pair {
  const char *key, *value;
} lb__text_pair;

/* Writes one file atomically, tensors sorted as the reference sorts them (dtype of larger
 * alignment first, then name), header padded to 8 bytes. {"format":"pt"} is always in the
 * metadata; `metadata` adds to it. Duplicate or invalid names, block dtypes and sizes that do not
 * fit are LB_E_ARG before anything is written. */
lb_status lb__safetensors_save(const char *path, const lb__tensor_decl *tensors, size_t n,
                               const lb__text_pair *metadata, size_t n_metadata, lb__fill_fn *fill,
                               void *ctx, lb_error *err);

#define LB__SHARD_SIZE_DEFAULT ((uint64_t)50000000000u) /* "50GB", Transformers 5 */

/* Writes model.safetensors, or shards of at most max_shard_size bytes (0 = the default; greedy
 * in the order of the list, a larger tensor gets a shard of its own) and then
 * model.safetensors.index.json; afterwards deletes the weights of an earlier save in that folder.
 * Every file is atomic; the name a reader looks for first appears last, so that a reader sees a
 * whole model or none of the new one. total_parameters counts elements of all tensors. */
lb_status lb__safetensors_save_folder(const char *folder, const lb__tensor_decl *tensors, size_t n,
                                      uint64_t max_shard_size, lb__fill_fn *fill, void *ctx,
                                      lb_error *err);

#endif
