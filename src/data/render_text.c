/* render_text.c - the kinds of examples, each to ids and labels (render_parts.h). */
#include "render_parts.h"

#include "chat_turns.h"
#include "token_mask.h"

#include "base/fail.h"
#include "base/utf8.h"

static const lb_encode_options plain = {.add_special_tokens = false, .parse_special = true};

/* ---- a document being made ---- */

typedef struct draft {
  int32_t *ids, *labels;
  size_t n, capacity, labels_capacity;
} draft;

static void draft_deinit(draft *d) {
  lb__free(d->ids);
  lb__free(d->labels);
}

static bool draft_reserve(draft *d, size_t more) {
  return lb__grow(&d->ids, &d->capacity, d->n + more, sizeof *d->ids) &&
         lb__grow(&d->labels, &d->labels_capacity, d->n + more, sizeof *d->labels);
}

/* trained NULL: each of them is as `all` says. */
static void draft_add(draft *d, const int32_t *ids, size_t n, const bool *trained, bool all) {
  for (size_t i = 0; i < n; i++, d->n++) {
    bool is_trained = trained != NULL ? trained[i] : all;
    d->ids[d->n] = ids[i];
    d->labels[d->n] = is_trained ? ids[i] : LB__NOT_TRAINED;
  }
}

static bool is_end_token(const lb_tokenizer *t, int32_t id) {
  size_t n;
  const int32_t *ends = lb_tokenizer_eos_ids(t, &n);
  for (size_t i = 0; i < n; i++)
    if (ends[i] == id) return true;
  return id == lb_tokenizer_eos(t);
}

/* One end token, however the text ended. */
static void draft_end(draft *d, bool is_trained, const lb__render_rules *r) {
  if (r->eos < 0 || (d->n > 0 && is_end_token(r->o.tokenizer, d->ids[d->n - 1]))) return;
  draft_add(d, &r->eos, 1, NULL, is_trained);
}

/* ---- strings ---- */

/* The text's own ids, with what the tokenizer adds and the end token. `trained` NULL: all. */
static lb_status add_string_document(lb__made_row *row, const int32_t *ids, size_t n,
                                     const bool *trained, const lb__render_rules *r) {
  draft d = {0};
  lb_status st;
  if (!draft_reserve(&d, r->n_lead + n + r->n_trail + 1)) {
    st = lb__fail_nomem(&row->err, "tokens");
  } else {
    draft_add(&d, r->lead, r->n_lead, NULL, trained == NULL);
    draft_add(&d, ids, n, trained, true);
    draft_add(&d, r->trail, r->n_trail, NULL, true); /* what ends the text is learned */
    draft_end(&d, true, r);
    st = lb__add_document(row, d.ids, d.labels, d.n, r);
  }
  draft_deinit(&d);
  return st;
}

static lb_status want_all(lb__made_row *row, const lb__render_rules *r) {
  if (r->o.train_on == LB__TRAIN_ON_AUTO || r->o.train_on == LB__TRAIN_ON_ALL) return LB_OK;
  lb__fail(
      &row->err, LB_E_ARG,
      "train_on: rows of the format '%s' have no completion and no assistant; want auto or all",
      lb__data_format_name(row->format));
  return lb__fail_fatal(row, LB_E_ARG);
}

lb_status lb__render_text(lb__made_row *row, const lb__example *e, const lb__render_rules *r) {
  int32_t *ids = NULL;
  size_t n;
  lb_status st = want_all(row, r);
  if (st == LB_OK)
    st = lb_tokenizer_encode(r->o.tokenizer, lb__buf_text(&e->text), e->text.size, &plain, &ids, &n,
                             &row->err);
  if (st == LB_OK && n == 0)
    row->n_too_short++; /* an empty text would teach to end at once */
  else if (st == LB_OK)
    st = add_string_document(row, ids, n, NULL, r);
  lb_ids_free(ids);
  return st;
}

/* Prompt and completion are one text to the tokenizer, as in TRL. Where a token lies across the
 * border, it is trained: it holds the beginning of the completion. */
