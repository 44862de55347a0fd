/* verb_shrink.c - `limbeck shrink`: a student that begins as chosen layers of its teacher. The
 * result is opened again before success is claimed. */
#include "json_writer.h"
#include "terminal.h"

#include <limbeck/model.h>
#include <limbeck/shrink.h>

#include <stdlib.h>
#include <string.h>

typedef struct shrink_args {
  verb_args words;
  const char *layers;
  int type; /* 0: what suits the teacher, else 1 + the index in target_dtypes */
  uint64_t max_shard_size;
  bool overwrite;
} shrink_args;

#define FIELD(field) offsetof(shrink_args, field)
static const option shrink_options[] = {
    {.name = "layers",
     .kind = OPTION_TEXT,
     .offset = FIELD(layers),
     .value = "N|LIST",
     .help = "how many layers to keep, evenly spread with the first and the last among them; or "
             "which ones, from 0: 0,2,4 or 0-5,11",
     .only_typed = true},
    {.name = "type",
     .aliases = "dtype",
     .kind = OPTION_CHOICE,
     .offset = FIELD(type),
     .choices = "auto|f32|f16|bf16",
     .fallback = "auto",
     .help = "the number format of the weights; auto keeps f16 and bf16, and makes f32 of anything "
             "else, quantised teachers too"},
    {.name = "max-shard-size",
     .kind = OPTION_SIZE,
     .offset = FIELD(max_shard_size),
     .value = "SIZE",
     .fallback = "50GB",
     .help = "largest safetensors file"},
    {.name = "overwrite",
     .kind = OPTION_FLAG,
     .offset = FIELD(overwrite),
     .help = "replace what OUT names"},
    {0}};

static const lb_dtype target_dtypes[] = {LB_DTYPE_F32, LB_DTYPE_F16, LB_DTYPE_BF16};

/* ---- which layers ---- */

enum { LAYERS_MAX = 4096 };

typedef struct layer_choice {
  int64_t layers[LAYERS_MAX]; /* [n] */
  size_t n;
  int64_t count; /* 0: `layers` says */
} layer_choice;

/* A number from 0 on at *spelling, which is moved behind it. */
static bool read_number(int64_t *out, const char **spelling) {
  char *end;
  if (**spelling < '0' || **spelling > '9') return false;
  *out = strtoll(*spelling, &end, 10);
  *spelling = end;
  return *out < INT32_MAX;
}

/* "4" or "0-5" */
static bool read_range(layer_choice *choice, const char **spelling) {
  int64_t first, last;
  if (!read_number(&first, spelling)) return false;
  last = first;
  if (**spelling == '-') {
    (*spelling)++;
    if (!read_number(&last, spelling) || last < first) return false;
  }
  for (; first <= last; first++) {
    if (choice->n == LAYERS_MAX) return false;
    choice->layers[choice->n++] = first;
  }
  return true;
}

/* "6" is a number of layers; with a comma or a dash it is a list. */
static bool read_layers(layer_choice *choice, const char *spelling) {
  if (strpbrk(spelling, ",-") == NULL)
    return read_number(&choice->count, &spelling) && *spelling == '\0' && choice->count > 0;
  for (;; spelling++) {
    if (!read_range(choice, &spelling)) return false;
    if (*spelling != ',') return *spelling == '\0';
  }
}

/* ---- doing it ---- */

static void show_progress(void *ctx, size_t done, size_t total, const char *tensor) {
  progress_show(ctx, done, total, tensor);
}

static lb_status shrink(cli *c, const shrink_args *args, const layer_choice *choice,
                        lb_error *err) {
  progress bar = {.c = c, .title = "shrinking"};
  lb_shrink_options o = lb_shrink_options_default();
  o.n_layers = choice->count;
  if (choice->count == 0) o.layers = choice->layers;
  o.n_chosen = choice->n;
  o.has_dtype = args->type > 0;
  if (o.has_dtype) o.dtype = target_dtypes[args->type - 1];
  o.max_shard_size = args->max_shard_size;
  o.overwrite = args->overwrite;
  o.on_progress = show_progress;
  o.on_progress_ctx = &bar;
  o.cancel = &cli_cancelled;
  lb_status st = lb_shrink(args->words.positional[0], args->words.positional[1], &o, err);
  progress_end(&bar);
  return st;
}

