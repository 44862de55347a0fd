/* beam_search.c - beam search with the semantics of Transformers 5 (generation/utils.py,
 * _beam_search), prompt by prompt.
 *
 * A step, for each prompt:
 *   1. log-probabilities of every running beam, through the processors, plus the beam's score
 *   2. the best max(2, 1 + number of end tokens) * num_beams of all beam x token candidates
 *   3. the best num_beams of those that do not end become the running beams
 *   4. those that end and are among the best num_beams compete, by score / length^length_penalty,
 *      for the num_beams places of the finished
 *   5. stop by early_stopping's rule
 * Scores are float32 and what may not be chosen is lowered by 1e9, as there: so ties and leftovers
 * fall the same way. The beams of a prompt share its cache; a beam is a fork of its parent.
 *
 * Hypotheses are paths in a tree: a node is one token and a link to what came before.
 * Read next: advance. */
#include "search.h"

#include "base/clock.h"
#include "base/fail.h"

#include <math.h>

static const float OUT_OF_REACH = -1.0e9f;

typedef struct node {
  int32_t parent; /* -1: the prompt */
  int32_t token;
  int32_t length; /* new tokens up to this one */
  lb_finish_reason reason;
  double logprob; /* of the raw model, summed from the prompt on */
} node;

typedef struct beam {
  int32_t sequence; /* of the decoder; -1: none */
  int32_t node;     /* -1: nothing was added to the prompt yet */
  int32_t parent;   /* place among the beams of the step before */
  float score;      /* sum of processed log-probabilities */
} beam;

typedef struct hypothesis { /* a place for a finished beam */
  float score;
  bool is_finished; /* false: the place is still empty */
  int32_t node;
} hypothesis;

typedef struct candidate {
  float score;
  int32_t beam, token;
  int32_t node; /* -1 until something keeps it */
  bool ends;
  lb_finish_reason reason;
} candidate;

typedef struct beam_group { /* one prompt's search */
  size_t prompt;
  int64_t n_new, limit;
  beam *running, *next;                 /* [num_beams] best first */
  hypothesis *finished, *next_finished; /* [num_beams] best first */
  node *nodes;
  size_t n_nodes, nodes_capacity;
  bool done;
} beam_group;

typedef struct beam_search {
  lb__search *s;
  size_t num_beams, n_keep; /* n_keep candidates are looked at in each step */
  beam_group *groups;       /* [n_groups] in the order of their prompts */
  size_t n_groups, capacity;
  candidate *candidates; /* [n_keep] */
  float *scores;         /* [num_beams + n_keep] */
  size_t *order;         /* [num_beams] */
  double *logsumexps;    /* [num_beams] of each running beam's raw logits */
  size_t *rows;          /* [num_beams] */
  int32_t *path;         /* the new tokens of one hypothesis */
  size_t path_capacity;
} beam_search;

/* ---- hypotheses ---- */

/* The tokens of a path into b->path, first one first. */
static lb_status load_path(beam_search *b, const beam_group *g, int32_t at, size_t *n,
                           lb_error *err) {
  *n = at < 0 ? 0 : (size_t)g->nodes[at].length;
  if (!lb__grow(&b->path, &b->path_capacity, *n + 1, sizeof *b->path))
    return lb__fail_nomem(err, "a beam's tokens");
  for (size_t i = *n; i > 0; i--) {
    b->path[i - 1] = g->nodes[at].token;
    at = g->nodes[at].parent;
  }
  return LB_OK;
}

/* Gives a candidate that is kept its node. */
static lb_status add_node(beam_search *b, beam_group *g, candidate *c, lb_error *err) {
  if (c->node >= 0) return LB_OK;
  int32_t parent = g->running[c->beam].node;
  float logit;
  lb_status st =
      b->s->decoder->ops->read(b->s->decoder, b->rows[c->beam], c->token, 1, &logit, err);
  if (st != LB_OK) return st;
  if (!lb__grow(&g->nodes, &g->nodes_capacity, g->n_nodes + 1, sizeof *g->nodes))
    return lb__fail_nomem(err, "a beam's tokens");
  c->node = (int32_t)g->n_nodes++;
  g->nodes[c->node] = (node){.parent = parent,
                             .token = c->token,
                             .length = (int32_t)g->n_new + 1,
                             .reason = c->reason,
                             .logprob = (parent < 0 ? 0.0 : g->nodes[parent].logprob) +
                                        (double)logit - b->logsumexps[c->beam]};
  return LB_OK;
}