lb_status lb__render_prompt(lb__made_row *row, const lb__example *e, const lb__render_rules *r) {
  const lb_text_span text = {lb__buf_text(&e->text), e->text.size, false};
  const lb__byte_range completion = {e->prompt_size, e->text.size};
  bool all = r->o.train_on == LB__TRAIN_ON_ALL, *trained = NULL;
  int32_t *ids = NULL;
  size_t n;
  lb_status st = lb_tokenizer_encode_spans(r->o.tokenizer, &text, 1, &plain, &ids, &n, &row->err);
  if (st == LB_OK && !all) {
    trained = lb__new_array(n, sizeof *trained);
    st = trained == NULL ? lb__fail_nomem(&row->err, "token mask")
                         : lb__mask_tokens(trained, r->o.tokenizer, ids, n, &text, 1, &completion,
                                           completion.begin < completion.end, &row->err);
  }
  if (st == LB_OK && !all && completion.begin == completion.end)
    row->n_untrained++; /* not even the end token: nothing was answered */
  else if (st == LB_OK)
    st = add_string_document(row, ids, n, trained, r);
  lb__free(trained);
  lb_ids_free(ids);
  return st;
}

/* ---- running text ---- */

/* Pieces of at most max_length, each beginning as the tokenizer begins a text; only the last of the
 * file gets the end token. */
static lb_status cut_running_text(lb__made_row *row, const int32_t *ids, size_t n, bool is_end,
                                  const lb__render_rules *r) {
  draft d = {0};
  size_t room = (size_t)r->o.max_length, at = 0;
  if (room <= r->n_lead + r->n_trail + 1) {
    lb__fail(&row->err, LB_E_ARG, "max_length: %zu leaves no room beside %zu special tokens", room,
             r->n_lead + r->n_trail + 1);
    return lb__fail_fatal(row, LB_E_ARG);
  }
  room -= r->n_lead;
  if (!draft_reserve(&d, (size_t)r->o.max_length + r->n_trail + 1)) {
    draft_deinit(&d);
    return lb__fail_nomem(&row->err, "tokens");
  }
  lb_status st = LB_OK;
  while (at < n && st == LB_OK) {
    size_t part = n - at < room ? n - at : room;
    bool last = at + part == n && is_end;
    if (last && part > room - r->n_trail - (r->eos >= 0)) { /* room for what ends the text */
      part = room - r->n_trail - (r->eos >= 0);
      last = false;
    }
    d.n = 0;
    draft_add(&d, r->lead, r->n_lead, NULL, true);
    draft_add(&d, ids + at, part, NULL, true);
    if (last) {
      draft_add(&d, r->trail, r->n_trail, NULL, true);
      draft_end(&d, true, r);
    }
    st = lb__add_document(row, d.ids, d.labels, d.n, r);
    at += part;
  }
  draft_deinit(&d);
  return st;
}

lb_status lb__render_running_text(lb__made_row *row, const char *text, size_t size, bool is_end,
                                  const lb__render_rules *r) {
  int32_t *ids = NULL;
  size_t n;
  lb_status st = want_all(row, r);
  if (st == LB_OK)
    st = lb_tokenizer_encode(r->o.tokenizer, text, size, &plain, &ids, &n, &row->err);
  if (st == LB_OK && n == 0) row->n_too_short++;
  if (st == LB_OK) st = cut_running_text(row, ids, n, is_end, r);
  lb_ids_free(ids);
  return st;
}

/* ---- conversations ---- */

static lb_text_span *spans_of(const lb_chat_text *text) {
  lb_text_span *spans = lb__alloc_array(text->n_spans, sizeof *spans);
  for (size_t i = 0; spans != NULL && i < text->n_spans; i++) {
    const lb_chat_span *s = &text->spans[i];
    spans[i] = (lb_text_span){text->text + s->begin, s->end - s->begin, s->is_user_text};
  }
  return spans;
}

/* The template has written all special tokens, so none is added. */
static lb_status add_turn_ids(lb__made_row *row, const lb__turn_text *t, const lb_text_span *spans,
                              const int32_t *ids, size_t n, bool all, const lb__render_rules *r) {
  bool *trained = lb__new_array(n, sizeof *trained);
  draft d = {0};
  lb_status st = LB_OK;
  if (trained == NULL || !draft_reserve(&d, n)) st = lb__fail_nomem(&row->err, "tokens");
  if (st == LB_OK && !all)
    st = lb__mask_tokens(trained, r->o.tokenizer, ids, n, spans, t->text->n_spans, t->trained,
                         t->n_trained, &row->err);
  if (st == LB_OK && !all && !t->marked_by_template)
    st = lb__mask_trim(trained, r->o.tokenizer, ids, n, &row->err);
  if (st == LB_OK) {
    draft_add(&d, ids, n, all ? NULL : trained, true);
    st = lb__add_document(row, d.ids, d.labels, d.n, r);
  }
  draft_deinit(&d);
  lb__free(trained);
  return st;
}