/* ---- telling ---- */

static void print_json(const char *out, const layer_choice *kept, const lb_model_info *teacher,
                       const lb_model_info *student) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "output", out);
  writer_open_array(&w, "layers");
  for (size_t i = 0; i < kept->n; i++) writer_int(&w, NULL, kept->layers[i]);
  writer_close_array(&w);
  writer_int(&w, "teacher_layers", teacher->n_layers);
  writer_int(&w, "teacher_parameters", teacher->n_parameters);
  writer_int(&w, "parameters", student->n_parameters);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

static void print_note(const cli *c, const layer_choice *kept, const lb_model_info *teacher,
                       const lb_model_info *student) {
  text list = {0};
  for (size_t i = 0; i < kept->n; i++)
    text_putf(&list, "%s%lld", i > 0 ? " " : "", (long long)kept->layers[i]);
  cli_note(c, "kept layers %s of %lld; %.1f of %.1f million parameters", text_get(&list),
           (long long)teacher->n_layers, (double)student->n_parameters / 1e6,
           (double)teacher->n_parameters / 1e6);
  text_free(&list);
}

static int tell(cli *c, const shrink_args *args, layer_choice *choice) {
  const char *out = args->words.positional[1];
  lb_model *teacher = NULL, *student = NULL;
  lb_error err = {0};
  lb_status st = lb_model_open(&teacher, args->words.positional[0], NULL, &err);
  if (st == LB_OK) st = lb_model_open(&student, out, NULL, &err);
  int code = st == LB_OK ? CLI_DONE : cli_error(c, &err);
  if (st == LB_OK) {
    const lb_model_info *before = lb_model_get_info(teacher), *after = lb_model_get_info(student);
    if (choice->count > 0 && lb_shrink_choose(choice->layers, choice->count, before->n_layers))
      choice->n = (size_t)choice->count;
    if (c->global.json)
      print_json(out, choice, before, after);
    else
      printf("%s\n", out);
    print_note(c, choice, before, after);
  }
  lb_model_free(student);
  lb_model_free(teacher);
  return code;
}

static int run_shrink(cli *c, void *opaque) {
  const shrink_args *args = opaque;
  static layer_choice choice; /* too large for a stack */
  lb_error err = {0};
  choice = (layer_choice){0};
  if (args->layers == NULL)
    return cli_usage(c, "--layers 6 keeps six, evenly spread; --layers 0,2,4 keeps these",
                     "want --layers");
  if (!read_layers(&choice, args->layers))
    return cli_usage(c, "--layers 6 keeps six, evenly spread; --layers 0,2,4 or 0-5,11 these",
                     "--layers '%s': want a number of layers or a list", args->layers);
  if (shrink(c, args, &choice, &err) != LB_OK) return cli_error(c, &err);
  return tell(c, args, &choice);
}

const verb verb_shrink = {
    .name = "shrink",
    .summary = "a student made of its teacher's layers",
    .description =
        "Writes OUT, a folder that Transformers and `limbeck distill` load: copies of some of "
        "TEACHER's layers, renumbered, with its embeddings, head, tokenizer and settings. Such a "
        "student is worse than its teacher until it is trained, and then learns much faster than "
        "one that begins from nothing.\n\n"
        "A number alone keeps so many layers, evenly spread: layer i of N is layer "
        "round(i * (L - 1) / (N - 1)) of L, so that of 12 layers 6 are 0 2 4 7 9 11, as in "
        "DistilBERT and DistilGPT-2. An existing OUT is left alone unless --overwrite is given. "
        "With --json: one object.",
    .positionals = {{.name = "TEACHER",
                     .help = "a Hugging Face folder, a .gguf file, or a hub name"},
                    {.name = "OUT", .help = "the folder to make"}},
    .options = shrink_options,
    .examples = {{"limbeck shrink ./gpt2 ./student --layers 6", "half the layers, evenly spread"},
                 {"limbeck shrink model.gguf ./student --layers 0-3,8,11 --type bf16",
                  "these, from a GGUF"}},
    .args_size = sizeof(shrink_args),
    .run = run_shrink};
