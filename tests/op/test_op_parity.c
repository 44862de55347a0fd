/* test_op_parity.c - every kernel set agrees with the reference on every case, whatever the number
 * of threads; and the cases are sharp enough to see a planted bug in each op. */
#include "op_cases.h"

#include "kernels/cpu/linear_parts.h"
#include "kernels/kernels.h"
#include "kernels/onednn/onednn_gemm.h"
#include "tensor/tensor_data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void fail_case(const char *set, const op_case *c, const char *why) {
  fail_msg("%s: %s '%s': %s", set, lb__op_name(c->op), c->name, why);
}

static void fill(lb__kernel_table *table, const char *sets) {
  lb_error err = {0};
  if (lb__kernels_fill(table, sets, &err) != LB_OK) fail_msg("%s", err.message);
}

/* ---- parity ---- */

static void check_case(const char *set, const lb__kernel_table *reference,
                       const lb__kernel_table *table, const op_case *c) {
  op_result wanted, got;
  char why[256];
  c->run(c, reference, &wanted);
  c->run(c, table, &got);
  if (!op_results_agree(&got, &wanted, c->tolerance, why)) fail_case(set, c, why);
  if (getenv("LIMBECK_SHOW_ERRORS") != NULL)
    printf("%-18s %-12s %-28s %.3f of what is allowed\n", set, lb__op_name(c->op), c->name,
           op_results_error(&got, &wanted, c->tolerance));
  op_result_deinit(&got);
  op_result_deinit(&wanted);
}

static bool set_runs_here(const char *name) {
  size_t n;
  const lb__kernel_set *sets = lb__kernel_sets(&n);
  for (size_t i = 0; i < n; i++)
    if (strcmp(sets[i].name, name) == 0) return sets[i].runs_here;
  return false;
}

static void check_set(const char *set) {
  lb__kernel_table reference, table;
  fill(&reference, "reference");
  fill(&table, set);
  for (size_t i = 0; i < op_case_count(); i++) check_case(set, &reference, &table, op_case_at(i));
}

static void test_portable(void **state) {
  (void)state;
  check_set("portable");
}

static void test_onednn(void **state) {
  (void)state;
  check_set("onednn");
}

static void test_avx2(void **state) {
  (void)state;
  if (!set_runs_here("avx2")) skip();
  check_set("avx2");
  check_set("avx2,onednn");
}

static void test_avx512(void **state) {
  (void)state;
  if (!set_runs_here("avx512")) skip();
  check_set("avx512");
}

static void test_what_runs_by_default(void **state) {
  (void)state;
  check_set(NULL);
}

/* Products of bfloat16 are selected only where they are fast; oneDNN emulates them elsewhere, which
 * serves to test our side of them. Both sides round the same factors, so no more is forgiven than
 * in float32. */
static void test_bf16_products(void **state) {
  (void)state;
  lb__kernel_table reference, table;
  fill(&reference, "reference");
  fill(&table, "onednn");
  float c = 1.0f;
  const uint16_t two = 0x4000;
  const lb__gemm_add probe = {
      .c = &c, .a = &two, .b = &two, .ldc = 1, .lda = 1, .ldb = 1, .M = 1, .N = 1, .K = 1};
  lb_status st = lb__onednn_gemm_add_bf16(&probe);
  if (st == LB_E_UNSUPPORTED) skip();
  assert_int_equal(st, LB_OK);
  assert_true(c == 5.0f);
  lb__linear_bwd_select_gemm_bf16(lb__onednn_gemm_add_bf16);
  int cases = 0;
  for (size_t i = 0; i < op_case_count(); i++) {
    op_case strict = *op_case_at(i);
    if (strict.op != LB__OP_linear_bwd || strict.p[5] != LB__COMPUTE_BF16) continue;
    strict.tolerance = (lb_tolerance)LB_TOL_LINEAR_BWD;
    check_case("onednn, bf16 products", &reference, &table, &strict);
    cases++;
  }
  assert_true(cases > 0);
  fill(&table, NULL);
}

