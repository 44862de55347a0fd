/* example_messages.c - see example_messages.h. Owns: the spellings of roles, and of tool calls that
 * are text (ShareGPT's function_call). */
#include "example_messages.h"

#include "base/fail.h"

static lb_status start(lb__example *e, lb_error *err) {
  e->kind = LB__EXAMPLE_CONVERSATION;
  if (e->messages == NULL) e->messages = json_array();
  return e->messages != NULL ? LB_OK : lb__fail_nomem(err, "messages");
}

/* Takes over `message`, also on failure; NULL is a lack of memory. */
static lb_status append(lb__example *e, json_t *message, lb_error *err) {
  if (message == NULL || json_array_append_new(e->messages, message) != 0)
    return lb__fail_nomem(err, "messages");
  return LB_OK;
}

/* ---- one message of our own ---- */

static json_t *joined(const json_t *content, const json_t *more) {
  lb__buf b;
  lb__buf_init(&b, SIZE_MAX);
  lb__buf_add(&b, json_string_value(content), json_string_length(content));
  if (more != NULL) {
    lb__buf_add_char(&b, '\n');
    lb__buf_add(&b, json_string_value(more), json_string_length(more));
  }
  json_t *string = b.failed ? NULL : json_stringn_nocheck(lb__buf_text(&b), b.size);
  lb__buf_deinit(&b);
  return string;
}

lb_status lb__messages_add_one(lb__example *e, const char *role, const json_t *content,
                               const json_t *more, lb_error *err) {
  lb_status st = start(e, err);
  if (st != LB_OK) return st;
  json_t *message = json_object();
  if (message == NULL || json_object_set_new(message, "role", json_string(role)) != 0 ||
      json_object_set_new(message, "content", joined(content, more)) != 0) {
    json_decref(message);
    return lb__fail_nomem(err, "messages");
  }
  return append(e, message, err);
}

/* ---- messages as they stand in the row ---- */

/* ShareGPT's names of who speaks, and everybody else's. */
static const struct {
  const char *from, *role;
} roles[] = {{"human", "user"},
             {"user", "user"},
             {"gpt", "assistant"},
             {"assistant", "assistant"},
             {"model", "assistant"},
             {"bot", "assistant"},
             {"chatgpt", "assistant"},
             {"bing", "assistant"},
             {"bard", "assistant"},
             {"function_call", "assistant"},
             {"system", "system"},
             {"developer", "developer"},
             {"observation", "tool"},
             {"tool", "tool"},
             {"function_response", "tool"},
             {"function", "tool"}};

static const char *role_of(const char *from) {
  for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
    if (strcmp(roles[i].from, from) == 0) return roles[i].role;
  return NULL;
}

/* {"name","arguments"} as text, or a list of such: what a model said to call. */
static lb_status add_calls(json_t *message, const json_t *value, lb_error *err) {
  json_t *calls, *list = json_array();
  if (list == NULL) return lb__fail_nomem(err, "tool calls");
  lb_status st = lb__json_parse(&calls, json_string_value(value), json_string_length(value),
                                "function_call", err);
  if (st == LB_E_LIMIT) st = LB_E_FORMAT;
  size_t n = json_is_array(calls) ? json_array_size(calls) : 1;
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    json_t *call = json_is_array(calls) ? json_array_get(calls, i) : calls;
    if (!json_is_string(json_object_get(call, "name"))) {
      st = lb__fail(err, LB_E_FORMAT, "function_call: want an object with 'name', found %s",
                    lb__json_type_name(call));
      break;
    }
    json_t *entry = json_object();
    if (entry == NULL || json_object_set_new(entry, "type", json_string("function")) != 0 ||
        json_object_set(entry, "function", call) != 0 || json_array_append(list, entry) != 0)
      st = lb__fail_nomem(err, "tool calls");
    json_decref(entry);
  }
  json_decref(calls);
  if (st == LB_OK && (json_object_set(message, "tool_calls", list) != 0 ||
                      json_object_set_new(message, "content", json_string("")) != 0))
    st = lb__fail_nomem(err, "tool calls");
  json_decref(list);
  return st;
}

