/* growth.h - inputs of any size and the work on them, for counting what twice the input costs.
 * growth.c runs every case; growth_files.c has those on files, growth_text.c those on text. */
#ifndef LB_TESTS_GROWTH_H
#define LB_TESTS_GROWTH_H

#include "base/memory.h"

#include <limbeck/status.h>

/* One kind of input and the work on it. */
typedef struct growth_case {
  const char *name;
  size_t n;                             /* parts of the small input; the large one has 2n */
  void (*make)(lb__buf *out, size_t n); /* 0: the smallest input that is one */
  void (*work)(const lb__buf *input);   /* counted; ends the program when it fails */
  void (*begin)(void), (*end)(void);    /* around the work, not counted; may be NULL */
} growth_case;
extern const growth_case growth_file_cases[]; /* end with a name of NULL */

/* Runs the work for no input, the small one, the large one. */
void growth_run(const char *name, const growth_case *c);
/* Ends the program unless st is LB_OK. */
void growth_must(lb_status st, const lb_error *err);

/* Random words, and other texts, of n bytes or a little more. */
void growth_words(lb__buf *out, size_t n);

/* Every tokenizer of `folder` on every kind of text; every chat template. */
void growth_tokenizers(const char *folder);
void growth_chat_templates(const char *folder);

#endif
