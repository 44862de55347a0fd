/* vocabulary_common.h - the tokens that a teacher and a student share, so that their logits can be
 * compared column by column.
 *
 * A model's head often has more rows than its tokenizer has tokens (Qwen2.5: 151936 or 152064 rows
 * for 151665 tokens): those rows are padding, and a softmax over them compares noise. Owns: the
 * true common size, and the refusal where there is none. Refuses: mapping one vocabulary onto
 * another. */
#ifndef LB_TEXT_VOCABULARY_COMMON_H
#define LB_TEXT_VOCABULARY_COMMON_H

#include <limbeck/tokenizer.h>

/* *common = how many ids, from 0 on, mean the same token to both and have a row in both heads.
 * Every id below it is compared by its text. One side may have more tokens at the end (a chat
 * model's added ones): common is then the shorter side's size.
 * With either tokenizer NULL (data that is already ids) only the rows can be compared: they must be
 * as many.
 * @error LB_E_ARG: the first id that differs with both spellings, or the two numbers of rows; and
 *        what to do
 * @test  tests/unit/test_vocabulary_common.c */
lb_status lb__vocabulary_common(int64_t *common, const lb_tokenizer *teacher,
                                const lb_tokenizer *student, int64_t teacher_rows,
                                int64_t student_rows, lb_error *err);

#endif
