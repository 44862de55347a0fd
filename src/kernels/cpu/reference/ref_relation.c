/* ref_relation.c - MiniLMv2's relation loss (arXiv:2012.15828, section 3.1), causal. For each
 * relation head and row i of a document, over j <= i, on both sides:
 *     score_j = x_i.x_j / sqrt(d),   R = softmax(score)
 *     loss_i  = sum_j R_target,j (log R_target,j - log R_x,j) / heads
 *     dscore  = (R_x - R_target) / heads
 *     dx_i   += dscore_j x_j / sqrt(d),   dx_j += dscore_j x_i / sqrt(d)
 * Both factors of a score are rows of x: row i gets the diagonal's share twice. A head is one
 * thread's work; what the heads say of a row is added in the order of heads. */
#include "ref_attention.h"

#include "base/threads.h"

typedef struct job {
  const lb__relation_args *a;
  double *losses; /* [heads, N] */
  double *rows;   /* [threads, 2 longest] log R_x and log R_target of one row */
  int64_t N, longest;
} job;

static int64_t longest_document(const lb__relation_args *a) {
  return lb__ref_longest_document(&(lb__attention_args){.cu_seqlens = a->cu_seqlens});
}

/* log R of row i for keys first .. i, head `head` of a tensor [N, heads * width]. */
static void log_relation(double *log_r, const lb_tensor *x, int64_t head, int64_t heads,
                         int64_t first, int64_t i) {
  int64_t W = x->shape[1], width = W / heads, at = head * width;
  double largest = -INFINITY, total = 0.0;
  for (int64_t j = first; j <= i; j++) {
    double score = lb__ref_dot(x, i * W + at, x, j * W + at, width) / sqrt((double)width);
    log_r[j - first] = score;
    largest = fmax(largest, score);
  }
  for (int64_t j = 0; j <= i - first; j++) total += exp(log_r[j] - largest);
  for (int64_t j = 0; j <= i - first; j++) log_r[j] -= largest + log(total);
}

static void add_gradient(const lb__relation_args *a, int64_t head, int64_t i, int64_t j,
                         double dscore) {
  int64_t W = a->x->shape[1], width = W / a->heads, at = head * width;
  for (int64_t c = at; c < at + width; c++) {
    double x_i = lb__ref_get(a->x, i * W + c), x_j = lb__ref_get(a->x, j * W + c);
    lb__ref_add_to(a->dx, i * W + c, dscore * x_j);
    lb__ref_add_to(a->dx, j * W + c, dscore * x_i);
  }
}

/* Row i of a document that begins at row `first`. */
static void relate(const job *r, int64_t head, int64_t first, int64_t i, double *x_row,
                   double *target_row) {
  const lb__relation_args *a = r->a;
  double share = 1.0 / (double)a->heads, kl = 0.0;
  double root = sqrt((double)(a->x->shape[1] / a->heads));
  log_relation(x_row, a->x, head, a->heads, first, i);
  log_relation(target_row, a->target, head, a->heads, first, i);
  for (int64_t j = first; j <= i; j++) {
    double log_x = x_row[j - first], log_target = target_row[j - first];
    kl += exp(log_target) * (log_target - log_x);
    if (a->dx != NULL)
      add_gradient(a, head, i, j, a->scale * share * (exp(log_x) - exp(log_target)) / root);
  }
  r->losses[head * r->N + i] = share * kl;
}

static void heads(void *ctx, int64_t begin, int64_t end) {
  const job *r = ctx;
  lb__attention_args documents = {.cu_seqlens = r->a->cu_seqlens};
  double *rows = r->rows + lb__thread_index() * 2 * r->longest;
  for (int64_t head = begin; head < end; head++)
    for (int64_t k = 0; k < documents.cu_seqlens->shape[0] - 1; k++) {
      lb__document d = lb__attention_document(&documents, k);
      for (int64_t i = 0; i < d.n_queries; i++)
        relate(r, head, d.first_query, d.first_query + i, rows, rows + r->longest);
    }
}

size_t lb__ref_relation_workspace(const lb__relation_args *a) {
  int64_t rows = 2 * longest_document(a) * lb_threads_get();
  return (size_t)(a->heads * a->x->shape[0] + rows) * sizeof(double);
}

lb_status lb__ref_relation(const lb__relation_args *a, void *workspace) {
  job r = {.a = a, .losses = workspace, .N = a->x->shape[0], .longest = longest_document(a)};
  r.rows = r.losses + a->heads * r.N;
  for (int64_t i = 0; i < a->heads * r.N; i++) r.losses[i] = 0.0;
  lb__parallel_for(a->heads, 1, heads, &r);
  for (int64_t n = 0; n < r.N; n++) {
    double sum = 0.0;
    for (int64_t head = 0; head < a->heads; head++) sum += r.losses[head * r.N + n];
    lb__ref_put(a->losses, n, sum);
  }
  return LB_OK;
}
