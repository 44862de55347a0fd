/* fuzz_tokenizer.c - any tokenizer.json: it opens or fails with a message; an open one encodes any
 * text or says why not, gives ids inside its range, and decodes what it gave. */
#include "fuzz.h"

#include "base/utf8.h"
#include "text/tokenizer_internal.h"

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
  lb_tokenizer_free(t);
  free(text);
  return 0;
}
