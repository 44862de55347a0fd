/* verb_inspect.c - `limbeck inspect`: what is in a model, tokenizer or GGUF file. Nothing is
 * loaded as a model, so it also tells about models that Limbeck does not run. Recipes are
 * inspect_recipe.c's. */
#include "inspect_recipe.h"
#include "json_writer.h"
#include "recipe_options.h"
#include "terminal.h"
#include "text_side.h"

#include <limbeck/inspect.h>

#include <string.h>

enum { TEMPLATE_LINES = 6 };

typedef struct inspect_args {
  verb_args words;
  bool tensors, metadata;
  int64_t example;
} inspect_args;

#define FIELD(field) offsetof(inspect_args, field)
static const option inspect_options[] = {
    {.name = "tensors", .kind = OPTION_FLAG, .offset = FIELD(tensors), .help = "list every tensor"},
    {.name = "metadata",
     .kind = OPTION_FLAG,
     .offset = FIELD(metadata),
     .help = "list every key of the GGUF header or of config.json"},
    {.name = "example",
     .kind = OPTION_INT,
     .offset = FIELD(example),
     .value = "N",
     .range = ">= 0",
     .fallback = "0",
     .help = "of a recipe: show this document, counted from 0"},
    {0}};

typedef struct dtype_count {
  int64_t tensors, elements;
  uint64_t bytes;
} dtype_count;

typedef struct inspection {
  lb_inspection *weights; /* NULL: only a tokenizer */
  text_side side;         /* tokenizer and chat may be NULL */
  lb_error text_error;    /* why, when they are there but cannot be read */
  dtype_count of[LB_DTYPE_COUNT], all;
} inspection;

/* ---- gathering ---- */

static void count_tensors(inspection *all) {
  for (size_t k = 0; k < lb_inspection_n_tensors(all->weights); k++) {
    const lb_stored_info *t = lb_inspection_tensor(all->weights, k);
    int64_t elements = 1;
    for (int d = 0; d < t->rank; d++) elements *= t->shape[d];
    dtype_count *both[] = {&all->of[t->dtype], &all->all};
    for (int i = 0; i < 2; i++) {
      both[i]->tensors++;
      both[i]->elements += elements;
      both[i]->bytes += t->size_bytes;
    }
  }
}

/* Weights, tokenizer, template: whatever is there. An error only when nothing is; the message about
 * the weights then tells most. */
static lb_status open_all(inspection *all, const char *path, lb_error *err) {
  lb_error *why = &all->text_error;
  lb_status weights = lb_inspect(&all->weights, path, err);
  const char *resolved = weights == LB_OK ? lb_inspection_path(all->weights) : path;
  lb_status st = text_side_open(&all->side, resolved, why);
  if (weights != LB_OK && st != LB_OK) return weights;
  if (weights == LB_OK) count_tensors(all);
  if (st == LB_OK) st = text_side_open_chat(&all->side, NULL, why);
  bool absent = st == LB_E_IO || st == LB_E_ARG; /* no tokenizer, no template: nothing to tell */
  if (st == LB_OK || absent) why->message[0] = '\0';
  return LB_OK;
}

static void close_all(inspection *all) {
  lb_inspection_free(all->weights);
  text_side_close(&all->side);
}

/* ---- for people ---- */

static void add_row(table *t, const char *name, const char *value) {
  if (value == NULL || value[0] == '\0') return;
  table_add(t, "%s", name);
  table_add(t, "%s", value);
}

static void add_token_row(table *t, const inspection *all, const char *name, int32_t id) {
  if (id < 0) return;
  text value = {0};
  text_putf(&value, "%d  ", id);
  text_side_put_token(&value, &all->side, id);
  add_row(t, name, text_get(&value));
  text_free(&value);
}

/* The first fact called one of `keys`: "max_position_embeddings" in config.json, and, for a key
 * that starts with a dot, whatever the architecture before it (".context_length" in GGUF). */
