/* plan_sizing.c - see plan_sizing.h. A rule of thumb has its source beside it; where nobody
 * measured, nothing is said. */
#include "plan_sizing.h"
#include "plan_memory.h"

/* Hoffmann et al. 2022, arXiv:2203.15556: training that makes the most of its operations shows a
 * model of random weights about 20 tokens for each of its parameters. */
#define USUAL_NEW 20.0

/* NVIDIA Model Optimizer's guide, Nemotron 9B pruned to 7B (the recipe of arXiv:2408.11796): mean
 * score 18.4 when pruned, 59.8 after 2.5 billion tokens, 65.1 after 80, where the original has
 * 66.1. */
#define PRUNED_USABLE (2.5 / 7.0)
#define PRUNED_WHOLE  (80.0 / 7.0)

/* Ibid.: no more than a fifth of the depth at a time, distilling in between. */
#define DEPTH_AT_ONCE 0.2

/* As much of what the layers hold, however it is cut: of their number, of their width. */
#define LAYERS_AT_ONCE 0.8

/* docs/results.md, "Smaller students before any training": what became of SmolLM2-135M (perplexity
 * 17.19) with such a share of the weights in its layers; from the most to the least. The shares
 * follow from the shapes, rounded up. */
static const struct evidence {
  double share;
  const char *told;
} measured[] = {
    {0.867, "87 % (26 of 30 layers) went from perplexity 17 to 30"},
    {0.767, "77 % (504 of 576 channels, 1280 of 1536 neurons) went from perplexity 17 to 55"},
    {0.751,
     "75 % went from perplexity 17 to 33 (1024 of 1536 neurons) or 155 (432 of 576 channels)"},
    {0.667, "67 % (20 of 30 layers) went from perplexity 17 to 306"},
    {0.376, "38 % (20 layers, 432 channels, 1024 neurons) went from perplexity 17 to 6,669"},
    {0.297, "30 % (20 layers, 384 channels, 1024 neurons, 6 of 9 heads) went from perplexity 17 to "
            "24,374"},
};
enum { N_MEASURED = sizeof measured / sizeof *measured };

static void advise_ratio(lb_plan *p) {
  double ratio = p->teacher_student_ratio;
  if (ratio < 1.0)
    lb__plan_advise(p, "the student is larger than the teacher; are the two swapped?");
  else if (ratio < 2.0)
    lb__plan_advise(p, "the student is %.0f %% of the teacher: a quarter to a tenth is usual",
                    100.0 / ratio);
  else if (ratio > 20.0) /* Zhang et al. 2023, arXiv:2311.07052; Mirzadeh et al. 2019 */
    lb__plan_advise(p,
                    "the teacher is %.0f times the student: a smaller teacher often makes a better "
                    "student (2.5 times it was best in arXiv:2311.07052), or a student in between "
                    "helps (arXiv:1902.03393)",
                    ratio);
}

static void advise_new(lb_plan *p) {
  if (p->tokens_per_parameter >= USUAL_NEW) return;
  lb__plan_advise(p,
                  "the student begins with random weights and sees %.2g tokens a parameter; about "
                  "%.0f is usual (arXiv:2203.15556): more text, a smaller student, or "
                  "student.shrink, which begins with what the teacher knows",
                  p->tokens_per_parameter, USUAL_NEW);
}

/* Parameters without the embedding and the head, which a trimmed vocabulary makes smaller at no
 * cost. */
static double inner_parameters(const lb_model_info *m) {
  double embedding = (double)m->vocab_size * (double)m->hidden_size;
  return (double)m->n_parameters - (m->tied ? 1.0 : 2.0) * embedding;
}

/* The evidence is of the smallest student measured that kept no less. */
static void advise_share(lb_plan *p, double share) {
  size_t row = 0;
  if (share >= LAYERS_AT_ONCE) return;
  while (row + 1 < N_MEASURED && share <= measured[row + 1].share) row++;
  lb__plan_advise(
      p,
      "%.0f %% of the weights in the teacher's layers are kept; SmolLM2-135M cut to %s, "
      "before training: cut less, distil, cut again",
      100.0 * share, measured[row].told);
}

static void advise_pruned(lb_plan *p, const lb__setup *s) {
  const lb_model_info *student = lb_model_get_info(s->student),
                      *teacher = lb_model_get_info(lb__teacher_model(s->teacher));
  int64_t kept = student->n_layers, all = teacher->n_layers;
  if ((double)kept < (1.0 - DEPTH_AT_ONCE) * (double)all)
    lb__plan_advise(p,
                    "%lld of %lld layers are kept: Minitron removes a fifth at most, distils, and "
                    "goes on from there (arXiv:2408.11796)",
                    (long long)kept, (long long)all);
  advise_share(p, inner_parameters(student) / inner_parameters(teacher));
  if (p->tokens_per_parameter < PRUNED_USABLE)
    lb__plan_advise(p,
                    "the student sees %.2g tokens a parameter; a 9B model pruned to 7B won most of "
                    "its score back after %.1g, and all but a point after %.0f (NVIDIA's figures)",
                    p->tokens_per_parameter, PRUNED_USABLE, PRUNED_WHOLE);
}

void lb__plan_size(lb_plan *p, const lb__setup *s) {
  bool is_made = lb__student_is_made(s->recipe), is_new = lb__student_is_new(s->recipe);
  double tokens = lb__setup_run_tokens(s);
  p->run_tokens = tokens < 9e15 ? (int64_t)tokens : INT64_MAX;
  p->tokens_per_parameter = tokens / (double)p->student_parameters;
  p->usual_tokens_per_parameter = is_new ? USUAL_NEW : 0.0;
  if (s->teacher != NULL) advise_ratio(p);
  if (is_new)
    advise_new(p);
  else if (is_made)
    advise_pruned(p, s);
}
