/* fuzz_jsonl.c - any file as training data: the first byte chooses its kind (lines, a list, text,
 * .gz, .zst) and whether there is a tokenizer and a template, the rest is the file. It becomes a
 * corpus whose targets follow its ids, or an error with a message. */
#include "fuzz.h"

#include "base/utf8.h"
#include "data/batch.h"
#include "data/corpus.h"
#include "text/tokenizer_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const endings[] = {"jsonl", "json", "txt", "jsonl.gz", "jsonl.zst"};
enum { N_ENDINGS = 5, MAX_LENGTH = 24 };

static const char tokenizer_json[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"<|im_start|>\",\"special\":"
    "true},{\"id\":1,\"content\":\"<|im_end|>\",\"special\":true}],\"normalizer\":{\"type\":"
    "\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{"
    "\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"<|im_start|>\":0,"
    "\"<|im_end|>\":1,\"\\u0120\":2,\"\\u010a\":3,\"a\":4,\"e\":5,\"s\":6,\"t\":7,\"es\":8,"
    "\"\\u0120a\":9,\"\\u00c3\":10,\"\\u00a9\":11},\"merges\":[[\"e\",\"s\"],[\"\\u0120\",\"a\"]]}"
    "}";

static lb_tokenizer *tokenizer;
static lb_chat_template *chat;
static char folder[] = "/tmp/limbeck-fuzz-XXXXXX";

static void remove_folder(void) {
  char path[100];
  for (int i = 0; i < N_ENDINGS; i++) {
    snprintf(path, sizeof path, "%s/x.%s", folder, endings[i]);
    unlink(path);
  }
  rmdir(folder);
}

static void set_up(void) {
  if (tokenizer != NULL) return;
  const char *source = lb_chat_template_builtin("chatml");
  lb_threads_set(1);
  FUZZ_CHECK(lb__tokenizer_parse_json(&tokenizer, tokenizer_json, sizeof tokenizer_json - 1, "x",
                                      NULL) == LB_OK);
  FUZZ_CHECK(lb_chat_template_parse(&chat, source, strlen(source), "chatml", NULL) == LB_OK);
  FUZZ_CHECK(mkdtemp(folder) != NULL);
  atexit(remove_folder);
}

static void write_file(const char *path, const uint8_t *data, size_t size) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
  close(fd);
}

static void check_document(const lb__corpus *c, int64_t i, bool has_tokenizer) {
  lb__document_view d = lb__corpus_document(c, i);
  int64_t n_trained = 0;
  FUZZ_CHECK(d.n >= 2 && d.n <= MAX_LENGTH && d.targets[d.n - 1] == LB__NOT_TRAINED);
  for (int64_t k = 0; k < d.n; k++) {
    FUZZ_CHECK(d.ids[k] >= 0);
    n_trained += d.targets[k] != LB__NOT_TRAINED;
  }
  FUZZ_CHECK(n_trained == d.n_trained && n_trained > 0);
  lb__shown_piece *pieces;
  size_t n;
  lb_status st = lb__corpus_show(&pieces, &n, c, i, has_tokenizer ? tokenizer : NULL, NULL);
  FUZZ_CHECK(st == LB_OK || has_tokenizer); /* a row of tokens may hold ids of another tokenizer */
  for (size_t k = 0; k < n; k++) FUZZ_CHECK(pieces[k].size > 0);
  lb__shown_pieces_free(pieces, n);
}

static void check_corpus(const lb__corpus *c, bool has_tokenizer) {
  const lb__corpus_facts *f = lb__corpus_get_facts(c);
  int64_t tokens = 0, n = lb__corpus_n_documents(c);
  FUZZ_CHECK(n > 0 && n == f->n_documents);
  FUZZ_CHECK((f->n_bad_lines > 0) == (f->first_bad[0] != '\0'));
  FUZZ_CHECK(lb__utf8_valid(f->first_bad, strlen(f->first_bad)));
  for (int64_t i = 0; i < n; i++) tokens += lb__corpus_document(c, i).n;
  FUZZ_CHECK(tokens == f->n_tokens);
  for (int64_t i = 0; i < n && i < 50; i++) check_document(c, i, has_tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[100];
  const char *paths[] = {path};
  if (size == 0) return 0;
  set_up();
  bool plain = data[0] & 0x80;
  snprintf(path, sizeof path, "%s/x.%s", folder, endings[data[0] % N_ENDINGS]);
  write_file(path, data + 1, size - 1);
  lb__corpus *c;
  lb_error err = {0};
  lb__corpus_options o = lb__corpus_options_default();
  o.paths = paths;
  o.n_paths = 1;
  o.max_length = MAX_LENGTH;
  o.tokenizer = plain ? NULL : tokenizer;
  o.chat_template = plain || data[0] & 0x40 ? NULL : chat;
  lb_status st = lb__corpus_open(&c, &o, &err);
  FUZZ_CHECK((st == LB_OK) == (c != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  if (st == LB_OK) check_corpus(c, !plain);
  lb__corpus_free(c);
  return 0;
}
