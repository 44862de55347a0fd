/* checkpoint_manifest.h - manifest.json: what files a checkpoint has, their sizes and SHA-256.
 *
 *   {"files": {"model.safetensors": {"sha256": "9f...", "size": 123}, ...},
 *    "format": "limbeck checkpoint", "step": 100, "version": 1}
 * Private to checkpoint_folder.c. A file that the manifest does not name is nobody's business. */
#ifndef LB_TRAIN_CHECKPOINT_MANIFEST_H
#define LB_TRAIN_CHECKPOINT_MANIFEST_H

#include <limbeck/status.h>

#include <stdint.h>

/* Every file of the folder is on the disk and in folder/manifest.json, which is too. */
lb_status lb__manifest_write(const char *folder, int64_t step, lb_error *err);
/* @error LB_E_FORMAT, LB_E_LIMIT (what is wrong with which file), LB_E_IO, LB_E_NOMEM */
lb_status lb__manifest_verify(int64_t *step, const char *folder, lb_error *err);

#endif
