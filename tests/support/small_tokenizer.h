/* small_tokenizer.h - a tokenizer from a few lines of JSON, for tests. */
#ifndef LB_TESTS_SMALL_TOKENIZER_H
#define LB_TESTS_SMALL_TOKENIZER_H

#include <limbeck/tokenizer.h>

/* The members go into {"version":"1.0", members}; fails the test when it cannot be opened. */
lb_tokenizer *small_tokenizer(const char *members);
/* The error of a tokenizer.json that must not open. */
lb_status small_tokenizer_error(const char *whole_file, lb_error *err);
/* Encodes and compares; -1 ends the expected ids. Fails the test when they differ. */
void expect_ids(lb_tokenizer *t, const char *text, const lb_encode_options *options,
                const int32_t *ids);
/* Decodes (without skipping) and compares, at once and as a stream. */
void expect_text(lb_tokenizer *t, const int32_t *ids, size_t n, const char *text);

#define IDS(...) ((const int32_t[]){__VA_ARGS__, -1})

#endif