static lb_status add_turn_text(lb__made_row *row, const lb__turn_text *t, bool all,
                               const lb__render_rules *r) {
  int32_t *ids = NULL;
  size_t n;
  lb_text_span *spans = spans_of(t->text);
  if (spans == NULL) return lb__fail_nomem(&row->err, "rendered chat");
  lb_status st = lb_tokenizer_encode_spans(r->o.tokenizer, spans, t->text->n_spans, &plain, &ids,
                                           &n, &row->err);
  if (st == LB_OK) st = add_turn_ids(row, t, spans, ids, n, all, r);
  lb_ids_free(ids);
  lb__free(spans);
  return st;
}

/* auto: what a prompt-completion row or an instruction asks for is its answer; a conversation has
 * many. */
static lb__trained_turns turns_of(const lb__example *e, lb__train_on train_on) {
  switch (train_on) {
  case LB__TRAIN_ON_ALL: return LB__TURNS_ALL_TEXT;
  case LB__TRAIN_ON_COMPLETION: return LB__TURNS_COMPLETION;
  case LB__TRAIN_ON_ASSISTANT: return LB__TURNS_ASSISTANT;
  case LB__TRAIN_ON_AUTO: break;
  }
  bool is_chat = e->format == LB__DATA_MESSAGES || e->format == LB__DATA_SHAREGPT;
  return is_chat ? LB__TURNS_ASSISTANT : LB__TURNS_COMPLETION;
}

lb_status lb__render_conversation(lb__made_row *row, const lb__example *e,
                                  const lb__render_rules *r) {
  lb__turn_texts texts = {0};
  if (r->o.chat_template == NULL) {
    lb__fail(
        &row->err, LB_E_ARG,
        "rows of the format '%s' hold messages and need a chat template, which this model does "
        "not have; name one with chat_template (\"chatml\", ...)",
        lb__data_format_name(row->format));
    return lb__fail_fatal(row, LB_E_ARG);
  }
  lb__trained_turns which = turns_of(e, r->o.train_on);
  lb_status st = lb__turns_render(&texts, e, r->o.chat_template, r->marks_generation, &r->chat,
                                  which, &row->err);
  for (size_t i = 0; i < texts.n && st == LB_OK; i++)
    st = add_turn_text(row, &texts.items[i], which == LB__TURNS_ALL_TEXT, r);
  lb__turn_texts_deinit(&texts);
  return st;
}

/* ---- tokens ---- */

static bool to_id(int32_t *out, const json_t *list, size_t i) {
  json_int_t value = json_integer_value(json_array_get(list, i));
  *out = (int32_t)value;
  return value >= INT32_MIN && value <= INT32_MAX;
}

/* Where attention_mask is 0 there is padding, and it goes: no tensor ever holds any. */
lb_status lb__render_tokens(lb__made_row *row, const lb__example *e, const lb__render_rules *r) {
  size_t n = json_array_size(e->ids);
  draft d = {0};
  bool use_labels = e->labels != NULL && r->o.train_on != LB__TRAIN_ON_ALL, ok = true;
  lb_status st = want_all(row, r);
  if (st == LB_OK && !draft_reserve(&d, n)) st = lb__fail_nomem(&row->err, "tokens");
  for (size_t i = 0; i < n && ok && st == LB_OK; i++) {
    if (e->mask != NULL && json_integer_value(json_array_get(e->mask, i)) == 0) continue;
    ok = to_id(&d.ids[d.n], e->ids, i) && to_id(&d.labels[d.n], use_labels ? e->labels : e->ids, i);
    d.n++;
  }
  if (!ok) st = lb__fail_fatal(row, lb__fail(&row->err, LB_E_ARG, "an id needs more than 32 bits"));
  if (st == LB_OK) st = lb__add_document(row, d.ids, d.labels, d.n, r);
  draft_deinit(&d);
  return st;
}
