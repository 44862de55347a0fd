/* test_golden_gguf.c - GGUF files that the official `gguf` package wrote and llama.cpp has read:
 * our reader finds the same model in them as in the folder, and the same tokenizer. Our own writer
 * has no part in this, so a mistake that writer and reader share shows here. The texts and chat
 * templates of all folders are checked as well. Read next: golden.h, generate/write_gguf.py. */
#include "golden.h"

#include "tolerances.h"

#include <limbeck/chat.h>
#include <limbeck/tokenizer.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_TEXT = 3 };

/* ---- logits ---- */

static void check_logits(const char *name, const char *path) {
  golden_logits want;
  golden_logits_load(&want, name, LONGEST_TEXT);
  lb_model *model = golden_open(path, LB_PRECISION_F32);
  assert_int_equal(lb_model_get_info(model)->vocab_size, (int64_t)want.vocab_size);
  lb_prompt prompt = {.ids = want.ids, .n_ids = want.n_ids};
  float **logits = golden_all_logits(model, &prompt, 1);
  for (size_t i = 0; i < want.n_ids * want.vocab_size; i++)
    if (!(fabs((double)want.logits[i] - (double)logits[0][i]) <= LB_TOL_GOLDEN_LOGITS_F32))
      fail_msg("%s: position %zu, id %zu: want logit %.6f, got %.6f", path, i / want.vocab_size,
               i % want.vocab_size, (double)want.logits[i], (double)logits[0][i]);
  free(logits[0]);
  free(logits);
  lb_model_free(model);
  golden_logits_unload(&want);
}

/* ---- text ---- */

static lb_tokenizer *open_tokenizer(const char *path) {
  lb_error err;
  lb_tokenizer *tokenizer;
  if (lb_tokenizer_open(&tokenizer, path, &err) != LB_OK) fail_msg("%s", err.message);
  return tokenizer;
}

static void check_encode(lb_tokenizer *tokenizer, const char *text, bool special,
                         const json_t *want) {
  lb_error err;
  int32_t *ids;
  size_t n;
  lb_encode_options options = lb_encode_options_default();
  options.add_special_tokens = special;
  if (lb_tokenizer_encode(tokenizer, text, strlen(text), &options, &ids, &n, &err) != LB_OK)
    fail_msg("%s: %s", text, err.message);
  golden_assert_ids(text, want, ids, n);
  lb_ids_free(ids);
}

static void check_decode(lb_tokenizer *tokenizer, const json_t *list, const char *want) {
  lb_error err;
  char *text;
  size_t n;
  int32_t *ids = golden_ids(list, &n);
  if (lb_tokenizer_decode(tokenizer, ids, n, true, &text, NULL, &err) != LB_OK)
    fail_msg("%s", err.message);
  assert_string_equal(text, want);
  lb_text_free(text);
  free(ids);
}

static void check_texts(const golden_model *m, const char *path) {
  lb_tokenizer *tokenizer = open_tokenizer(path);
  const json_t *texts = json_object_get(json_object_get(m->expected, "tokenizer"), "texts");
  assert_true(json_array_size(texts) > 0);
  for (size_t i = 0; i < json_array_size(texts); i++) {
    const json_t *text = json_array_get(texts, i), *ids = json_object_get(text, "ids");
    check_encode(tokenizer, json_string_value(json_object_get(text, "text")), true, ids);
    check_decode(tokenizer, ids, json_string_value(json_object_get(text, "decoded")));
  }
  lb_tokenizer_free(tokenizer);
}

/* ---- chat templates ---- */

static lb_chat_render_options special_tokens(const lb_tokenizer *t) {
  lb_chat_render_options options = lb_chat_render_options_default();
  if (lb_tokenizer_bos(t) >= 0)
    options.bos_token = lb_tokenizer_token_text(t, lb_tokenizer_bos(t), NULL);
  if (lb_tokenizer_eos(t) >= 0)
    options.eos_token = lb_tokenizer_token_text(t, lb_tokenizer_eos(t), NULL);
  return options;
}

static void check_chat(const golden_model *m) {
  const json_t *chats = json_object_get(json_object_get(m->expected, "tokenizer"), "chat");
  if (json_array_size(chats) == 0) return;
  lb_error err;
  lb_chat_template *template;
  if (lb_chat_template_open(&template, m->folder, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  lb_tokenizer *tokenizer = open_tokenizer(m->folder);
  lb_chat_render_options options = special_tokens(tokenizer);
  for (size_t i = 0; i < json_array_size(chats); i++) {
    const json_t *chat = json_array_get(chats, i);
    char *json = json_dumps(chat, 0);
    lb_chat_text *text;
    if (lb_chat_render(&text, template, json, strlen(json), &options, &err) != LB_OK)
      fail_msg("%s: %s", m->name, err.message);
    assert_string_equal(text->text, json_string_value(json_object_get(chat, "text")));
    check_encode(tokenizer, text->text, false, json_object_get(chat, "ids"));
    lb_chat_text_free(text);
    free(json);
  }
  lb_tokenizer_free(tokenizer);
  lb_chat_template_free(template);
}

/* ---- the cases ---- */

static void folder_texts_and_templates(void **state) {
  golden_model m;
  golden_model_load(&m, *state);
  check_texts(&m, m.folder);
  check_chat(&m);
  golden_model_unload(&m);
}

static void official_gguf_is_the_same_model(void **state) {
  golden_model m;
  golden_model_load(&m, *state);
  char *path = golden_path("gguf/%s.gguf", m.name);
  check_logits(m.name, path);
  check_texts(&m, path);
  free(path);
  golden_model_unload(&m);
}

#define CASE(name)                                                                                 \
  { name, official_gguf_is_the_same_model, NULL, NULL, (void *)(uintptr_t)name }

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE("gpt2-tied"),  CASE("llama-bias"),   CASE("llama-llama3-rope"),
      CASE("qwen2-yarn"), CASE("qwen3-untied"), CASE("gemma3-linear"),
  };
  int failed = golden_run_models("texts and chat templates", folder_texts_and_templates);
  return failed + cmocka_run_group_tests_name("official GGUF files", tests, NULL, NULL);
}
