/* chat_turns.c - see chat_turns.h. */
#include "chat_turns.h"

#include "base/fail.h"

/* A template without {% generation %} shows the conversation again for each turn of the assistant,
 * so the work grows with the square of the messages. In bytes of messages; each counts for
 * MESSAGE_WORK more, since short ones cost too. About a second, 1300 short messages. */
enum { MOST_WORK = 1 << 28, MESSAGE_WORK = 256 };

/* One conversation and what its renderings share. */
typedef struct talk {
  const lb__example *e;
  const lb_chat_template *template;
  const lb_chat_render_options *options;
  size_t n, work;  /* messages; done so far, see MOST_WORK */
  char **messages; /* [n] as JSON */
  char *rest;      /* other variables as JSON members, each with a comma before it */
} talk;

/* ---- does the template mark generation? ---- */

bool lb__template_marks_generation(const lb_chat_template *t) {
  static const char word[] = "generation";
  size_t size;
  const char *s = lb_chat_template_source(t, &size), *end = s + size;
  for (; s + 2 < end; s++) {
    if (s[0] != '{' || s[1] != '%') continue;
    const char *p = s + 2;
    if (*p == '-' || *p == '+') p++;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t')) p++;
    if ((size_t)(end - p) < sizeof word || memcmp(p, word, sizeof word - 1) != 0) continue;
    p += sizeof word - 1;
    if (*p == ' ' || *p == '-' || *p == '+' || *p == '%' || *p == '\n' || *p == '\t') return true;
  }
  return false;
}

/* ---- rendering ---- */

static bool add_member(lb__buf *b, const char *key, const json_t *value) {
  char *name = NULL, *text = NULL;
  json_t *key_string = json_string(key);
  if (key_string != NULL) name = lb__json_text(key_string, 0);
  text = lb__json_text(value, 0);
  bool ok =
      name != NULL && text != NULL && lb__buf_printf(b, ",%s:", name) && lb__buf_add_text(b, text);
  json_decref(key_string);
  lb__free(name);
  lb__free(text);
  return ok;
}

/* Our own variables win over those of the row. */
static bool is_ours(const char *key) {
  return strcmp(key, "messages") == 0 || strcmp(key, "add_generation_prompt") == 0 ||
         strcmp(key, "tools") == 0 || strcmp(key, "documents") == 0;
}

static char *rest_of(const lb__example *e) {
  lb__buf b;
  lb__buf_init(&b, SIZE_MAX);
  bool ok = lb__buf_add(&b, "", 0);
  if (ok && e->tools != NULL) ok = add_member(&b, "tools", e->tools);
  if (ok && e->documents != NULL) ok = add_member(&b, "documents", e->documents);
  json_t *extra = (json_t *)(uintptr_t)e->extra; /* jansson's iterators take no const */
  for (void *at = json_object_iter(extra); ok && at != NULL; at = json_object_iter_next(extra, at))
    if (!is_ours(json_object_iter_key(at)))
      ok = add_member(&b, json_object_iter_key(at), json_object_iter_value(at));
  if (!ok) b.failed = true;
  char *rest = b.failed ? NULL : lb__strndup(lb__buf_text(&b), b.size);
  lb__buf_deinit(&b);
  return rest;
}

static void end_talk(talk *t) {
  for (size_t i = 0; t->messages != NULL && i < t->n; i++) lb__free(t->messages[i]);
  lb__free(t->messages);
  lb__free(t->rest);
}

static lb_status begin_talk(talk *t, const lb__example *e, lb_error *err) {
  t->e = e;
  t->n = json_array_size(e->messages);
  t->rest = rest_of(e);
  t->messages = lb__new_array(t->n, sizeof *t->messages);
  bool ok = t->rest != NULL && t->messages != NULL;
  for (size_t i = 0; i < t->n && ok; i++) {
    t->messages[i] = lb__json_text(json_array_get(e->messages, i), 0);
    ok = t->messages[i] != NULL;
  }
  return ok ? LB_OK : lb__fail_nomem(err, "messages");
}

