/* test_golden_adamw.c - gradient norm, clipping and AdamW over 20 steps against PyTorch
 * (generate/adamw.py), with the kernels that this machine selects and with the reference. */
#include "golden.h"

#include "kernels/kernels.h"
#include "tensor/tensor_data.h"
#include "../tolerances.h"

#include <math.h>

static const char *sets;

static void select_sets(lb__kernel_table *table) {
  assert_int_equal(lb__kernels_fill(table, sets, NULL), LB_OK);
}

static lb_tensor floats_of(const json_t *list) {
  lb_tensor t;
  const int64_t n = (int64_t)json_array_size(list);
  assert_int_equal(lb__tensor_init(&t, LB_DTYPE_F32, 1, &n, NULL), LB_OK);
  for (int64_t i = 0; i < n; i++)
    lb__tensor_f32(&t)[i] = (float)json_number_value(json_array_get(list, (size_t)i));
  return t;
}

static lb_tensor zeros(int64_t n) {
  lb_tensor t;
  assert_int_equal(lb__tensor_init(&t, LB_DTYPE_F32, 1, &n, NULL), LB_OK);
  lb__tensor_zero(&t);
  return t;
}

static void expect(const lb_tensor *got, const json_t *c, const char *name) {
  const json_t *want = json_object_get(c, name);
  double largest = 0.0;
  for (size_t i = 0; i < json_array_size(want); i++)
    largest = fmax(largest, fabs(json_number_value(json_array_get(want, i))));
  for (size_t i = 0; i < json_array_size(want); i++) {
    double y = json_number_value(json_array_get(want, i)), x = (double)lb__tensor_f32(got)[i];
    if (!(fabs(x - y) <= LB_TOL_GOLDEN_ADAMW * largest))
      fail_msg("%s[%zu]: %.9g, PyTorch %.9g", name, i, x, y);
  }
}

/* As torch.nn.utils.clip_grad_norm_. */
static double clip_factor(double norm, double most) {
  return fmin(1.0, most / (norm + 1e-6));
}

static void run_case(const json_t *all, const json_t *c) {
  const json_t *gradients = json_object_get(all, "gradients");
  lb_tensor p = floats_of(json_object_get(all, "start"));
  lb_tensor m = zeros(p.shape[0]), v = zeros(p.shape[0]);
  for (size_t i = 0; i < json_array_size(gradients); i++) {
    lb_tensor gradient = floats_of(json_array_get(gradients, i));
    double sum = 0, want = json_number_value(json_array_get(json_object_get(c, "norms"), i));
    assert_int_equal(lb__op_sum_squares(&sum, &gradient, NULL), LB_OK);
    assert_true(fabs(sqrt(sum) - want) <= 1e-12 * want);
    lb__adamw_args a = {.parameter = &p, .gradient = &gradient, .exp_avg = &m, .exp_avg_sq = &v};
    a.learning_rate = json_number_value(json_array_get(json_object_get(all, "rates"), i));
    a.beta1 = golden_real(all, "beta1", 0);
    a.beta2 = golden_real(all, "beta2", 0);
    a.eps = golden_real(all, "eps", 0);
    a.weight_decay = golden_real(c, "weight_decay", 0);
    a.gradient_scale = clip_factor(sqrt(sum), golden_real(all, "max_grad_norm", 0));
    a.step = (int64_t)i + 1;
    assert_int_equal(lb__op_adamw(&a, NULL), LB_OK);
    lb__tensor_deinit(&gradient);
  }
  expect(&p, c, "parameter");
  expect(&m, c, "exp_avg");
  expect(&v, c, "exp_avg_sq");
  lb__tensor_deinit(&p);
  lb__tensor_deinit(&m);
  lb__tensor_deinit(&v);
}

static void test_twenty_steps(void **state) {
  (void)state;
  char *path = golden_path("adamw.json");
  json_t *all = golden_json(path);
  const json_t *cases = json_object_get(all, "cases");
  assert_int_equal(json_array_size(cases), 2);
  for (size_t i = 0; i < json_array_size(cases); i++) run_case(all, json_array_get(cases, i));
  json_decref(all);
  free(path);
}

/* The kernels of a process are chosen once: LIMBECK_TEST_KERNELS runs another set. */
int main(void) {
  sets = getenv("LIMBECK_TEST_KERNELS");
  lb__kernels_register(select_sets);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_twenty_steps)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
