/* growth_files.c - files of more and more parts: JSON, JSON Lines, YAML, GGUF, safetensors,
 * tokenizer.json. */
#include "growth.h"

#include "base/json.h"
#include "base/yaml.h"
#include "data/corpus.h"
#include "data/dataset.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "text/tokenizer_internal.h"

#include <stdlib.h>
#include <unistd.h>

/* `part` with the number i in it, n times, commas between. */
static void put_list(lb__buf *out, size_t n, const char *part) {
  for (size_t i = 0; i < n; i++) {
    if (i > 0) lb__buf_add_char(out, ',');
    for (const char *p = part; *p != '\0'; p++)
      if (*p == '#')
        lb__buf_printf(out, "%zu", i);
      else
        lb__buf_add_char(out, *p);
  }
}

static void put_wrapped(lb__buf *out, const char *begin, size_t n, const char *part,
                        const char *end) {
  lb__buf_add_text(out, begin);
  put_list(out, n, part);
  lb__buf_add_text(out, end);
}

/* ---- JSON ---- */

static void json_numbers(lb__buf *out, size_t n) {
  put_wrapped(out, "[", n, "#,-1.5e3,99999999999999999999", "]");
}
static void json_keys(lb__buf *out, size_t n) {
  put_wrapped(out, "{", n, "\"key #\":null", "}");
}
static void json_nested(lb__buf *out, size_t n) {
  put_wrapped(out, "[", n, "[{\"a\":[[{\"b\":{}}]]}]", "]");
}
static void json_escapes(lb__buf *out, size_t n) {
  lb__buf_add_char(out, '"');
  for (size_t i = 0; i < n; i++) lb__buf_add_text(out, "a\\n\\u00e9\\ud83d\\ude00");
  lb__buf_add_char(out, '"');
}
static void json_text(lb__buf *out, size_t n) {
  lb__buf_add_char(out, '"');
  growth_words(out, n);
  lb__buf_add_char(out, '"');
}
static void json_bad(lb__buf *out, size_t n) { /* the message counts lines */
  for (size_t i = 0; i < n; i++) lb__buf_add_text(out, "\n");
}

static void parse_json(const lb__buf *input) {
  json_t *value;
  lb_error err;
  growth_must(lb__json_parse(&value, lb__buf_text(input), input->size, "json", &err), &err);
  json_decref(value);
}
static void refuse_json(const lb__buf *input) {
  json_t *value;
  lb_error err;
  if (lb__json_parse(&value, lb__buf_text(input), input->size, "json", &err) == LB_OK) exit(1);
}

/* ---- YAML ---- */

static void yaml_keys(lb__buf *out, size_t n) {
  for (size_t i = 0; i < n; i++) lb__buf_printf(out, "key%zu: [a, {b: 1}]\n", i);
}
static void parse_yaml(const lb__buf *input) {
  lb__yaml *y;
  lb_error err;
  growth_must(lb__yaml_parse(&y, lb__buf_text(input), input->size, "yaml", &err), &err);
  lb__yaml_free(y);
}

/* ---- data: a file that ends in .jsonl, .json or .txt ---- */

/* The caller removes the file. */
static const char *write_file(const lb__buf *input, const char *ending) {
  static char path[100];
  snprintf(path, sizeof path, "/tmp/limbeck-growth-XXXXXX%s", ending);
  int fd = mkstemps(path, (int)strlen(ending));
  if (fd < 0 || write(fd, lb__buf_text(input), input->size) != (ssize_t)input->size) exit(1);
  close(fd);
  return path;
}

static void read_rows(const lb__buf *input, const char *ending) {
  const char *path = write_file(input, ending), *paths[] = {path};
  lb__dataset *d;
  lb__row_batch b;
  lb_error err;
  lb__row_batch_init(&b);
  growth_must(lb__dataset_open(&d, paths, 1, &err), &err);
  do {
    growth_must(lb__dataset_next(d, &b, &err), &err);
    for (size_t i = 0; i < b.n; i++) {
      json_t *value;
      const char *row = lb__buf_text(&b.bytes) + b.rows[i].begin;
      if (b.rows[i].kind != LB__ROW_JSON) continue;
      growth_must(lb__json_parse(&value, row, b.rows[i].size, path, &err), &err);
      json_decref(value);
    }
  } while (b.path != NULL);
  lb__row_batch_deinit(&b);
  lb__dataset_close(d);
  unlink(path);
}
static void read_jsonl(const lb__buf *input) {
  read_rows(input, ".jsonl");
}
static void read_json_list(const lb__buf *input) {
  read_rows(input, ".json");
}
static void read_text(const lb__buf *input) {
  read_rows(input, ".txt");
}

