/* example.c - see example.h: which format a row has, and each format's reader. Messages are read in
 * example_messages.c. */
#include "example.h"

#include "example_messages.h"

#include "base/fail.h"

/* ---- formats ---- */

const char *lb__data_format_name(lb__data_format f) {
  static const char *const names[] = {"auto",   "text",     "prompt", "messages",
                                      "alpaca", "sharegpt", "tokens"};
  return (size_t)f < sizeof names / sizeof *names ? names[f] : NULL;
}

static const char *text_key(const lb__corpus_options *o) {
  return o->text_field != NULL ? o->text_field : "text";
}

static const char *messages_key(const lb__corpus_options *o) {
  return o->messages_field != NULL ? o->messages_field : "messages";
}

/* As in exported tables, where every row has every column, null is absent. */
static const json_t *member(const json_t *row, const char *key) {
  const json_t *value = json_object_get(row, key);
  return json_is_null(value) ? NULL : value;
}

static bool has(const json_t *row, const char *key) {
  return member(row, key) != NULL;
}

/* The most telling keys first: tokenised data often keeps its text beside it. */
static lb__data_format detect(const json_t *row, const lb__corpus_options *o) {
  if (has(row, "input_ids")) return LB__DATA_TOKENS;
  if (has(row, messages_key(o))) return LB__DATA_MESSAGES;
  if (has(row, "conversations")) return LB__DATA_SHAREGPT;
  if (has(row, "prompt") && has(row, "completion")) return LB__DATA_PROMPT;
  if (has(row, "instruction") && has(row, "output")) return LB__DATA_ALPACA;
  return has(row, text_key(o)) ? LB__DATA_TEXT : LB__DATA_AUTO;
}

static lb_status fail_unknown(const json_t *row, const lb__corpus_options *o, lb_error *err) {
  lb__buf keys;
  lb__buf_init(&keys, 200);
  void *at = json_object_iter((json_t *)(uintptr_t)row); /* jansson's iterators take no const */
  for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)row, at))
    lb__buf_printf(&keys, "%s%s", keys.size > 0 ? ", " : "", json_object_iter_key(at));
  lb_status st = lb__fail(err, LB_E_FORMAT,
                          "want the keys %s, or prompt and completion, or %s, or conversations, or "
                          "instruction and output, or input_ids; found: %s",
                          text_key(o), messages_key(o), keys.size > 0 ? keys.bytes : "none");
  lb__buf_deinit(&keys);
  return st;
}

/* ---- strings ---- */

static lb_status want_string(const json_t **out, const json_t *row, const char *key, bool required,
                             lb_error *err) {
  *out = member(row, key);
  if (*out == NULL && !required) return LB_OK;
  if (!json_is_string(*out))
    return lb__fail(err, LB_E_FORMAT, "key '%s': want a string, found %s", key,
                    lb__json_type_name(*out));
  return LB_OK;
}

static void add_string(lb__buf *b, const json_t *string) {
  lb__buf_add(b, json_string_value(string), json_string_length(string));
}

static lb_status read_text(lb__example *e, const json_t *row, const lb__corpus_options *o,
                           lb_error *err) {
  const json_t *text;
  lb_status st = want_string(&text, row, text_key(o), true, err);
  if (st != LB_OK) return st;
  e->kind = LB__EXAMPLE_TEXT;
  add_string(&e->text, text);
  return lb__buf_check(&e->text, "text", err);
}

/* ---- prompt and completion ---- */

static lb_status read_prompt_strings(lb__example *e, const json_t *prompt, const json_t *completion,
                                     lb_error *err) {
  e->kind = LB__EXAMPLE_PROMPT;
  add_string(&e->text, prompt);
  e->prompt_size = e->text.size;
  add_string(&e->text, completion);
  return lb__buf_check(&e->text, "prompt and completion", err);
}

