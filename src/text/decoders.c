/* decoders.c - see decoders.h. */
#include "decoders.h"

#include "base/fail.h"
#include "base/utf8.h"
#include "byte_alphabet.h"
#include "normalize.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

struct lb__decoder {
  enum { BYTE_LEVEL, REPLACE, BYTE_FALLBACK, FUSE, STRIP, METASPACE, BPE_SUFFIX, WORD_PIECE } kind;
  lb__pattern pattern; /* REPLACE */
  char *text;          /* content, replacement, suffix, prefix */
  size_t text_size;
  size_t start, stop; /* STRIP */
  bool drops_first;   /* METASPACE: marks of the first token vanish */
  bool cleanup;       /* WORD_PIECE */
};

#define KNOWN "Sequence ByteLevel Replace ByteFallback Fuse Strip Metaspace BPEDecoder WordPiece"

/* ---- configuration ---- */

static lb_status set_text(lb__decoder *d, const json_t *part, const char *key, const char *path,
                          lb_error *err) {
  const char *text;
  lb_status st = lb__config_string(&text, &d->text_size, part, key, path, err);
  if (st != LB_OK) return st;
  d->text = lb__strndup(text, d->text_size);
  return d->text != NULL ? LB_OK : lb__fail_nomem(err, path);
}

static lb_status set_strip(lb__decoder *d, const json_t *part, const char *path, lb_error *err) {
  int64_t start = 0, stop = 0;
  lb_status st = set_text(d, part, "content", path, err);
  if (st == LB_OK) st = lb__json_get_int(&start, part, "start", true, path, err);
  if (st == LB_OK) st = lb__json_get_int(&stop, part, "stop", true, path, err);
  if (st != LB_OK) return st;
  if (start < 0 || stop < 0 || start > 1 << 20 || stop > 1 << 20 || d->text_size == 0 ||
      lb__utf8_length((unsigned char)d->text[0]) != d->text_size)
    return lb__fail(err, LB_E_FORMAT, "%s: want one character and two counts", path);
  d->start = (size_t)start;
  d->stop = (size_t)stop;
  return LB_OK;
}

static lb_status set_metaspace(lb__decoder *d, const json_t *part, const char *path,
                               lb_error *err) {
  bool add_prefix_space = true;
  const char *scheme = NULL;
  lb_status st = set_text(d, part, "replacement", path, err);
  if (st == LB_OK)
    st = lb__json_get_bool(&add_prefix_space, part, "add_prefix_space", false, path, err);
  if (st == LB_OK) st = lb__json_get_string(&scheme, part, "prepend_scheme", false, path, err);
  d->drops_first = scheme != NULL ? strcmp(scheme, "never") != 0 : add_prefix_space;
  return st;
}

static lb_status compile_one(lb__decoder *d, const char *type, const json_t *part, const char *path,
                             lb_error *err) {
  if (strcmp(type, "ByteLevel") == 0) {
    d->kind = BYTE_LEVEL;
  } else if (strcmp(type, "ByteFallback") == 0) {
    d->kind = BYTE_FALLBACK;
  } else if (strcmp(type, "Fuse") == 0) {
    d->kind = FUSE;
  } else if (strcmp(type, "Replace") == 0) {
    d->kind = REPLACE;
    lb_status st = lb__config_pattern(&d->pattern, part, "pattern", path, err);
    return st != LB_OK ? st : set_text(d, part, "content", path, err);
  } else if (strcmp(type, "Strip") == 0) {
    d->kind = STRIP;
    return set_strip(d, part, path, err);
  } else if (strcmp(type, "Metaspace") == 0) {
    d->kind = METASPACE;
    return set_metaspace(d, part, path, err);
  } else if (strcmp(type, "BPEDecoder") == 0) {
    d->kind = BPE_SUFFIX;
    return set_text(d, part, "suffix", path, err);
  } else if (strcmp(type, "WordPiece") == 0) {
    d->kind = WORD_PIECE;
    d->cleanup = true;
    lb_status st = lb__json_get_bool(&d->cleanup, part, "cleanup", false, path, err);
    return st != LB_OK ? st : set_text(d, part, "prefix", path, err);
  } else {
    return lb__config_unknown("decoder", type, KNOWN, path, err);
  }
  return LB_OK;
}