static void jsonl_rows(lb__buf *out, size_t n) {
  for (size_t i = 0; i < n; i++) lb__buf_printf(out, "{\"text\":\"row %zu\"}\n", i);
}
static void jsonl_row(lb__buf *out, size_t n) {
  lb__buf_add_text(out, "{\"text\":");
  json_text(out, n);
  lb__buf_add_text(out, "}\n");
}
static void jsonl_empty(lb__buf *out, size_t n) {
  for (size_t i = 0; i < n; i++) lb__buf_add_text(out, " \n");
  lb__buf_add_text(out, "{}\n");
}
static void json_rows(lb__buf *out, size_t n) {
  put_wrapped(out, "[", n, "\n{\"text\":\"row #\",\"a\":[{}]}", "]");
}

/* ---- a conversation, to ids of which the assistant's are learned ---- */

static lb_tokenizer *letters;
static lb_chat_template *marks_generation;

static void conversation(lb__buf *out, size_t n) {
  put_wrapped(out, "{\"messages\":[", n + 1,
              "{\"role\":\"user\",\"content\":\"a#\"},"
              "{\"role\":\"assistant\",\"content\":\"bb#\"}",
              "]}\n");
}
static void begin_conversation(void) {
  static const char source[] =
      "{% for m in messages %}{% if m.role == 'user' %}a{{ m.content }}{% else %}"
      "{% generation %}b{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}";
  static const char tokenizer[] =
      "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{"
      "\"type\":"
      "\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"0\":0,\"1\":1,\"2\":2,\"3\":3,\"4\":"
      "4,"
      "\"5\":5,\"6\":6,\"7\":7,\"8\":8,\"9\":9,\"a\":10,\"b\":11},\"merges\":[]}}";
  lb_error err;
  growth_must(lb__tokenizer_parse_json(&letters, tokenizer, strlen(tokenizer), "letters", &err),
              &err);
  growth_must(lb_chat_template_parse(&marks_generation, source, strlen(source), "generation", &err),
              &err);
}
static void end_conversation(void) {
  lb_chat_template_free(marks_generation);
  lb_tokenizer_free(letters);
}
static void read_conversation(const lb__buf *input) {
  const char *path = write_file(input, ".jsonl");
  lb__corpus *c;
  lb_error err;
  lb__corpus_options o = lb__corpus_options_default();
  o.paths = &path;
  o.n_paths = 1;
  o.tokenizer = letters;
  o.chat_template = marks_generation;
  o.max_length = INT32_MAX;
  growth_must(lb__corpus_open(&c, &o, &err), &err);
  lb__corpus_free(c);
  unlink(path);
}

/* ---- GGUF ---- */

static void put_number(lb__buf *out, uint64_t x, size_t size) {
  for (size_t i = 0; i < size; i++) lb__buf_add_char(out, (char)(x >> (8 * i)));
}
static void put_name(lb__buf *out, const char *what, size_t i) {
  char name[64];
  put_number(out, (uint64_t)snprintf(name, sizeof name, "%s.%zu", what, i), 8);
  lb__buf_add_text(out, name);
}
static void put_header(lb__buf *out, size_t n_tensors, size_t n_keys) {
  lb__buf_add_text(out, "GGUF");
  put_number(out, 3, 4);
  put_number(out, n_tensors, 8);
  put_number(out, n_keys, 8);
}

static void gguf_keys(lb__buf *out, size_t n) {
  put_header(out, 0, n);
  for (size_t i = 0; i < n; i++) {
    put_name(out, "key", i);
    put_number(out, i % 2 ? LB__GGUF_STRING : LB__GGUF_U64, 4);
    if (i % 2)
      put_name(out, "value", i);
    else
      put_number(out, i, 8);
  }
}
static void gguf_strings(lb__buf *out, size_t n) {
  put_header(out, 0, 1);
  put_name(out, "tokens", 0);
  put_number(out, LB__GGUF_ARRAY, 4);
  put_number(out, LB__GGUF_STRING, 4);
  put_number(out, n, 8);
  for (size_t i = 0; i < n; i++) put_name(out, "token", i);
}
static void gguf_tensors(lb__buf *out, size_t n) {
  put_header(out, n, 0);
  for (size_t i = 0; i < n; i++) {
    put_name(out, "blk", i);
    put_number(out, 1, 4);
    put_number(out, 8, 8);
    put_number(out, 0, 4);
    put_number(out, 32 * i, 8);
  }
  while (out->size % 32 != 0) lb__buf_add_char(out, 0);
  for (size_t i = 0; i < 32 * n; i++) lb__buf_add_char(out, 0);
}
static void open_gguf(const lb__buf *input) {
  lb__gguf *g;
  lb_error err;
  growth_must(lb__gguf_parse(&g, lb__buf_text(input), input->size, "gguf", &err), &err);
  lb__gguf_close(g);
}