static lb_status read_prompt(lb__example *e, const json_t *row, lb_error *err) {
  const json_t *prompt = member(row, "prompt"), *completion = member(row, "completion");
  if (json_is_string(prompt) && json_is_string(completion))
    return read_prompt_strings(e, prompt, completion, err);
  if (!json_is_array(prompt) || !json_is_array(completion) || json_array_size(prompt) == 0 ||
      json_array_size(completion) == 0)
    return lb__fail(err, LB_E_FORMAT,
                    "keys 'prompt' and 'completion': want two strings or two lists of messages, "
                    "found %s and %s",
                    lb__json_type_name(prompt), lb__json_type_name(completion));
  lb_status st = lb__messages_add(e, prompt, "prompt", err);
  e->n_given = json_array_size(e->messages);
  if (st == LB_OK) st = lb__messages_add(e, completion, "completion", err);
  return st == LB_OK ? lb__messages_read_rest(e, row, err) : st;
}

/* ---- alpaca ---- */

/* Earlier rounds, [[user, assistant], ...]. */
static lb_status check_history(const json_t *history, lb_error *err) {
  size_t i;
  const json_t *round;
  if (history != NULL && !json_is_array(history))
    return lb__fail(err, LB_E_FORMAT, "key 'history': want a list, found %s",
                    lb__json_type_name(history));
  json_array_foreach(history, i, round) {
    if (json_array_size(round) != 2 || !json_is_string(json_array_get(round, 0)) ||
        !json_is_string(json_array_get(round, 1)))
      return lb__fail(err, LB_E_FORMAT, "key 'history': round %zu is no pair of strings", i + 1);
  }
  return LB_OK;
}

typedef struct alpaca {
  const json_t *instruction, *input, *output, *system, *history;
} alpaca;

static lb_status want_alpaca(alpaca *a, const json_t *row, lb_error *err) {
  lb_status st = want_string(&a->instruction, row, "instruction", true, err);
  if (st == LB_OK) st = want_string(&a->input, row, "input", false, err);
  if (st == LB_OK) st = want_string(&a->output, row, "output", true, err);
  if (st == LB_OK) st = want_string(&a->system, row, "system", false, err);
  if (a->input != NULL && json_string_length(a->input) == 0) a->input = NULL;
  if (a->system != NULL && json_string_length(a->system) == 0) a->system = NULL;
  a->history = member(row, "history");
  return st == LB_OK ? check_history(a->history, err) : st;
}

/* The user's turn is "instruction\ninput", as LLaMA-Factory has it. */
static lb_status alpaca_conversation(lb__example *e, const alpaca *a, lb_error *err) {
  size_t i;
  const json_t *round;
  lb_status st = LB_OK;
  if (a->system != NULL) st = lb__messages_add_one(e, "system", a->system, NULL, err);
  json_array_foreach(a->history, i, round) {
    if (st == LB_OK) st = lb__messages_add_one(e, "user", json_array_get(round, 0), NULL, err);
    if (st == LB_OK) st = lb__messages_add_one(e, "assistant", json_array_get(round, 1), NULL, err);
  }
  if (st == LB_OK) st = lb__messages_add_one(e, "user", a->instruction, a->input, err);
  return st == LB_OK ? lb__messages_add_one(e, "assistant", a->output, NULL, err) : st;
}

/* The prompt of Stanford Alpaca's train.py, with the line end after "### Response:" that its
 * descendants (alpaca-lora and others) have: the answer begins on a line of its own. */
static lb_status alpaca_text(lb__example *e, const alpaca *a, lb_error *err) {
  size_t i;
  const json_t *round;
  lb__buf *b = &e->text;
  e->kind = LB__EXAMPLE_PROMPT;
  if (a->system != NULL)
    add_string(b, a->system);
  else if (a->input != NULL)
    lb__buf_add_text(b, "Below is an instruction that describes a task, paired with an input that "
                        "provides further context. Write a response that appropriately completes "
                        "the request.");
  else
    lb__buf_add_text(b, "Below is an instruction that describes a task. Write a response that "
                        "appropriately completes the request.");
  json_array_foreach(a->history, i, round) {
    lb__buf_add_text(b, "\n\n### Instruction:\n");
    add_string(b, json_array_get(round, 0));
    lb__buf_add_text(b, "\n\n### Response:\n");
    add_string(b, json_array_get(round, 1));
  }
  lb__buf_add_text(b, "\n\n### Instruction:\n");
  add_string(b, a->instruction);
  if (a->input != NULL) {
    lb__buf_add_text(b, "\n\n### Input:\n");
    add_string(b, a->input);
  }
  lb__buf_add_text(b, "\n\n### Response:\n");
  e->prompt_size = b->size;
  add_string(b, a->output);
  return lb__buf_check(b, "instruction and output", err);
}

