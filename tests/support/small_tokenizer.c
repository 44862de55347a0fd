/* small_tokenizer.c - see small_tokenizer.h. */
#include "small_tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

lb_status small_tokenizer_error(const char *whole_file, lb_error *err) {
  char *folder = scratch_new();
  scratch_write_text(folder, "tokenizer.json", whole_file);
  lb_tokenizer *t;
  lb_status st = lb_tokenizer_open(&t, scratch_path(folder, "tokenizer.json"), err);
  assert_true((st == LB_OK) == (t != NULL));
  lb_tokenizer_free(t);
  scratch_remove(folder);
  return st;
}

lb_tokenizer *small_tokenizer(const char *members) {
  char *folder = scratch_new(), text[8192];
  lb_error err;
  lb_tokenizer *t;
  snprintf(text, sizeof text, "{\"version\":\"1.0\",%s}", members);
  scratch_write_text(folder, "tokenizer.json", text);
  if (lb_tokenizer_open(&t, folder, &err) != LB_OK) fail_msg("%s", err.message);
  scratch_remove(folder);
  return t;
}

void expect_ids(lb_tokenizer *t, const char *text, const lb_encode_options *options,
                const int32_t *ids) {
  int32_t *found;
  size_t n, wanted = 0;
  lb_error err;
  while (ids[wanted] >= 0) wanted++;
  if (lb_tokenizer_encode(t, text, strlen(text), options, &found, &n, &err) != LB_OK)
    fail_msg("'%s': %s", text, err.message);
  bool same = n == wanted;
  for (size_t i = 0; same && i < n; i++) same = found[i] == ids[i];
  if (!same) {
    fprintf(stderr, "'%s': found", text);
    for (size_t i = 0; i < n; i++) fprintf(stderr, " %d", found[i]);
    fprintf(stderr, "\n");
  }
  lb_ids_free(found);
  assert_true(same);
}

void expect_text(lb_tokenizer *t, const int32_t *ids, size_t n, const char *text) {
  char *found, joined[4096] = "";
  size_t size;
  assert_int_equal(lb_tokenizer_decode(t, ids, n, false, &found, &size, NULL), LB_OK);
  assert_string_equal(found, text);
  assert_int_equal(size, strlen(text));
  lb_text_free(found);
  lb_stream_decoder *d;
  const char *piece;
  assert_int_equal(lb_stream_decoder_new(&d, t, false, NULL), LB_OK);
  for (size_t i = 0; i <= n; i++) {
    assert_int_equal(i < n ? lb_stream_decoder_feed(d, ids[i], &piece, NULL, NULL)
                           : lb_stream_decoder_finish(d, &piece, NULL, NULL),
                     LB_OK);
    strncat(joined, piece, sizeof joined - strlen(joined) - 1);
  }
  assert_string_equal(joined, text);
  lb_stream_decoder_free(d);
}