/* Indices of the k largest of n scores, largest first, of equals the first. k and n are small. */
static void best_indices(size_t *order, size_t k, const float *scores, size_t n) {
  for (size_t i = 0; i < k; i++) {
    size_t best = SIZE_MAX;
    for (size_t j = 0; j < n; j++) {
      bool after = i == 0 || scores[j] < scores[order[i - 1]] ||
                   (scores[j] == scores[order[i - 1]] && j > order[i - 1]);
      if (after && (best == SIZE_MAX || scores[j] > scores[best])) best = j;
    }
    order[i] = best;
  }
}

/* ---- 1 and 2: the best candidates ---- */

static bool candidate_below(const candidate *a, const candidate *b) {
  if (a->score != b->score) return a->score < b->score;
  return a->beam > b->beam || (a->beam == b->beam && a->token > b->token);
}

static void swap_candidates(candidate *a, candidate *b) {
  candidate c = *a;
  *a = *b;
  *b = c;
}

/* A heap with the lowest candidate on top. */
static void sift_candidate(candidate *heap, size_t n, size_t i) {
  for (;;) {
    size_t lowest = i;
    for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
      if (candidate_below(&heap[child], &heap[lowest])) lowest = child;
    if (lowest == i) return;
    swap_candidates(&heap[i], &heap[lowest]);
    i = lowest;
  }
}

