/* chat_render.c - one rendering: the caller's JSON becomes marked values, the template runs, its
 * output and the marks become an lb_chat_text. Read first: include/limbeck/chat.h. */
#include "chat_template.h"
#include "jinja_eval.h"
#include "jinja_string.h"

#include "base/json.h"

/* ---- JSON to values; every string is marked as the user's ---- */

static lb__jval value_of(lb__jrun *r, const json_t *json);

static lb__jval list_of(lb__jrun *r, const json_t *json) {
  size_t i;
  const json_t *item;
  lb__jval list = lb__jnew_list(r, LB__J_PLAIN_LIST, json_array_size(json));
  json_array_foreach(json, i, item) {
    if (list.kind != LB__J_LIST || !lb__jlist_add(r, list.list, value_of(r, item))) break;
  }
  return list;
}

static lb__jval dict_of(lb__jrun *r, const json_t *json) {
  lb__jval dict = lb__jnew_dict(r);
  void *at = json_object_iter((json_t *)(uintptr_t)json); /* jansson's iterators take no const */
  for (; at != NULL && dict.kind == LB__J_DICT;
       at = json_object_iter_next((json_t *)(uintptr_t)json, at)) {
    const char *key = json_object_iter_key(at);
    lb__jval name = lb__jstring(r, key, strlen(key), LB__MARK_USER);
    if (!lb__jdict_put(r, dict.dict, name, value_of(r, json_object_iter_value(at)))) break;
  }
  return dict;
}

/* Depth is that of the JSON, which the reader has capped. */
static lb__jval value_of(lb__jrun *r, const json_t *json) {
  switch (json_typeof(json)) {
  case JSON_OBJECT: return dict_of(r, json);
  case JSON_ARRAY: return list_of(r, json);
  case JSON_STRING:
    return lb__jstring(r, json_string_value(json), json_string_length(json), LB__MARK_USER);
  case JSON_INTEGER: return lb__jint(json_integer_value(json));
  case JSON_REAL: return lb__jfloat(json_real_value(json));
  case JSON_TRUE: return lb__jbool(true);
  case JSON_FALSE: return lb__jbool(false);
  case JSON_NULL: break;
  }
  return lb__jnone();
}

/* ---- what Transformers does to the variables before it renders ---- */

/* Reasoning goes by three names; templates read one. {"thinking": x, **message,
 * "reasoning_content": x}, in that order of keys. */
static lb__jval alias_reasoning(lb__jrun *r, lb__jval message) {
  static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
  lb__jval reasoning = lb__jnone();
  for (size_t i = 0; i < 3 && reasoning.kind == LB__J_NONE; i++) {
    const lb__jval *found = lb__jdict_get_text(message.dict, names[i]);
    if (found != NULL) reasoning = *found;
  }
  lb__jval copy = reasoning.kind == LB__J_NONE ? message : lb__jnew_dict(r);
  if (reasoning.kind == LB__J_NONE || copy.kind != LB__J_DICT) return copy;
  lb__jdict_put(r, copy.dict, lb__jtext(r, "thinking"), reasoning);
  for (size_t i = 0; i < message.dict->n; i++)
    lb__jdict_put(r, copy.dict, message.dict->pairs[i].key, message.dict->pairs[i].value);
  lb__jdict_put(r, copy.dict, lb__jtext(r, "reasoning_content"), reasoning);
  return copy;
}

static void prepare_messages(lb__jrun *r, lb__jval *messages) {
  if (messages == NULL || messages->kind != LB__J_LIST) {
    lb__jfail(r, LB_E_ARG, "the JSON needs \"messages\": a list of objects");
    return;
  }
  for (size_t i = 0; i < messages->list->n && r->status == LB_OK; i++) {
    lb__jval *message = &messages->list->values[i];
    if (message->kind == LB__J_DICT)
      *message = alias_reasoning(r, *message);
    else
      lb__jfail(r, LB_E_ARG, "message %zu: want an object, found %s", i, lb__jtype_name(*message));
  }
}

static void put_token(lb__jrun *r, const char *name, const char *token) {
  if (token != NULL) lb__jdict_put(r, r->context, lb__jtext(r, name), lb__jtext(r, token));
}