static lb_status read_alpaca(lb__example *e, const json_t *row, const lb__corpus_options *o,
                             lb_error *err) {
  alpaca a = {0};
  lb_status st = want_alpaca(&a, row, err);
  if (st != LB_OK) return st;
  return o->chat_template != NULL ? alpaca_conversation(e, &a, err) : alpaca_text(e, &a, err);
}

/* ---- conversations, tokens ---- */

static lb_status read_conversation(lb__example *e, const json_t *row, const char *key,
                                   lb_error *err) {
  const json_t *messages = member(row, key), *system;
  if (!json_is_array(messages) || json_array_size(messages) == 0)
    return lb__fail(err, LB_E_FORMAT, "key '%s': want a list of messages, found %s", key,
                    json_is_array(messages) ? "an empty one" : lb__json_type_name(messages));
  lb_status st = want_string(&system, row, "system", false, err);
  if (st == LB_OK && system != NULL && json_string_length(system) > 0)
    st = lb__messages_add_one(e, "system", system, NULL, err);
  if (st == LB_OK) st = lb__messages_add(e, messages, key, err);
  return st == LB_OK ? lb__messages_read_rest(e, row, err) : st;
}

static lb_status want_ids(const json_t **out, const json_t *row, const char *key, bool required,
                          lb_error *err) {
  *out = member(row, key);
  if (*out == NULL && !required) return LB_OK;
  if (!json_is_array(*out))
    return lb__fail(err, LB_E_FORMAT, "key '%s': want a list of integers, found %s", key,
                    lb__json_type_name(*out));
  size_t i;
  const json_t *item;
  json_array_foreach(*out, i, item) {
    if (!json_is_integer(item))
      return lb__fail(err, LB_E_FORMAT, "key '%s': item %zu: want an integer, found %s", key, i,
                      lb__json_type_name(item));
  }
  return LB_OK;
}

static lb_status read_tokens(lb__example *e, const json_t *row, lb_error *err) {
  e->kind = LB__EXAMPLE_TOKENS;
  lb_status st = want_ids(&e->ids, row, "input_ids", true, err);
  if (st == LB_OK) st = want_ids(&e->labels, row, "labels", false, err);
  if (st == LB_OK) st = want_ids(&e->mask, row, "attention_mask", false, err);
  if (st != LB_OK) return st;
  size_t n = json_array_size(e->ids);
  if (e->labels != NULL && json_array_size(e->labels) != n)
    return lb__fail(err, LB_E_FORMAT, "%zu input_ids and %zu labels: want as many", n,
                    json_array_size(e->labels));
  if (e->mask != NULL && json_array_size(e->mask) != n)
    return lb__fail(err, LB_E_FORMAT, "%zu input_ids, attention_mask of %zu: want as many", n,
                    json_array_size(e->mask));
  return LB_OK;
}

/* ---- all ---- */

lb_status lb__example_read(lb__example *out, const json_t *row, const lb__corpus_options *o,
                           lb_error *err) {
  *out = (lb__example){0};
  lb__buf_init(&out->text, SIZE_MAX);
  if (!json_is_object(row))
    return lb__fail(err, LB_E_FORMAT, "want an object, found %s", lb__json_type_name(row));
  out->format = o->format != LB__DATA_AUTO ? o->format : detect(row, o);
  switch (out->format) {
  case LB__DATA_TEXT: return read_text(out, row, o, err);
  case LB__DATA_PROMPT: return read_prompt(out, row, err);
  case LB__DATA_MESSAGES: return read_conversation(out, row, messages_key(o), err);
  case LB__DATA_SHAREGPT: return read_conversation(out, row, "conversations", err);
  case LB__DATA_ALPACA: return read_alpaca(out, row, o, err);
  case LB__DATA_TOKENS: return read_tokens(out, row, err);
  case LB__DATA_AUTO: break;
  }
  return fail_unknown(row, o, err);
}

void lb__example_deinit(lb__example *e) {
  lb__buf_deinit(&e->text);
  json_decref(e->messages);
  json_decref(e->tools);
}
