/* hf_files.c - the small files of a Hugging Face folder that pass through unchanged. A tokenizer
 * written anew is a tokenizer changed, so these are copied byte for byte. */
#include "hf_config.h"

#include "base/fail.h"

/* Names, or beginnings that end in '*'. Models in the wild still carry files that Transformers 5
 * no longer writes; all of them are read by somebody. */
enum { N_TEXT_FILES = 14 }; /* the first ones: what makes text; the rest is law */
static const char *const copied[] = {"tokenizer.json",
                                     "tokenizer_config.json",
                                     "special_tokens_map.json",
                                     "added_tokens.json",
                                     "vocab.json",
                                     "merges.txt",
                                     "vocab.txt",
                                     "tokenizer.model",
                                     "spiece.model",
                                     "sentencepiece.*",
                                     "chat_template.jinja",
                                     "chat_template.json",
                                     "generation_config.json",
                                     "vocab_map.json",
                                     "LICENSE*",
                                     "LICENCE*",
                                     "NOTICE*",
                                     "USE_POLICY*"};

static bool is_listed(const char *name, size_t n_first) {
  for (size_t i = 0; i < n_first; i++) {
    size_t n = strlen(copied[i]);
    bool prefix = copied[i][n - 1] == '*';
    if (prefix ? strncmp(copied[i], name, n - 1) == 0 : strcmp(copied[i], name) == 0) return true;
  }
  return false;
}

lb_status lb__hf_folder_remove_text_files(const char *folder, lb_error *err) {
  char **names;
  size_t n;
  lb_status st = lb__folder_list(&names, &n, folder, err);
  if (st != LB_OK) return st;
  for (size_t i = 0; st == LB_OK && i < n; i++) {
    if (!is_listed(names[i], N_TEXT_FILES)) continue;
    char *path = lb__path_join(folder, names[i]);
    st = path == NULL ? lb__fail_nomem(err, names[i]) : lb__file_remove(path, err);
    lb__free(path);
  }
  lb__name_list_free(names, n);
  return st;
}

static lb_status copy_file(const char *to, const char *from, lb_error *err) {
  lb__mapping map = {0};
  lb_status st = lb__file_map(&map, from, err);
  if (st == LB_OK) st = lb__file_save(to, map.bytes, map.size, err);
  lb__file_unmap(&map);
  return st;
}

static lb_status copy_name(const char *to, const char *from, const char *name, lb_error *err) {
  lb_status st = LB_OK;
  char *source = lb__path_join(from, name), *target = lb__path_join(to, name);
  if (source == NULL || target == NULL)
    st = lb__fail_nomem(err, name);
  else if (lb__path_is_file(source))
    st = copy_file(target, source, err);
  lb__free(source);
  lb__free(target);
  return st;
}

static bool is_copied(const char *name) {
  return is_listed(name, sizeof copied / sizeof copied[0]);
}

static bool is_template(const char *name) {
  return lb__path_ends_with(name, ".jinja");
}

/* Every file of a folder whose name is wanted. */
static lb_status copy_wanted(const char *to, const char *from, bool (*is_wanted)(const char *),
                             lb_error *err) {
  char **names;
  size_t n;
  lb_status st = lb__folder_make(to, err);
  if (st == LB_OK) st = lb__folder_list(&names, &n, from, err);
  if (st != LB_OK) return st;
  for (size_t i = 0; st == LB_OK && i < n; i++)
    if (is_wanted(names[i])) st = copy_name(to, from, names[i], err);
  lb__name_list_free(names, n);
  return st;
}

lb_status lb__hf_folder_copy_files(const char *to, const char *from, lb_error *err) {
  lb_status st = copy_wanted(to, from, is_copied, err);
  if (st != LB_OK) return st;
  /* named templates have a folder of their own */
  char *source = lb__path_join(from, "chat_templates"),
       *target = lb__path_join(to, "chat_templates");
  if (source == NULL || target == NULL)
    st = lb__fail_nomem(err, "chat_templates");
  else if (lb__path_is_folder(source))
    st = copy_wanted(target, source, is_template, err);
  lb__free(source);
  lb__free(target);
  return st;
}
