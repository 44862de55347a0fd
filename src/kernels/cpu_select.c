/* cpu_select.c - which kernel runs each op on this machine. Owns: the only look at CPU features,
 * and LIMBECK_KERNELS. The table starts full of reference kernels; better sets overwrite entries.
 */
#include "kernels.h"

#include "base/fail.h"
#include "cpu/blocks.h"
#include "cpu/linear_parts.h"
#include "cpu/linear_quantized.h"
#include "cpu/packed.h"
#include "cpu/reference/reference.h"
#include "cpu/stored.h"
#include "cpu/cast_tuned.h"
#include "cpu/transpose_tuned.h"
#include "onednn/onednn_gemm.h"
#include "tune.h"
#if defined(__x86_64__)
#include "cpu/x86/x86.h"
#endif

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the CPU ---- */

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bit `bit` of register eax (0), ecx (2) or edx (3) of a CPUID leaf: for the names that clang 14
 * lacks. */
static bool cpuid_bit(unsigned leaf, unsigned subleaf, int reg, int bit) {
  unsigned regs[4] = {0};
  return __get_cpuid_count(leaf, subleaf, &regs[0], &regs[1], &regs[2], &regs[3]) != 0 &&
         (regs[reg] >> bit & 1) != 0;
}
/* Linux saves the state of tiles only for programs that ask (its
 * Documentation/arch/x86/xstate.rst). */
