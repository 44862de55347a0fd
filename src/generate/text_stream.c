/* text_stream.c - see text_stream.h. */
#include "text_stream.h"

enum { MAX_TEXT = 1 << 30 };

lb_status lb__text_stream_init(lb__text_stream *t, const lb__text_source *source,
                               const char *const *stop, size_t n_stop, lb_error *err) {
  *t = (lb__text_stream){.source = source, .stop = stop, .n_stop = n_stop};
  lb__buf_init(&t->text, MAX_TEXT);
  for (size_t i = 0; i < n_stop; i++) {
    size_t size = strlen(stop[i]);
    if (size > t->longest_stop) t->longest_stop = size;
  }
  return source->open(&t->state, source->ctx, err);
}

void lb__text_stream_deinit(lb__text_stream *t) {
  if (t->source != NULL) t->source->close(t->state);
  lb__buf_deinit(&t->text);
  *t = (lb__text_stream){0};
}

static const char *find(const char *text, size_t size, const char *what, size_t what_size) {
  const char *end = text + size;
  while ((size_t)(end - text) >= what_size) {
    text = memchr(text, what[0], (size_t)(end - text) - what_size + 1);
    if (text == NULL || memcmp(text, what, what_size) == 0) return text;
    text++;
  }
  return NULL;
}

/* The earliest stop string at or after `from`; SIZE_MAX when there is none. */
static size_t find_stop(const lb__text_stream *t, size_t from) {
  size_t earliest = SIZE_MAX;
  for (size_t i = 0; i < t->n_stop; i++) {
    const char *found =
        find(t->text.bytes + from, t->text.size - from, t->stop[i], strlen(t->stop[i]));
    if (found == NULL) continue;
    size_t at = (size_t)(found - t->text.bytes);
    if (at < earliest) earliest = at;
  }
  return earliest;
}

/* Whether the last n bytes are the beginning of a stop string. */
static bool may_become_stop(const lb__text_stream *t, size_t n) {
  const char *tail = t->text.bytes + t->text.size - n;
  for (size_t i = 0; i < t->n_stop; i++)
    if (strlen(t->stop[i]) > n && memcmp(t->stop[i], tail, n) == 0) return true;
  return false;
}

/* Bytes at the end that must wait. */
static size_t held_back(const lb__text_stream *t) {
  size_t n = t->longest_stop > 0 ? t->longest_stop - 1 : 0;
  if (n > t->text.size) n = t->text.size;
  while (n > 0 && !may_become_stop(t, n)) n--;
  return n;
}

static lb_status add(lb__text_stream *t, const char *text, size_t size, lb_error *err) {
  if (t->stopped || size == 0) return LB_OK;
  size_t old = t->text.size, overlap = t->longest_stop > 0 ? t->longest_stop - 1 : 0;
  lb__buf_add(&t->text, text, size);
  lb_status st = lb__buf_check(&t->text, "the generated text", err);
  if (st != LB_OK) return st;
  size_t stop = find_stop(t, old > overlap ? old - overlap : 0);
  if (stop != SIZE_MAX) {
    t->stopped = true;
    t->text.size = stop;
    t->text.bytes[stop] = '\0';
  }
  t->ready = t->text.size - (t->stopped ? 0 : held_back(t));
  return LB_OK;
}

lb_status lb__text_stream_feed(lb__text_stream *t, int32_t id, lb_error *err) {
  const char *text;
  size_t size;
  lb_status st = t->source->feed(t->state, id, &text, &size, err);
  return st == LB_OK ? add(t, text, size, err) : st;
}

lb_status lb__text_stream_finish(lb__text_stream *t, lb_error *err) {
  const char *text;
  size_t size;
  if (t->finished) return LB_OK;
  t->finished = true;
  lb_status st = t->source->finish(t->state, &text, &size, err);
  if (st == LB_OK) st = add(t, text, size, err);
  t->ready = t->text.size;
  return st;
}

const char *lb__text_stream_show(lb__text_stream *t, size_t *size) {
  const char *text = lb__buf_text(&t->text) + t->shown;
  *size = t->ready - t->shown;
  t->shown = t->ready;
  return text;
}
