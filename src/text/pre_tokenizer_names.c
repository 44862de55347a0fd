/* pre_tokenizer_names.c - see pre_tokenizer_names.h. The patterns are the models' own; the names
 * are llama.cpp's. Of rows with the same pipeline the first one gives the name when we write. */
#include "pre_tokenizer_names.h"

#include "base/fail.h"
#include "base/memory.h"

#define BYTES                                                                                      \
  "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}"
#define BYTES_BY_REGEX                                                                             \
  "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}"
#define SPLIT(regex)                                                                               \
  "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex                                            \
  "\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define SEQUENCE(parts) "{\"type\":\"Sequence\",\"pretokenizers\":[" parts "]}"
#define DIGITS          "{\"type\":\"Digits\",\"individual_digits\":true}"
#define NFC             "{\"type\":\"NFC\"}"
#define NONE            "null"

/* Patterns as they stand in JSON: every backslash doubled, quotes escaped; then once more for C. */
#define ENGLISH "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LLAMA3(digits)                                                                             \
  ENGLISH "|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" digits                                       \
          "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define UPPER "[\\\\p{Lu}\\\\p{Lt}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]"
#define LOWER "[\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]"
#define O200K(digits)                                                                              \
  "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?" UPPER "*" LOWER "+" ENGLISH                                     \
  "?|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?" UPPER "+" LOWER "*" ENGLISH "?|" digits                       \
  "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n/]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define THREE_DIGITS "\\\\p{N}{1,3}"
#define ONE_DIGIT    "\\\\p{N}"
#define DEEPSEEK_WORDS                                                                             \
  "[!\\\"#$%&'()*+,\\\\-./"                                                                        \
  ":;<=>?@\\\\[\\\\\\\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\\\p{L}\\\\p{P}\\\\p{S}]?"                  \
  "[\\\\p{L}\\\\p{M}]+| ?[\\\\p{P}\\\\p{S}]+[\\r\\n]*|\\\\s*[\\r\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define EAST_ASIAN "[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+"

static const lb__pre_tokenizer_row rows[] = {
    {"gpt-2",
     " default phi-2 jina-es jina-de jina-v2-es jina-v2-de gigachat roberta-bpe exaone4 mpt olmo "
     "jais gpt2 ",
     NONE, BYTES_BY_REGEX, false},
    {"llama-bpe", " llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 ", NONE,
     SEQUENCE(SPLIT(LLAMA3(THREE_DIGITS)) "," BYTES), true},
    {"qwen2", " deepseek-r1-qwen megrez ", NFC, SEQUENCE(SPLIT(LLAMA3(ONE_DIGIT)) "," BYTES),
     false},
    {"smollm", " starcoder refact command-r codeshell ", NONE, SEQUENCE(DIGITS "," BYTES_BY_REGEX),
     false},
    {"deepseek-v3", " hunyuan-dense ", "{\"type\":\"Sequence\",\"normalizers\":[]}",
     SEQUENCE(SPLIT(THREE_DIGITS) "," SPLIT(EAST_ASIAN) "," SPLIT(DEEPSEEK_WORDS) "," BYTES),
     false},
    {"dbrx", " smaug-bpe ", NONE, SEQUENCE(SPLIT(LLAMA3(THREE_DIGITS)) "," BYTES), false},
    {"stablelm2", " olmo2 hunyuan ", NFC, SEQUENCE(SPLIT(LLAMA3(ONE_DIGIT)) "," BYTES), false},
    {"gpt-4o", " llama4 ", NONE, SEQUENCE(SPLIT(O200K(THREE_DIGITS)) "," BYTES), false},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

const char *lb__pre_tokenizer_known(void) {
  return "default gpt-2 llama-bpe qwen2 deepseek-r1-qwen smollm starcoder deepseek-v3 dbrx "
         "stablelm2 gpt-4o";
}

static bool is_alias(const char *aliases, const char *name) {
  size_t size = strlen(name);
  if (aliases == NULL || size == 0 || strchr(name, ' ') != NULL) return false;
  for (const char *p = strstr(aliases, name); p != NULL; p = strstr(p + 1, name))
    if (p > aliases && p[-1] == ' ' && p[size] == ' ') return true;
  return false;
}

const lb__pre_tokenizer_row *lb__pre_tokenizer_find(const char *name) {
  for (int i = 0; i < N_ROWS; i++)
    if (strcmp(rows[i].name, name) == 0 || is_alias(rows[i].aliases, name)) return &rows[i];
  return NULL;
}

static json_t *parse(const char *text) {
  json_t *value = NULL;
  return lb__json_parse(&value, text, strlen(text), "pre-tokenizer table", NULL) == LB_OK ? value
                                                                                          : NULL;
}

lb_status lb__pre_tokenizer_config(json_t **out, const lb__pre_tokenizer_row *row, lb_error *err) {
  static const char rest[] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":"
                             "false,\"use_regex\":true}";
  *out = json_pack("{s:s, s:n, s:n, s:[], s:o, s:o, s:o, s:o,"
                   " s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:n, s:n}}",
                   "version", "1.0", "truncation", "padding", "added_tokens", "normalizer",
                   parse(row->normalizer), "pre_tokenizer", parse(row->pre_tokenizer),
                   "post_processor", parse(rest), "decoder", parse(rest), "model", "type", "BPE",
                   "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                   "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", row->ignore_merges, "vocab",
                   "merges");
  return *out != NULL ? LB_OK : lb__fail_nomem(err, row->name);
}

/* A pipeline without what does not matter: null for an empty normalizer, no trim_offsets, the one
 * element of a Sequence of one. */
static json_t *simplify(json_t *part, const char *list_key) {
  json_t *list = json_object_get(part, list_key);
  if (json_is_array(list) && json_array_size(list) == 0) {
    json_decref(part);
    return json_null();
  }
  for (size_t i = 0; i < json_array_size(list); i++)
    json_object_del(json_array_get(list, i), "trim_offsets");
  json_object_del(part, "trim_offsets");
  if (json_array_size(list) != 1) return part;
  json_t *only = json_incref(json_array_get(list, 0));
  json_decref(part);
  return only;
}

static lb_status compare_part(bool *same, const json_t *config, const char *key,
                              const char *list_key, const char *row_text, lb_error *err) {
  json_t *found = json_object_get(config, key);
  json_t *mine = simplify(found != NULL ? json_deep_copy(found) : json_null(), list_key);
  json_t *theirs = simplify(parse(row_text), list_key);
  lb_status st = mine != NULL && theirs != NULL ? LB_OK : lb__fail_nomem(err, key);
  if (st == LB_OK) *same = json_equal(mine, theirs);
  json_decref(mine);
  json_decref(theirs);
  return st;
}

lb_status lb__pre_tokenizer_identify(const lb__pre_tokenizer_row **out, const json_t *config,
                                     lb_error *err) {
  bool ignore_merges =
      json_is_true(json_object_get(json_object_get(config, "model"), "ignore_merges"));
  *out = NULL;
  for (int i = 0; i < N_ROWS; i++) {
    bool same = false, same_normalizer = false;
    lb_status st =
        compare_part(&same, config, "pre_tokenizer", "pretokenizers", rows[i].pre_tokenizer, err);
    if (st == LB_OK && same)
      st = compare_part(&same_normalizer, config, "normalizer", "normalizers", rows[i].normalizer,
                        err);
    if (st != LB_OK) return st;
    if (!same || !same_normalizer) continue;
    bool exact = rows[i].ignore_merges == ignore_merges;
    if (exact || *out == NULL) *out = &rows[i];
    if (exact) break;
  }
  return LB_OK;
}
