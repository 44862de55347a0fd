/* vocabulary_common.c - see vocabulary_common.h. */
#include "vocabulary_common.h"

#include "base/fail.h"

#include <stdio.h>
#include <string.h>

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* GGUF files fill a padded head's rows with tokens "[PAD<id>]" (llama.cpp's convert and ours). */
static bool is_padding(const lb_tokenizer *tokenizer, int64_t id) {
  char padding[32];
  const char *text = lb_tokenizer_token_text(tokenizer, (int32_t)id, NULL);
  snprintf(padding, sizeof padding, "[PAD%lld]", (long long)id);
  return text != NULL && strcmp(text, padding) == 0;
}

static int64_t true_size(const lb_tokenizer *tokenizer) {
  int64_t n = lb_tokenizer_size(tokenizer);
  while (n > 0 && is_padding(tokenizer, n - 1)) n--;
  return n;
}

/* "'Ġthe'", or "no token" for a hole; cut to what a message holds, control characters as '?'. */
static void quote(char out[48], const lb_tokenizer *tokenizer, int32_t id) {
  size_t size;
  const char *text = lb_tokenizer_token_text(tokenizer, id, &size);
  if (text == NULL) {
    snprintf(out, 48, "no token");
    return;
  }
  bool whole = size <= 40;
  size_t n = whole ? size : 37;
  while (!whole && n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) n--; /* at a character */
  char *end = out;
  *end++ = '\'';
  for (size_t i = 0; i < n; i++) *end++ = (unsigned char)text[i] < 0x20 ? '?' : text[i];
  snprintf(end, 8, "%s'", whole ? "" : "...");
}

static bool same_token(const lb_tokenizer *a, const lb_tokenizer *b, int32_t id) {
  size_t a_size, b_size;
  const char *a_text = lb_tokenizer_token_text(a, id, &a_size);
  const char *b_text = lb_tokenizer_token_text(b, id, &b_size);
  if (a_text == NULL || b_text == NULL) return a_text == b_text;
  return a_size == b_size && memcmp(a_text, b_text, a_size) == 0;
}

static lb_status fail_different(lb_error *err, const lb_tokenizer *teacher,
                                const lb_tokenizer *student, int32_t id) {
  char teacher_text[48], student_text[48];
  quote(teacher_text, teacher, id);
  quote(student_text, student, id);
  return lb__fail(err, LB_E_ARG,
                  "the tokenizers differ: id %d is %s to the teacher, %s to the student; their "
                  "logits cannot be compared token by token: choose a teacher and a student with "
                  "one tokenizer, or a cross-tokenizer loss",
                  id, teacher_text, student_text);
}

static lb_status common_rows(int64_t *common, int64_t teacher_rows, int64_t student_rows,
                             lb_error *err) {
  if (teacher_rows != student_rows)
    return lb__fail(err, LB_E_ARG,
                    "the teacher's head has %lld rows, the student's %lld, and without both "
                    "tokenizers nobody knows which are padding: give the folders of both models "
                    "their tokenizer.json",
                    (long long)teacher_rows, (long long)student_rows);
  *common = teacher_rows;
  return LB_OK;
}

lb_status lb__vocabulary_common(int64_t *common, const lb_tokenizer *teacher,
                                const lb_tokenizer *student, int64_t teacher_rows,
                                int64_t student_rows, lb_error *err) {
  *common = 0;
  if (teacher == NULL || student == NULL)
    return common_rows(common, teacher_rows, student_rows, err);
  int64_t n = smaller(true_size(teacher), true_size(student));
  n = smaller(n, smaller(teacher_rows, student_rows));
  for (int32_t id = 0; id < n; id++)
    if (!same_token(teacher, student, id)) return fail_different(err, teacher, student, id);
  *common = n;
  return LB_OK;
}