static lb_status add_from_value(lb__example *e, const json_t *item, const char *key, size_t i,
                                lb_error *err) {
  const char *from = json_string_value(json_object_get(item, "from"));
  json_t *value = json_object_get(item, "value");
  const char *role = from != NULL ? role_of(from) : NULL;
  if (role == NULL)
    return lb__fail(err, LB_E_FORMAT,
                    "key '%s': message %zu: from: want human, gpt, system, function_call, "
                    "observation, user, assistant or tool, found '%s'",
                    key, i, from != NULL ? from : "nothing");
  if (!json_is_string(value))
    return lb__fail(err, LB_E_FORMAT, "key '%s': message %zu: value: want a string, found %s", key,
                    i, lb__json_type_name(value));
  json_t *message = json_object();
  lb_status st = LB_OK;
  if (message == NULL || json_object_set_new(message, "role", json_string(role)) != 0 ||
      json_object_set(message, "content", value) != 0)
    st = lb__fail_nomem(err, "messages");
  if (st == LB_OK && strcmp(from, "function_call") == 0) st = add_calls(message, value, err);
  if (st == LB_OK) return append(e, message, err);
  json_decref(message);
  return st;
}

static lb_status add_as_is(lb__example *e, const json_t *item, const char *key, size_t i,
                           lb_error *err) {
  if (!json_is_string(json_object_get(item, "role")))
    return lb__fail(err, LB_E_FORMAT,
                    "key '%s': message %zu: want an object with 'role' and 'content', found %s",
                    key, i, json_is_object(item) ? "one without 'role'" : lb__json_type_name(item));
  json_t *message = json_object();
  void *at = json_object_iter((json_t *)(uintptr_t)item); /* jansson's iterators take no const */
  for (; message != NULL && at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)item, at)) {
    json_t *value = json_object_iter_value(at);
    const char *name = json_object_iter_key(at);
    if (json_is_null(value)) continue;
    if (json_object_set(message, name, value) == 0) continue;
    json_decref(message);
    message = NULL;
  }
  return append(e, message, err);
}

lb_status lb__messages_add(lb__example *e, const json_t *list, const char *key, lb_error *err) {
  size_t i;
  const json_t *item;
  lb_status st = start(e, err);
  json_array_foreach(list, i, item) {
    if (st != LB_OK) break;
    st = json_object_get(item, "from") != NULL ? add_from_value(e, item, key, i, err)
                                               : add_as_is(e, item, key, i, err);
  }
  return st;
}

/* ---- what stands beside the messages ---- */

static lb_status read_tools(lb__example *e, json_t *tools, lb_error *err) {
  if (tools == NULL || json_is_null(tools)) return LB_OK;
  if (json_is_string(tools)) {
    if (json_string_length(tools) == 0) return LB_OK;
    lb_status st = lb__json_parse(&e->tools, json_string_value(tools), json_string_length(tools),
                                  "tools", err);
    if (st != LB_OK) return st == LB_E_LIMIT ? LB_E_FORMAT : st;
  } else {
    e->tools = json_incref(tools);
  }
  if (json_is_array(e->tools)) return LB_OK;
  return lb__fail(err, LB_E_FORMAT,
                  "key 'tools': want a list, or a string that holds one, found %s",
                  lb__json_type_name(e->tools));
}

lb_status lb__messages_read_rest(lb__example *e, const json_t *row, lb_error *err) {
  const json_t *documents = json_object_get(row, "documents");
  const json_t *extra = json_object_get(row, "chat_template_kwargs");
  if (json_is_array(documents)) e->documents = documents;
  if (extra != NULL && !json_is_null(extra) && !json_is_object(extra))
    return lb__fail(err, LB_E_FORMAT, "key 'chat_template_kwargs': want an object, found %s",
                    lb__json_type_name(extra));
  if (json_is_object(extra)) e->extra = extra;
  return read_tools(e, json_object_get(row, "tools"), err);
}
