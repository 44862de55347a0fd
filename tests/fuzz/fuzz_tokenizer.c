/* fuzz_tokenizer.c - any tokenizer.json: it opens or fails with a message; an open one encodes any
 * text or says why not, gives ids inside its range, and decodes what it gave. Trimmed to what some
 * of the texts use, it gives those the same tokens. */
#include "fuzz.h"

#include "base/utf8.h"
#include "text/tokenizer_internal.h"
#include "text/vocabulary_cut.h"

#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {
    "",
    "Hello, world!  It's 12345 o'clock\r\n\ttab",
    "\xC3\xA9t\xC3\xA9 e\xCC\x81 \xE4\xB8\x96\xE7\x95\x8C \xF0\x9F\x98\x80 \xEF\xB7\xBA",
    "<s> [UNK] <|endoftext|> <0x41> \xE2\x96\x81\xE2\x96\x81x",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static void round_trip(lb_tokenizer *t, const char *text) {
  lb_error err = {0};
  int32_t *ids = NULL;
  size_t n = 0, size = 0;
  char *back = NULL;
  lb_status st = lb_tokenizer_encode(t, text, strlen(text), NULL, &ids, &n, &err);
  FUZZ_CHECK((st == LB_OK) == (err.message[0] == '\0'));
  if (st != LB_OK) return;
  for (size_t i = 0; i < n; i++) FUZZ_CHECK(ids[i] >= 0 && ids[i] < lb_tokenizer_size(t));
  st = lb_tokenizer_decode(t, ids, n, true, &back, &size, &err);
  FUZZ_CHECK((st == LB_OK) == (back != NULL));
  if (st == LB_OK) FUZZ_CHECK(lb__utf8_valid(back, size));
  lb_text_free(back);
  lb_ids_free(ids);
}

enum { TRIMMED = 2 /* texts */ };

static void check_trimmed(lb_tokenizer *t, const lb_tokenizer *trimmed,
                          const lb__vocabulary_cut *cut) {
  for (int i = 0; i < TRIMMED; i++) {
    int32_t *whole = NULL, *ids = NULL;
    size_t n_whole = 0, n = 0;
    lb_status a = lb_tokenizer_encode(t, texts[i], strlen(texts[i]), NULL, &whole, &n_whole, NULL);
    lb_status b = lb_tokenizer_encode(trimmed, texts[i], strlen(texts[i]), NULL, &ids, &n, NULL);
    FUZZ_CHECK(a != LB_OK || (b == LB_OK && n == n_whole));
    for (size_t k = 0; a == LB_OK && k < n; k++) FUZZ_CHECK(cut->kept[ids[k]] == whole[k]);
    lb_ids_free(whole);
    lb_ids_free(ids);
  }
}

static void trim(lb_tokenizer *t) {
  int64_t *counts = calloc((size_t)lb_tokenizer_size(t) + 1, sizeof *counts);
  lb__vocabulary_wish wish = {.counts = counts, .n_counts = lb_tokenizer_size(t)};
  lb__vocabulary_cut cut;
  lb_tokenizer *trimmed = NULL;
  lb_error err = {0};
  for (int i = 0; i < TRIMMED && counts != NULL; i++) {
    int32_t *ids = NULL;
    size_t n = 0;
    (void)!lb_tokenizer_encode(t, texts[i], strlen(texts[i]), NULL, &ids, &n, NULL);
    for (size_t k = 0; k < n; k++) counts[ids[k]]++;
    lb_ids_free(ids);
  }
  lb_status st = counts != NULL ? lb__vocabulary_cut_choose(&cut, t, &wish, &err) : LB_E_NOMEM;
  if (st == LB_OK) {
    st = lb__tokenizer_cut(&trimmed, t, &cut, &err);
    FUZZ_CHECK((st == LB_OK) == (trimmed != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
    if (trimmed != NULL) check_trimmed(t, trimmed, &cut);
    lb__vocabulary_cut_deinit(&cut);
  }
  lb_tokenizer_free(trimmed);
  free(counts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lb_tokenizer *t;
  char *text = malloc(size + 1); /* the parser wants a NUL behind the text, as files come */
  if (text == NULL) return 0;
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  lb_error err = {0};
  lb_status st = lb__tokenizer_parse_json(&t, text, size, "fuzz", &err);
  FUZZ_CHECK((st == LB_OK) == (t != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  for (size_t i = 0; st == LB_OK && i < sizeof texts / sizeof texts[0]; i++)
    round_trip(t, texts[i]);
  if (st == LB_OK && lb_tokenizer_size(t) > 0) trim(t);
  lb_tokenizer_free(t);
  free(text);
  return 0;
}
