/* growth.c - runs each kind of work on an input and on one twice as large, for test_growth.sh,
 * which has callgrind count the instructions of lb_growth_measured. A line of output names each
 * call, in order: "small" or "large" or "none", then the case. growth.c DATA_FOLDER */
#include "growth.h"

#include <stdio.h>
#include <stdlib.h>

void growth_must(lb_status st, const lb_error *err) {
  if (st == LB_OK) return;
  fprintf(stderr, "growth: %s\n", err->message);
  exit(1);
}

void lb_growth_measured(const growth_case *c, const lb__buf *input);

/* callgrind counts from here to the end of the function, which must not become a jump. */
__attribute__((noinline)) void lb_growth_measured(const growth_case *c, const lb__buf *input) {
  c->work(input);
  __asm__ volatile("" ::: "memory");
}

static void run_size(const growth_case *c, size_t n,
                     void (*run)(const growth_case *, const lb__buf *)) {
  lb__buf input;
  lb__buf_init(&input, SIZE_MAX);
  c->make(&input, n);
  if (input.failed) exit(1);
  if (c->begin != NULL) c->begin();
  run(c, &input);
  if (c->end != NULL) c->end();
  lb__buf_deinit(&input);
}

static void run_uncounted(const growth_case *c, const lb__buf *input) {
  c->work(input);
}

/* The first, uncounted run has tables built that the whole process shares. */
void growth_run(const char *name, const growth_case *c) {
  static const char *const sizes[] = {"none", "small", "large"};
  run_size(c, 0, run_uncounted);
  for (size_t i = 0; i < 3; i++) {
    run_size(c, i * c->n, lb_growth_measured);
    printf("%s %s\n", sizes[i], name);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  char path[1000];
  for (const growth_case *c = growth_file_cases; c->name != NULL; c++) growth_run(c->name, c);
  snprintf(path, sizeof path, "%s/data/tokenizers", argv[1]);
  growth_tokenizers(path);
  snprintf(path, sizeof path, "%s/chat/templates", argv[1]);
  growth_chat_templates(path);
  return 0;
}
