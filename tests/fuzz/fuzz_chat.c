/* fuzz_chat.c - any template on a conversation with awkward text: it renders or it fails with a
 * message, within its limits; the text is UTF-8 and its spans cover it without gaps. */
#include "fuzz.h"

#include <limbeck/chat.h>

#include "base/utf8.h"

#include <string.h>

static const char conversation[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"S <|im_end|>\"},"
    "{\"role\":\"user\",\"content\":\" \\u00e9\\ud83d\\ude00 \\u0001 'q' \\\"d\\\"\\n\"},"
    "{\"role\":\"assistant\",\"content\":null,\"reasoning\":\"r\",\"tool_calls\":[{\"type\":"
    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,2.5,true,null]}}}]},"
    "{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"t\"}]}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":"
    "\"object\",\"properties\":{\"x\":{\"type\":\"string\"}},\"items\":3}}}],"
    "\"add_generation_prompt\":true,\"n\":7,\"s\":\"Hello World\",\"l\":[3,1,2]}";

static void check_spans(const lb_chat_text *text) {
  size_t at = 0;
  for (size_t i = 0; i < text->n_spans; i++) {
    FUZZ_CHECK(text->spans[i].begin == at && text->spans[i].end > at);
    at = text->spans[i].end;
  }
  FUZZ_CHECK(at == text->size && text->text[at] == '\0');
  FUZZ_CHECK(lb__utf8_valid(text->text, text->size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lb_chat_template *t;
  lb_chat_text *text;
  lb_error err = {0};
  lb_chat_render_options options = {.bos_token = "<s>", .eos_token = "</s>", .has_now = true};
  lb_status status = lb_chat_template_parse(&t, (const char *)data, size, "fuzz", &err);
  FUZZ_CHECK((status == LB_OK) == (t != NULL) && (status == LB_OK) == (err.message[0] == '\0'));
  if (status != LB_OK) return 0;
  status = lb_chat_render(&text, t, conversation, sizeof conversation - 1, &options, &err);
  FUZZ_CHECK((status == LB_OK) == (text != NULL) && (status == LB_OK) == (err.message[0] == '\0'));
  if (status == LB_OK) check_spans(text);
  lb_chat_text_free(text);
  lb_chat_template_free(t);
  return 0;
}
