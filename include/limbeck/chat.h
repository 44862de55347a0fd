/** limbeck/chat.h - chat templates: from messages to the text a model was trained on.
 *
 *  A template is a small Jinja program that comes with the model. It is untrusted: it runs in our
 *  own evaluator, which knows the language of chat templates and nothing else, with limits on
 *  steps, memory, depth and output. What it cannot do is refused by name and line when it is
 *  parsed, never guessed.
 *
 *      lb_chat_template *template;
 *      lb_chat_text *text;
 *      if (lb_chat_template_open(&template, "SmolLM2-135M-Instruct", NULL, &err) != LB_OK) ...
 *      const char *json = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],"
 *                         "\"add_generation_prompt\":true}";
 *      if (lb_chat_render(&text, template, json, strlen(json), NULL, &err) != LB_OK) ...
 *      fwrite(text->text, 1, text->size, stdout);
 *      lb_chat_text_free(text);
 *      lb_chat_template_free(template);
 *
 *  The rendered text remembers which bytes came from the caller's JSON (spans). Tokenise those
 *  without special tokens, and a user who writes "<|im_end|>" writes ten letters, not a control
 *  token. Never let the tokenizer add BOS to rendered text: the template has written it. */
#ifndef LIMBECK_CHAT_H
#define LIMBECK_CHAT_H

#include <limbeck/status.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_chat_template lb_chat_template;

/** Parses template source (UTF-8, at most 1 MiB). `name` appears in errors; NULL is "template".
 *  @owns  *out is the caller's; source is copied
 *  @error LB_E_FORMAT (syntax), LB_E_UNSUPPORTED (a construct we refuse; the message names it and
 *         its line), LB_E_LIMIT, LB_E_NOMEM
 *  @test  tests/unit/test_chat_template.c */
LB_API LB_NODISCARD lb_status lb_chat_template_parse(lb_chat_template **out, const char *source,
                                                     size_t size, const char *name, lb_error *err);

/** Finds and parses a model's template.
 *
 *  `path` is a model folder (chat_template.jinja wins over tokenizer_config.json; of several the
 *  one called `template_name`, or "default"), a .gguf file, or a .jinja file.
 *  `template_name` NULL takes the model's own; otherwise a name the model offers, else the path of
 *  a .jinja file, else a built-in name (lb_chat_template_builtin). `path` NULL: only the latter
 * two.
 *  @owns  *out is the caller's
 *  @error LB_E_IO, LB_E_FORMAT, LB_E_UNSUPPORTED, LB_E_ARG (no such template; the message lists
 *         what there is) */
LB_API LB_NODISCARD lb_status lb_chat_template_open(lb_chat_template **out, const char *path,
                                                    const char *template_name, lb_error *err);

/** Accepts NULL. */
LB_API void lb_chat_template_free(lb_chat_template *t);

/** The source a template was parsed from; borrowed. */
LB_API const char *lb_chat_template_source(const lb_chat_template *t, size_t *size);

/** Source of a built-in template ("chatml", "llama3", ...), or NULL. Borrowed, static. */
LB_API const char *lb_chat_template_builtin(const char *name);

/** The name of the i-th built-in template; NULL at the end. */
LB_API const char *lb_chat_template_builtin_name(size_t i);

/** What the template sees besides the JSON. A NULL token is undefined in the template, as it is in
 *  Transformers when the tokenizer has none. */
typedef struct lb_chat_render_options {
  const char *bos_token, *eos_token, *unk_token, *pad_token;
  bool has_now;
  int64_t now; /* what strftime_now sees, seconds since 1970, when has_now; else the clock */
} lb_chat_render_options;
LB_API lb_chat_render_options lb_chat_render_options_default(void);

typedef struct lb_chat_span {
  size_t begin, end;  /* bytes of the text */
  bool is_user_text;  /* from the JSON: must not become control tokens */
  bool is_generation; /* inside {% generation %}: what the assistant is trained on */
} lb_chat_span;

typedef struct lb_chat_text {
  char *text; /* UTF-8, NUL-terminated; may hold NULs of the JSON */
  size_t size;
  lb_chat_span *spans; /* cover the text without gaps; neighbours differ */
  size_t n_spans;
} lb_chat_text;

/** Renders a conversation.
 *
 *  `json` is one object: {"messages":[...], "tools":[...], "documents":[...],
 *  "add_generation_prompt":bool, and any other variable}. As in Transformers, tools and documents
 *  are none and add_generation_prompt is false when absent, and a message's reasoning is seen
 *  under each of its names (reasoning_content, thinking, reasoning).
 *  Integers are 64 bits; what overflows is an error. Lists and dicts cannot be changed by the
 *  template.
 *  @owns   *out is the caller's; free with lb_chat_text_free
 *  @error  LB_E_ARG (raise_exception or another error of the template on this conversation, with
 *          its line), LB_E_FORMAT (the JSON), LB_E_UNSUPPORTED, LB_E_LIMIT, LB_E_NOMEM
 *  @thread safe on one template from several threads
 *  @test   tests/golden/test_golden_chat.c */
LB_API LB_NODISCARD lb_status lb_chat_render(lb_chat_text **out, const lb_chat_template *t,
                                             const char *json, size_t size,
                                             const lb_chat_render_options *options, lb_error *err);

/** Accepts NULL. */
LB_API void lb_chat_text_free(lb_chat_text *text);

#ifdef __cplusplus
}
#endif
#endif