/* ---- the same bits for any number of threads ---- */

static void check_threads(const char *set) {
  lb__kernel_table table;
  fill(&table, set);
  for (size_t i = 0; i < op_case_count(); i++) {
    op_result one, many;
    char why[256];
    lb_threads_set(1);
    op_case_at(i)->run(op_case_at(i), &table, &one);
    for (int threads = 2; threads <= 5; threads++) {
      lb_threads_set(threads);
      op_case_at(i)->run(op_case_at(i), &table, &many);
      if (!op_results_agree(&many, &one, (lb_tolerance)LB_TOL_EXACT, why))
        fail_case(set, op_case_at(i), why);
      op_result_deinit(&many);
    }
    op_result_deinit(&one);
  }
  lb_threads_set(0);
}

static void test_threads(void **state) {
  (void)state;
  check_threads("reference");
  check_threads("portable");
  check_threads("onednn");
  check_threads("avx2");
  check_threads("avx2,onednn");
  check_threads(NULL);
}

/* ---- planted bugs ---- */

static lb__kernel_table right; /* reference */

#define BROKEN(op, name, change)                                                                   \
  static lb_status name(const lb__##op##_args *args, void *workspace) {                            \
    lb__##op##_args a = *args;                                                                     \
    change;                                                                                        \
    return right.op(&a, workspace);                                                                \
  }

BROKEN(embed, embed_scale, a.scale *= 1.0001f)
BROKEN(linear, linear_half, a.compute = LB__COMPUTE_BF16) /* too coarse for float32 */
BROKEN(rms_norm, rms_norm_offset, a.weight_offset += 0.001f)
BROKEN(rms_norm, rms_norm_eps, a.eps *= 2)
BROKEN(layer_norm, layer_norm_eps, a.eps *= 3)
BROKEN(rope, rope_magnitude, a.magnitude *= 1.00001f)
BROKEN(attention, attention_scale, a.scale *= 1.001f)
BROKEN(attention, attention_window, a.window += a.window > 0)
BROKEN(attention, attention_no_cap, a.softcap *= 1.01f)
BROKEN(attention, attention_keeps_all, a.dropout.p = 0)
BROKEN(attention_bwd, attention_bwd_scale, a.scale *= 1.001f)
BROKEN(attention_bwd, attention_bwd_window, a.window += a.window > 0)
BROKEN(attention_bwd, attention_bwd_no_cap, a.softcap = 0)
BROKEN(attention_bwd, attention_bwd_other_draw, a.dropout.step += 1)
BROKEN(attention_bwd, attention_bwd_swapped, a.dk = args->dv; a.dv = args->dk)
BROKEN(dropout, dropout_other_seed, a.draw.seed += 1)
BROKEN(dropout, dropout_other_site, a.draw.site += 1)
BROKEN(dropout, dropout_unscaled, a.draw.p *= 0.999f)
BROKEN(dropout, dropout_overwrites, a.add = false)
BROKEN(relation, relation_scale, a.scale *= 1.001)
BROKEN(relation, relation_sign, a.scale *= -1.0)
BROKEN(relation, relation_one_head, a.heads = 1)
BROKEN(kv_store, kv_store_swapped, a.cache_k = args->cache_v; a.cache_v = args->cache_k)
BROKEN(act, act_kind, a.kind = (lb__act_kind)((a.kind + 1) % 4))
BROKEN(act_mul, act_mul_kind, a.kind = (lb__act_kind)((a.kind + 1) % 4))
BROKEN(scale, scale_more, a.factor *= 1.000001f)
BROKEN(softcap, softcap_more, a.cap *= 1.0001f)
BROKEN(rope, rope_turned, a.inverse = !a.inverse)
BROKEN(embed_bwd, embed_bwd_scale, a.scale *= 1.0001f)
BROKEN(linear_bwd, linear_bwd_half, a.compute = LB__COMPUTE_BF16)
BROKEN(linear_bwd, linear_bwd_no_bias, a.dbias = NULL)
BROKEN(linear_bwd, linear_bwd_no_dx, a.dx = NULL)
BROKEN(linear_bwd, linear_bwd_no_dweight, a.dweight = NULL)
BROKEN(rms_norm_bwd, rms_norm_bwd_offset, a.weight_offset += 0.001f)
BROKEN(rms_norm_bwd, rms_norm_bwd_no_dweight, a.dweight = NULL)
BROKEN(layer_norm_bwd, layer_norm_bwd_eps, a.eps *= 3)
BROKEN(layer_norm_bwd, layer_norm_bwd_no_bias, a.dbias = NULL)
BROKEN(act_bwd, act_bwd_kind, a.kind = (lb__act_kind)((a.kind + 1) % 4))
BROKEN(act_mul_bwd, act_mul_bwd_kind, a.kind = (lb__act_kind)((a.kind + 1) % 4))
BROKEN(act_mul_bwd, act_mul_bwd_no_up, a.dup = NULL)
BROKEN(softcap_bwd, softcap_bwd_more, a.cap *= 1.0001f)
BROKEN(add_scaled, add_scaled_more, a.factor *= 1.00001f)

