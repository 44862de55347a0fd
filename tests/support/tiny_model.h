/* tiny_model.h - a random model on disk, small enough for any test: llama, 2 layers, 4 heads of 4
 * over 2 kv-heads, a vocabulary of 40 of which a tokenizer knows 36 letters, context 8192. */
#ifndef LB_TESTS_TINY_MODEL_H
#define LB_TESTS_TINY_MODEL_H

enum { TINY_V = 40, TINY_KNOWN = 36, TINY_CONTEXT = 8192, TINY_EOS = 7 };

typedef struct tiny_options {
  int seed;
  int is_broken; /* the head holds a NaN */
} tiny_options;

/* Writes config.json, model.safetensors and tokenizer.json into `folder` (scratch.h). */
void tiny_model_write(const char *folder, tiny_options options);

#endif