/* ---- safetensors ---- */

static void safetensors_tensors(lb__buf *out, size_t n) {
  lb__buf header;
  lb__buf_init(&header, SIZE_MAX);
  lb__buf_add_char(&header, '{');
  for (size_t i = 0; i < n; i++)
    lb__buf_printf(&header,
                   "%s\"t%zu\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}",
                   i > 0 ? "," : "", i, n - i - 1, n - i);
  lb__buf_add_char(&header, '}');
  put_number(out, header.size, 8);
  lb__buf_add(out, lb__buf_text(&header), header.size);
  for (size_t i = 0; i < n; i++) lb__buf_add_char(out, 0);
  lb__buf_deinit(&header);
}
static void open_safetensors(const lb__buf *input) {
  lb__safetensors *s;
  lb_error err;
  growth_must(lb__safetensors_parse(&s, lb__buf_text(input), input->size, "safetensors", &err),
              &err);
  lb__safetensors_close(s);
}

/* ---- tokenizer.json ---- */

static void bpe_file(lb__buf *out, size_t n) {
  lb__buf_add_text(out, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1");
  for (size_t i = 0; i < n; i++)
    lb__buf_printf(out, ",\"%zu\":%zu,\"a%zu\":%zu", i, 2 + 2 * i, i, 3 + 2 * i);
  put_wrapped(out, "},\"merges\":[", n, "\"a #\"", "]}}");
}
static void unigram_file(lb__buf *out, size_t n) {
  put_wrapped(out, "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],", n + 1,
              "[\"t#\",-#]", "]}}");
}
static void added_file(lb__buf *out, size_t n) {
  lb__buf_add_text(out, "{\"added_tokens\":[");
  for (size_t i = 0; i < n; i++)
    lb__buf_printf(out, "%s{\"id\":%zu,\"content\":\"<%zu>\",\"special\":true,\"normalized\":%s}",
                   i > 0 ? "," : "", i + 1, i, i % 2 ? "true" : "false");
  lb__buf_add_text(out, "],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}");
}
static void open_tokenizer(const lb__buf *input) {
  lb_tokenizer *t;
  lb_error err;
  growth_must(lb__tokenizer_parse_json(&t, lb__buf_text(input), input->size, "tokenizer", &err),
              &err);
  lb_tokenizer_free(t);
}

const growth_case growth_file_cases[] = {
    {"JSON: numbers", 500, json_numbers, parse_json, NULL, NULL},
    {"JSON: keys of an object", 1000, json_keys, parse_json, NULL, NULL},
    {"JSON: lists in lists", 500, json_nested, parse_json, NULL, NULL},
    {"JSON: escapes", 1000, json_escapes, parse_json, NULL, NULL},
    {"JSON: one text", 20000, json_text, parse_json, NULL, NULL},
    {"JSON: place of an error", 20000, json_bad, refuse_json, NULL, NULL},
    {"YAML: keys", 400, yaml_keys, parse_yaml, NULL, NULL},
    {"JSON Lines: rows", 1000, jsonl_rows, read_jsonl, NULL, NULL},
    {"JSON Lines: one row", 40000, jsonl_row, read_jsonl, NULL, NULL},
    {"JSON Lines: empty lines", 5000, jsonl_empty, read_jsonl, NULL, NULL},
    {"JSON list: rows", 1000, json_rows, read_json_list, NULL, NULL},
    {"running text", 40000, growth_words, read_text, NULL, NULL},
    {"JSON Lines: one conversation", 300, conversation, read_conversation, begin_conversation,
     end_conversation},
    {"GGUF: keys", 1000, gguf_keys, open_gguf, NULL, NULL},
    {"GGUF: strings of an array", 2000, gguf_strings, open_gguf, NULL, NULL},
    {"GGUF: tensors", 1000, gguf_tensors, open_gguf, NULL, NULL},
    {"safetensors: tensors", 500, safetensors_tensors, open_safetensors, NULL, NULL},
    {"tokenizer.json: BPE", 1000, bpe_file, open_tokenizer, NULL, NULL},
    {"tokenizer.json: Unigram", 1000, unigram_file, open_tokenizer, NULL, NULL},
    {"tokenizer.json: added tokens", 500, added_file, open_tokenizer, NULL, NULL},
    {0},
};