static const char *find_fact(const inspection *all, const char *keys) {
  const char *key;
  size_t size;
  for (size_t k = 0; (size = choice_part(&key, keys, k)) > 0; k++)
    for (size_t i = 0; i < lb_inspection_n_facts(all->weights); i++) {
      const lb_fact *fact = lb_inspection_fact(all->weights, i);
      size_t n = strlen(fact->key);
      bool whole = key[0] == '.' || n == size;
      if (n >= size && whole && memcmp(fact->key + n - size, key, size) == 0) return fact->value;
    }
  return NULL;
}

/* What the two formats and the older families call the same thing. */
static const struct {
  const char *name, *keys;
} shape_facts[] = {
    {"context", "max_position_embeddings|n_positions|n_ctx|.context_length"},
    {"layers", "num_hidden_layers|n_layer|.block_count"},
    {"width", "hidden_size|n_embd|.embedding_length"},
    {"heads", "num_attention_heads|n_head|.attention.head_count"},
    {"kv heads", "num_key_value_heads|.attention.head_count_kv"},
};

static void add_shape_rows(table *t, const inspection *all) {
  for (size_t i = 0; i < sizeof shape_facts / sizeof shape_facts[0]; i++)
    add_row(t, shape_facts[i].name, find_fact(all, shape_facts[i].keys));
}

static void print_summary(const inspection *all, const cli *c) {
  table t = {.align = "ll"};
  text value = {0};
  if (all->weights != NULL) {
    add_row(&t, "path", lb_inspection_path(all->weights));
    add_row(&t, "format", lb_inspection_format(all->weights));
    text_putf(&value, "%s%s", lb_inspection_architecture(all->weights),
              lb_inspection_is_known(all->weights) ? "" : "  (Limbeck cannot run it)");
    add_row(&t, "architecture", text_get(&value));
    text_clear(&value);
    format_count(&value, all->all.elements);
    text_putf(&value, "  (%lld)", (long long)all->all.elements);
    add_row(&t, "parameters", text_get(&value));
    text_clear(&value);
    format_bytes(&value, all->all.bytes);
    add_row(&t, "size", text_get(&value));
    add_shape_rows(&t, all);
  }
  if (all->side.tokenizer != NULL) {
    text_clear(&value);
    text_putf(&value, "%s, %d tokens", lb_tokenizer_model_name(all->side.tokenizer),
              lb_tokenizer_size(all->side.tokenizer));
    add_row(&t, "tokenizer", text_get(&value));
    add_token_row(&t, all, "bos", lb_tokenizer_bos(all->side.tokenizer));
    add_token_row(&t, all, "eos", lb_tokenizer_eos(all->side.tokenizer));
    add_token_row(&t, all, "pad", lb_tokenizer_pad(all->side.tokenizer));
    add_token_row(&t, all, "unk", lb_tokenizer_unk(all->side.tokenizer));
  }
  add_row(&t, all->side.tokenizer == NULL ? "tokenizer" : "chat template", all->text_error.message);
  table_print(&t, c, stdout);
  text_free(&value);
  table_free(&t);
}

static void print_dtypes(const inspection *all, const cli *c) {
  table t = {.header = {"dtype", "tensors", "elements", "size", "share"}, .align = "lrrrr"};
  text cell = {0};
  for (int d = 0; d < LB_DTYPE_COUNT; d++) {
    const dtype_count *n = &all->of[d];
    if (n->tensors == 0) continue;
    table_add(&t, "%s", lb_dtype_name((lb_dtype)d));
    table_add(&t, "%lld", (long long)n->tensors);
    text_clear(&cell);
    format_count(&cell, n->elements);
    table_add(&t, "%s", text_get(&cell));
    text_clear(&cell);
    format_bytes(&cell, n->bytes);
    table_add(&t, "%s", text_get(&cell));
    table_add(&t, "%.1f %%", 100.0 * (double)n->bytes / (double)all->all.bytes);
  }
  putchar('\n');
  table_print(&t, c, stdout);
  text_free(&cell);
  table_free(&t);
}

