/* chat_open.c - where a template comes from: a model folder, a GGUF, a .jinja file, a built-in
 * name. Rules of precedence stand in include/limbeck/chat.h; the order here is that order. */
#include "chat_source.h"
#include "chat_template.h"

#include "base/files.h"
#include "base/json.h"
#include "formats/gguf.h"
#include "formats/hub_cache.h"

#define MAX_CONFIG ((size_t)64 << 20) /* tokenizer_config.json lists every added token */

/* What was found so far: text NULL means "not here". `choices` lists the names seen. */
typedef struct finding {
  char *text, *where;
  size_t size;
  lb__buf choices;
} finding;

static void add_choice(finding *f, const char *name) {
  if (f->choices.size > 0) lb__buf_add_text(&f->choices, ", ");
  lb__buf_add_text(&f->choices, name);
}

static lb_status take_file(finding *f, const char *path, lb_error *err) {
  lb_status status = lb__file_read(&f->text, &f->size, path, LB__CHAT_MAX_SOURCE, err);
  if (status == LB_OK) f->where = lb__strdup(path);
  return status == LB_OK && f->where == NULL ? lb__fail_nomem(err, "chat template") : status;
}

static lb_status take_text(finding *f, const char *text, const char *where, lb_error *err) {
  f->size = strlen(text);
  f->text = lb__strndup(text, f->size);
  f->where = lb__strdup(where);
  return f->text == NULL || f->where == NULL ? lb__fail_nomem(err, "chat template") : LB_OK;
}

/* folder/[chat_templates/]name, when it is there */
static lb_status try_file(finding *f, const char *folder, const char *name, lb_error *err) {
  lb_status status = LB_OK;
  char *path = lb__path_join(folder, name);
  if (path == NULL) return lb__fail_nomem(err, "path");
  if (lb__path_is_file(path)) status = take_file(f, path, err);
  lb__free(path);
  return status;
}

static lb_status try_named_file(finding *f, const char *folder, const char *name, lb_error *err) {
  if (!lb__path_is_plain_name(name)) return LB_OK;
  char *file = lb__format("chat_templates/%s.jinja", name);
  if (file == NULL) return lb__fail_nomem(err, "path");
  lb_status status = try_file(f, folder, file, err);
  lb__free(file);
  return status;
}

/* chat_template is a string, or a list of {"name": ..., "template": ...}. */
static lb_status pick_from_list(finding *f, const json_t *list, const char *wanted,
                                const char *path, lb_error *err) {
  size_t i;
  const json_t *row;
  json_array_foreach(list, i, row) {
    const char *name = NULL, *text = NULL;
    lb_status status = lb__json_get_string(&name, row, "name", true, path, err);
    if (status == LB_OK) status = lb__json_get_string(&text, row, "template", true, path, err);
    if (status != LB_OK) return status;
    add_choice(f, name);
    if (f->text == NULL && strcmp(name, wanted) == 0) status = take_text(f, text, path, err);
    if (status != LB_OK) return status;
  }
  return LB_OK;
}

static lb_status try_config(finding *f, const char *folder, const char *wanted, lb_error *err) {
  json_t *config = NULL;
  lb_status status = LB_OK;
  char *path = lb__path_join(folder, "tokenizer_config.json");
  if (path == NULL) return lb__fail_nomem(err, "path");
  if (!lb__path_is_file(path)) goto done;
  status = lb__json_read(&config, path, MAX_CONFIG, err);
  if (status != LB_OK) goto done;
  const json_t *template = json_object_get(config, "chat_template");
  if (json_is_array(template)) {
    status = pick_from_list(f, template, wanted == NULL ? "default" : wanted, path, err);
  } else if (json_is_string(template)) {
    if (wanted == NULL || strcmp(wanted, "default") == 0)
      status = take_text(f, json_string_value(template), path, err);
  } else if (template != NULL && !json_is_null(template)) {
    status = lb__fail(err, LB_E_FORMAT, "%s: chat_template: want a string or a list, found %s",
                      path, lb__json_type_name(template));
  }
done:
  json_decref(config);
  lb__free(path);
  return status;
}

static lb_status find_in_folder(finding *f, const char *folder, const char *wanted, lb_error *err) {
  lb_status status = LB_OK;
  bool is_default = wanted == NULL || strcmp(wanted, "default") == 0;
  if (is_default)
    status = try_file(f, folder, "chat_template.jinja", err);
  else
    status = try_named_file(f, folder, wanted, err);
  if (status == LB_OK && f->text == NULL) status = try_config(f, folder, wanted, err);
  return status;
}

static lb_status find_in_gguf(finding *f, const char *path, const char *wanted, lb_error *err) {
  static const char prefix[] = "tokenizer.chat_template";
  lb__gguf *g = NULL;
  const char *text = NULL;
  bool is_default = wanted == NULL || strcmp(wanted, "default") == 0;
  char *key = is_default ? lb__strdup(prefix) : lb__format("%s.%s", prefix, wanted);
  if (key == NULL) return lb__fail_nomem(err, "chat template");
  lb_status status = lb__gguf_open(&g, path, err);
  if (status == LB_OK) status = lb__gguf_get_string(&text, g, key, false, err);
  if (status == LB_OK && text != NULL) status = take_text(f, text, path, err);
  for (size_t i = 0; status == LB_OK && i < lb__gguf_n_keys(g); i++)
    if (strncmp(lb__gguf_key(g, i), prefix, sizeof prefix - 1) == 0 &&
        lb__gguf_key(g, i)[sizeof prefix - 1] == '.')
      add_choice(f, lb__gguf_key(g, i) + sizeof prefix);
  lb__gguf_close(g);
  lb__free(key);
  return status;
}

