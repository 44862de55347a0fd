/* fuzz_report.c - any bytes as a run: what stands before the first 0x01 is metrics.jsonl, up to the
 * next run.json, the rest comparison.json (what `limbeck compare` prints). They become a page that
 * is whole, holds no script and no number that is none, or an error with a message. */
#include "fuzz.h"
#include "fuzz_folder.h"

#include "base/files.h"
#include "base/utf8.h"

#include <limbeck/report.h>

#include <string.h>

static const char *const names[] = {"metrics.jsonl", "run.json", "comparison.json"};
enum { N_NAMES = 3, LARGEST = 1 << 26 };

/* @return whether there is a comparison */
static bool write_files(const uint8_t *data, size_t size) {
  size_t length = 0;
  for (int i = 0; i < N_NAMES; i++) {
    const uint8_t *end = size > 0 ? memchr(data, 1, size) : NULL;
    length = end != NULL && i + 1 < N_NAMES ? (size_t)(end - data) : size;
    fuzz_folder_remove(names[i]);
    if (i == 0 || length > 0) fuzz_folder_write(names[i], data, length);
    size_t taken = length < size ? length + 1 : size;
    data += taken, size -= taken;
  }
  return length > 0;
}

static void check_page(const char *path) {
  char *text;
  size_t size;
  FUZZ_CHECK(lb__file_read(&text, &size, path, LARGEST, NULL) == LB_OK);
  FUZZ_CHECK(lb__utf8_valid(text, size) && strlen(text) == size);
  FUZZ_CHECK(strstr(text, "<script") == NULL && strstr(text, "<img") == NULL);
  FUZZ_CHECK(strstr(text, "\"nan") == NULL && strstr(text, " nan") == NULL);
  FUZZ_CHECK(strstr(text, "\"inf\"") == NULL && strstr(text, "Minf") == NULL);
  FUZZ_CHECK(size > 8 && strcmp(text + size - 8, "</html>\n") == 0);
  lb__free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lb_report_facts facts;
  lb_error err = {0};
  fuzz_folder_make();
  char *comparison = lb__path_join(fuzz_folder(), names[N_NAMES - 1]);
  lb_report_options options = {.run = fuzz_folder()};
  if (write_files(data, size)) options.comparison = comparison;
  lb_status st = lb_report_write(&facts, &options, &err);
  FUZZ_CHECK((st == LB_OK) == (err.message[0] == '\0'));
  if (st == LB_OK) check_page(facts.path);
  fuzz_folder_remove("report.html");
  lb__free(comparison);
  return 0;
}
