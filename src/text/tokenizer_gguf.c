/* tokenizer_gguf.c - loads the vocabulary of a GGUF file. */
#include "tokenizer_internal.h"

#include "base/fail.h"

lb_status lb__tokenizer_open_gguf(lb_tokenizer **out, const char *path, lb_error *err) {
  *out = NULL;
  return lb__fail(err, LB_E_UNSUPPORTED, "%s: GGUF not yet", path);
}
