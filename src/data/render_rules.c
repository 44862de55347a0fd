/* render_rules.c - what is true of all rows: the special tokens that the tokenizer adds, the end
 * token, what the chat template sees. */
#include "render_parts.h"

#include "chat_turns.h"

#include "base/fail.h"
#include "base/log.h"

/* Templates that ask for today's date see this one, 2024-07-26, which is also what Llama 3.1's
 * template says when it is told none: tokens must not change when a run is resumed tomorrow. */
static const int64_t RENDER_DATE = 1721952000;

/* ---- what the tokenizer adds around a text ---- */

typedef struct encoded {
  int32_t *ids;
  size_t n;
} encoded;

static lb_status encode(encoded *out, const lb_tokenizer *t, const char *text, bool add_special,
                        lb_error *err) {
  lb_encode_options options = {.add_special_tokens = add_special, .parse_special = true};
  return lb_tokenizer_encode(t, text, strlen(text), &options, &out->ids, &out->n, err);
}

static lb_status copy_ids(int32_t **out, size_t *n_out, const int32_t *ids, size_t n,
                          lb_error *err) {
  *out = lb__alloc_array(n, sizeof **out);
  if (*out == NULL) return lb__fail_nomem(err, "special tokens");
  memcpy(*out, ids, n * sizeof *ids);
  *n_out = n;
  return LB_OK;
}

/* The text with its special tokens is lead, the text's own ids, trail. */
static lb_status split(lb__render_rules *r, bool *found, encoded with, encoded without,
                       lb_error *err) {
  *found = false;
  if (without.n == 0) return LB_OK;
  for (size_t i = 0; i + without.n <= with.n && !*found; i++) {
    if (memcmp(with.ids + i, without.ids, without.n * sizeof *with.ids) != 0) continue;
    *found = true;
    size_t end = i + without.n;
    lb_status st = copy_ids(&r->lead, &r->n_lead, with.ids, i, err);
    if (st != LB_OK) return st;
    return copy_ids(&r->trail, &r->n_trail, with.ids + end, with.n - end, err);
  }
  return LB_OK;
}

static lb_status try_probe(lb__render_rules *r, bool *found, const char *text, lb_error *err) {
  encoded with = {0}, without = {0};
  *found = false;
  lb_status st = encode(&with, r->o.tokenizer, text, true, err);
  if (st == LB_OK) st = encode(&without, r->o.tokenizer, text, false, err);
  if (st == LB_E_FORMAT || st == LB_E_ARG)
    st = LB_OK; /* the vocabulary lacks this letter */
  else if (st == LB_OK)
    st = split(r, found, with, without, err);
  lb_ids_free(with.ids);
  lb_ids_free(without.ids);
  return st;
}

/* A post-processor puts the same ids around every text, so one text shows them. */
static lb_status find_added_tokens(lb__render_rules *r, lb_error *err) {
  static const char *const probes[] = {"a", "e", "1", "A", " ", "the", "\n", "."};
  bool found = false;
  for (size_t i = 0; i < sizeof probes / sizeof *probes && !found; i++) {
    lb_status st = try_probe(r, &found, probes[i], err);
    if (st != LB_OK) return st;
  }
  if (found) return LB_OK;
  return lb__fail(err, LB_E_UNSUPPORTED,
                  "the tokenizer encodes none of 'a', 'e', '1', 'A', 'the', so the special tokens "
                  "that it adds cannot be told");
}

/* ---- all ---- */

static const char *token_text(const lb_tokenizer *t, int32_t id) {
  return id < 0 ? NULL : lb_tokenizer_token_text(t, id, NULL);
}

static lb_status read_tokenizer(lb__render_rules *r, lb_error *err) {
  const lb_tokenizer *t = r->o.tokenizer;
  r->chat.bos_token = token_text(t, lb_tokenizer_bos(t));
  r->chat.eos_token = token_text(t, lb_tokenizer_eos(t));
  r->chat.unk_token = token_text(t, lb_tokenizer_unk(t));
  r->chat.pad_token = token_text(t, lb_tokenizer_pad(t));
  if (r->o.append_eos) r->eos = lb_tokenizer_eos(t);
  if (r->o.append_eos && r->eos < 0)
    lb__log(LB_LOG_WARN, "data: the tokenizer has no end token, so none is put after texts");
  return find_added_tokens(r, err);
}

lb_status lb__render_rules_init(lb__render_rules *r, const lb__corpus_options *o, lb_error *err) {
  *r = (lb__render_rules){.o = *o, .eos = -1};
  r->chat = lb_chat_render_options_default();
  r->chat.has_now = true;
  r->chat.now = RENDER_DATE;
  if (o->chat_template != NULL)
    r->marks_generation = lb__template_marks_generation(o->chat_template);
  lb_status st = o->tokenizer != NULL ? read_tokenizer(r, err) : LB_OK;
  if (st != LB_OK) lb__render_rules_deinit(r);
  return st;
}

void lb__render_rules_deinit(lb__render_rules *r) {
  lb__free(r->lead);
  lb__free(r->trail);
  r->lead = r->trail = NULL;
}
