/* test_dataset.c - files of every kind become rows: lines, JSON values, running text, compressed,
 * in folders; what is damaged is said, and no byte is lost or read twice. */
#include "data/dataset.h"

#include "base/fail.h"
#include "data/unpacker.h"
#include "faults.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

static lb_error err;
static char *folder;

static int set_up(void **state) {
  (void)state;
  folder = scratch_new();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

/* ---- rows as text: "line:text|", bad ones as "line!problem|" ---- */

typedef struct reading {
  lb__buf text;
  int64_t n_rows, n_batches;
  lb__row_kind last;
} reading;

static lb_status read_rows(reading *out, const char *name, lb_error *e) {
  const char *paths[] = {scratch_path(folder, name)};
  lb__dataset *d;
  lb__row_batch b;
  *out = (reading){0};
  lb__buf_init(&out->text, SIZE_MAX);
  lb__row_batch_init(&b);
  lb_status st = lb__dataset_open(&d, paths, 1, e);
  while (st == LB_OK && (st = lb__dataset_next(d, &b, e)) == LB_OK && b.path != NULL) {
    out->n_batches++;
    for (size_t i = 0; i < b.n; i++) {
      const lb__row *row = &b.rows[i];
      out->n_rows++;
      out->last = row->kind;
      if (row->kind == LB__ROW_BAD)
        lb__buf_printf(&out->text, "%lld!%s|", (long long)row->line, row->problem);
      else
        lb__buf_printf(&out->text, "%lld:%.*s|", (long long)row->line, (int)row->size,
                       lb__buf_text(&b.bytes) + row->begin);
    }
  }
  if (st == LB_OK) assert_true(lb__dataset_bytes_done(d) == lb__dataset_bytes_total(d));
  if (st == LB_OK) st = lb__buf_check(&out->text, "rows", e);
  lb__row_batch_deinit(&b);
  lb__dataset_close(d);
  return st;
}

static void expect_rows(const char *name, const char *content, const char *want) {
  reading r;
  scratch_empty(folder);
  scratch_write_text(folder, name, content);
  if (read_rows(&r, name, &err) != LB_OK) fail_msg("%s", err.message);
  assert_string_equal(lb__buf_text(&r.text), want);
  lb__buf_deinit(&r.text);
}

static void lines(void **state) {
  (void)state;
  expect_rows("a.jsonl", "", "");
  expect_rows("a.jsonl", "\n \n\t\r\n", "");
  expect_rows("a.jsonl", "{1}\n{2}", "1:{1}|2:{2}|");
  expect_rows("a.jsonl", "\xEF\xBB\xBF{1}\r\n\r\n  {2} \r\n", "1:{1}|3:{2}|");
  expect_rows("a.ndjson", "x\n\n\ny\n", "1:x|4:y|");
}

static void json_values(void **state) {
  (void)state;
  expect_rows("a.json", "", "");
  expect_rows("a.json", "[]", "");
  expect_rows("a.json", " [\n{\"a\":\n1},\n\n{\"b\":[{}]}\n]\n", "2:{\"a\":\n1}|5:{\"b\":[{}]}|");
  expect_rows("a.json", "[{\"a\":\"]}\\\"[\"},{}]", "1:{\"a\":\"]}\\\"[\"}|1:{}|");
  expect_rows("a.json", "[{\"a\":\"\\\\\"},{}]", "1:{\"a\":\"\\\\\"}|1:{}|");
  expect_rows("a.json", "{\n}{}\n{}", "1:{\n}|2:{}|3:{}|");
  expect_rows("a.json", "[1, \"x,]\" ,{}]", "1:1|1:\"x,]\"|1:{}|");
  expect_rows("a.json", "[{},{\"a\"", "1:{}|1!the file ends inside this row|");
  expect_rows("a.json", "[{},\n{},", "1:{}|2:{}|2!the file ends before the list does|");
  expect_rows("a.json", "[{}]\n{}\n{}", "1:{}|2!there is more after the end of the list|");
  expect_rows("a.json", "[}]", "1:}|");
  expect_rows("a.json", "{}]{}", "1:{}|1:]|1:{}|");
  expect_rows("a.json", "{},{}", "1:{}|1:,|1:{}|");
}

static void running_text(void **state) {
  (void)state;
  expect_rows("a.txt", "", "1:|");
  expect_rows("a.txt", "One.\n\nTwo.\n", "1:One.\n\nTwo.\n|");
  expect_rows("a.md", "# x\n", "1:# x\n|");
}

/* Cut at line ends where there are any, else at spaces, else between characters: never inside one.
 */
static void long_text_is_cut_well(void **state) {
  (void)state;
  enum { N = 5 << 20 };
  static const char *const units[] = {"line of text\n", "word ", "\xE6\xBC\xA2", "x"};
  for (size_t k = 0; k < 4; k++) {
    char *text = malloc(N + 16);
    size_t size = 0, unit = strlen(units[k]);
    for (; size < N; size += unit) memcpy(text + size, units[k], unit + 1);
    scratch_empty(folder);
    scratch_write(folder, "a.txt", text, size);
    const char *paths[] = {scratch_path(folder, "a.txt")};
    lb__dataset *d;
    lb__row_batch b;
    size_t at = 0;
    int64_t n = 0, line = 1;
    lb__row_batch_init(&b);
    assert_int_equal(lb__dataset_open(&d, paths, 1, &err), LB_OK);
    while (lb__dataset_next(d, &b, &err) == LB_OK && b.path != NULL)
      for (size_t i = 0; i < b.n; i++, n++) {
        const char *row = lb__buf_text(&b.bytes) + b.rows[i].begin;
        assert_int_equal(b.rows[i].line, line);
        assert_true(b.rows[i].size > 0 && b.rows[i].size < 2 << 20);
        assert_memory_equal(row, text + at, b.rows[i].size);
        at += b.rows[i].size;
        assert_true(k == 1 ? text[at] == ' ' || at == size : at % unit == 0);
        if (k == 0) line += (int64_t)(b.rows[i].size / unit);
        assert_int_equal(b.rows[i].kind, at == size ? LB__ROW_TEXT_END : LB__ROW_TEXT);
      }
    assert_int_equal(at, size);
    assert_true(n >= 4 && n < 8);
    lb__row_batch_deinit(&b);
    lb__dataset_close(d);
    free(text);
  }
}

/* Rows that straddle windows, more rows than a batch, and one that is too long. */
static void many_and_long_rows(void **state) {
  (void)state;
  enum { N = 6000 };
  char *text = malloc(LB__ROW_MAX_SIZE + 100), *p = text;
  reading r;
  for (int i = 0; i < N; i++) p += sprintf(p, "{\"n\":%d,\"x\":\"%0*d\"}\n", i, i % 900 + 1, i);
  scratch_empty(folder);
  scratch_write(folder, "a.jsonl", text, (size_t)(p - text));
  assert_int_equal(read_rows(&r, "a.jsonl", &err), LB_OK);
  assert_int_equal(r.n_rows, N);
  assert_true(r.n_batches >= 3);
  const char *at = lb__buf_text(&r.text);
  for (int i = 0; i < N; i++) {
    int line, n;
    assert_int_equal(sscanf(at, "%d:{\"n\":%d", &line, &n), 2);
    assert_int_equal(line, i + 1);
    assert_int_equal(n, i);
    at = strchr(at, '|') + 1;
  }
  lb__buf_deinit(&r.text);
  memset(text, 'x', LB__ROW_MAX_SIZE + 1);
  memcpy(text + LB__ROW_MAX_SIZE + 1, "\n{}\n", 5);
  scratch_write(folder, "a.jsonl", text, LB__ROW_MAX_SIZE + 5);
  assert_int_equal(read_rows(&r, "a.jsonl", &err), LB_OK);
  assert_string_equal(lb__buf_text(&r.text), "1!longer than 64 MiB|2:{}|");
  lb__buf_deinit(&r.text);
  free(text);
}

/* ---- compressed ---- */

static size_t gzip(unsigned char *out, size_t capacity, const char *text, size_t size) {
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = (unsigned char *)(uintptr_t)text;
  z.avail_in = (uInt)size;
  z.next_out = out;
  z.avail_out = (uInt)capacity;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  deflateEnd(&z);
  return capacity - z.avail_out;
}

static size_t zstd(unsigned char *out, size_t capacity, const char *text, size_t size) {
  size_t n = ZSTD_compress(out, capacity, text, size, 3);
  assert_false(ZSTD_isError(n));
  return n;
}

static void expect_packed(const char *name, const unsigned char *bytes, size_t size,
                          const char *want) {
  reading r;
  scratch_empty(folder);
  scratch_write(folder, name, bytes, size);
  if (read_rows(&r, name, &err) != LB_OK) fail_msg("%s", err.message);
  assert_string_equal(lb__buf_text(&r.text), want);
  lb__buf_deinit(&r.text);
}

static void expect_damaged(const char *name, const unsigned char *bytes, size_t size) {
  reading r;
  scratch_empty(folder);
  scratch_write(folder, name, bytes, size);
  assert_int_equal(read_rows(&r, name, &err), LB_E_FORMAT);
  if (strstr(err.message, name) == NULL || strstr(err.message, "near byte") == NULL)
    fail_msg("%s", err.message);
  lb__buf_deinit(&r.text);
}

typedef size_t pack_fn(unsigned char *out, size_t capacity, const char *text, size_t size);

static void compressed(void **state) {
  (void)state;
  static const struct {
    const char *name;
    pack_fn *pack;
  } kinds[] = {{"a.jsonl.gz", gzip}, {"a.jsonl.zst", zstd}};
  static const char text[] = "{1}\n{\"x\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}\n{3}";
  static const char want[] =
      "1:{1}|2:{\"x\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}|3:{3}|";
  for (size_t k = 0; k < 2; k++) {
    unsigned char bytes[600];
    const char *name = kinds[k].name;
    size_t n = kinds[k].pack(bytes, 200, text, sizeof text - 1);
    expect_packed(name, bytes, n, want);
    /* two members or frames, as `cat a.gz b.gz` and parallel compressors write */
    size_t half = kinds[k].pack(bytes, 200, text, 10);
    size_t both = half + kinds[k].pack(bytes + half, 200, text + 10, sizeof text - 11);
    expect_packed(name, bytes, both, want);
    for (size_t cut = 0; cut < n; cut++) {
      kinds[k].pack(bytes, 200, text, sizeof text - 1);
      expect_damaged(name, bytes, cut);
    }
    bytes[n] = 'x'; /* more than compressed data */
    expect_damaged(name, bytes, n + 1);
    expect_damaged(name, (const unsigned char *)"{1}\n", 4);
    memset(bytes, 0, sizeof bytes);
    n = kinds[k].pack(bytes, 200, text, sizeof text - 1);
    bytes[n / 2] ^= 0x55;
    reading r;
    scratch_write(folder, name, bytes, n);
    assert_true(read_rows(&r, name, &err) != LB_OK || k == 1); /* zstd may lack a checksum */
    lb__buf_deinit(&r.text);
  }
}

/* What a small file unpacks to is streamed: memory is the row, which is capped. */
static void a_bomb_is_a_bad_row(void **state) {
  (void)state;
  enum { SIZE = 80 << 20 };
  char *zeros = calloc(1, SIZE);
  unsigned char *bytes = malloc(1 << 20);
  size_t n = gzip(bytes, 1 << 20, zeros, SIZE);
  assert_true(n < SIZE / 900);
  expect_packed("a.jsonl.gz", bytes, n, "1!longer than 64 MiB|");
  n = zstd(bytes, 1 << 20, zeros, SIZE);
  expect_packed("a.jsonl.zst", bytes, n, "1!longer than 64 MiB|");
  free(zeros);
  free(bytes);
}

/* ---- files and folders ---- */

static void folders(void **state) {
  (void)state;
  unsigned char bytes[200];
  lb__dataset *d;
  lb__row_batch b;
  scratch_empty(folder);
  scratch_write_text(folder, "b.jsonl", "{b}");
  scratch_write_text(folder, "c.txt", "c");
  scratch_write_text(folder, "README.md", "no data");
  scratch_write_text(folder, "weights.bin", "no data");
  scratch_write_text(folder, ".hidden.jsonl", "{no}");
  scratch_write(folder, "a.json.gz", bytes, gzip(bytes, 200, "[{a}]", 5));
  lb__row_batch_init(&b);
  const char *paths[] = {folder, scratch_path(folder, "b.jsonl")};
  char names[200] = "";
  assert_int_equal(lb__dataset_open(&d, paths, 2, &err), LB_OK);
  while (lb__dataset_next(d, &b, &err) == LB_OK && b.path != NULL)
    strcat(strcat(names, strrchr(b.path, '/')), b.n == 1 ? " " : "?");
  assert_string_equal(names, "/a.json.gz /b.jsonl /c.txt /b.jsonl ");
  lb__dataset_close(d);
  lb__row_batch_deinit(&b);
}

static void wrong_paths(void **state) {
  (void)state;
  lb__dataset *d;
  scratch_empty(folder);
  const char *paths[] = {folder};
  assert_int_equal(lb__dataset_open(&d, paths, 1, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "the folder holds no .jsonl"));
  paths[0] = scratch_path(folder, "a.parquet");
  assert_int_equal(lb__dataset_open(&d, paths, 1, &err), LB_E_UNSUPPORTED);
  assert_non_null(strstr(err.message, "to_json"));
  paths[0] = scratch_path(folder, "gone.jsonl");
  assert_int_equal(lb__dataset_open(&d, paths, 1, &err), LB_E_IO);
  assert_int_equal(lb__dataset_open(&d, paths, 0, &err), LB_E_ARG);
  assert_null(d);
}

/* ---- faults ---- */

static lb_status read_it(void *ctx, lb_error *e) {
  reading r;
  lb_status st = read_rows(&r, ctx, e);
  lb__buf_deinit(&r.text);
  return st;
}

static void everything_may_fail(void **state) {
  (void)state;
  static char names[4][16] = {"a.jsonl", "a.json", "a.txt", "a.jsonl.gz"};
  unsigned char bytes[200];
  scratch_empty(folder);
  scratch_write_text(folder, names[0], "{1}\n{2}\n");
  scratch_write_text(folder, names[1], "[{},{}");
  scratch_write_text(folder, names[2], "text");
  scratch_write(folder, names[3], bytes, gzip(bytes, 200, "{1}\n{2}", 7));
  for (int i = 0; i < 4; i++) {
    fault_case c = {.run = read_it, .ctx = names[i]};
    assert_true(fault_each_allocation(&c) > 10);
    assert_true(fault_each_io(&c) > 5);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines),
      cmocka_unit_test(json_values),
      cmocka_unit_test(running_text),
      cmocka_unit_test(long_text_is_cut_well),
      cmocka_unit_test(many_and_long_rows),
      cmocka_unit_test(compressed),
      cmocka_unit_test(a_bomb_is_a_bad_row),
      cmocka_unit_test(folders),
      cmocka_unit_test(wrong_paths),
      cmocka_unit_test(everything_may_fail),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