static lb_status compile_leaf(void *ctx, const char *type, const json_t *part, const char *path,
                              lb_error *err) {
  lb__decoders *list = ctx;
  if (!lb__grow(&list->items, &list->capacity, list->n + 1, sizeof *list->items))
    return lb__fail_nomem(err, path);
  lb__decoder *d = &list->items[list->n++];
  memset(d, 0, sizeof *d);
  return compile_one(d, type, part, path, err);
}

lb_status lb__decoders_compile(lb__decoders *out, const json_t *part, lb_error *err) {
  *out = (lb__decoders){.joins_with_space = part == NULL || json_is_null(part)};
  return lb__config_each(part, "decoders", "decoder", compile_leaf, out, err);
}

void lb__decoders_deinit(lb__decoders *list) {
  for (size_t i = 0; i < list->n; i++) {
    lb__pattern_deinit(&list->items[i].pattern);
    lb__free(list->items[i].text);
  }
  lb__free(list->items);
  *list = (lb__decoders){0};
}

/* ---- a chain at work ---- */

typedef struct step_state {
  const lb__decoder *decoder;
  lb__buf token; /* the token that is coming in */
  lb__buf held;  /* an unfinished character; a run of bytes; a tail that may be cut; a token */
  size_t n_tokens;
  size_t n_cut; /* STRIP: characters cut from the front of this token */
  bool cutting, open;
} step_state;

struct lb__decoding {
  step_state *steps;
  size_t n_steps;
  bool joins_with_space;
  size_t n_tokens;
  lb__buf out;
  lb_status status;
  lb_error *err;
};

/* Empties a buffer; that an append to it failed is not forgotten. */
static void clear(lb__decoding *d, lb__buf *b) {
  if (b->failed) d->status = lb__buf_check(b, "decoded text", d->err);
  lb__buf_clear(b);
}

static void send_begin(lb__decoding *d, size_t step);
static void send_bytes(lb__decoding *d, size_t step, const char *bytes, size_t size);
static void send_end(lb__decoding *d, size_t step);

static void send_token(lb__decoding *d, size_t step, const char *bytes, size_t size) {
  send_begin(d, step);
  send_bytes(d, step, bytes, size);
  send_end(d, step);
}

/* Sends the characters of s->held that are whole; with `all`, also what can never become whole. */
static void send_characters(lb__decoding *d, size_t step, bool all) {
  lb__buf *held = &d->steps[step].held;
  size_t end = all ? held->size : lb__utf8_complete(held->bytes, held->size), i = 0;
  while (i < end) {
    size_t first = i;
    uint32_t c;
    int length;
    while (i < end && (length = lb__utf8_decode(&c, held->bytes + i, end - i)) > 0)
      i += (size_t)length;
    if (i > first) send_bytes(d, step + 1, held->bytes + first, i - first);
    if (i >= end) break;
    size_t bad = lb__utf8_invalid_run(held->bytes + i, end - i);
    send_bytes(d, step + 1, REPLACEMENT, 3);
    i += bad > 0 ? bad : 1;
  }
  if (i >= held->size) {
    held->size = 0;
    return;
  }
  memmove(held->bytes, held->bytes + i, held->size - i);
  held->size -= i;
}

/* ByteLevel: tokens to bytes, bytes to characters; all tokens become one. */
static void byte_level_token(lb__decoding *d, size_t step, const char *text, size_t size) {
  lb__buf *held = &d->steps[step].held;
  char small[512], *bytes = size <= sizeof small ? small : lb__alloc(size);
  if (bytes == NULL) {
    d->status = lb__fail_nomem(d->err, "decoded text");
    return;
  }
  size_t n;
  if (lb__alphabet_to_bytes(bytes, &n, text, size))
    lb__buf_add(held, bytes, n);
  else
    lb__buf_add(held, text, size);
  if (bytes != small) lb__free(bytes);
  if (held->size > 0) send_characters(d, step, false);
}