static bool may_use_tiles(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#define CPU_HAS(name)                           (__builtin_cpu_supports(name) != 0)
#define CPUID_BIT(leaf, subleaf, register, bit) cpuid_bit(leaf, subleaf, register, bit)
#define MAY_USE_TILES                           may_use_tiles()
#else
#define CPU_HAS(name)                           false
#define CPUID_BIT(leaf, subleaf, register, bit) false
#define MAY_USE_TILES                           false
#endif

/* name, how to find out, what it is good for */
#define CPU_FEATURES(X)                                                                            \
  X(avx2, CPU_HAS("avx2"), "256-bit vectors")                                                      \
  X(fma, CPU_HAS("fma"), "fused multiply and add")                                                 \
  X(f16c, CPUID_BIT(1, 0, 2, 29), "half precision to float")                                       \
  X(avx512f, CPU_HAS("avx512f"), "512-bit vectors")                                                \
  X(avx512bw, CPU_HAS("avx512bw"), "512-bit vectors of bytes")                                     \
  X(avx512vl, CPU_HAS("avx512vl"), "AVX-512 on shorter vectors")                                   \
  X(avx512dq, CPU_HAS("avx512dq"), "AVX-512 on 64-bit integers")                                   \
  X(avx512vnni, CPU_HAS("avx512vnni"), "8-bit dot products")                                       \
  X(avx512bf16, CPUID_BIT(7, 1, 0, 5), "bfloat16 dot products")                                    \
  X(amx_int8, CPUID_BIT(7, 0, 3, 25) && MAY_USE_TILES, "products of tiles of 8-bit integers")

enum {
#define X(name, probe, text) HAS_##name,
  CPU_FEATURES(X)
#undef X
      N_FEATURES
};

static lb__cpu_feature features[N_FEATURES] = {
#define X(name, probe, text) {#name, text, false},
    CPU_FEATURES(X)
#undef X
};

static void look_at_cpu(void) {
#define X(name, probe, text) features[HAS_##name].present = probe;
  CPU_FEATURES(X)
#undef X
}

static pthread_once_t looked = PTHREAD_ONCE_INIT;

const lb__cpu_feature *lb__cpu_features(size_t *n) {
  pthread_once(&looked, look_at_cpu);
  *n = N_FEATURES;
  return features;
}

static bool has(int feature) {
  size_t n;
  return lb__cpu_features(&n)[feature].present;
}

static bool has_avx2(void) {
  return has(HAS_avx2) && has(HAS_fma) && has(HAS_f16c);
}
static bool has_avx512(void) {
  return has_avx2() && has(HAS_avx512f) && has(HAS_avx512bw) && has(HAS_avx512vl) &&
         has(HAS_avx512dq);
}
static bool has_vnni(void) {
  return has_avx512() && has(HAS_avx512vnni);
}
/* Elsewhere oneDNN emulates bfloat16. */
static bool has_bf16(void) {
  return has_avx512() && has(HAS_avx512bf16);
}

/* ---- the sets ---- */

enum { REFERENCE, PORTABLE, ONEDNN, AVX2, AVX512, AMX, N_SETS };

static const lb__kernel_set sets_[N_SETS] = {
    [REFERENCE] = {"reference", "plain loops in double, the definition of every op", true},
    [PORTABLE] = {"portable", "plain C linear that decodes rows as it goes", true},
    [ONEDNN] = {"onednn", "matrix products by oneDNN", true},
    [AVX2] = {"avx2", "256-bit vectors with FMA and F16C", false},
    [AVX512] = {"avx512", "512-bit vectors", false},
    [AMX] = {"amx", "tiles of 8-bit integers", false},
};

static lb__kernel_set sets[N_SETS];
static pthread_once_t sets_once = PTHREAD_ONCE_INIT;

static void find_sets(void) {
  memcpy(sets, sets_, sizeof sets);
  sets[AVX2].runs_here = has_avx2();
  sets[AVX512].runs_here = has_avx512();
  sets[AMX].runs_here = has_vnni() && has(HAS_amx_int8);
}

const lb__kernel_set *lb__kernel_sets(size_t *n) {
  pthread_once(&sets_once, find_sets);
  *n = N_SETS;
  return sets;
}

/* ---- the comma list ---- */

static int find_set(const char *name, size_t length) {
  for (int i = 0; i < N_SETS; i++)
    if (strlen(sets_[i].name) == length && memcmp(sets_[i].name, name, length) == 0) return i;
  return -1;
}

/* Bits of the allowed sets. "reference" is always allowed: something must run each op. */
static lb_status parse_list(unsigned *allowed, const char *list, lb_error *err) {
  *allowed = ~0u;
  if (list == NULL || *list == '\0') return LB_OK;
  *allowed = 1u << REFERENCE;
  while (*list != '\0') {
    size_t length = strcspn(list, ",");
    int i = find_set(list, length);
    if (i < 0)
      return lb__fail(err, LB_E_ARG,
                      "LIMBECK_KERNELS: no kernel set '%.*s'; there are reference, portable, "
                      "onednn, avx2, avx512, amx (a comma list)",
                      (int)(length < 40 ? length : 40), list);
    *allowed |= 1u << i;
    list += length + (list[length] == ',');
  }
  return LB_OK;
}

/* ---- products: measured ---- */

static void select_onednn(void) {
  lb__linear_select_gemm(lb__onednn_gemm);
}
static void select_own_products(void) {
  lb__linear_select_gemm(NULL);
}
static void select_onednn_bf16(void) {
  lb__linear_select_gemm_bf16(lb__onednn_gemm_bf16);
  lb__linear_bwd_select_gemm_bf16(lb__onednn_gemm_add_bf16);
}
static void select_no_bf16(void) {
  lb__linear_select_gemm_bf16(NULL);
  lb__linear_bwd_select_gemm_bf16(NULL);
}
#if defined(__x86_64__)
#define X86(function) function
#else
#define X86(function) NULL
#endif

/* Rows decide how blocks are decoded, so they come first. */
enum { ONE_ROW, MANY_ROWS, MANY_ROWS_BF16, STORED_ROW, MANY_ROWS_INT8, N_CLASSES };
static lb__product_class classes[N_CLASSES]; /* of the last fill */

const lb__product_class *lb__kernel_classes(size_t *n) {
  *n = N_CLASSES;
  return classes;
}

/* name, used for; N, I, O, type of the weight, how; candidates */
#define CLASS(i, name, text, N, I, O, dtype, compute, ...)                                         \
  classes[i] = (lb__product_class) {                                                               \
    (name), (text), (N), (I), (O), LB_DTYPE_##dtype, LB__COMPUTE_##compute, {__VA_ARGS__}, -1      \
  }
#define KERNELS(name, runs, select)                                                                \
  { (name), (runs), (select), 0.0 }

static void find_candidates(unsigned use) {
  bool avx512 = use >> AVX512 & 1, avx2 = avx512 || (use >> AVX2 & 1); /* none without AVX2 */
  bool vnni = avx512 && has_vnni(), onednn = use >> ONEDNN & 1;
  CLASS(ONE_ROW, "one row, f32", "a token at a time", 1, 1024, 768, F32, F32,
        KERNELS("avx512", avx512, X86(lb__rows_select_avx512)),
        KERNELS("avx2", avx2, X86(lb__rows_select_avx2)));
  CLASS(MANY_ROWS, "many rows, f32", "prompts and training", 192, 768, 768, F32, F32,
        KERNELS("onednn", onednn, select_onednn), KERNELS("own", true, select_own_products));
  CLASS(MANY_ROWS_BF16, "many rows, bf16", "the same with bfloat16 products", 192, 768, 768, BF16,
        BF16, KERNELS("onednn", onednn && has_bf16(), select_onednn_bf16),
        KERNELS("as f32", true, select_no_bf16));
  CLASS(STORED_ROW, "one row, blocks", "a token at a time, integers of Q4_0 blocks", 1, 1024, 768,
        Q4_0, STORED, KERNELS("avx512vnni", vnni, X86(lb__stored_select_avx2vnni)),
        KERNELS("avx2", avx2, X86(lb__stored_select_avx2)));
  CLASS(MANY_ROWS_INT8, "many rows, int8", "prompts and teachers, rotated integers", 192, 768, 768,
        F32, INT8, KERNELS("amx", use >> AMX & 1, X86(lb__int8_select_avx512amx)),
        KERNELS("avx512vnni", vnni, X86(lb__int8_select_avx512vnni)),
        KERNELS("avx2", avx2, X86(lb__int8_select_avx2)));
}
#undef KERNELS
#undef CLASS

static const char *chosen_name(int i) {
  return classes[i].chosen >= 0 ? classes[i].candidates[classes[i].chosen].name : "portable";
}

static double chosen_rate(int i) {
  return classes[i].chosen >= 0 ? classes[i].candidates[classes[i].chosen].gflops : 0.0;
}

/* "avx512 + onednn + bf16": what the bits of a product depend on. */
static const char *linear_name(void) {
  static char name[64];
  bool onednn = strcmp(chosen_name(MANY_ROWS), "onednn") == 0;
  bool bf16 = strcmp(chosen_name(MANY_ROWS_BF16), "onednn") == 0;
  snprintf(name, sizeof name, "%s%s%s", chosen_name(ONE_ROW), onednn ? " + onednn" : "",
           bf16 ? " + bf16" : "");
  return name;
}

/* Where nothing better is known, the portable and the reference parts run. */
static void reset_products(void) {
  for (int i = 0; i < LB_DTYPE_COUNT; i++) {
    lb__row_to_f32_select((lb_dtype)i, NULL);
    lb__row_from_f32_select((lb_dtype)i, NULL);
    lb__linear_select_dots((lb_dtype)i, NULL);
  }
  select_own_products();
  select_no_bf16();
  lb__int8_select(&lb__int8_reference);
  lb__stored_select(&lb__stored_reference);
}

/* ---- filling ---- */

/* Tuned linear, or the reference when no set that has one is allowed. */
static void fill_linear(lb__kernel_table *table, unsigned use, bool may_measure) {
  find_candidates(use);
  reset_products();
  lb__tune(classes, N_CLASSES, may_measure);
  table->bf16_products = strcmp(chosen_name(MANY_ROWS_BF16), "onednn") == 0;
  table->product_rates[LB__COMPUTE_F32] = chosen_rate(MANY_ROWS);
  table->product_rates[LB__COMPUTE_INT8] = chosen_rate(MANY_ROWS_INT8);
  if (table->bf16_products) table->product_rates[LB__COMPUTE_BF16] = chosen_rate(MANY_ROWS_BF16);
  if (use >> ONEDNN & 1) {
    lb__linear_bwd_select_gemm(lb__onednn_gemm_add);
    table->linear_bwd = lb__tuned_linear_bwd;
    table->linear_bwd_workspace = lb__tuned_linear_bwd_workspace;
    table->chosen[LB__OP_linear_bwd] = "onednn";
  }
  if ((use & ~(1u << REFERENCE)) == 0) return;
  table->cast = lb__tuned_cast;
  table->cast_workspace = lb__tuned_cast_workspace;
  table->chosen[LB__OP_cast] = "portable";
  table->transpose = lb__tuned_transpose;
  table->chosen[LB__OP_transpose] = "portable";
  table->linear = lb__tuned_linear;
  table->linear_workspace = lb__tuned_linear_workspace;
  table->chosen[LB__OP_linear] = linear_name();
}

static void fill(lb__kernel_table *table, unsigned use, bool may_measure) {
  lb__ref_fill(table);
  fill_linear(table, use, may_measure);
  table->pack_weight = lb__int8_pack;
  table->linear_prepared_bytes = lb__quantized_prepared_bytes;
  table->linear_prepare = lb__quantized_prepare;
#if defined(__x86_64__)
  if (use >> AVX512 & 1) {
    lb__elementwise_select_avx512(table);
    lb__backward_select_avx512(table);
    lb__attention_select_avx512(table);
    lb__attention_bwd_select_avx512(table);
    lb__dropout_select_avx512(table);
    lb__relation_select_avx512(table);
    lb__divergence_select_avx512(table);
    lb__optimizer_select_avx512(table);
  } else if (use >> AVX2 & 1) {
    lb__elementwise_select_avx2(table);
    lb__backward_select_avx2(table);
    lb__attention_select_avx2(table);
    lb__attention_bwd_select_avx2(table);
    lb__dropout_select_avx2(table);
    lb__relation_select_avx2(table);
    lb__divergence_select_avx2(table);
    lb__optimizer_select_avx2(table);
  }
#endif
  table->int8 = lb__int8_selected()->name;
  table->int8_version = LB__INT8_VERSION;
}

static unsigned all_that_run(void) {
  size_t n;
  const lb__kernel_set *known = lb__kernel_sets(&n);
  unsigned use = 0;
  for (size_t i = 0; i < n; i++) use |= (unsigned)known[i].runs_here << i;
  return use;
}

lb_status lb__kernels_fill(lb__kernel_table *table, const char *allowed, lb_error *err) {
  unsigned use;
  lb_status st = parse_list(&use, allowed, err);
  if (st != LB_OK) return st;
  fill(table, use & all_that_run(), false);
  return LB_OK;
}

/* ---- installation ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static lb_error list_error; /* what was wrong with LIMBECK_KERNELS; LB_OK when nothing */

/* A list that cannot be read leaves the reference kernels: nobody runs them unknowing, because
 * lb__kernels_install reports it. Where a list is given, order decides. */
static void select_kernels(lb__kernel_table *table) {
  const char *list = getenv("LIMBECK_KERNELS");
  if (list == NULL || *list == '\0')
    fill(table, all_that_run(), true);
  else if (lb__kernels_fill(table, list, NULL) != LB_OK)
    fill(table, 0, false);
}

static void install(void) {
  unsigned use;
  parse_list(&use, getenv("LIMBECK_KERNELS"), &list_error);
  lb__kernels_register(select_kernels);
  lb__kernels_register_exact(lb__ref_fill);
}

lb_status lb__kernels_install(lb_error *err) {
  pthread_once(&once, install);
  if (list_error.status == LB_OK) return LB_OK;
  if (err != NULL) *err = list_error;
  return list_error.status;
}
