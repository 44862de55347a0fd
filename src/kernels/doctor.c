/* doctor.c - the state of the machine. Public: limbeck/doctor.h. Owns: reading /proc and sysconf
 * for the report, and the warnings. Refuses: choosing kernels (cpu_select.c). */
#define _GNU_SOURCE /* sched_getaffinity */
#include <limbeck/doctor.h>

#include "kernels.h"

#include "base/fail.h"
#include "base/files.h"
#include "onednn/onednn_gemm.h"

#include <jansson.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utf8proc.h>
#include <yaml.h>

enum { PROC_MOST = 4 << 20 };

static void warn(lb_doctor *d, const char *format, ...) LB_PRINTF(2, 3);

static void warn(lb_doctor *d, const char *format, ...) {
  if (d->n_warnings == LB_DOCTOR_MOST) return;
  va_list args;
  va_start(args, format);
  vsnprintf(d->warnings[d->n_warnings++], sizeof d->warnings[0], format, args);
  va_end(args);
}

/* ---- files of /proc: "key : value" lines ---- */

/* The value after the first "key" that begins a line at or after `text`; NULL when there is none.
 */
static const char *value_of(const char *text, const char *key) {
  size_t length = strlen(key);
  for (const char *line = text; line != NULL && *line != '\0';) {
    if (strncmp(line, key, length) == 0 && strchr(" \t:", line[length]) != NULL)
      return line + length + strspn(line + length, " \t:");
    line = strchr(line, '\n');
    if (line != NULL) line++;
  }
  return NULL;
}

static void copy_line(char *out, size_t size, const char *value) {
  size_t length = strcspn(value, "\n");
  if (length >= size) length = size - 1;
  memcpy(out, value, length);
  out[length] = '\0';
}

/* Cores are as many as there are different pairs of "physical id" and "core id"; both are small. */
static int count_cores(const char *cpuinfo) {
  enum { PACKAGES = 64, CORES = 1024 };
  static const char package_key[] = "physical id", core_key[] = "core id";
  uint8_t *seen = lb__new(PACKAGES * CORES / 8);
  int n = 0;
  const char *at = seen != NULL ? value_of(cpuinfo, package_key) : NULL;
  while (at != NULL) {
    const char *core_at = value_of(at, core_key);
    if (core_at == NULL) break;
    long package = strtol(at, NULL, 10), core = strtol(core_at, NULL, 10);
    if (package >= 0 && package < PACKAGES && core >= 0 && core < CORES) {
      size_t bit = (size_t)(package * CORES + core);
      n += (seen[bit / 8] >> (bit % 8) & 1) == 0;
      seen[bit / 8] |= (uint8_t)(1u << (bit % 8));
    }
    at = value_of(core_at, package_key);
  }
  lb__free(seen);
  return n;
}

void lb__cpu_read(char name[128], int *n_cores) {
  char *text;
  size_t size;
  snprintf(name, 128, "unknown");
  if (n_cores != NULL) *n_cores = 0;
  if (lb__file_read(&text, &size, "/proc/cpuinfo", PROC_MOST, NULL) != LB_OK) return;
  const char *found = value_of(text, "model name");
  if (found != NULL) copy_line(name, 128, found);
  if (n_cores != NULL) *n_cores = count_cores(text);
  lb__free(text);
}

static void read_cpu(lb_doctor *d) {
  _Static_assert(sizeof d->cpu == 128, "lb__cpu_read fills it");
  d->logical_cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
  cpu_set_t usable;
  d->usable_cores = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : 0;
  d->threads = lb_threads_get();
  lb__cpu_read(d->cpu, &d->physical_cores);
}

static uint64_t kilobytes(const char *meminfo, const char *key) {
  const char *value = value_of(meminfo, key);
  return value != NULL ? (uint64_t)strtoull(value, NULL, 10) * 1024 : 0;
}

static void read_memory(lb_doctor *d) {
  long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE), l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
  d->l2_bytes = l2 > 0 ? (uint64_t)l2 : 0;
  d->l3_bytes = l3 > 0 ? (uint64_t)l3 : 0;
  char *text;
  size_t size;
  if (lb__file_read(&text, &size, "/proc/meminfo", PROC_MOST, NULL) != LB_OK) return;
  d->memory_total = kilobytes(text, "MemTotal");
  d->memory_available = kilobytes(text, "MemAvailable");
  lb__free(text);
}

/* ---- what we are made of ---- */