/* Tokens first: a variable of the JSON replaces them. */
static void make_context(lb__jrun *r, const json_t *json, const lb_chat_render_options *o) {
  lb__jval context = lb__jnew_dict(r), given = dict_of(r, json);
  if (context.kind != LB__J_DICT || given.kind != LB__J_DICT) return;
  r->context = context.dict;
  put_token(r, "bos_token", o->bos_token);
  put_token(r, "eos_token", o->eos_token);
  put_token(r, "unk_token", o->unk_token);
  put_token(r, "pad_token", o->pad_token);
  lb__jdict_put(r, r->context, lb__jtext(r, "tools"), lb__jnone());
  lb__jdict_put(r, r->context, lb__jtext(r, "documents"), lb__jnone());
  lb__jdict_put(r, r->context, lb__jtext(r, "add_generation_prompt"), lb__jbool(false));
  for (size_t i = 0; i < given.dict->n && r->status == LB_OK; i++)
    lb__jdict_put(r, r->context, given.dict->pairs[i].key, given.dict->pairs[i].value);
  prepare_messages(r, lb__jdict_get_text(r->context, "messages"));
}

/* ---- the result ---- */

static size_t count_spans(const uint8_t *marks, size_t size) {
  size_t n = size > 0;
  for (size_t i = 1; i < size; i++) n += marks[i] != marks[i - 1];
  return n;
}

static void fill_spans(lb_chat_text *text, const uint8_t *marks) {
  lb_chat_span *span = text->spans - 1;
  for (size_t i = 0; i < text->size; i++) {
    if (i == 0 || marks[i] != marks[i - 1])
      *++span = (lb_chat_span){.begin = i,
                               .is_user_text = marks[i] & LB__MARK_USER,
                               .is_generation = (marks[i] & LB__MARK_GENERATION) != 0};
    span->end = i + 1;
  }
}

static lb_status make_text(lb_chat_text **out, const lb__jout *rendered, lb_error *err) {
  lb_chat_text *text = lb__new(sizeof *text);
  if (text == NULL) return lb__fail_nomem(err, "rendered chat");
  text->size = rendered->size;
  text->n_spans = count_spans(rendered->marks, rendered->size);
  text->text = lb__strndup(rendered->size > 0 ? rendered->bytes : "", rendered->size);
  text->spans = lb__new_array(text->n_spans, sizeof *text->spans);
  if (text->text == NULL || text->spans == NULL) {
    lb_chat_text_free(text);
    return lb__fail_nomem(err, "rendered chat");
  }
  if (text->n_spans > 0) fill_spans(text, rendered->marks);
  *out = text;
  return LB_OK;
}

lb_chat_render_options lb_chat_render_options_default(void) {
  return (lb_chat_render_options){0};
}

static lb_status render(lb_chat_text **out, lb__arena *arena, const lb_chat_template *t,
                        const json_t *json, const lb_chat_render_options *options, lb_error *err) {
  lb__jout text = {0};
  lb__jscope root = {0};
  lb__jrun run = {.arena = arena,
                  .err = err,
                  .name = t->name,
                  .line = 1,
                  .steps_left = LB__JMAX_STEPS,
                  .scope = &root,
                  .out = &text,
                  .now = options->now,
                  .has_now = options->has_now};
  make_context(&run, json, options);
  if (run.status == LB_OK) lb__jexec(&run, t->body);
  return run.status == LB_OK ? make_text(out, &text, err) : run.status;
}

lb_status lb_chat_render(lb_chat_text **out, const lb_chat_template *t, const char *json,
                         size_t size, const lb_chat_render_options *options, lb_error *err) {
  const lb_chat_render_options none = lb_chat_render_options_default();
  lb__arena arena;
  json_t *tree = NULL;
  *out = NULL;
  lb__arena_init(&arena, LB__JMAX_MEMORY);
  lb_status status = lb__json_parse(&tree, json, size, "chat", err);
  if (status == LB_OK && !json_is_object(tree))
    status =
        lb__fail(err, LB_E_FORMAT, "chat: want a JSON object, found %s", lb__json_type_name(tree));
  if (status == LB_OK) status = render(out, &arena, t, tree, options ? options : &none, err);
  json_decref(tree);
  lb__arena_deinit(&arena);
  return status;
}

void lb_chat_text_free(lb_chat_text *text) {
  if (text == NULL) return;
  lb__free(text->text);
  lb__free(text->spans);
  lb__free(text);
}
