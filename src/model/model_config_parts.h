/* model_config_parts.h - what model_config.c and model_config_gguf.c share. Private to them. */
#ifndef LB_MODEL_MODEL_CONFIG_PARTS_H
#define LB_MODEL_MODEL_CONFIG_PARTS_H

#include "model_config.h"

/* Sizes are positive and sane, heads divide, scales are finite. */
lb_status lb__model_config_check(const lb__model_config *c, const char *name, lb_error *err);
/* Makes is_sliding [n_layers], all false. */
lb_status lb__model_config_windows(lb__model_config *c, lb_error *err);
lb_status lb__model_config_read_gguf(lb__model_config *c, const lb__gguf *g, lb_error *err);

#endif
