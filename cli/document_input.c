/* document_input.c - see document_input.h. */
#include "document_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 256 << 20, READ_BYTES = 1 << 16 };

bool line_input_open(line_input *in, const cli *c, const char *path) {
  *in = (line_input){.c = c, .name = path, .bytes = cli_alloc(READ_BYTES)};
  if (strcmp(path, "-") == 0) {
    in->name = "standard input";
    in->fd = STDIN_FILENO;
    return true;
  }
  in->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (in->fd >= 0) return true;
  cli_failure(c, NULL, "%s: %s", path, strerror(errno));
  line_input_close(in);
  return false;
}

void line_input_close(line_input *in) {
  if (in->fd > STDIN_FILENO) close(in->fd);
  in->fd = -1;
  free(in->bytes);
  in->bytes = NULL;
  text_free(&in->line);
}

bool line_input_waits(const line_input *in) {
  struct pollfd ready = {.fd = in->fd, .events = POLLIN};
  return in->begin == in->end && poll(&ready, 1, 0) == 0;
}

/* More bytes; false at the end of the input, on failure, and when the user interrupts. */
static bool refill(line_input *in) {
  ssize_t n;
  do {
    n = read(in->fd, in->bytes, READ_BYTES);
  } while (n < 0 && errno == EINTR && !cli_cancelled);
  if (n < 0) in->error = errno;
  in->begin = 0;
  in->end = n > 0 ? (size_t)n : 0;
  return n > 0;
}

int line_input_failure(const line_input *in, const char *format, ...) {
  va_list args;
  va_start(args, format);
  char message[400];
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  return cli_failure(in->c, NULL, "%s:%zu: %s", in->name, in->number, message);
}

static bool is_blank(const text *line) {
  return line->size == 0 || strspn(line->data, " \t\r") == line->size;
}

/* The byte order mark that some editors put in front of UTF-8. */
static void drop_mark(text *line) {
  if (line->size < 3 || memcmp(line->data, "\xEF\xBB\xBF", 3) != 0) return;
  memmove(line->data, line->data + 3, line->size - 3);
  line->size -= 3;
  line->data[line->size] = '\0';
}

/* One line without its end; false at the end of the input. */
static bool read_line(line_input *in, bool *too_long) {
  text_clear(&in->line);
  while (in->begin < in->end || refill(in)) {
    const char *from = in->bytes + in->begin;
    const char *newline = memchr(from, '\n', in->end - in->begin);
    size_t n = newline != NULL ? (size_t)(newline - from) : in->end - in->begin;
    *too_long = n > LINE_MAX_BYTES - in->line.size;
    if (*too_long) return true;
    text_add(&in->line, from, n);
    in->begin += n + (newline != NULL);
    if (newline != NULL) return true;
  }
  return in->line.size > 0;
}

line_result line_input_next(line_input *in) {
  bool too_long = false;
  while (read_line(in, &too_long)) {
    in->number++;
    if (in->number == 1) drop_mark(&in->line);
    if (too_long) {
      line_input_failure(in, "the line is longer than %d MiB", LINE_MAX_BYTES >> 20);
      return LINE_BAD;
    }
    if (!is_blank(&in->line)) return LINE_READ;
  }
  if (cli_cancelled || in->error == 0) return LINE_END;
  cli_failure(in->c, NULL, "%s: %s", in->name, strerror(in->error));
  return LINE_BAD;
}

json_t *line_input_object(const line_input *in) {
  json_error_t error;
  json_t *object = json_loadb(in->line.data, in->line.size, JSON_ALLOW_NUL, &error);
  /* A row id beyond 64 bits, say: nobody here reads it, so it need not be exact. */
  if (object == NULL && json_error_code(&error) == json_error_numeric_overflow)
    object =
        json_loadb(in->line.data, in->line.size, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
  if (object == NULL) {
    line_input_failure(in, "not JSON at column %d: %s", error.column, error.text);
    return NULL;
  }
  if (json_is_object(object)) return object;
  line_input_failure(in, "want a JSON object such as {\"text\":\"...\"}");
  json_decref(object);
  return NULL;
}

bool line_input_ids(id_list *out, const line_input *in, const json_t *list) {
  *out = (id_list){0};
  if (!json_is_array(list)) {
    line_input_failure(in, "ids: want a list of numbers");
    return false;
  }
  out->ids = cli_alloc(json_array_size(list) * sizeof *out->ids);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *item = json_array_get(list, i);
    json_int_t id = json_is_integer(item) ? json_integer_value(item) : -1;
    if (id < 0 || id > INT32_MAX) {
      line_input_failure(in, "ids[%zu]: want a token id, a whole number from 0", i);
      free(out->ids);
      *out = (id_list){0};
      return false;
    }
    out->ids[out->n++] = (int32_t)id;
  }
  return true;
}

