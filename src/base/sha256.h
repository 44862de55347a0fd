/* sha256.h - SHA-256 of files, for checkpoints. An adapter to libcrypto. */
#ifndef LB_BASE_SHA256_H
#define LB_BASE_SHA256_H

#include <limbeck/status.h>

#include <stddef.h>
#include <stdint.h>

#define LB__SHA256_HEX_SIZE 65 /* 64 lowercase digits and a NUL */

/* hex is "" on failure. @error LB_E_IO, LB_E_NOMEM */
lb_status lb__sha256_file(char hex[LB__SHA256_HEX_SIZE], uint64_t *size, const char *path,
                          lb_error *err);

#endif