BROKEN(adamw, adamw_no_decay, a.weight_decay = 0)
BROKEN(adamw, adamw_step, a.step += 1)
BROKEN(adamw, adamw_unclipped, a.gradient_scale = 1)
BROKEN(adamw, adamw_betas, a.beta1 = args->beta2; a.beta2 = args->beta1)
BROKEN(adamw, adamw_ascends, a.gradient_scale = -a.gradient_scale)

/* Output, then a wrong finish. */
static void negate(lb_tensor *t) {
  for (int64_t i = 0; i < lb__tensor_elements(t); i++) lb__tensor_f32(t)[i] *= -1.0f;
}
#define WRONG_SIGN(op, name, output)                                                               \
  static lb_status name(const lb__##op##_args *args, void *workspace) {                            \
    lb_status st = right.op(args, workspace);                                                      \
    negate(args->output);                                                                          \
    return st;                                                                                     \
  }
WRONG_SIGN(linear, linear_sign, out)
WRONG_SIGN(attention, attention_sign, out)
WRONG_SIGN(add, add_sign, out)
WRONG_SIGN(gather_rows, gather_sign, out)
WRONG_SIGN(logits_stats, stats_sign, logsumexp)

/* Backward that forgets what was there before. */
static lb_status attention_bwd_overwrites(const lb__attention_bwd_args *args, void *workspace) {
  if (args->dk != NULL) memset(lb__tensor_data(args->dk), 0, args->dk->size_bytes);
  return right.attention_bwd(args, workspace);
}
/* Documents that see each other. */
static lb_status relation_one_document(const lb__relation_args *args, void *workspace) {
  int32_t bounds[] = {0, (int32_t)args->x->shape[0]};
  const int64_t shape[] = {2};
  lb_tensor whole;
  assert_int_equal(
      lb__tensor_view_bytes(&whole, LB_DTYPE_I32, 1, shape, bounds, sizeof bounds, NULL), LB_OK);
  lb__relation_args a = *args;
  a.cu_seqlens = &whole;
  size_t size = right.relation_workspace(&a);
  void *larger = aligned_alloc(64, (size + 64) / 64 * 64);
  lb_status st = right.relation(&a, larger);
  free(larger);
  (void)workspace;
  return st;
}
static lb_status attention_no_logsumexp(const lb__attention_args *args, void *workspace) {
  lb_status st = right.attention(args, workspace);
  if (args->logsumexp != NULL) negate(args->logsumexp);
  return st;
}