static void print_template(const inspection *all, const cli *c) {
  size_t size, at = 0;
  const char *source = lb_chat_template_source(all->side.chat, &size);
  printf("\n%schat template%s (%zu bytes)\n", terminal_bold(c, stdout), terminal_plain(c, stdout),
         size);
  for (int line = 0; line < TEMPLATE_LINES && at < size; line++) {
    const char *end = memchr(source + at, '\n', size - at);
    size_t length = end == NULL ? size - at : (size_t)(end - source) - at;
    text shown = {0};
    text_put_visible(&shown, source + at, length < 90 ? length : 90);
    printf("  %s%s\n", text_get(&shown), length > 90 ? "..." : "");
    text_free(&shown);
    at += length + 1;
  }
  if (at < size) puts("  ...");
}

static void print_shape(text *out, const lb_stored_info *info) {
  text_put(out, "[");
  for (int d = 0; d < info->rank; d++)
    text_putf(out, "%s%lld", d == 0 ? "" : ",", (long long)info->shape[d]);
  text_put(out, "]");
}

static void print_tensors(const inspection *all, const cli *c) {
  table t = {.header = {"tensor", "dtype", "shape", "size"}, .align = "lllr"};
  text cell = {0};
  for (size_t k = 0; k < lb_inspection_n_tensors(all->weights); k++) {
    const lb_stored_info *info = lb_inspection_tensor(all->weights, k);
    table_add(&t, "%s", info->name);
    table_add(&t, "%s", lb_dtype_name(info->dtype));
    text_clear(&cell);
    print_shape(&cell, info);
    table_add(&t, "%s", text_get(&cell));
    text_clear(&cell);
    format_bytes(&cell, info->size_bytes);
    table_add(&t, "%s", text_get(&cell));
  }
  putchar('\n');
  table_print(&t, c, stdout);
  text_free(&cell);
  table_free(&t);
}

static void print_metadata(const inspection *all, const cli *c) {
  table t = {.header = {"key", "value"}, .align = "ll"};
  for (size_t k = 0; k < lb_inspection_n_facts(all->weights); k++) {
    const lb_fact *fact = lb_inspection_fact(all->weights, k);
    table_add(&t, "%s", fact->key);
    table_add(&t, "%.200s%s", fact->value, strlen(fact->value) > 200 ? "..." : "");
  }
  putchar('\n');
  table_print(&t, c, stdout);
  table_free(&t);
}

static void print_tables(const inspection *all, const inspect_args *args, const cli *c) {
  print_summary(all, c);
  if (all->weights != NULL) print_dtypes(all, c);
  if (all->side.chat != NULL) print_template(all, c);
  if (all->weights != NULL && args->metadata) print_metadata(all, c);
  if (all->weights != NULL && args->tensors) print_tensors(all, c);
}

/* ---- for programs ---- */

static void write_token(writer *w, const char *key, int32_t id) {
  if (id < 0)
    writer_string(w, key, NULL);
  else
    writer_int(w, key, id);
}

static void write_tokenizer(writer *w, const inspection *all) {
  const lb_tokenizer *t = all->side.tokenizer;
  size_t n;
  const int32_t *eos = lb_tokenizer_eos_ids(t, &n);
  writer_open_object(w, "tokenizer");
  writer_string(w, "model", lb_tokenizer_model_name(t));
  writer_int(w, "size", lb_tokenizer_size(t));
  write_token(w, "bos", lb_tokenizer_bos(t));
  write_token(w, "eos", lb_tokenizer_eos(t));
  write_token(w, "pad", lb_tokenizer_pad(t));
  write_token(w, "unk", lb_tokenizer_unk(t));
  writer_ids(w, "eos_ids", eos, n);
  writer_close_object(w);
}

static void write_dtypes(writer *w, const inspection *all) {
  writer_open_object(w, "dtypes");
  for (int d = 0; d < LB_DTYPE_COUNT; d++) {
    const dtype_count *n = &all->of[d];
    if (n->tensors == 0) continue;
    writer_open_object(w, lb_dtype_name((lb_dtype)d));
    writer_int(w, "tensors", n->tensors);
    writer_int(w, "elements", n->elements);
    writer_uint(w, "bytes", n->bytes);
    writer_close_object(w);
  }
  writer_close_object(w);
}