static lb_status conversation_to_ids(id_list *out, const line_input *in, json_t *object,
                                     const text_side *side, lb_error *err) {
  if (!side->wants_answer || json_object_get(object, "add_generation_prompt") != NULL)
    return text_side_encode_chat(out, NULL, side, in->line.data, in->line.size, err);
  json_object_set_new(object, "add_generation_prompt", json_true());
  char *json = json_dumps(object, JSON_COMPACT);
  if (json == NULL) return *err = (lb_error){LB_E_NOMEM, "out of memory"}, LB_E_NOMEM;
  lb_status st = text_side_encode_chat(out, NULL, side, json, strlen(json), err);
  free(json);
  return st;
}

static bool text_to_ids(id_list *out, const line_input *in, json_t *object, text_side *side,
                        bool add_special) {
  const json_t *words = json_object_get(object, "text");
  bool is_chat = json_object_get(object, "messages") != NULL;
  lb_error err = {0};
  lb_status st = LB_OK;
  if (words == NULL && !is_chat) {
    line_input_failure(in, "want {\"text\":\"...\"}, {\"ids\":[...]} or {\"messages\":[...]}");
    return false;
  }
  if (words != NULL && !json_is_string(words)) {
    line_input_failure(in, "text: want a string");
    return false;
  }
  if (side->tokenizer == NULL) {
    line_input_failure(in, "the model has no tokenizer, so only {\"ids\":[...]} works");
    return false;
  }
  if (words != NULL && side->text_is_message) {
    st = text_side_encode_message(out, side, side->system, json_string_value(words),
                                  json_string_length(words), &err);
  } else if (words != NULL) {
    st = text_side_encode(out, side, json_string_value(words), json_string_length(words),
                          add_special, &err);
  } else {
    if (side->chat == NULL) st = text_side_open_chat(side, NULL, &err);
    if (st == LB_OK) st = conversation_to_ids(out, in, object, side, &err);
  }
  if (st != LB_OK) line_input_failure(in, "%s", err.message);
  return st == LB_OK;
}

static bool is_readable(const line_input *in, const id_list *ids, const lb_model *model) {
  const lb_model_info *info = lb_model_get_info(model);
  if (ids->n == 0) {
    line_input_failure(in, "the document is empty: want at least one token");
    return false;
  }
  if (info->max_positions > 0 && ids->n > (size_t)info->max_positions) {
    line_input_failure(in, "the document has %zu tokens, the model's context %lld", ids->n,
                       (long long)info->max_positions);
    return false;
  }
  for (size_t i = 0; i < ids->n; i++)
    if (ids->ids[i] >= info->vocab_size) {
      line_input_failure(in, "token %zu: id %d is outside the model's vocabulary (0 to %lld)", i,
                         ids->ids[i], (long long)info->vocab_size - 1);
      return false;
    }
  return true;
}

line_result document_next(document *out, line_input *in, text_side *side, const lb_model *model,
                          bool add_special) {
  *out = (document){0};
  line_result result = line_input_next(in);
  if (result != LINE_READ) return result;
  out->line = in->number;
  json_t *object = line_input_object(in);
  if (object == NULL) return LINE_BAD;
  const json_t *ids = json_object_get(object, "ids");
  bool ok = ids != NULL ? line_input_ids(&out->ids, in, ids)
                        : text_to_ids(&out->ids, in, object, side, add_special);
  json_decref(object);
  ok = ok && is_readable(in, &out->ids, model);
  if (ok) return LINE_READ;
  document_free(out);
  return LINE_BAD;
}

void document_free(document *d) {
  free(d->ids.ids);
  *d = (document){0};
}
