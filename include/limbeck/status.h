/** limbeck/status.h - how every Limbeck call reports success or failure.
 *
 *  A call that can fail returns an lb_status and takes an optional lb_error as its last argument.
 *  The error is the caller's, on its stack; NULL is fine and loses only the text. A message names
 *  the thing, what was wanted, what was found and, where we know it, what to do next.
 *
 *      lb_error err;
 *      lb_model *model;
 *      if (lb_model_open(&model, "gpt2", NULL, &err) != LB_OK)
 *        fprintf(stderr, "error: %s\n", err.message);
 *
 *  The library never exits, aborts or prints.                                               */
#ifndef LIMBECK_STATUS_H
#define LIMBECK_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LB_API                             __attribute__((visibility("default")))
#define LB_NODISCARD                       __attribute__((warn_unused_result))
#define LB_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#else
#define LB_API
#define LB_NODISCARD
#define LB_PRINTF(format_index, first_arg)
#endif

/* name, number (stable: part of the ABI), short text */
#define LB_STATUS_MAP(X)                                                                           \
  X(OK, 0, "success")                                                                              \
  X(E_ARG, 1, "invalid argument")                                                                  \
  X(E_NOMEM, 2, "out of memory")                                                                   \
  X(E_IO, 3, "read or write failed")                                                               \
  X(E_FORMAT, 4, "malformed file")                                                                 \
  X(E_SHAPE, 5, "shapes do not agree")                                                             \
  X(E_DTYPE, 6, "dtype not accepted")                                                              \
  X(E_UNSUPPORTED, 7, "not supported")                                                             \
  X(E_DEVICE, 8, "accelerator error")                                                              \
  X(E_NUMERIC, 9, "non-finite value")                                                              \
  X(E_CANCELLED, 10, "stopped")                                                                    \
  X(E_LIMIT, 11, "a safety limit was reached")

typedef enum lb_status {
#define LB_STATUS_ENUM(name, number, text) LB_##name = number,
  LB_STATUS_MAP(LB_STATUS_ENUM)
#undef LB_STATUS_ENUM
} lb_status;

#define LB_ERROR_MESSAGE_SIZE 512

typedef struct lb_error {
  lb_status status;
  char message[LB_ERROR_MESSAGE_SIZE]; /* always NUL-terminated UTF-8; a long one ends in "..." */
} lb_error;

/** The short text of a status ("malformed file"); "unknown status" for a number not in the map. */
LB_API const char *lb_status_text(lb_status status);

#ifdef __cplusplus
}
#endif
#endif
