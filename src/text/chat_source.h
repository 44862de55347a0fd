/* chat_source.h - a model's chat template as text, for files that carry it on. */
#ifndef LB_TEXT_CHAT_SOURCE_H
#define LB_TEXT_CHAT_SOURCE_H

#include <limbeck/chat.h>

/* The source of the model's own template, NUL-terminated; NULL when it has none. It is not parsed.
 * @owns *source: lb__free */
lb_status lb__chat_template_find(char **source, size_t *size, const char *path, lb_error *err);

#endif
