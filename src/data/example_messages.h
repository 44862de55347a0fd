/* example_messages.h - the messages of a conversation, in one spelling. Nobody but example.c
 * includes it. */
#ifndef LB_DATA_EXAMPLE_MESSAGES_H
#define LB_DATA_EXAMPLE_MESSAGES_H

#include "example.h"

/* Appends copies of a list of messages; {"from","value"} becomes {"role","content"}, members that
 * are null are left out, as Transformers' apply_chat_template does. `key` is for error messages. */
lb_status lb__messages_add(lb__example *e, const json_t *list, const char *key, lb_error *err);
/* Appends one message; `more` (may be NULL) stands on a line of its own below `content`. */
lb_status lb__messages_add_one(lb__example *e, const char *role, const json_t *content,
                               const json_t *more, lb_error *err);
/* tools (a list, or a string that holds one), documents, chat_template_kwargs. */
lb_status lb__messages_read_rest(lb__example *e, const json_t *row, lb_error *err);

#endif