static lb_status sum_squares_replaces(const lb__sum_squares_args *args, void *workspace) {
  *args->sum = 0;
  return right.sum_squares(args, workspace);
}
static lb_status adamw_keeps_gradient(const lb__adamw_args *args, void *workspace) {
  lb_tensor kept;
  assert_int_equal(lb__tensor_init(&kept, LB_DTYPE_F32, 1, args->gradient->shape, NULL), LB_OK);
  memcpy(lb__tensor_data(&kept), lb__tensor_data(args->gradient), kept.size_bytes);
  lb_status st = right.adamw(args, workspace);
  memcpy(lb__tensor_data(args->gradient), lb__tensor_data(&kept), kept.size_bytes);
  lb__tensor_deinit(&kept);
  return st;
}
static lb_status rope_next(const lb__rope_args *args, void *workspace) {
  for (int64_t i = 0; i < args->positions->shape[0]; i++) lb__tensor_i32(args->positions)[i] += 1;
  return right.rope(args, workspace);
}
static lb_status stats_late_ties(const lb__logits_stats_args *args, void *workspace) {
  lb_status st = right.logits_stats(args, workspace);
  for (int64_t i = 0; i < lb__tensor_elements(args->top_ids); i++)
    lb__tensor_i32(args->top_ids)[i] += 1;
  return st;
}
static lb_status cast_truncates(const lb__cast_args *args, void *workspace) {
  lb_status st = right.cast(args, workspace);
  for (size_t i = 0; i < args->out->size_bytes; i++)
    ((uint8_t *)lb__tensor_data(args->out))[i] ^= 1;
  return st;
}
static lb_status transpose_not(const lb__transpose_args *args, void *workspace) {
  (void)workspace;
  memcpy(lb__tensor_data(args->out), lb__tensor_data(args->x), args->x->size_bytes);
  return LB_OK;
}

/* Terms are the caller's; a kernel that uses them wrongly is one that was given others. */
#define BROKEN_TERMS(name, change)                                                                 \
  static lb_status name(const lb__divergence_args *args, void *workspace) {                        \
    lb__divergence_term terms[8];                                                                  \
    lb__divergence_args a = *args;                                                                 \
    memcpy(terms, args->terms, args->n_terms * sizeof *terms);                                     \
    for (size_t t = 0; t < args->n_terms; t++) change;                                             \
    a.terms = terms;                                                                               \
    return right.divergence(&a, workspace);                                                        \
  }
BROKEN_TERMS(divergence_no_t2, terms[t].factor = 1.0)
BROKEN_TERMS(divergence_no_temperature, terms[t].temperature = 1.0)
BROKEN_TERMS(divergence_beta_mirrored, terms[t].parameter[0] = 1.0 - terms[t].parameter[0])
BROKEN_TERMS(divergence_beta_clamped,
             terms[t].parameter[0] = fmin(fmax(terms[t].parameter[0], 1e-6), 1.0 - 1e-6))
BROKEN_TERMS(divergence_other_kind,
             terms[t].kind = args->teacher ? (terms[t].kind + 1) % LB__N_DIVERGENCES : 0)
BROKEN(divergence, divergence_scale, a.scale *= 1.0001)
BROKEN(divergence, divergence_no_weights, a.weights = NULL)
BROKEN(divergence, divergence_no_student_cap, a.student_softcap *= 1.001f)
BROKEN(divergence, divergence_no_teacher_cap, a.teacher_softcap *= 1.001f)
BROKEN(divergence, divergence_vocabulary_too_short, a.vocab -= a.vocab > 2)
BROKEN(divergence, divergence_no_gradient, a.gradient = false)
BROKEN(mse, mse_scale, a.scale *= 1.00001)
static lb_status divergence_next_target(const lb__divergence_args *args, void *workspace) {
  for (int64_t n = 0; n < args->targets->shape[0]; n++) { /* labels not shifted */
    int32_t *target = &lb__tensor_i32(args->targets)[n];
    if (*target >= 0) *target = (int32_t)((*target + 1) % args->vocab);
  }
  return right.divergence(args, workspace);
}
/* The student's logits for both sides: no distillation at all. */
static lb_status divergence_own_teacher(const lb__divergence_args *args, void *workspace) {
  lb__divergence_args a = *args;
  if (a.teacher != NULL) a.teacher = a.student;
  return right.divergence(&a, workspace);
}
WRONG_SIGN(divergence, divergence_sign, student)

