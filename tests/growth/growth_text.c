/* growth_text.c - texts that grow: each tokenizer of a folder on each kind of text, to ids and
 * back, and chat templates with more and with longer messages. */
#include "growth.h"

#include "base/files.h"
#include "text/tokenizer_internal.h"

#include <limbeck/chat.h>

#include <stdio.h>
#include <stdlib.h>

/* ---- texts ---- */

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
  uint64_t x = *state += 0x9E3779B97F4A7C15U;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
  x = (x ^ x >> 27) * 0x94D049BB133111EBU;
  return x ^ x >> 31;
}

/* n + 1 characters of `from`, at random: one is the least that makes a tokenizer work. */
static void put_random(lb__buf *out, size_t n, const char *from) {
  uint64_t state = n;
  size_t n_from = strlen(from);
  for (size_t i = 0; i <= n; i++) lb__buf_add_char(out, from[next_random(&state) % n_from]);
}

void growth_words(lb__buf *out, size_t n) {
  put_random(out, n, "abcdefghijklmnopqrstuvwxyzeeeeeaaaooottn      ");
}
static void one_letter(lb__buf *out, size_t n) {
  put_random(out, n, "a");
}
static void digits(lb__buf *out, size_t n) {
  put_random(out, n, "0123456789");
}
static void white_space(lb__buf *out, size_t n) {
  put_random(out, n, "    \n\t");
}

/* ---- tokenizers ---- */

static const char *tokenizer_path;
static lb_tokenizer *tokenizer;

/* A new one each time: words that it remembers would make the second text cheaper. */
static void open_tokenizer(void) {
  lb_error err;
  growth_must(lb_tokenizer_open(&tokenizer, tokenizer_path, &err), &err);
}
static void close_tokenizer(void) {
  lb_tokenizer_free(tokenizer);
}

static void to_ids_and_back(const lb__buf *input) {
  int32_t *ids;
  size_t n;
  char *text;
  lb_error err;
  growth_must(
      lb_tokenizer_encode(tokenizer, lb__buf_text(input), input->size, NULL, &ids, &n, &err), &err);
  growth_must(lb_tokenizer_decode(tokenizer, ids, n, false, &text, NULL, &err), &err);
  lb_text_free(text);
  lb_ids_free(ids);
}

static const growth_case text_cases[] = {
    {"one letter", 4000, one_letter, to_ids_and_back, open_tokenizer, close_tokenizer},
    {"words", 4000, growth_words, to_ids_and_back, open_tokenizer, close_tokenizer},
    {"digits", 4000, digits, to_ids_and_back, open_tokenizer, close_tokenizer},
    {"white space", 4000, white_space, to_ids_and_back, open_tokenizer, close_tokenizer},
};

/* A decoder that holds back a tail which never ends, one piece after the other. */
static void open_holding_back(void) {
  static const char source[] =
      "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"Strip\","
      "\"content\":\"a\",\"start\":0,\"stop\":1000000}]},"
      "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
  lb_error err;
  growth_must(lb__tokenizer_parse_json(&tokenizer, source, strlen(source), "holding back", &err),
              &err);
}
static const growth_case holding_back = {
    "a tail held back", 4000, one_letter, to_ids_and_back, open_holding_back, close_tokenizer};

static void run_cases(const char *what, const growth_case *cases, size_t n) {
  char name[300];
  for (size_t i = 0; i < n; i++) {
    snprintf(name, sizeof name, "%s: %s", what, cases[i].name);
    growth_run(name, &cases[i]);
  }
}

/* Calls `visit` with the path of each file of the folder whose name ends so. */
static void each_file(const char *folder, const char *ending, void (*visit)(const char *path)) {
  char **names;
  size_t n, n_ending = strlen(ending);
  lb_error err;
  growth_must(lb__folder_list(&names, &n, folder, &err), &err);
  for (size_t i = 0; i < n; i++) {
    size_t size = strlen(names[i]);
    char *path = lb__path_join(folder, names[i]);
    if (path == NULL) exit(1);
    if (size > n_ending && strcmp(names[i] + size - n_ending, ending) == 0) visit(path);
    lb__free(path);
  }
  lb__name_list_free(names, n);
}

static void visit_tokenizer(const char *path) {
  if (strstr(path, ".cases.json") != NULL) return;
  tokenizer_path = path;
  run_cases(lb__path_base(path), text_cases, sizeof text_cases / sizeof text_cases[0]);
}

void growth_tokenizers(const char *folder) {
  growth_run(holding_back.name, &holding_back);
  each_file(folder, ".json", visit_tokenizer);
}

/* ---- chat templates ---- */

static lb_chat_template *chat_template;

#define QUESTION "{\"role\":\"user\",\"content\":\"What is %zu?\"}"
#define ANSWER   "{\"role\":\"assistant\",\"content\":\"It is %zu.\"}"

static void more_messages(lb__buf *out, size_t n) {
  lb__buf_add_text(out, "{\"messages\":[");
  for (size_t i = 0; i <= n; i++)
    lb__buf_printf(out, "%s" QUESTION "," ANSWER, i > 0 ? "," : "", i, i);
  lb__buf_add_text(out, "]}");
}
static void longer_messages(lb__buf *out, size_t n) {
  lb__buf_add_text(out, "{\"messages\":[{\"role\":\"user\",\"content\":\"");
  growth_words(out, n);
  lb__buf_add_text(out, "\"},{\"role\":\"assistant\",\"content\":\"");
  growth_words(out, n);
  lb__buf_add_text(out, "\"}]}");
}

static void render(const lb__buf *input) {
  lb_chat_text *text;
  lb_error err;
  lb_chat_render_options options = lb_chat_render_options_default();
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  options.has_now = true;
  growth_must(
      lb_chat_render(&text, chat_template, lb__buf_text(input), input->size, &options, &err), &err);
  lb_chat_text_free(text);
}

static const growth_case chat_cases[] = {
    {"messages", 60, more_messages, render, NULL, NULL},
    {"longer messages", 10000, longer_messages, render, NULL, NULL},
};

static void run_template(const char *name) {
  run_cases(name, chat_cases, sizeof chat_cases / sizeof chat_cases[0]);
  lb_chat_template_free(chat_template);
}

static void visit_template(const char *path) {
  lb_error err;
  if (strstr(path, "smolvlm") != NULL) return; /* its messages are lists of images and texts */
  growth_must(lb_chat_template_open(&chat_template, path, NULL, &err), &err);
  run_template(lb__path_base(path));
}

void growth_chat_templates(const char *folder) {
  const char *name;
  lb_error err;
  for (size_t i = 0; (name = lb_chat_template_builtin_name(i)) != NULL; i++) {
    const char *source = lb_chat_template_builtin(name);
    growth_must(lb_chat_template_parse(&chat_template, source, strlen(source), name, &err), &err);
    run_template(name);
  }
  each_file(folder, ".jinja", visit_template);
}
