/* source_license.h - under which license a model's makers gave it, where they say so: the front
 * matter of a folder's README.md, general.license of a GGUF. Refuses: guessing. */
#ifndef LB_REPORT_SOURCE_LICENSE_H
#define LB_REPORT_SOURCE_LICENSE_H

#include <limbeck/status.h>

typedef struct lb__source_license { /* NULL: not said */
  char *license;                    /* "apache-2.0", "other" */
  char *name, *link;                /* what "other" means: license_name, license_link */
} lb__source_license;

/* path: a folder or a .gguf file, as lb_model_info has it.
 * @owns *out: lb__source_license_deinit, also after a failure
 * @error LB_E_IO, LB_E_NOMEM, and of a GGUF what opening it may give */
lb_status lb__source_license_read(lb__source_license *out, const char *path, lb_error *err);
void lb__source_license_deinit(lb__source_license *license);

#endif
