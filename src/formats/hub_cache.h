/* hub_cache.h - where a model is: a folder, a .gguf file, or a name in the local Hugging Face
 * cache. Owns: the cache layout (models--org--name/refs/main -> snapshots/<commit>/). Refuses: the
 * network; a missing model is an error that says where was looked and how to fetch it. */
#ifndef LB_FORMATS_HUB_CACHE_H
#define LB_FORMATS_HUB_CACHE_H

#include "base/files.h"

/* $HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else
 * ~/.cache/huggingface/hub. @owns *out: lb__free */
lb_status lb__hub_cache_root(char **out, lb_error *err);

/* True for "name" and "org/name" with the characters that the hub allows. */
bool lb__hub_name_valid(const char *name);

/* The snapshot folder of a model; revision NULL = "main"; a branch, tag or full commit.
 * @owns *folder: lb__free   @error LB_E_IO (not in the cache, or not a hub name) */
lb_status lb__hub_cache_find(char **folder, const char *name, const char *revision, lb_error *err);

typedef enum lb__model_kind { LB__MODEL_FOLDER, LB__MODEL_GGUF } lb__model_kind;

typedef struct lb__model_place {
  lb__model_kind kind;
  char *folder; /* Hugging Face folder, or the folder that holds the .gguf */
  char *file;   /* the .gguf file; NULL for a folder */
} lb__model_place;

/* Turns what the user typed into a place: an existing folder (one that holds no config.json but
 * exactly one .gguf, or one split, is that file), a .gguf file, a .safetensors file or config.json
 * (its folder), else a hub name (optionally name@revision). Touches no weights.
 * @owns *out: lb__model_place_deinit   @error LB_E_IO, LB_E_FORMAT, LB_E_ARG */
lb_status lb__model_place_find(lb__model_place *out, const char *path, lb_error *err);
void lb__model_place_deinit(lb__model_place *place); /* accepts zeroed */

#endif
