/* dataset.c - see dataset.h: the list of files, and which cutter reads each. Read next:
 * row_cutter.c. */
#include "dataset.h"

#include "row_cutter.h"

#include "base/fail.h"
#include "base/files.h"

typedef struct file_entry {
  char *path;
  uint64_t size;
  lb__cut_kind kind;
} file_entry;

struct lb__dataset {
  file_entry *files;
  size_t n, capacity;
  size_t at; /* the file being read */
  lb__row_cutter cutter;
  uint64_t bytes_before, bytes_total; /* of the files read; of all */
};

/* ---- which files ---- */

static const struct {
  const char *ending;
  lb__cut_kind kind;
} endings[] = {{".jsonl", LB__CUT_LINES}, {".ndjson", LB__CUT_LINES}, {".json", LB__CUT_VALUES},
               {".txt", LB__CUT_TEXT},    {".text", LB__CUT_TEXT},    {".md", LB__CUT_TEXT}};

/* In a folder: README.md and dataset cards are no data; a single named .md file is. */
static bool kind_of(lb__cut_kind *kind, const char *path, bool in_folder) {
  size_t size = lb__unpacked_name_size(path);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t n = strlen(endings[i].ending);
    if (size <= n || strncmp(path + size - n, endings[i].ending, n) != 0) continue;
    *kind = endings[i].kind;
    return !(in_folder && strcmp(endings[i].ending, ".md") == 0);
  }
  return false;
}

/* Takes over `path`, also on failure. */
static lb_status add_file(lb__dataset *d, char *path, lb__cut_kind kind, lb_error *err) {
  lb__reader r;
  if (path == NULL || !lb__grow(&d->files, &d->capacity, d->n + 1, sizeof *d->files)) {
    lb__free(path);
    return lb__fail_nomem(err, "list of files");
  }
  d->files[d->n++] = (file_entry){.path = path, .kind = kind};
  lb_status st = lb__reader_open(&r, path, err);
  if (st != LB_OK) return st;
  d->files[d->n - 1].size = r.size;
  d->bytes_total += r.size;
  lb__reader_close(&r);
  return LB_OK;
}

static lb_status add_folder(lb__dataset *d, const char *folder, lb_error *err) {
  char **names;
  size_t n, before = d->n;
  lb__cut_kind kind;
  lb_status st = lb__folder_list(&names, &n, folder, err);
  if (st != LB_OK) return st;
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    if (names[i][0] == '.' || !kind_of(&kind, names[i], true)) continue;
    char *path = lb__path_join(folder, names[i]);
    if (path != NULL && lb__path_is_folder(path))
      lb__free(path);
    else
      st = add_file(d, path, kind, err);
  }
  lb__name_list_free(names, n);
  if (st == LB_OK && d->n == before)
    st = lb__fail(err, LB_E_ARG,
                  "'%s': the folder holds no .jsonl, .json or .txt file (also .gz, .zst)", folder);
  return st;
}

static lb_status add_path(lb__dataset *d, const char *path, lb_error *err) {
  lb__cut_kind kind;
  if (lb__path_is_folder(path)) return add_folder(d, path, err);
  if (!kind_of(&kind, path, false))
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "'%s': want a folder or a .jsonl, .json or .txt file (also .gz, .zst); "
                    "other formats can be exported as JSON Lines (in Python: "
                    "datasets.load_dataset(...)[\"train\"].to_json(\"train.jsonl\"))",
                    path);
  return add_file(d, lb__strdup(path), kind, err);
}

lb_status lb__dataset_open(lb__dataset **out, const char *const *paths, size_t n_paths,
                           lb_error *err) {
  *out = NULL;
  lb__dataset *d = lb__new(sizeof *d);
  if (d == NULL) return lb__fail_nomem(err, "dataset");
  lb_status st = LB_OK;
  for (size_t i = 0; i < n_paths && st == LB_OK; i++) st = add_path(d, paths[i], err);
  if (st == LB_OK && d->n == 0) st = lb__fail(err, LB_E_ARG, "no data: want a file or a folder");
  if (st != LB_OK) {
    lb__dataset_close(d);
    return st;
  }
  *out = d;
  return LB_OK;
}

void lb__dataset_close(lb__dataset *d) {
  if (d == NULL) return;
  lb__row_cutter_close(&d->cutter);
  for (size_t i = 0; i < d->n; i++) lb__free(d->files[i].path);
  lb__free(d->files);
  lb__free(d);
}

/* ---- rows ---- */

void lb__row_batch_init(lb__row_batch *b) {
  *b = (lb__row_batch){0};
  lb__buf_init(&b->bytes, SIZE_MAX);
}

void lb__row_batch_deinit(lb__row_batch *b) {
  lb__buf_deinit(&b->bytes);
  lb__free(b->rows);
}

lb_status lb__dataset_next(lb__dataset *d, lb__row_batch *batch, lb_error *err) {
  lb__buf_clear(&batch->bytes);
  batch->n = 0;
  batch->path = NULL;
  batch->ends_file = false;
  if (d->at == d->n) return LB_OK;
  const file_entry *file = &d->files[d->at];
  batch->path = file->path;
  lb_status st = LB_OK;
  if (!lb__row_cutter_is_open(&d->cutter))
    st = lb__row_cutter_open(&d->cutter, file->path, file->kind, err);
  if (st == LB_OK) st = lb__row_cutter_fill(&d->cutter, batch, err);
  if (st == LB_OK && batch->ends_file) {
    lb__row_cutter_close(&d->cutter);
    d->bytes_before += file->size;
    d->at++;
  }
  return st;
}

uint64_t lb__dataset_bytes_total(const lb__dataset *d) {
  return d->bytes_total;
}

uint64_t lb__dataset_bytes_done(const lb__dataset *d) {
  return d->bytes_before + lb__row_cutter_offset(&d->cutter);
}
