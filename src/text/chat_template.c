/* chat_template.c - parsing a template and keeping it. Rendering is in chat_render.c, finding one
 * in chat_open.c. The tree is read-only after parsing: threads may share it. */
#include "chat_template.h"

#include "base/utf8.h"

#define MAX_PARSE_MEMORY ((size_t)512 << 20) /* a hostile 1 MiB of brackets needs about half */

static lb_status parse(lb_chat_template *t, const char *source, size_t size, const char *name,
                       lb_error *err) {
  if (size > LB__CHAT_MAX_SOURCE)
    return lb__fail(err, LB_E_LIMIT, "chat template '%s': %zu bytes, at most %zu are read", name,
                    size, LB__CHAT_MAX_SOURCE);
  size_t valid = lb__utf8_valid_prefix(source, size);
  if (valid < size)
    return lb__fail(err, LB_E_FORMAT, "chat template '%s': byte %zu: not valid UTF-8", name, valid);
  t->name = lb__arena_strndup(&t->arena, name, strlen(name));
  t->source = lb__arena_strndup(&t->arena, source, size);
  t->source_size = size;
  if (t->name == NULL || t->source == NULL) return lb__fail_nomem(err, "chat template");
  lb__jrun run = {
      .arena = &t->arena, .err = err, .name = t->name, .line = 1, .steps_left = LB__JMAX_STEPS};
  t->body = lb__jparse(&run, t->source, size);
  return run.status;
}

lb_status lb_chat_template_parse(lb_chat_template **out, const char *source, size_t size,
                                 const char *name, lb_error *err) {
  *out = NULL;
  lb_chat_template *t = lb__new(sizeof *t);
  if (t == NULL) return lb__fail_nomem(err, "chat template");
  lb__arena_init(&t->arena, MAX_PARSE_MEMORY);
  lb_status status = parse(t, source, size, name == NULL ? "template" : name, err);
  if (status != LB_OK) {
    lb_chat_template_free(t);
    return status;
  }
  *out = t;
  return LB_OK;
}

void lb_chat_template_free(lb_chat_template *t) {
  if (t == NULL) return;
  lb__arena_deinit(&t->arena);
  lb__free(t);
}

const char *lb_chat_template_source(const lb_chat_template *t, size_t *size) {
  *size = t->source_size;
  return t->source;
}