static void replace_token(lb__decoding *d, size_t step, const char *text, size_t size) {
  const lb__decoder *decoder = d->steps[step].decoder;
  lb__matches m = {.pattern = &decoder->pattern, .text = text, .size = size};
  size_t previous = 0, start, end;
  bool found;
  send_begin(d, step + 1);
  for (;;) {
    lb_status st = lb__matches_next(&m, &found, &start, &end, d->err);
    if (st != LB_OK) d->status = st;
    if (st != LB_OK || !found) break;
    send_bytes(d, step + 1, text + previous, start - previous);
    send_bytes(d, step + 1, decoder->text, decoder->text_size);
    previous = end;
  }
  send_bytes(d, step + 1, text + previous, size - previous);
  send_end(d, step + 1);
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that "<0xHH>" names, or -1. */
static int named_byte(const char *text, size_t size) {
  if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
  int high = text[3] == '+' ? 0 : hex_value(text[3]), low = hex_value(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* A run of bytes is one token if it is valid UTF-8 as a whole, else one U+FFFD for each byte. */
static void flush_bytes(lb__decoding *d, size_t step) {
  lb__buf *held = &d->steps[step].held;
  if (held->size == 0) return;
  if (lb__utf8_valid(held->bytes, held->size))
    send_token(d, step + 1, held->bytes, held->size);
  else
    for (size_t i = 0; i < held->size; i++) send_token(d, step + 1, REPLACEMENT, 3);
  clear(d, held);
}

static void byte_fallback_token(lb__decoding *d, size_t step, const char *text, size_t size) {
  int byte = named_byte(text, size);
  if (byte >= 0) {
    lb__buf_add_char(&d->steps[step].held, (char)byte);
    return;
  }
  flush_bytes(d, step);
  send_token(d, step + 1, text, size);
}

static void metaspace_token(lb__decoding *d, size_t step, const char *text, size_t size) {
  const step_state *s = &d->steps[step];
  bool drops = s->decoder->drops_first && s->n_tokens == 1;
  lb__matches m = {.text = text, .size = size};
  lb__pattern mark = {
      .kind = LB__PATTERN_STRING, .string = s->decoder->text, .string_size = s->decoder->text_size};
  m.pattern = &mark;
  size_t previous = 0, start, end;
  bool found;
  send_begin(d, step + 1);
  while (lb__matches_next(&m, &found, &start, &end, d->err) == LB_OK && found) {
    send_bytes(d, step + 1, text + previous, start - previous);
    if (!drops) send_bytes(d, step + 1, " ", 1);
    previous = end;
  }
  send_bytes(d, step + 1, text + previous, size - previous);
  send_end(d, step + 1);
}

/* The suffix is a space inside the text and nothing at its end: one token is held back. */
static void send_without_suffix(lb__decoding *d, size_t step, bool last) {
  step_state *s = &d->steps[step];
  lb__pattern suffix = {
      .kind = LB__PATTERN_STRING, .string = s->decoder->text, .string_size = s->decoder->text_size};
  lb__matches m = {.pattern = &suffix, .text = lb__buf_text(&s->held), .size = s->held.size};
  size_t previous = 0, start, end;
  bool found;
  send_begin(d, step + 1);
  while (lb__matches_next(&m, &found, &start, &end, d->err) == LB_OK && found) {
    send_bytes(d, step + 1, m.text + previous, start - previous);
    if (!last) send_bytes(d, step + 1, " ", 1);
    previous = end;
  }
  send_bytes(d, step + 1, m.text + previous, m.size - previous);
  send_end(d, step + 1);
  clear(d, &s->held);
}

/* What transformers calls clean_up_tokenization, applied to one token. */
static void clean_up(lb__buf *out, const char *text, size_t size) {
  static const char *const pairs[][2] = {{" .", "."},     {" ?", "?"},           {" !", "!"},
                                         {" ,", ","},     {" ' ", "'"},          {" n't", "n't"},
                                         {" 'm", "'m"},   {" do not", " don't"}, {" 's", "'s"},
                                         {" 've", "'ve"}, {" 're", "'re"}};
  lb__buf from;
  lb__buf_init(&from, LB__TEXT_MAX);
  lb__buf_add(out, text, size);
  for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
    lb__buf_clear(&from);
    if (!lb__buf_add(&from, lb__buf_text(out), out->size)) break; /* `out` stays whole */
    lb__buf_clear(out);
    size_t wanted = strlen(pairs[p][0]);
    for (size_t i = 0; i < from.size;) {
      bool hit = from.size - i >= wanted && memcmp(from.bytes + i, pairs[p][0], wanted) == 0;
      if (hit)
        lb__buf_add_text(out, pairs[p][1]);
      else
        lb__buf_add_char(out, from.bytes[i]);
      i += hit ? wanted : 1;
    }
  }
  out->failed = out->failed || from.failed;
  lb__buf_deinit(&from);
}

static void word_piece_token(lb__decoding *d, size_t step, const char *text, size_t size) {
  const step_state *s = &d->steps[step];
  size_t prefix = s->decoder->text_size;
  lb__buf whole, clean;
  lb__buf_init(&whole, LB__TEXT_MAX);
  lb__buf_init(&clean, LB__TEXT_MAX);
  bool continues = size >= prefix && memcmp(text, s->decoder->text, prefix) == 0;
  if (s->n_tokens > 1 && !continues) lb__buf_add_char(&whole, ' ');
  size_t skip = s->n_tokens > 1 && continues ? prefix : 0;
  lb__buf_add(&whole, text + skip, size - skip);
  if (s->decoder->cleanup) clean_up(&clean, lb__buf_text(&whole), whole.size);
  const lb__buf *result = s->decoder->cleanup ? &clean : &whole;
  send_token(d, step + 1, lb__buf_text(result), result->size);
  clear(d, &whole);
  clear(d, &clean);
  lb__buf_deinit(&whole);
  lb__buf_deinit(&clean);
}

/* ---- Strip works on the stream: it cuts at the front, and holds back a tail that it may cut ----
 */

/* How often `bytes` has the content at its end, `stop` times at most. */
static size_t contents_at_end(const lb__decoder *decoder, const char *bytes, size_t size) {
  size_t n = decoder->text_size, count = 0;
  while (count < decoder->stop && size - count * n >= n &&
         memcmp(bytes + size - (count + 1) * n, decoder->text, n) == 0)
    count++;
  return count;
}

/* What is held is the content again and again, so that neither it nor its place is looked at twice.
 */
static void hold_back(lb__decoding *d, size_t step, const char *bytes, size_t size) {
  lb__buf *held = &d->steps[step].held;
  const lb__decoder *decoder = d->steps[step].decoder;
  size_t tail = contents_at_end(decoder, bytes, size) * decoder->text_size, send;
  if (tail < size) { /* what was held is not at the end */
    send_bytes(d, step + 1, held->bytes, held->size);
    send_bytes(d, step + 1, bytes, size - tail);
    held->size = 0;
    lb__buf_add(held, bytes + size - tail, tail);
    return;
  }
  lb__buf_add(held, bytes, size);
  size_t count = held->size / decoder->text_size;
  send = count > decoder->stop ? (count - decoder->stop) * decoder->text_size : 0;
  send_bytes(d, step + 1, held->bytes, send);
  held->size -= send;
}

static void strip_bytes(lb__decoding *d, size_t step, const char *bytes, size_t size) {
  step_state *s = &d->steps[step];
  const lb__decoder *decoder = s->decoder;
  size_t i = 0, n = decoder->text_size;
  while (i < size && s->cutting) {
    bool hit =
        s->n_cut < decoder->start && size - i >= n && memcmp(bytes + i, decoder->text, n) == 0;
    if (!hit)
      s->cutting = false;
    else
      i += n, s->n_cut++;
  }
  if (decoder->stop == 0) {
    send_bytes(d, step + 1, bytes + i, size - i);
    return;
  }
  hold_back(d, step, bytes + i, size - i);
}

/* ---- the three events ---- */

static void send_begin(lb__decoding *d, size_t step) {
  if (step == d->n_steps) {
    if (d->joins_with_space && d->n_tokens > 0) lb__buf_add_char(&d->out, ' ');
    d->n_tokens++;
    return;
  }
  step_state *s = &d->steps[step];
  s->n_tokens++;
  switch (s->decoder->kind) {
  case STRIP:
    s->cutting = true;
    s->n_cut = 0;
    send_begin(d, step + 1);
    break;
  case BYTE_LEVEL:
  case FUSE:
    if (!s->open) send_begin(d, step + 1);
    s->open = true;
    break;
  case BPE_SUFFIX:
    if (s->n_tokens > 1) send_without_suffix(d, step, false);
    break;
  default: break;
  }
}

static void send_bytes(lb__decoding *d, size_t step, const char *bytes, size_t size) {
  if (size == 0) return;
  if (step == d->n_steps) {
    lb__buf_add(&d->out, bytes, size);
    return;
  }
  step_state *s = &d->steps[step];
  switch (s->decoder->kind) {
  case FUSE: send_bytes(d, step + 1, bytes, size); break;
  case STRIP: strip_bytes(d, step, bytes, size); break;
  default: lb__buf_add(&s->token, bytes, size);
  }
}

static void send_end(lb__decoding *d, size_t step) {
  if (step == d->n_steps) return;
  step_state *s = &d->steps[step];
  const char *text = lb__buf_text(&s->token);
  size_t size = s->token.size;
  switch (s->decoder->kind) {
  case FUSE: break; /* its one end comes when the chain finishes */
  case STRIP:       /* what is held back is the content, at the end of the token: cut */
    clear(d, &s->held);
    send_end(d, step + 1);
    break;
  case BYTE_LEVEL: byte_level_token(d, step, text, size); break;
  case REPLACE: replace_token(d, step, text, size); break;
  case BYTE_FALLBACK: byte_fallback_token(d, step, text, size); break;
  case METASPACE: metaspace_token(d, step, text, size); break;
  case WORD_PIECE: word_piece_token(d, step, text, size); break;
  case BPE_SUFFIX: lb__buf_add(&s->held, text, size); break;
  }
  clear(d, &s->token);
}

/* ---- from outside ---- */

lb_status lb__decoding_new(lb__decoding **out, const lb__decoders *list, lb_error *err) {
  *out = NULL;
  lb__decoding *d = lb__new(sizeof *d);
  if (d == NULL) return lb__fail_nomem(err, "decoder");
  lb__buf_init(&d->out, LB__TEXT_MAX);
  d->joins_with_space = list->joins_with_space;
  d->steps = lb__new_array(list->n, sizeof *d->steps);
  if (d->steps == NULL) {
    lb__decoding_free(d);
    return lb__fail_nomem(err, "decoder");
  }
  d->n_steps = list->n;
  for (size_t i = 0; i < list->n; i++) {
    d->steps[i].decoder = &list->items[i];
    lb__buf_init(&d->steps[i].token, LB__TEXT_MAX);
    lb__buf_init(&d->steps[i].held, LB__TEXT_MAX);
  }
  *out = d;
  return LB_OK;
}

void lb__decoding_free(lb__decoding *d) {
  if (d == NULL) return;
  for (size_t i = 0; i < d->n_steps; i++) {
    lb__buf_deinit(&d->steps[i].token);
    lb__buf_deinit(&d->steps[i].held);
  }
  lb__free(d->steps);
  lb__buf_deinit(&d->out);
  lb__free(d);
}

static lb_status check(lb__decoding *d, lb_error *err) {
  d->err = NULL;
  for (size_t i = 0; i < d->n_steps && d->status == LB_OK; i++) {
    d->status = lb__buf_check(&d->steps[i].token, "decoded text", err);
    if (d->status == LB_OK) d->status = lb__buf_check(&d->steps[i].held, "decoded text", err);
  }
  return d->status != LB_OK ? d->status : lb__buf_check(&d->out, "decoded text", err);
}

lb_status lb__decoding_token(lb__decoding *d, const char *text, size_t size, lb_error *err) {
  d->err = err;
  send_token(d, 0, text, size);
  return check(d, err);
}

lb_status lb__decoding_finish(lb__decoding *d, lb_error *err) {
  d->err = err;
  for (size_t i = 0; i < d->n_steps; i++) {
    step_state *s = &d->steps[i];
    switch (s->decoder->kind) {
    case BYTE_LEVEL:
    case FUSE:
      if (s->held.size > 0) send_characters(d, i, true);
      if (s->open) send_end(d, i + 1);
      break;
    case BYTE_FALLBACK: flush_bytes(d, i); break;
    case BPE_SUFFIX:
      if (s->n_tokens > 0) send_without_suffix(d, i, true);
      break;
    default: break;
    }
  }
  return check(d, err);
}

lb__buf *lb__decoding_output(lb__decoding *d) {
  return &d->out;
}

/* The held token's size once each suffix is a space. */
static size_t size_without_suffix(const step_state *s) {
  lb__pattern suffix = {
      .kind = LB__PATTERN_STRING, .string = s->decoder->text, .string_size = s->decoder->text_size};
  lb__matches m = {.pattern = &suffix, .text = lb__buf_text(&s->held), .size = s->held.size};
  size_t size = m.size, start, end;
  bool found;
  while (lb__matches_next(&m, &found, &start, &end, NULL) == LB_OK && found)
    size = size + 1 - (end - start);
  return size;
}

size_t lb__decoding_held(const lb__decoding *d) {
  size_t n = 0;
  for (size_t i = 0; i < d->n_steps; i++) {
    const step_state *s = &d->steps[i];
    if (s->decoder->kind == BYTE_LEVEL || s->decoder->kind == BYTE_FALLBACK) n += s->held.size;
    if (s->decoder->kind == BPE_SUFFIX) n += size_without_suffix(s);
  }
  return n;
}