static void write_tensors(writer *w, const inspection *all) {
  writer_open_array(w, "tensors");
  for (size_t k = 0; k < lb_inspection_n_tensors(all->weights); k++) {
    const lb_stored_info *info = lb_inspection_tensor(all->weights, k);
    writer_open_object(w, NULL);
    writer_string(w, "name", info->name);
    writer_string(w, "dtype", lb_dtype_name(info->dtype));
    writer_open_array(w, "shape");
    for (int d = 0; d < info->rank; d++) writer_int(w, NULL, info->shape[d]);
    writer_close_array(w);
    writer_uint(w, "bytes", info->size_bytes);
    writer_close_object(w);
  }
  writer_close_array(w);
}

static void write_metadata(writer *w, const inspection *all) {
  writer_open_object(w, "metadata");
  for (size_t k = 0; k < lb_inspection_n_facts(all->weights); k++) {
    const lb_fact *fact = lb_inspection_fact(all->weights, k);
    writer_string(w, fact->key, fact->value);
  }
  writer_close_object(w);
}

/* One object. Everything is in it: --tensors and --metadata only choose what people see. */
static void print_json(const inspection *all) {
  writer w = {0};
  writer_open_object(&w, NULL);
  if (all->weights != NULL) {
    writer_string(&w, "path", lb_inspection_path(all->weights));
    writer_string(&w, "format", lb_inspection_format(all->weights));
    writer_string(&w, "architecture", lb_inspection_architecture(all->weights));
    writer_bool(&w, "supported", lb_inspection_is_known(all->weights));
    writer_int(&w, "parameters", all->all.elements);
    writer_uint(&w, "bytes", all->all.bytes);
    write_dtypes(&w, all);
  }
  if (all->side.tokenizer != NULL) write_tokenizer(&w, all);
  if (all->side.chat != NULL) {
    size_t size;
    const char *source = lb_chat_template_source(all->side.chat, &size);
    writer_text(&w, "chat_template", source, size);
  }
  if (all->text_error.message[0] != '\0') writer_string(&w, "text_error", all->text_error.message);
  if (all->weights != NULL) {
    write_metadata(&w, all);
    write_tensors(&w, all);
  }
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

static int run_inspect(cli *c, void *opaque) {
  const inspect_args *args = opaque;
  inspection all = {0};
  lb_error err = {0};
  const char *path = args->words.positional[0];
  int code = CLI_DONE;
  if (inspect_is_recipe(path)) return inspect_recipe(c, path, args->example);
  if (c->extra.n_typed > 0)
    return cli_usage(c, NULL, "'%s' is a key of recipes, and %s is none (.yaml, .yml)",
                     c->extra.items[c->extra.n - 1], path);
  if (open_all(&all, path, &err) != LB_OK)
    code = cli_error(c, &err);
  else if (c->global.json)
    print_json(&all);
  else
    print_tables(&all, args, c);
  close_all(&all);
  return code;
}

const verb verb_inspect = {
    .name = "inspect",
    .summary = "what is in a model, tokenizer, GGUF file or recipe",
    .description = "Shows architecture, size, number formats, tokenizer and chat template without "
                   "loading the model; also of models that Limbeck does not run.\n\n"
                   "Of a recipe: the format of its data, how much there is, and one document as "
                   "training will see it, with the tokens that are learned in green (in brackets "
                   "when colours are off). With --json: one object with everything.",
    .positionals = {{.name = "MODEL",
                     .help =
                         "a Hugging Face folder, a .gguf or .safetensors file, a tokenizer.json, "
                         "a name in the local hub cache, or a recipe.yaml"}},
    .options = inspect_options,
    .examples = {{"limbeck inspect model.gguf", "the summary"},
                 {"limbeck inspect model.gguf --tensors --metadata", "everything"},
                 {"limbeck inspect recipe.yaml --example 3", "the fourth document, rendered"}},
    .args_size = sizeof(inspect_args),
    .extra_key = recipe_extra_key,
    .run = run_inspect};
