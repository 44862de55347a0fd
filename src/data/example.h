/* example.h - what one row of JSON means: the formats that users have, brought to four kinds.
 *
 *   text          {"text"}
 *   prompt        {"prompt","completion"}: strings, or lists of messages; alpaca without a template
 *   conversation  {"messages"}, {"conversations"} (ShareGPT), alpaca, message lists of a prompt
 *   tokens        {"input_ids"[,"labels","attention_mask"]}
 *
 * Owns: telling the formats apart by their keys, the spellings of roles. Refuses: templates and
 * tokens (chat_turns.h, render.h). */
#ifndef LB_DATA_EXAMPLE_H
#define LB_DATA_EXAMPLE_H

#include "corpus.h"

#include "base/json.h"
#include "base/memory.h"

typedef enum lb__example_kind {
  LB__EXAMPLE_TEXT,
  LB__EXAMPLE_PROMPT,
  LB__EXAMPLE_CONVERSATION,
  LB__EXAMPLE_TOKENS
} lb__example_kind;

typedef struct lb__example {
  lb__data_format format;
  lb__example_kind kind;
  /* TEXT: everything; PROMPT: text[0..prompt_size) is given, the rest is the completion */
  lb__buf text;
  size_t prompt_size;
  /* CONVERSATION; all but `messages` are borrowed from the row, NULL when absent */
  json_t *messages;                /* owned: [{"role","content",...}] */
  size_t n_given;                  /* the first messages, which are the prompt; 0: none are */
  json_t *tools;                   /* owned: a list */
  const json_t *documents, *extra; /* extra: "chat_template_kwargs", more variables */
  /* TOKENS, borrowed */
  const json_t *ids, *labels, *mask;
} lb__example;

/* Reads a row. What is wrong with it is LB_E_FORMAT, with what was wanted and found.
 * @param row  borrowed; must outlive *out   @owns *out: lb__example_deinit, whatever the status */
lb_status lb__example_read(lb__example *out, const json_t *row, const lb__corpus_options *options,
                           lb_error *err);
void lb__example_deinit(lb__example *e);

#endif
