/* safetensors_parts.h - what safetensors.c (one file) and safetensors_folder.c (shards) share;
 * nobody else includes it. */
#ifndef LB_FORMATS_SAFETENSORS_PARTS_H
#define LB_FORMATS_SAFETENSORS_PARTS_H

#include "safetensors.h"

#include "base/json.h"
#include "base/map.h"

struct lb__safetensors {
  lb__stored_tensor *tensors; /* sorted by name once indexed */
  size_t n, capacity;
  lb__map by_name; /* -> index into tensors; borrows the names */
  lb__arena names;
  json_t *metadata; /* of the first part that has some */
  lb__mapping *maps;
  size_t n_maps, maps_capacity;
};

lb__safetensors *lb__safetensors_new(void); /* NULL: no memory */
/* Checks one file in memory and appends its tensors, unsorted. */
lb_status lb__safetensors_read_part(lb__safetensors *s, const uint8_t *bytes, size_t size,
                                    const char *file, lb_error *err);
/* Sorts and builds the lookup; once, after the last part. */
lb_status lb__safetensors_index(lb__safetensors *s, const char *what, lb_error *err);

/* Names in a folder. */
#define LB__SAFETENSORS_FILE  "model.safetensors"
#define LB__SAFETENSORS_INDEX "model.safetensors.index.json"

#endif
