/* test_chat_open.c - where chat templates are found, in which order, and the built-in ones. */
#include <limbeck/chat.h>

#include "base/memory.h"
#include "formats/gguf.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static lb_error err;

static void opens(const char *path, const char *name, const char *wanted) {
  lb_chat_template *t;
  size_t size;
  if (lb_chat_template_open(&t, path, name, &err) != LB_OK) fail_msg("%s", err.message);
  assert_string_equal(lb_chat_template_source(t, &size), wanted);
  assert_int_equal(size, strlen(wanted));
  lb_chat_template_free(t);
}

static void refuses(const char *path, const char *name, lb_status wanted, const char *text) {
  lb_chat_template *t;
  assert_int_equal(lb_chat_template_open(&t, path, name, &err), wanted);
  assert_null(t);
  if (strstr(err.message, text) == NULL) fail_msg("want '%s' in: %s", text, err.message);
}

static void folders_are_searched_in_order(void **state) {
  (void)state;
  char *folder = scratch_new();
  scratch_write_text(folder, "tokenizer_config.json", "{}");
  refuses(folder, NULL, LB_E_ARG, "has no chat template");
  scratch_write_text(folder, "tokenizer_config.json", "{\"chat_template\": 5}");
  refuses(folder, NULL, LB_E_FORMAT, "chat_template: want a string or a list");
  scratch_write_text(folder, "tokenizer_config.json", "{\"chat_template\": \"one\"}");
  opens(folder, NULL, "one");
  opens(scratch_path(folder, "tokenizer_config.json"), NULL, "one");
  scratch_write_text(folder, "tokenizer_config.json",
                     "{\"chat_template\": [{\"name\":\"rag\",\"template\":\"R\"},"
                     "{\"name\":\"default\",\"template\":\"D\"}]}");
  opens(folder, NULL, "D");
  opens(folder, "default", "D");
  opens(folder, "rag", "R");
  refuses(folder, "tool_use", LB_E_ARG, "the model offers: rag, default; built in: chatml, llama2");
  scratch_write_text(folder, "chat_template.jinja", "file");
  opens(folder, NULL, "file");
  opens(folder, "rag", "R");
  refuses(folder, "../rag", LB_E_ARG, "no such file or name");
  scratch_write_text(folder, "other.jinja", "other");
  opens(scratch_path(folder, "other.jinja"), NULL, "other");
  opens(folder, scratch_path(folder, "other.jinja"), "other");
  scratch_write_text(folder, "bad.jinja", "a\n{% nope %}");
  refuses(scratch_path(folder, "bad.jinja"), NULL, LB_E_UNSUPPORTED,
          "bad.jinja', line 2: tag 'nope'");
  scratch_remove(folder);
}

static void gguf_files_carry_templates(void **state) {
  (void)state;
  char *folder = scratch_new();
  lb__gguf_writer *w;
  const char *path = scratch_path(folder, "m.gguf");
  assert_int_equal(lb__gguf_writer_new(&w, &err), LB_OK);
  lb__gguf_set_string(w, "general.architecture", "llama");
  lb__gguf_set_string(w, "tokenizer.chat_template", "main");
  lb__gguf_set_string(w, "tokenizer.chat_template.tool_use", "tools");
  if (lb__gguf_writer_save(w, path, NULL, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  lb__gguf_writer_free(w);
  opens(path, NULL, "main");
  opens(path, "tool_use", "tools");
  opens(path, "chatml", lb_chat_template_builtin("chatml"));
  refuses(path, "rag", LB_E_ARG, "the model offers: tool_use");
  scratch_remove(folder);
}

#define TALK                                                                                       \
  "{\"messages\":[{\"role\":\"user\",\"content\":\"U\"},{\"role\":\"assistant\","                  \
  "\"content\":\"A\"},{\"role\":\"user\",\"content\":\"V\"}],\"add_generation_prompt\":true}"
#define TALK_WITH_SYSTEM                                                                           \
  "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"U\"}]}"

static void shows(const char *name, const char *json, const char *wanted) {
  lb_chat_template *t;
  lb_chat_text *text;
  lb_chat_render_options options = {.bos_token = "<s>", .eos_token = "</s>"};
  if (lb_chat_template_open(&t, NULL, name, &err) != LB_OK) fail_msg("%s", err.message);
  if (lb_chat_render(&text, t, json, strlen(json), &options, &err) != LB_OK)
    fail_msg("%s: %s", name, err.message);
  assert_string_equal(text->text, wanted);
  if (json[0] == '{' && strstr(json, "assistant") != NULL) {
    bool any = false; /* each built-in template marks the reply */
    for (size_t i = 0; i < text->n_spans; i++) any = any || text->spans[i].is_generation;
    assert_true(any);
  }
  lb_chat_text_free(text);
  lb_chat_template_free(t);
}

static void built_in_templates_follow_their_formats(void **state) {
  (void)state;
  shows("chatml", TALK,
        "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
        "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n");
  shows("qwen", TALK_WITH_SYSTEM,
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n");
  shows("qwen", "{\"messages\":[{\"role\":\"user\",\"content\":\"U\"}]}",
        "<|im_start|>system\nYou are a helpful "
        "assistant.<|im_end|>\n<|im_start|>user\nU<|im_end|>\n");
  shows("llama2", TALK, "<s>[INST] U [/INST] A </s><s>[INST] V [/INST]");
  shows("llama2", TALK_WITH_SYSTEM, "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST]");
  shows("llama3", TALK,
        "<s><|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n");
  shows("mistral", TALK, "<s>[INST] U[/INST] A</s>[INST] V[/INST]");
  shows("mistral", TALK_WITH_SYSTEM, "<s>[INST] S\n\nU[/INST]");
  shows("gemma", TALK,
        "<s><start_of_turn>user\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
        "<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n");
  shows("gemma", TALK_WITH_SYSTEM, "<s><start_of_turn>user\nS\n\nU<end_of_turn>\n");
  shows("zephyr", TALK, "<|user|>\nU</s>\n<|assistant|>\nA</s>\n<|user|>\nV</s>\n<|assistant|>\n");
  shows("vicuna", TALK,
        "<s>A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's "
        "questions. USER: U ASSISTANT: A</s> USER: V ASSISTANT:");
  shows("deepseek", TALK,
        "<s><｜User｜>U<｜Assistant｜>A<｜end▁of▁sentence｜><｜User｜>V<｜Assistant｜>");
  shows("phi3", TALK,
        "<|user|>\nU<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nV<|end|>\n<|assistant|>\n");
  shows("alpaca", TALK,
        "Below is an instruction that describes a task. Write a response that "
        "appropriately completes the request.\n\n### Instruction:\nU\n\n"
        "### Response:\nA</s>\n\n### Instruction:\nV\n\n### Response:\n");
}

static void every_built_in_template_opens(void **state) {
  (void)state;
  size_t n = 0;
  for (; lb_chat_template_builtin_name(n) != NULL; n++)
    opens(NULL, lb_chat_template_builtin_name(n),
          lb_chat_template_builtin(lb_chat_template_builtin_name(n)));
  assert_true(n >= 10);
  refuses(NULL, "nope", LB_E_ARG, "built in: chatml");
  refuses(NULL, NULL, LB_E_ARG, "want a model");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(folders_are_searched_in_order),
      cmocka_unit_test(gguf_files_carry_templates),
      cmocka_unit_test(built_in_templates_follow_their_formats),
      cmocka_unit_test(every_built_in_template_opens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