/* The first n messages. */
static lb_status render(lb_chat_text **out, talk *t, size_t n, bool add_generation_prompt,
                        lb_error *err) {
  *out = NULL;
  lb__buf json;
  lb__buf_init(&json, SIZE_MAX);
  lb__buf_add_text(&json, "{\"messages\":[");
  for (size_t i = 0; i < n; i++) {
    if (i > 0) lb__buf_add_char(&json, ',');
    lb__buf_add_text(&json, t->messages[i]);
  }
  lb__buf_printf(&json, "],\"add_generation_prompt\":%s", add_generation_prompt ? "true" : "false");
  lb__buf_add_text(&json, t->rest);
  lb__buf_add_char(&json, '}');
  lb_status st = lb__buf_check(&json, "messages", err);
  t->work += json.size + n * MESSAGE_WORK;
  if (st == LB_OK && t->work > MOST_WORK && n < t->n)
    st = lb__fail(err, LB_E_FORMAT,
                  "a conversation of %zu messages is too long for this chat template, which must "
                  "show it again for each turn of the assistant; use a template with "
                  "{%% generation %%}, train on the completion only, or cut the conversation",
                  t->n);
  if (st == LB_OK) st = lb_chat_render(out, t->template, json.bytes, json.size, t->options, err);
  lb__buf_deinit(&json);
  return st;
}

/* ---- the list of texts ---- */

static void text_deinit(lb__turn_text *t) {
  lb_chat_text_free(t->text);
  lb__free(t->trained);
}

void lb__turn_texts_deinit(lb__turn_texts *texts) {
  for (size_t i = 0; i < texts->n; i++) text_deinit(&texts->items[i]);
  lb__free(texts->items);
  *texts = (lb__turn_texts){0};
}

/* Takes over *text, also on failure. */
static lb_status add_text(lb__turn_texts *out, lb__turn_text *text, lb_error *err) {
  if (!lb__grow(&out->items, &out->capacity, out->n + 1, sizeof *out->items)) {
    text_deinit(text);
    return lb__fail_nomem(err, "rendered chat");
  }
  out->items[out->n++] = *text;
  return LB_OK;
}

static lb_status add_range(lb__turn_text *t, size_t begin, size_t end, lb_error *err) {
  if (begin >= end) return LB_OK;
  if (t->n_trained > 0 && t->trained[t->n_trained - 1].end == begin) {
    t->trained[t->n_trained - 1].end = end;
    return LB_OK;
  }
  if (!lb__grow(&t->trained, &t->capacity, t->n_trained + 1, sizeof *t->trained))
    return lb__fail_nomem(err, "rendered chat");
  t->trained[t->n_trained++] = (lb__byte_range){begin, end};
  return LB_OK;
}

/* ---- where a turn begins ---- */

static size_t common_prefix(const lb_chat_text *a, const lb_chat_text *b) {
  size_t n = a->size < b->size ? a->size : b->size, i = 0;
  while (i < n && a->text[i] == b->text[i]) i++;
  return i;
}

static bool begins_with(const lb_chat_text *text, const lb_chat_text *beginning) {
  return common_prefix(text, beginning) == beginning->size;
}

/* Where common text ends inside the caller's words, they are the model's from their first byte: an
 * answer may happen to begin like the rest of the prompt ("<b>" and "<think>"). The name of the
 * role is the caller's too, and no answer. */
static size_t before_answer(const lb_chat_text *text, size_t at, const json_t *message) {
  const json_t *role = json_object_get(message, "role");
  for (size_t i = 0; i < text->n_spans; i++) {
    const lb_chat_span *span = &text->spans[i];
    size_t size = span->end - span->begin;
    if (!span->is_user_text || at <= span->begin || at > span->end) continue;
    bool is_role = at == span->end && size == json_string_length(role) &&
                   memcmp(text->text + span->begin, json_string_value(role), size) == 0;
    if (!is_role) return span->begin;
  }
  return at;
}

/* The generation prompt and the turn part ways (the prompt opens a <think> that the turn, in
 * this template, does not show). The conversation before must be the same; of the turn, what equals
 * the prompt is given. */
static lb_status find_fork(size_t *begin, talk *t, size_t first, const lb_chat_text *with_turn,
                           size_t common, lb_error *err) {
  lb_chat_text *before = NULL;
  lb_status st = first > 0 ? render(&before, t, first, false, err) : LB_OK;
  if (st != LB_OK) return st;
  bool same = true;
  if (before != NULL) same = before->size <= common && begins_with(with_turn, before);
  lb_chat_text_free(before);
  if (!same)
    return lb__fail(err, LB_E_FORMAT,
                    "the chat template shows the conversation before message %zu differently once "
                    "that message follows, so its part cannot be found; use a template with "
                    "{%% generation %%}, or train_on: all",
                    first);
  *begin = before_answer(with_turn, common, json_array_get(t->e->messages, first));
  return LB_OK;
}