static void raise_candidate(candidate *heap, size_t i) {
  for (; i > 0 && candidate_below(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
    swap_candidates(&heap[i], &heap[(i - 1) / 2]);
}

/* Adds beam j's tokens. In the usual case a token costs one comparison. */
static void push_candidates(beam_search *b, const beam_group *g, size_t j, size_t *n) {
  const float *row = b->s->sampler.row;
  candidate *heap = b->candidates;
  for (int64_t v = 0; v < b->s->decoder->vocab_size; v++) {
    candidate c = {
        .score = row[v] + g->running[j].score, .beam = (int32_t)j, .token = (int32_t)v, .node = -1};
    if (*n < b->n_keep) {
      heap[*n] = c;
      raise_candidate(heap, (*n)++);
    } else if (c.score > heap[0].score) { /* an equal one comes later, so it is lower */
      heap[0] = c;
      sift_candidate(heap, *n, 0);
    }
  }
}

static void sort_candidates(candidate *heap, size_t n) {
  while (n > 1) {
    swap_candidates(&heap[0], &heap[--n]);
    sift_candidate(heap, n, 0);
  }
}

/* Processed log-probabilities of a running beam into the sampler's row. */
static lb_status load_log_probs(beam_search *b, const beam_group *g, size_t j, lb_error *err) {
  lb__search *s = b->s;
  lb_status st = lb__search_load_row(s, b->rows[j], err);
  if (st != LB_OK) return st;
  float *row = s->sampler.row;
  double logsumexp = lb__row_logsumexp(row, s->decoder->vocab_size);
  b->logsumexps[j] = logsumexp;
  for (int64_t v = 0; v < s->decoder->vocab_size; v++) row[v] = (float)((double)row[v] - logsumexp);
  if (!lb__row_is_processed(s->options, (size_t)g->n_new)) return LB_OK;
  size_t n;
  st = load_path(b, g, g->running[j].node, &n, err);
  if (st != LB_OK) return st;
  const lb_prompt *p = &s->prompts[g->prompt];
  lb__row_process(&s->sampler, s->options, s->eos_ids, s->n_eos_ids,
                  (lb__history){p->ids, b->path, p->n_ids, n});
  return LB_OK;
}

static lb_status find_candidates(beam_search *b, const beam_group *g, lb_error *err) {
  size_t n = 0;
  for (size_t j = 0; j < b->num_beams; j++) {
    lb_status st = load_log_probs(b, g, j, err);
    if (st != LB_OK) return st;
    push_candidates(b, g, j, &n);
  }
  sort_candidates(b->candidates, n);
  return LB_OK;
}

/* ---- which of them end ---- */

/* Whether the text of the path and one more token contains a stop string. Beams change places at
 * every step, so their text is made anew; only searches with stop strings pay for it. */
static lb_status decode(beam_search *b, const beam_group *g, int32_t at, const int32_t *token,
                        lb__text_stream *text, lb_error *err) {
  lb__search *s = b->s;
  size_t n;
  lb_status st = load_path(b, g, at, &n, err);
  if (st != LB_OK) return st;
  if (token != NULL) b->path[n++] = *token; /* load_path left room for one */
  st = lb__text_stream_init(text, s->text, s->options->stop, s->options->n_stop, err);
  for (size_t i = 0; i < n && st == LB_OK; i++) st = lb__text_stream_feed(text, b->path[i], err);
  return st;
}

static lb_status hits_stop_string(beam_search *b, const beam_group *g, const candidate *c,
                                  bool *hits, lb_error *err) {
  lb__text_stream text = {0};
  *hits = false;
  if (b->s->options->n_stop == 0) return LB_OK;
  lb_status st = decode(b, g, g->running[c->beam].node, &c->token, &text, err);
  *hits = st == LB_OK && text.stopped;
  lb__text_stream_deinit(&text);
  return st;
}

static lb_status mark_ends(beam_search *b, const beam_group *g, lb_error *err) {
  for (size_t i = 0; i < b->n_keep; i++) {
    candidate *c = &b->candidates[i];
    bool stopped;
    lb_status st = hits_stop_string(b, g, c, &stopped, err);
    if (st != LB_OK) return st;
    bool eos = lb__search_is_eos(b->s, c->token);
    c->ends = stopped || eos || g->n_new + 1 >= g->limit;
    c->reason = stopped ? LB_FINISH_STOP : eos ? LB_FINISH_EOS : LB_FINISH_LENGTH;
  }
  return LB_OK;
}

/* ---- 3: the running beams ---- */

/* g->next, without sequences yet. */
static lb_status choose_running(beam_search *b, beam_group *g, lb_error *err) {
  for (size_t i = 0; i < b->n_keep; i++)
    b->scores[i] = b->candidates[i].score + (b->candidates[i].ends ? OUT_OF_REACH : 0.0f);
  best_indices(b->order, b->num_beams, b->scores, b->n_keep);
  for (size_t i = 0; i < b->num_beams; i++) {
    candidate *c = &b->candidates[b->order[i]];
    lb_status st = add_node(b, g, c, err);
    if (st != LB_OK) return st;
    g->next[i] =
        (beam){.sequence = -1, .node = c->node, .parent = c->beam, .score = b->scores[b->order[i]]};
  }
  return LB_OK;
}

/* ---- 4: the finished ---- */

static bool all_finished(const beam_search *b, const beam_group *g) {
  for (size_t i = 0; i < b->num_beams; i++)
    if (!g->finished[i].is_finished) return false;
  return true;
}

static bool is_full(const beam_search *b, const beam_group *g) {
  return b->s->options->early_stopping == LB_EARLY_STOPPING_TRUE && all_finished(b, g);
}

static float length_divisor(const beam_search *b, int64_t length) {
  return (float)pow((double)length, b->s->options->length_penalty);
}

/* Transformers lowers the scores of prompts that are done, too; here those have left. */
static float finished_score(const beam_search *b, size_t i, float divisor) {
  const candidate *c = &b->candidates[i];
  float score = c->score / divisor;
  if (!c->ends || i >= b->num_beams) score += OUT_OF_REACH;
  return isnan(score) ? -INFINITY : score; /* 0 / 0 of an extreme length_penalty */
}

static lb_status choose_finished(beam_search *b, beam_group *g, lb_error *err) {
  size_t n = b->num_beams;
  float divisor = length_divisor(b, g->n_new + 1);
  for (size_t i = 0; i < n; i++) b->scores[i] = g->finished[i].score;
  for (size_t i = 0; i < b->n_keep; i++) b->scores[n + i] = finished_score(b, i, divisor);
  best_indices(b->order, n, b->scores, n + b->n_keep);
  for (size_t i = 0; i < n; i++) {
    size_t at = b->order[i];
    if (at < n) {
      g->next_finished[i] = g->finished[at];
      continue;
    }
    candidate *c = &b->candidates[at - n];
    bool ends = c->ends && at - n < n;
    lb_status st = ends ? add_node(b, g, c, err) : LB_OK;
    if (st != LB_OK) return st;
    g->next_finished[i] = (hypothesis){b->scores[at], ends, ends ? c->node : -1};
  }
  hypothesis *old = g->finished;
  g->finished = g->next_finished;
  g->next_finished = old;
  return LB_OK;
}

/* ---- 5: the end ---- */

/* Whether the best running beam, at the length that flatters it most, beats any finished one.
 * Only a guess unless early_stopping is "never"; see huggingface/transformers#20901. */
static bool can_improve(const beam_search *b, const beam_group *g) {
  const lb_generate_options *o = b->s->options;
  bool never = o->early_stopping == LB_EARLY_STOPPING_NEVER && o->length_penalty > 0.0;
  float best = g->next[0].score / length_divisor(b, never ? g->limit : g->n_new);
  float worst = g->finished[b->num_beams - 1].score; /* they are sorted */
  for (size_t i = 0; i < b->num_beams; i++)
    if (best > (g->finished[i].is_finished ? worst : OUT_OF_REACH)) return true;
  return false;
}

static bool all_end(const beam_search *b) {
  for (size_t i = 0; i < b->n_keep; i++)
    if (!b->candidates[i].ends) return false;
  return true;
}

/* ---- sequences follow their beams ---- */

/* The first child of a beam takes over its sequence, the others fork it before anything is written.
 * `shared`: the first step, when all beams are the prompt, which beam 0 holds. */
static lb_status inherit(const beam_search *b, beam_group *g, size_t i, bool shared,
                         lb_error *err) {
  int32_t source = g->running[shared ? 0 : g->next[i].parent].sequence;
  bool taken = false;
  for (size_t j = 0; j < i; j++) taken |= g->next[j].sequence == source;
  if (taken) return b->s->decoder->ops->fork(b->s->decoder, &g->next[i].sequence, source, err);
  g->next[i].sequence = source;
  return LB_OK;
}

/* The next beams become the running ones; sequences without children are dropped. */
static lb_status move_sequences(beam_search *b, beam_group *g, bool shared, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < b->num_beams && st == LB_OK; i++) st = inherit(b, g, i, shared, err);
  for (size_t i = 0; i < b->num_beams; i++) {
    bool taken = false;
    for (size_t j = 0; j < b->num_beams; j++)
      taken |= g->next[j].sequence == g->running[i].sequence;
    if (!taken) b->s->decoder->ops->drop(b->s->decoder, g->running[i].sequence);
    g->running[i].sequence = -1;
  }
  beam *old = g->running;
  g->running = g->next;
  g->next = old;
  return st;
}

/* One step of one prompt; b->rows are its beams' logits. */
static lb_status advance(beam_search *b, beam_group *g, lb_error *err) {
  bool first = g->n_new == 0;
  lb_status st = find_candidates(b, g, err);
  if (st == LB_OK) st = mark_ends(b, g, err);
  if (st == LB_OK) st = choose_running(b, g, err);
  if (st == LB_OK) st = choose_finished(b, g, err);
  if (st != LB_OK) return st;
  g->n_new++;
  b->s->out->times.new_tokens += (int64_t)b->num_beams;
  g->done = !can_improve(b, g) || is_full(b, g) || all_end(b);
  return g->done ? LB_OK : move_sequences(b, g, first, err);
}

/* ---- groups ---- */

static void group_deinit(beam_search *b, beam_group *g) {
  for (size_t i = 0; g->running != NULL && i < b->num_beams; i++)
    b->s->decoder->ops->drop(b->s->decoder, g->running[i].sequence);
  lb__free(g->running);
  lb__free(g->next);
  lb__free(g->finished);
  lb__free(g->next_finished);
  lb__free(g->nodes);
  *g = (beam_group){0};
}

/* The first beam starts at 0, the others out of reach: else all would choose the same tokens. */
static lb_status group_init(beam_search *b, beam_group *g, const lb__reading *r, lb_error *err) {
  size_t n = b->num_beams;
  *g = (beam_group){.prompt = r->prompt, .limit = lb__search_limit(b->s, r->prompt)};
  g->running = lb__new_array(n, sizeof *g->running);
  g->next = lb__new_array(n, sizeof *g->next);
  g->finished = lb__new_array(n, sizeof *g->finished);
  g->next_finished = lb__new_array(n, sizeof *g->next_finished);
  bool whole =
      g->running != NULL && g->next != NULL && g->finished != NULL && g->next_finished != NULL;
  for (size_t i = 0; i < n && whole; i++) {
    g->running[i] = (beam){.sequence = -1, .node = -1, .score = i == 0 ? 0.0f : OUT_OF_REACH};
    g->finished[i] = (hypothesis){.score = OUT_OF_REACH, .node = -1};
  }
  if (whole) {
    g->running[0].sequence = r->sequence;
    return LB_OK;
  }
  b->s->decoder->ops->drop(b->s->decoder, r->sequence);
  lb__free(g->running);
  g->running = NULL;
  group_deinit(b, g);
  return lb__fail_nomem(err, "the beams");
}

/* lb__prompt_fn: all beams begin with the prompt's logits. */
static lb_status begin_prompt(void *ctx, const lb__reading *r, size_t row, lb_error *err) {
  beam_search *b = ctx;
  beam_group *g = &b->groups[b->n_groups++];
  lb_status st = group_init(b, g, r, err);
  if (st != LB_OK) return st;
  for (size_t j = 0; j < b->num_beams; j++) b->rows[j] = row;
  return advance(b, g, err);
}

static lb_status give_text(beam_search *b, const beam_group *g, int32_t at, lb_sequence *out,
                           lb_error *err) {
  lb__text_stream text = {0};
  lb_status st = decode(b, g, at, NULL, &text, err);
  if (st == LB_OK) st = lb__text_stream_finish(&text, err);
  if (st == LB_OK && text.text.size > 0) {
    out->text_size = text.text.size;
    out->text = lb__buf_take(&text.text);
  }
  lb__text_stream_deinit(&text);
  return st;
}

static lb_status give_hypothesis(beam_search *b, const beam_group *g, size_t i, lb_error *err) {
  const hypothesis *h = &g->finished[i];
  lb_sequence *out = lb__generation_slot(b->s->out, g->prompt, i);
  size_t n;
  out->score = (double)h->score;
  if (h->node < 0) return LB_OK;
  lb_status st = load_path(b, g, h->node, &n, err);
  if (st != LB_OK) return st;
  int32_t *ids = lb__alloc_array(n, sizeof *ids);
  if (ids == NULL) return lb__fail_nomem(err, "a beam's tokens");
  memcpy(ids, b->path, n * sizeof *ids);
  out->ids = ids;
  out->n_ids = n;
  out->logprob = g->nodes[h->node].logprob;
  out->finish_reason = g->nodes[h->node].reason;
  return b->s->text != NULL ? give_text(b, g, h->node, out, err) : LB_OK;
}

static lb_status collect_done(beam_search *b, lb_error *err) {
  lb_status st = LB_OK;
  size_t kept = 0;
  for (size_t i = 0; i < b->n_groups; i++) {
    beam_group *g = &b->groups[i];
    if (!g->done) {
      b->groups[kept++] = *g;
      continue;
    }
    for (size_t j = 0; j < b->s->out->n_per_prompt && st == LB_OK; j++)
      st = give_hypothesis(b, g, j, err);
    group_deinit(b, g);
  }
  b->n_groups = kept;
  return st;
}

/* ---- the loop ---- */

static lb_status read_prompts(beam_search *b, size_t first, size_t n, lb_error *err) {
  lb__search *s = b->s;
  lb__reading readings[LB__MAX_LIVE];
  size_t opened = 0, before = b->n_groups;
  lb_status st = LB_OK;
  for (; opened < n && st == LB_OK; opened++) {
    readings[opened] = (lb__reading){.prompt = first + opened};
    st = s->decoder->ops->sequence_new(s->decoder, &readings[opened].sequence, err);
  }
  if (st == LB_OK) st = lb__search_read(s, readings, opened, begin_prompt, b, err);
  for (size_t i = b->n_groups - before; i < opened && st != LB_OK; i++)
    s->decoder->ops->drop(s->decoder, readings[i].sequence); /* no group took these over */
  return st;
}

static lb_status admit(beam_search *b, size_t *next, lb_error *err) {
  size_t room = b->capacity - b->n_groups, left = b->s->n_prompts - *next;
  size_t n = room < left ? room : left;
  if (n == 0) return LB_OK;
  int64_t begin = lb__clock_ns();
  lb_status st = read_prompts(b, *next, n, err);
  b->s->out->times.prompt_ns += lb__clock_ns() - begin;
  *next += n;
  return st;
}

static lb_status step(beam_search *b, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < b->n_groups * b->num_beams && st == LB_OK; i++) {
    const beam_group *g = &b->groups[i / b->num_beams];
    const beam *m = &g->running[i % b->num_beams];
    st = lb__search_add_feed(b->s, (lb__feed){m->sequence, &g->nodes[m->node].token, 1, true}, err);
  }
  if (st == LB_OK) st = lb__search_feed(b->s, err);
  for (size_t i = 0; i < b->n_groups && st == LB_OK; i++) {
    for (size_t j = 0; j < b->num_beams; j++) b->rows[j] = i * b->num_beams + j;
    st = advance(b, &b->groups[i], err);
  }
  return st;
}

