/* fuzz_json.c - our JSON parser against jansson's own: both accept and make the same tree, or both
 * refuse; what we write reads back equal. The differences are the promised ones: the depth cap and
 * integers beyond 64 bits. */
#include "fuzz.h"

#include "base/json.h"
#include "base/memory.h"

#include <string.h>

static void check_round_trip(const json_t *tree, int indent) {
  json_t *again;
  char *text = lb__json_text(tree, indent);
  FUZZ_CHECK(text != NULL);
  FUZZ_CHECK(lb__json_parse(&again, text, strlen(text), "again", NULL) == LB_OK);
  FUZZ_CHECK(json_equal(tree, again));
  json_decref(again);
  lb__free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  json_t *ours;
  json_error_t e;
  lb_error err = {0};
  lb_status st = lb__json_parse(&ours, (const char *)data, size, "fuzz", &err);
  json_t *theirs = json_loadb((const char *)data, size,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &e);
  FUZZ_CHECK((st == LB_OK) == (ours != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  if (theirs != NULL) {
    /* jansson takes a NUL after a number for the end of the text; we refuse it */
    FUZZ_CHECK(st == LB_E_LIMIT ||
               (st == LB_OK ? json_equal(ours, theirs) : memchr(data, '\0', size) != NULL));
  } else if (st == LB_OK) {
    FUZZ_CHECK(json_error_code(&e) == json_error_numeric_overflow);
  }
  if (st == LB_OK) {
    check_round_trip(ours, 0);
    check_round_trip(ours, 2);
  }
  json_decref(ours);
  json_decref(theirs);
  return 0;
}