static lb_status find_begin(size_t *begin, talk *t, size_t first, const lb_chat_text *with_turn,
                            lb_error *err) {
  lb_chat_text *prompt;
  *begin = 0;
  lb_status st = render(&prompt, t, first, true, err);
  if (st != LB_OK) return st;
  *begin = common_prefix(prompt, with_turn);
  if (*begin < prompt->size) st = find_fork(begin, t, first, with_turn, *begin, err);
  lb_chat_text_free(prompt);
  return st;
}

/* ---- turns ---- */

/* Messages first..last are trained: in the whole text when that shows them as the model would have
 * written them, else in a text of their own. */
static lb_status add_turn(lb__turn_texts *out, lb__turn_text *whole, talk *t, size_t first,
                          size_t last, lb_error *err) {
  size_t begin;
  lb_chat_text *own = NULL; /* the conversation up to the turn */
  if (last + 1 == t->n) {
    lb_status st = find_begin(&begin, t, first, whole->text, err);
    return st != LB_OK ? st : add_range(whole, begin, whole->text->size, err);
  }
  lb_status st = render(&own, t, last + 1, false, err);
  if (st == LB_OK) st = find_begin(&begin, t, first, own, err);
  if (st == LB_OK && begins_with(whole->text, own)) {
    st = add_range(whole, begin, own->size, err);
  } else if (st == LB_OK) {
    lb__turn_text text = {.text = own};
    own = NULL;
    st = add_range(&text, begin, text.text->size, err);
    if (st == LB_OK)
      st = add_text(out, &text, err);
    else
      text_deinit(&text);
  }
  lb_chat_text_free(own);
  return st;
}

static bool is_assistant(const talk *t, size_t i) {
  const json_t *role = json_object_get(json_array_get(t->e->messages, i), "role");
  return json_is_string(role) && strcmp(json_string_value(role), "assistant") == 0;
}

/* OpenAI's fine-tuning files have "weight": 0, axolotl's "train": false. */
static bool is_left_out(const talk *t, size_t i) {
  const json_t *message = json_array_get(t->e->messages, i);
  const json_t *weight = json_object_get(message, "weight");
  return (json_is_number(weight) && json_number_value(weight) == 0) ||
         json_is_false(json_object_get(message, "train"));
}

static bool any_left_out(const talk *t) {
  for (size_t i = 0; i < t->n; i++)
    if (is_left_out(t, i)) return true;
  return false;
}

static lb_status add_marked(lb__turn_text *whole, lb_error *err) {
  lb_status st = LB_OK;
  whole->marked_by_template = true;
  for (size_t i = 0; i < whole->text->n_spans && st == LB_OK; i++) {
    const lb_chat_span *span = &whole->text->spans[i];
    if (span->is_generation) st = add_range(whole, span->begin, span->end, err);
  }
  return st;
}

static lb_status add_assistant_turns(lb__turn_texts *out, lb__turn_text *whole, talk *t,
                                     lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < t->n && st == LB_OK; i++)
    if (is_assistant(t, i) && !is_left_out(t, i)) st = add_turn(out, whole, t, i, i, err);
  return st;
}

static lb_status add_completion(lb__turn_texts *out, lb__turn_text *whole, talk *t, lb_error *err) {
  if (t->e->n_given > 0) return add_turn(out, whole, t, t->e->n_given, t->n - 1, err);
  for (size_t i = t->n; i > 0; i--)
    if (is_assistant(t, i - 1)) return add_turn(out, whole, t, i - 1, i - 1, err);
  return LB_OK;
}

lb_status lb__turns_render(lb__turn_texts *out, const lb__example *e, const lb_chat_template *t,
                           bool marks_generation, const lb_chat_render_options *options,
                           lb__trained_turns which, lb_error *err) {
  talk about = {.template = t, .options = options};
  lb__turn_text whole = {0};
  lb_status st = begin_talk(&about, e, err);
  if (st == LB_OK) st = render(&whole.text, &about, about.n, false, err);
  if (st == LB_OK && which == LB__TURNS_ASSISTANT)
    st = marks_generation && !any_left_out(&about) ? add_marked(&whole, err)
                                                   : add_assistant_turns(out, &whole, &about, err);
  if (st == LB_OK && which == LB__TURNS_COMPLETION) st = add_completion(out, &whole, &about, err);
  end_talk(&about);
  /* A whole text whose turns all went into texts of their own teaches nothing. */
  if (st == LB_OK && (whole.n_trained > 0 || out->n == 0)) return add_text(out, &whole, err);
  text_deinit(&whole);
  return st;
}