/* Every case of the op with a result must notice the bug, or only one of them where the bug touches
 * a special situation. */
static void expect_seen(lb__kernel_table *broken, lb__op op, const char *bug, bool everywhere) {
  int seen = 0, cases = 0;
  for (size_t i = 0; i < op_case_count(); i++) {
    const op_case *c = op_case_at(i);
    if (c->op != op) continue;
    op_result wanted, got;
    char why[256];
    c->run(c, &right, &wanted);
    c->run(c, broken, &got);
    bool noticed = !op_results_agree(&got, &wanted, c->tolerance, why);
    if (everywhere && wanted.n > 0 && !noticed)
      fail_msg("%s '%s' does not notice: %s", lb__op_name(op), c->name, bug);
    seen += noticed;
    cases++;
    op_result_deinit(&got);
    op_result_deinit(&wanted);
  }
  if (cases == 0 || seen == 0) fail_msg("no case of %s notices: %s", lb__op_name(op), bug);
}

static void test_planted_bugs(void **state) {
  (void)state;
  fill(&right, "reference");
#define PLANT(op, kernel, everywhere)                                                              \
  do {                                                                                             \
    lb__kernel_table broken = right;                                                               \
    broken.op = kernel;                                                                            \
    expect_seen(&broken, LB__OP_##op, #kernel, everywhere);                                        \
  } while (0)
  PLANT(embed, embed_scale, true);
  PLANT(linear, linear_sign, false);
  PLANT(linear, linear_half, false);
  PLANT(rms_norm, rms_norm_offset, true);
  PLANT(rms_norm, rms_norm_eps, false);
  PLANT(layer_norm, layer_norm_eps, false);
  PLANT(rope, rope_magnitude, true);
  PLANT(rope, rope_next, true);
  PLANT(attention, attention_sign, true);
  PLANT(attention, attention_scale, false);
  PLANT(attention, attention_window, false);
  PLANT(attention, attention_no_cap, false);
  PLANT(attention, attention_keeps_all, false);
  PLANT(attention, attention_no_logsumexp, false);
  PLANT(attention_bwd, attention_bwd_scale, false);
  PLANT(attention_bwd, attention_bwd_window, false);
  PLANT(attention_bwd, attention_bwd_no_cap, false);
  PLANT(attention_bwd, attention_bwd_other_draw, false);
  PLANT(attention_bwd, attention_bwd_swapped, false);
  PLANT(attention_bwd, attention_bwd_overwrites, false);
  PLANT(dropout, dropout_other_seed, false);
  PLANT(dropout, dropout_other_site, false);
  PLANT(dropout, dropout_unscaled, false);
  PLANT(dropout, dropout_overwrites, false);
  PLANT(relation, relation_scale, false);
  PLANT(relation, relation_sign, false);
  PLANT(relation, relation_one_head, false);
  PLANT(relation, relation_one_document, false);
  PLANT(kv_store, kv_store_swapped, false);
  PLANT(act, act_kind, true);
  PLANT(act_mul, act_mul_kind, true);
  PLANT(add, add_sign, true);
  PLANT(scale, scale_more, true);
  PLANT(softcap, softcap_more, true);
  PLANT(gather_rows, gather_sign, true);
  PLANT(logits_stats, stats_sign, true);
  PLANT(logits_stats, stats_late_ties, true);
  PLANT(cast, cast_truncates, true);
  PLANT(transpose, transpose_not, true);
  PLANT(divergence, divergence_no_t2, false);
  PLANT(divergence, divergence_no_temperature, false);
  PLANT(divergence, divergence_beta_mirrored, false);
  PLANT(divergence, divergence_beta_clamped, false);
  PLANT(divergence, divergence_other_kind, false);
  PLANT(divergence, divergence_scale, false);
  PLANT(divergence, divergence_no_weights, false);
  PLANT(divergence, divergence_no_student_cap, false);
  PLANT(divergence, divergence_no_teacher_cap, false);
  PLANT(divergence, divergence_vocabulary_too_short, false);
  PLANT(divergence, divergence_no_gradient, false);
  PLANT(divergence, divergence_next_target, false);
  PLANT(divergence, divergence_own_teacher, false);
  PLANT(divergence, divergence_sign, false);
  PLANT(mse, mse_scale, false);
  PLANT(rope, rope_turned, true);
  PLANT(embed_bwd, embed_bwd_scale, false);
  PLANT(linear_bwd, linear_bwd_half, false);
  PLANT(linear_bwd, linear_bwd_no_bias, false);
  PLANT(linear_bwd, linear_bwd_no_dx, false);
  PLANT(linear_bwd, linear_bwd_no_dweight, false);
  PLANT(rms_norm_bwd, rms_norm_bwd_offset, false);
  PLANT(rms_norm_bwd, rms_norm_bwd_no_dweight, false);
  PLANT(layer_norm_bwd, layer_norm_bwd_eps, false);
  PLANT(layer_norm_bwd, layer_norm_bwd_no_bias, false);
  PLANT(act_bwd, act_bwd_kind, true);
  PLANT(act_mul_bwd, act_mul_bwd_kind, true);
  PLANT(act_mul_bwd, act_mul_bwd_no_up, false);
  PLANT(softcap_bwd, softcap_bwd_more, true);
  PLANT(add_scaled, add_scaled_more, true);
  PLANT(sum_squares, sum_squares_replaces, true);
  PLANT(adamw, adamw_no_decay, false);
  PLANT(adamw, adamw_step, false);
  PLANT(adamw, adamw_unclipped, false);
  PLANT(adamw, adamw_betas, true);
  PLANT(adamw, adamw_ascends, true);
  PLANT(adamw, adamw_keeps_gradient, true);
}

/* ---- selection ---- */

static void test_unknown_set_is_refused(void **state) {
  (void)state;
  lb__kernel_table table;
  lb_error err = {0};
  assert_int_equal(lb__kernels_fill(&table, "avx2,sse9", &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "'sse9'"));
  assert_non_null(strstr(err.message, "reference"));
}

static void test_reference_can_be_forced(void **state) {
  (void)state;
  lb__kernel_table table;
  fill(&table, "reference");
  for (int i = 0; i < LB__OP_COUNT; i++) assert_string_equal(table.chosen[i], "reference");
}

/* Every op has a case, so that a new op without one is noticed. */
static void test_every_op_has_a_case(void **state) {
  (void)state;
  for (int op = 0; op < LB__OP_COUNT; op++) {
    bool found = false;
    for (size_t i = 0; i < op_case_count(); i++) found |= (int)op_case_at(i)->op == op;
    if (!found) fail_msg("op %s has no case in op_cases.c", lb__op_name((lb__op)op));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_op_has_a_case),
      cmocka_unit_test(test_unknown_set_is_refused),
      cmocka_unit_test(test_reference_can_be_forced),
      cmocka_unit_test(test_portable),
      cmocka_unit_test(test_onednn),
      cmocka_unit_test(test_bf16_products),
      cmocka_unit_test(test_avx2),
      cmocka_unit_test(test_avx512),
      cmocka_unit_test(test_what_runs_by_default),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_planted_bugs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
