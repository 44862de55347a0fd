/* vocabulary_common.c - see vocabulary_common.h. */
#include "vocabulary_common.h"

#include "base/fail.h"

#include <string.h>

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Holes (ids that no token has) equal holes only. */
static bool same_token(const lb_tokenizer *a, const lb_tokenizer *b, int32_t id) {
  size_t n_a = 0, n_b = 0;
  const char *x = lb_tokenizer_token_text(a, id, &n_a), *y = lb_tokenizer_token_text(b, id, &n_b);
  if (x == NULL || y == NULL) return x == y;
  return n_a == n_b && memcmp(x, y, n_a) == 0;
}

static const char *spelling(const lb_tokenizer *t, int32_t id) {
  const char *text = lb_tokenizer_token_text(t, id, NULL);
  return text != NULL ? text : "(no token)";
}

static lb_status compare(int64_t n, const lb_tokenizer *teacher, const lb_tokenizer *student,
                         lb_error *err) {
  for (int64_t id = 0; id < n; id++) {
    if (same_token(teacher, student, (int32_t)id)) continue;
    return lb__fail(err, LB_E_ARG,
                    "teacher and student have different vocabularies: id %lld is '%.60s' to the "
                    "teacher and '%.60s' to the student; logits can only be compared when both use "
                    "one tokenizer (choose a student of the teacher's family, or shrink the teacher)",
                    (long long)id, spelling(teacher, (int32_t)id), spelling(student, (int32_t)id));
  }
  return LB_OK;
}

lb_status lb__vocabulary_common(int64_t *common, const lb_tokenizer *teacher,
                                const lb_tokenizer *student, int64_t teacher_rows,
                                int64_t student_rows, lb_error *err) {
  int64_t n = smaller(teacher_rows, student_rows);
  *common = n;
  if (teacher == NULL && student == NULL && teacher_rows != student_rows)
    return lb__fail(err, LB_E_ARG,
                    "the teacher has %lld ids and the student %lld, and neither has a tokenizer that "
                    "tells which are real; put the tokenizer's files beside one of them",
                    (long long)teacher_rows, (long long)student_rows);
  if (teacher != NULL) n = smaller(n, lb_tokenizer_size(teacher));
  if (student != NULL) n = smaller(n, lb_tokenizer_size(student));
  *common = n;
  return teacher != NULL && student != NULL ? compare(n, teacher, student, err) : LB_OK;
}