static void describe_build(lb_doctor *d) {
  snprintf(d->limbeck_version, sizeof d->limbeck_version, "%s", lb_version());
#if defined(__OPTIMIZE__)
  const char *kind = "optimised";
#else
  const char *kind = "debug";
  warn(d, "this is a debug build, several times slower: build with the release preset");
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  warn(d, "this build has a sanitizer, several times slower: build with the release preset");
#endif
  snprintf(d->build, sizeof d->build, "%s, compiler %s", kind, __VERSION__);
}

static void add_library(lb_doctor *d, const char *name, const char *version) {
  lb_doctor_library *l = &d->libraries[d->n_libraries++];
  l->name = name;
  snprintf(l->version, sizeof l->version, "%.31s", version);
}

static void list_libraries(lb_doctor *d) {
  char text[64];
  add_library(d, "oneDNN", lb__onednn_version(text));
  add_library(d, "jansson", jansson_version_str());
  add_library(d, "libyaml", yaml_get_version_string());
  add_library(d, "utf8proc", utf8proc_version());
  pcre2_config(PCRE2_CONFIG_VERSION, text);
  add_library(d, "PCRE2", text);
}

/* ---- kernels ---- */

static void add_feature(lb_doctor *d, const char *name, const char *meaning, bool present) {
  d->features[d->n_features++] = (lb_doctor_feature){name, meaning, present};
}

static void list_features(lb_doctor *d) {
  size_t n;
  const lb__cpu_feature *features = lb__cpu_features(&n);
  for (size_t i = 0; i < n && i < LB_DOCTOR_MOST; i++)
    add_feature(d, features[i].name, features[i].text, features[i].present);
}

static void list_kernels(lb_doctor *d) {
  size_t n;
  const lb__kernel_set *sets = lb__kernel_sets(&n);
  for (size_t i = 0; i < n; i++)
    d->kernel_sets[d->n_kernel_sets++] =
        (lb_doctor_feature){sets[i].name, sets[i].text, sets[i].runs_here};
  const lb__kernel_table *table = lb__kernels();
  for (int i = 0; i < LB__OP_COUNT; i++)
    d->kernels[d->n_kernels++] =
        (lb_doctor_kernel){lb__op_name((lb__op)i), table->chosen[i], lb__op_text((lb__op)i)};
}

static void list_products(lb_doctor *d) {
  size_t n;
  const lb__product_class *c = lb__kernel_classes(&n);
  for (size_t i = 0; i < n; i++)
    for (int k = 0; k < LB__TUNE_CANDIDATES; k++) {
      const lb__candidate *one = &c[i].candidates[k];
      if (one->name != NULL && one->runs && d->n_products < LB_DOCTOR_MOST)
        d->products[d->n_products++] =
            (lb_doctor_product){c[i].name, c[i].text, one->name, one->gflops, c[i].chosen == k};
    }
}

static void warn_of_kernels(lb_doctor *d, lb_status installed, const lb_error *why) {
  const char *wanted = getenv("LIMBECK_KERNELS");
  if (installed != LB_OK)
    warn(d, "%s; the reference kernels run", why->message);
  else if (wanted != NULL && *wanted != '\0')
    warn(d, "LIMBECK_KERNELS=%.60s limits the kernels: unset it for full speed", wanted);
  bool vectors = false;
  for (int i = 0; i < d->n_kernel_sets; i++)
    vectors |= d->kernel_sets[i].present && strncmp(d->kernel_sets[i].name, "avx", 3) == 0;
  if (!vectors)
    warn(d, "no AVX2 here: only matrix products are fast, expect a fraction of the speed");
}

static void warn_of_machine(lb_doctor *d) {
  if (d->usable_cores > 0 && d->threads > d->usable_cores)
    warn(d, "%d threads on %d usable cores: they will wait for each other", d->threads,
         d->usable_cores);
  if (d->memory_available > 0 && d->memory_available < (uint64_t)1 << 30)
    warn(d, "less than 1 GiB of memory is available: only the smallest models will fit");
}

/* The reserve in the arrays is checked when the program is compiled. */
_Static_assert((int)LB__OP_COUNT <= LB_DOCTOR_MOST, "lb_doctor.kernels is too short");

lb_status lb_doctor_report(lb_doctor *out, lb_error *err) {
  lb_error why = {0};
  *out = (lb_doctor){0};
  lb_status installed = lb__kernels_install(&why);
  describe_build(out);
  read_cpu(out);
  read_memory(out);
  list_libraries(out);
  list_features(out);
  list_kernels(out);
  list_products(out);
  warn_of_kernels(out, installed, &why);
  warn_of_machine(out);
  if (installed != LB_OK && err != NULL) *err = why;
  return installed;
}
