/* chat_template.h - the parsed template, for this folder. */
#ifndef LB_TEXT_CHAT_TEMPLATE_H
#define LB_TEXT_CHAT_TEMPLATE_H

#include <limbeck/chat.h>

#include "jinja_parse.h"

#define LB__CHAT_MAX_SOURCE ((size_t)1 << 20)

struct lb_chat_template {
  lb__arena arena; /* everything below */
  char *name, *source;
  size_t source_size;
  const lb__jnode *body;
};

#endif