static bool folder_has(const char *folder, const char *name) {
  char *path = lb__path_join(folder, name);
  bool has = path != NULL && lb__path_is_file(path);
  lb__free(path);
  return has;
}

/* A tokenizer file stands for its folder. */
static lb_status find_beside_file(finding *f, const char *path, const char *wanted, lb_error *err) {
  size_t n = (size_t)(lb__path_base(path) - path);
  char *folder = n == 0 ? lb__strdup(".") : lb__strndup(path, n);
  if (folder == NULL) return lb__fail_nomem(err, "path");
  lb_status status = find_in_folder(f, folder, wanted, err);
  lb__free(folder);
  return status;
}

static lb_status find_in_model(finding *f, const char *path, const char *wanted, lb_error *err) {
  lb__model_place place = {0};
  if (lb__path_is_folder(path) &&
      (folder_has(path, "tokenizer_config.json") || folder_has(path, "chat_template.jinja") ||
       folder_has(path, "tokenizer.json") || folder_has(path, "vocab.json")))
    return find_in_folder(f, path, wanted, err);
  if (lb__path_is_file(path) && lb__path_ends_with(path, ".jinja"))
    return wanted == NULL ? take_file(f, path, err) : LB_OK;
  if (lb__path_is_file(path) && lb__path_ends_with(path, ".gguf"))
    return find_in_gguf(f, path, wanted, err);
  if (lb__path_is_file(path)) return find_beside_file(f, path, wanted, err);
  lb_status status = lb__model_place_find(&place, path, err);
  if (status == LB_OK)
    status = place.kind == LB__MODEL_GGUF ? find_in_gguf(f, place.file, wanted, err)
                                          : find_in_folder(f, place.folder, wanted, err);
  lb__model_place_deinit(&place);
  return status;
}

/* --template NAME|FILE, when the model does not offer NAME */
static lb_status find_elsewhere(finding *f, const char *wanted, lb_error *err) {
  if (lb__path_is_file(wanted)) return take_file(f, wanted, err);
  const char *source = lb_chat_template_builtin(wanted);
  return source == NULL ? LB_OK : take_text(f, source, wanted, err);
}

static lb_status fail_absent(finding *f, const char *path, const char *wanted, lb_error *err) {
  lb__buf builtin;
  lb__buf_init(&builtin, 4096);
  for (size_t i = 0; lb_chat_template_builtin_name(i) != NULL; i++)
    lb__buf_printf(&builtin, "%s%s", i > 0 ? ", " : "", lb_chat_template_builtin_name(i));
  const char *own = f->choices.size > 0 ? lb__buf_text(&f->choices) : "none";
  lb_status status = wanted == NULL
                         ? lb__fail(err, LB_E_ARG,
                                    "%s: has no chat template (named ones: %s); choose a .jinja "
                                    "file or one of: %s",
                                    path, own, lb__buf_text(&builtin))
                         : lb__fail(err, LB_E_ARG,
                                    "chat template '%s': no such file or name; the model offers: "
                                    "%s; built in: %s",
                                    wanted, own, lb__buf_text(&builtin));
  lb__buf_deinit(&builtin);
  return status;
}

/* The source into f; f->text stays NULL when there is none. */
static lb_status find(finding *f, const char *path, const char *wanted, lb_error *err) {
  lb_status status = LB_OK;
  lb__buf_init(&f->choices, 4096);
  if (path != NULL) status = find_in_model(f, path, wanted, err);
  if (status == LB_OK && f->text == NULL && wanted != NULL) status = find_elsewhere(f, wanted, err);
  return status;
}

static void finding_deinit(finding *f) {
  lb__free(f->text);
  lb__free(f->where);
  lb__buf_deinit(&f->choices);
}

lb_status lb__chat_template_find(char **source, size_t *size, const char *path, lb_error *err) {
  finding f = {0};
  lb_status status = find(&f, path, NULL, err);
  *source = status == LB_OK ? f.text : NULL;
  *size = f.size;
  if (status == LB_OK) f.text = NULL;
  finding_deinit(&f);
  return status;
}

lb_status lb_chat_template_open(lb_chat_template **out, const char *path, const char *template_name,
                                lb_error *err) {
  finding f = {0};
  *out = NULL;
  if (path == NULL && template_name == NULL)
    return lb__fail(err, LB_E_ARG, "chat template: want a model or the name of a template");
  lb_status status = find(&f, path, template_name, err);
  if (status == LB_OK && f.text == NULL) status = fail_absent(&f, path, template_name, err);
  if (status == LB_OK) status = lb_chat_template_parse(out, f.text, f.size, f.where, err);
  finding_deinit(&f);
  return status;
}
