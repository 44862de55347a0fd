/* vocabulary_common.h - the vocabulary that two models share. A model's embedding may have more rows
 * than its tokenizer has tokens (padding: Qwen 2.5 has 151936 or 152064 rows for 151665 tokens);
 * distributions are compared over the true common size only.
 * Owns: the comparison, token by token. Refuses: translating between vocabularies. */
#ifndef LB_TEXT_VOCABULARY_COMMON_H
#define LB_TEXT_VOCABULARY_COMMON_H

#include <limbeck/tokenizer.h>

/* *common: how many ids, from 0, mean the same to both. teacher and student may be NULL (a model
 * without a tokenizer); *_rows are the rows of their heads. A vocabulary that continues where the
 * other ends is no mismatch; the shorter counts.
 * @error LB_E_ARG: the first differing id with both spellings; without tokenizers, rows that differ
 * @test tests/unit/test_vocabulary_common.c */
lb_status lb__vocabulary_common(int64_t *common, const lb_tokenizer *teacher,
                                const lb_tokenizer *student, int64_t teacher_rows,
                                int64_t student_rows, lb_error *err);

#endif
