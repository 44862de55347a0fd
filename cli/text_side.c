/* text_side.c - see text_side.h. */
#include "text_side.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

lb_status text_side_open(text_side *side, const char *path, lb_error *err) {
  *side = (text_side){.path = path};
  return lb_tokenizer_open(&side->tokenizer, path, err);
}

lb_status text_side_open_chat(text_side *side, const char *template_name, lb_error *err) {
  return lb_chat_template_open(&side->chat, side->path, template_name, err);
}

void text_side_close(text_side *side) {
  lb_chat_template_free(side->chat);
  lb_tokenizer_free(side->tokenizer);
  *side = (text_side){0};
}

/* The library's list becomes ours, which is freed with free(). */
static void take_ids(id_list *out, int32_t *ids, size_t n) {
  *out = (id_list){cli_alloc(n * sizeof *ids), n};
  if (n > 0) memcpy(out->ids, ids, n * sizeof *ids);
  lb_ids_free(ids);
}

lb_status text_side_encode(id_list *out, const text_side *side, const char *bytes, size_t size,
                           bool add_special, lb_error *err) {
  lb_encode_options options = lb_encode_options_default();
  int32_t *ids;
  size_t n;
  *out = (id_list){0};
  options.add_special_tokens = add_special;
  lb_status st = lb_tokenizer_encode(side->tokenizer, bytes, size, &options, &ids, &n, err);
  if (st == LB_OK) take_ids(out, ids, n);
  return st;
}

/* What the template writes may be control tokens, what the conversation says may not. */
static lb_status encode_rendered(id_list *out, const text_side *side, const lb_chat_text *rendered,
                                 lb_error *err) {
  lb_encode_options options = lb_encode_options_default();
  lb_text_span *spans = cli_alloc(rendered->n_spans * sizeof *spans);
  int32_t *ids;
  size_t n;
  options.add_special_tokens = false; /* the template has written BOS */
  for (size_t i = 0; i < rendered->n_spans; i++) {
    const lb_chat_span *s = &rendered->spans[i];
    spans[i] = (lb_text_span){rendered->text + s->begin, s->end - s->begin, s->is_user_text};
  }
  lb_status st =
      lb_tokenizer_encode_spans(side->tokenizer, spans, rendered->n_spans, &options, &ids, &n, err);
  if (st == LB_OK) take_ids(out, ids, n);
  free(spans);
  return st;
}

static const char *token_text(const text_side *side, int32_t id) {
  return id < 0 ? NULL : lb_tokenizer_token_text(side->tokenizer, id, NULL);
}

lb_status text_side_encode_chat(id_list *out, text *rendered, const text_side *side,
                                const char *json, size_t size, lb_error *err) {
  lb_chat_render_options options = lb_chat_render_options_default();
  lb_chat_text *words;
  *out = (id_list){0};
  options.bos_token = token_text(side, lb_tokenizer_bos(side->tokenizer));
  options.eos_token = token_text(side, lb_tokenizer_eos(side->tokenizer));
  options.unk_token = token_text(side, lb_tokenizer_unk(side->tokenizer));
  options.pad_token = token_text(side, lb_tokenizer_pad(side->tokenizer));
  lb_status st = lb_chat_render(&words, side->chat, json, size, &options, err);
  if (st != LB_OK) return st;
  st = encode_rendered(out, side, words, err);
  if (rendered != NULL) text_add(rendered, words->text, words->size);
  lb_chat_text_free(words);
  return st;
}

lb_status text_side_decode(text *out, const text_side *side, const int32_t *ids, size_t n,
                           bool skip_special, lb_error *err) {
  char *bytes;
  size_t size;
  lb_status st = lb_tokenizer_decode(side->tokenizer, ids, n, skip_special, &bytes, &size, err);
  if (st != LB_OK) return st;
  text_add(out, bytes, size);
  lb_text_free(bytes);
  return LB_OK;
}

void text_side_put_token(text *out, const text_side *side, int32_t id) {
  size_t size;
  const char *bytes = lb_tokenizer_token_text(side->tokenizer, id, &size);
  if (bytes != NULL) text_put_visible(out, bytes, size);
}

void text_side_put_quoted(text *out, const text_side *side, int32_t id) {
  text decoded = {0};
  if (text_side_decode(&decoded, side, &id, 1, false, NULL) == LB_OK) {
    text_put(out, "\"");
    text_put_visible(out, text_get(&decoded), decoded.size);
    text_put(out, "\"");
  }
  text_free(&decoded);
}

char *text_side_user_message(const char *system, const char *user, size_t user_size, size_t *size) {
  json_t *messages = json_array();
  if (system != NULL)
    json_array_append_new(messages, json_pack("{s:s,s:s}", "role", "system", "content", system));
  json_array_append_new(
      messages, json_pack("{s:s,s:o}", "role", "user", "content", json_stringn(user, user_size)));
  bool complete = json_array_size(messages) == (system != NULL ? 2u : 1u); /* else: not UTF-8 */
  json_t *all = json_pack("{s:o,s:b}", "messages", messages, "add_generation_prompt", 1);
  char *json = all == NULL || !complete ? NULL : json_dumps(all, JSON_COMPACT);
  json_decref(all);
  *size = json == NULL ? 0 : strlen(json);
  return json;
}

lb_status text_side_encode_message(id_list *out, const text_side *side, const char *system,
                                   const char *user, size_t size, lb_error *err) {
  size_t json_size;
  char *json = text_side_user_message(system, user, size, &json_size);
  *out = (id_list){0};
  if (json == NULL) {
    *err = (lb_error){.status = LB_E_ARG, .message = "the message is not valid UTF-8"};
    return LB_E_ARG;
  }
  lb_status st = text_side_encode_chat(out, NULL, side, json, json_size, err);
  free(json);
  return st;
}