static lb_status search_init(beam_search *b, lb_error *err) {
  size_t n = b->num_beams;
  b->capacity = n < LB__MAX_LIVE ? LB__MAX_LIVE / n : 1;
  b->n_keep = (b->s->n_eos_ids > 0 ? b->s->n_eos_ids + 1 : 2) * n;
  b->groups = lb__new_array(b->capacity, sizeof *b->groups);
  b->candidates = lb__alloc_array(b->n_keep, sizeof *b->candidates);
  b->scores = lb__alloc_array(n + b->n_keep, sizeof *b->scores);
  b->order = lb__alloc_array(n, sizeof *b->order);
  b->logsumexps = lb__alloc_array(n, sizeof *b->logsumexps);
  b->rows = lb__alloc_array(n, sizeof *b->rows);
  if (b->groups != NULL && b->candidates != NULL && b->scores != NULL && b->order != NULL &&
      b->logsumexps != NULL && b->rows != NULL)
    return LB_OK;
  return lb__fail_nomem(err, "beam search");
}

static void search_deinit(beam_search *b) {
  for (size_t i = 0; i < b->n_groups; i++) group_deinit(b, &b->groups[i]);
  lb__free(b->groups);
  lb__free(b->candidates);
  lb__free(b->scores);
  lb__free(b->order);
  lb__free(b->logsumexps);
  lb__free(b->rows);
  lb__free(b->path);
}

lb_status lb__search_beams(lb__search *s, lb_error *err) {
  beam_search b = {.s = s, .num_beams = (size_t)s->options->num_beams};
  lb_status st = search_init(&b, err);
  for (size_t next = 0; st == LB_OK && (next < s->n_prompts || b.n_groups > 0);) {
    st = admit(&b, &next, err);
    if (st == LB_OK) st = collect_done(&b, err);
    if (st == LB_OK && b.n_groups > 0) st = step(&b, err);
    if (st == LB_OK) st = collect_done(&b, err);
  }
  search_deinit(&b);
  return st;
}
