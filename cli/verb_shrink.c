/* verb_shrink.c - `limbeck shrink`: a student that begins as chosen layers of its teacher, of them
 * chosen channels, heads and neurons, and of its vocabulary what a text uses. The result is opened
 * again before success is claimed. */
#include "calibration.h"
#include "json_writer.h"
#include "terminal.h"
#include "vocabulary_choice.h"

#include <limbeck/model.h>
#include <limbeck/shrink.h>

#include <stdlib.h>
#include <string.h>

typedef struct shrink_args {
  verb_args words;
  const char *layers, *calibration;
  int layer_selection, selection; /* lb_layer_selection, lb_width_selection */
  int64_t hidden, heads, kv_heads, ffn, calibration_tokens;
  uint64_t seed;
  vocabulary_args vocabulary;
  int type; /* 0: what suits the teacher, else 1 + the index in target_dtypes */
  uint64_t max_shard_size;
  bool overwrite;
} shrink_args;

#define FIELD(field) offsetof(shrink_args, field)
static const option shrink_options[] = {
    {.name = "layers",
     .aliases = "num-hidden-layers",
     .kind = OPTION_TEXT,
     .offset = FIELD(layers),
     .value = "N|LIST",
     .help = "how many layers to keep; or which ones, from 0: 0,2,4 or 0-5,11",
     .only_typed = true},
    {.name = "layer-selection",
     .kind = OPTION_CHOICE,
     .offset = FIELD(layer_selection),
     .choices = "uniform|influence|random",
     .fallback = "uniform",
     .help =
         "which, when --layers is a number: evenly spread with the first and the last among "
         "them; those that turn the hidden state most on the calibration text; or drawn by lot"},
    {.name = "hidden",
     .aliases = "hidden-size",
     .kind = OPTION_INT,
     .offset = FIELD(hidden),
     .value = "N",
     .range = ">= 1",
     .help = "how many channels of the hidden state to keep",
     .only_typed = true},
    {.name = "heads",
     .aliases = "num-attention-heads",
     .kind = OPTION_INT,
     .offset = FIELD(heads),
     .value = "N",
     .range = ">= 1",
     .help = "how many attention heads to keep in each layer; from each group as many",
     .only_typed = true},
    {.name = "kv-heads",
     .aliases = "num-key-value-heads",
     .kind = OPTION_INT,
     .offset = FIELD(kv_heads),
     .value = "N",
     .range = ">= 1",
     .help = "how many key-value heads to keep; without --heads, each with all its heads",
     .only_typed = true},
    {.name = "ffn",
     .aliases = "intermediate-size",
     .kind = OPTION_INT,
     .offset = FIELD(ffn),
     .value = "N",
     .range = ">= 1",
     .help = "how many neurons of the MLP to keep in each layer",
     .only_typed = true},
    {.name = "calibration",
     .kind = OPTION_TEXT,
     .offset = FIELD(calibration),
     .value = "FILE",
     .help = "text on which activations say what matters, as JSON Lines, {\"text\":...} or "
             "{\"ids\":[...]}; - is standard input",
     .only_typed = true},
    {.name = "calibration-tokens",
     .kind = OPTION_INT,
     .offset = FIELD(calibration_tokens),
     .value = "N",
     .range = ">= 1",
     .fallback = "65536",
     .help = "read its documents until there are so many tokens"},
    {.name = "selection",
     .kind = OPTION_CHOICE,
     .offset = FIELD(selection),
     .choices = "activation|random",
     .fallback = "activation",
     .help = "which channels, heads and neurons: the most active ones on the calibration text; or "
             "drawn by lot, which is what the former must beat"},
    {.name = "seed",
     .kind = OPTION_UINT,
     .offset = FIELD(seed),
     .value = "N",
     .fallback = "0",
     .help = "of what is drawn by lot"},
    VOCABULARY_OPTIONS(FIELD(vocabulary)),
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

static lb_shrink_options make_options(const shrink_args *args, const layer_choice *choice) {
  lb_shrink_options o = lb_shrink_options_default();
  o.n_layers = choice->count;
  if (choice->n > 0) o.layers = choice->layers;
  o.n_chosen = choice->n;
  o.layer_selection = (lb_layer_selection)args->layer_selection;
  o.hidden_size = args->hidden;
  o.n_heads = args->heads;
  o.n_kv_heads = args->kv_heads;
  o.intermediate_size = args->ffn;
  o.width_selection = (lb_width_selection)args->selection;
  o.seed = args->seed;
  o.has_dtype = args->type > 0;
  if (o.has_dtype) o.dtype = target_dtypes[args->type - 1];
  o.max_shard_size = args->max_shard_size;
  o.overwrite = args->overwrite;
  o.cancel = &cli_cancelled;
  return o;
}

static lb_status shrink(cli *c, const shrink_args *args, lb_shrink_options *o, lb_error *err) {
  progress bar = {.c = c, .title = "shrinking"};
  o->on_progress = show_progress;
  o->on_progress_ctx = &bar;
  lb_status st = lb_shrink(args->words.positional[0], args->words.positional[1], o, err);
  progress_end(&bar);
  return st;
}

/* ---- telling ---- */

/* What the two models are, and which layers of the one the other has. */
typedef struct outcome {
  const lb_model_info *teacher, *student;
  const lb_importance *importance; /* NULL: nothing was measured */
  const lb_token_counts *counts;   /* NULL: nothing was counted */
  int64_t layers[LAYERS_MAX], n;
} outcome;

static void print_json(const char *out, const outcome *done) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "output", out);
  writer_open_array(&w, "layers");
  for (int64_t i = 0; i < done->n; i++) writer_int(&w, NULL, done->layers[i]);
  writer_close_array(&w);
  writer_int(&w, "teacher_layers", done->teacher->n_layers);
  writer_int(&w, "teacher_parameters", done->teacher->n_parameters);
  writer_int(&w, "parameters", done->student->n_parameters);
  writer_int(&w, "hidden_size", done->student->hidden_size);
  writer_int(&w, "num_attention_heads", done->student->n_heads);
  writer_int(&w, "num_key_value_heads", done->student->n_kv_heads);
  writer_int(&w, "intermediate_size", done->student->intermediate_size);
  if (done->counts != NULL) {
    writer_int(&w, "teacher_vocab_size", done->teacher->vocab_size);
    writer_int(&w, "vocab_size", done->student->vocab_size);
    writer_int(&w, "vocab_documents", done->counts->n_documents);
    writer_int(&w, "vocab_tokens", done->counts->n_tokens);
    writer_int(&w, "vocab_used", done->counts->n_used);
  }
  if (done->importance != NULL) {
    writer_int(&w, "calibration_tokens", done->importance->n_tokens);
    writer_open_array(&w, "layer_influence");
    for (int64_t l = 0; l < done->importance->n_layers; l++)
      writer_real(&w, NULL, done->importance->layers[l]);
    writer_close_array(&w);
  }
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

static void print_layers(const cli *c, const outcome *done) {
  text list = {0};
  for (int64_t i = 0; i < done->n; i++)
    text_putf(&list, "%s%lld", i > 0 ? " " : "", (long long)done->layers[i]);
  cli_note(c, "kept layers %s of %lld; %.1f of %.1f million parameters", text_get(&list),
           (long long)done->teacher->n_layers, (double)done->student->n_parameters / 1e6,
           (double)done->teacher->n_parameters / 1e6);
  text_free(&list);
}

static void print_widths(const cli *c, const outcome *done) {
  const lb_model_info *t = done->teacher, *s = done->student;
  const struct {
    const char *what;
    int64_t before, after;
  } widths[] = {{"channels", t->hidden_size, s->hidden_size},
                {"heads", t->n_heads, s->n_heads},
                {"key-value heads", t->n_kv_heads, s->n_kv_heads},
                {"neurons", t->intermediate_size, s->intermediate_size}};
  text list = {0};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    if (widths[i].after != widths[i].before)
      text_putf(&list, "%s%lld of %lld %s", list.size > 0 ? ", " : "", (long long)widths[i].after,
                (long long)widths[i].before, widths[i].what);
  if (list.size > 0) cli_note(c, "kept %s", text_get(&list));
  text_free(&list);
}

/* Blocks of GGUF's number formats are 32 numbers of a row. */
static void warn_of_blocks(const cli *c, const outcome *done) {
  const lb_model_info *t = done->teacher, *s = done->student;
  const struct {
    const char *what;
    int64_t before, after;
  } rows[] = {{"the hidden size", t->hidden_size, s->hidden_size},
              {"heads times head size", t->n_heads * t->head_dim, s->n_heads * s->head_dim},
              {"the intermediate size", t->intermediate_size, s->intermediate_size}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (rows[i].after % 32 != 0 && rows[i].after != rows[i].before)
      cli_note(c,
               "%s, %lld, is no multiple of 32: a quantised GGUF will keep those matrices as F16",
               rows[i].what, (long long)rows[i].after);
}

static int tell(cli *c, const shrink_args *args, const lb_shrink_options *o) {
  static outcome done; /* too large for a stack */
  const char *out = args->words.positional[1];
  lb_model *teacher = NULL, *student = NULL;
  lb_error err = {0};
  lb_status st = lb_model_open(&teacher, args->words.positional[0], NULL, &err);
  if (st == LB_OK) st = lb_model_open(&student, out, NULL, &err);
  if (st == LB_OK) {
    done.teacher = lb_model_get_info(teacher);
    done.student = lb_model_get_info(student);
    done.importance = o->importance;
    done.counts = o->vocabulary;
    st = lb_shrink_layers(done.layers, &done.n, o, done.teacher->n_layers, &err);
  }
  int code = st == LB_OK ? CLI_DONE : cli_error(c, &err);
  if (st == LB_OK) {
    if (c->global.json)
      print_json(out, &done);
    else
      printf("%s\n", out);
    print_layers(c, &done);
    print_widths(c, &done);
    vocabulary_tell(c, done.counts, done.teacher, done.student);
    warn_of_blocks(c, &done);
  }
  lb_model_free(student);
  lb_model_free(teacher);
  return code;
}

/* ---- the call ---- */

static bool cuts_width(const shrink_args *args) {
  return args->hidden > 0 || args->heads > 0 || args->kv_heads > 0 || args->ffn > 0;
}

static int check_layers(const cli *c, const shrink_args *args, layer_choice *choice) {
  static const char *const hint =
      "--layers 6 keeps six, evenly spread; --layers 0,2,4 or 0-5,11 these";
  *choice = (layer_choice){0};
  if (args->layers == NULL && args->layer_selection != LB_LAYERS_UNIFORM)
    return cli_usage(c, hint, "--layer-selection: want --layers, a number");
  if (args->layers == NULL) return CLI_DONE;
  if (!read_layers(choice, args->layers))
    return cli_usage(c, hint, "--layers '%s': want a number of layers or a list", args->layers);
  if (choice->count == 0 && args->layer_selection != LB_LAYERS_UNIFORM)
    return cli_usage(c, hint, "--layer-selection: --layers is a list already; want a number");
  return CLI_DONE;
}

static int check_calibration(const cli *c, const shrink_args *args) {
  bool by_influence = args->layer_selection == LB_LAYERS_INFLUENCE;
  bool by_activation = cuts_width(args) && args->selection == LB_WIDTH_ACTIVATION;
  bool cuts_vocabulary = args->vocabulary.from.n > 0 || args->vocabulary.size > 0;
  if (args->layers == NULL && !cuts_width(args) && !cuts_vocabulary)
    return cli_usage(c, "--layers 6 keeps six layers, --hidden 384 so many channels",
                     "want at least one of --layers, --hidden, --heads, --kv-heads, --ffn and "
                     "--vocab-from");
  if (args->calibration == NULL && (by_influence || by_activation))
    return cli_usage(c,
                     "a few hundred documents of the kind that the student is for; or choose "
                     "without: --layer-selection uniform, --selection random",
                     "%s: want --calibration FILE to measure on",
                     by_influence ? "--layer-selection influence" : "--selection activation");
  if (args->calibration != NULL && !by_influence && !cuts_width(args))
    return cli_usage(c, NULL,
                     "--calibration: nothing is chosen by it; leave it out, or add "
                     "--layer-selection influence or a width");
  return CLI_DONE;
}

static int run_shrink(cli *c, void *opaque) {
  const shrink_args *args = opaque;
  static layer_choice choice; /* too large for a stack */
  lb_importance *importance = NULL;
  lb_token_counts *counts = NULL;
  lb_error err = {0};
  int code = check_layers(c, args, &choice);
  if (code == CLI_DONE) code = check_calibration(c, args);
  if (code == CLI_DONE)
    code = vocabulary_count(&counts, c, &args->vocabulary, args->words.positional[0]);
  if (code == CLI_DONE && args->calibration != NULL)
    code = calibration_measure(&importance, c, args->words.positional[0], args->calibration,
                               args->calibration_tokens);
  if (code == CLI_DONE) {
    lb_shrink_options o = make_options(args, &choice);
    o.importance = importance;
    o.vocabulary = counts;
    o.vocab_size = args->vocabulary.size;
    code = shrink(c, args, &o, &err) == LB_OK ? tell(c, args, &o) : cli_error(c, &err);
  }
  lb_importance_free(importance);
  lb_token_counts_free(counts);
  return code;
}

const verb verb_shrink = {
    .name = "shrink",
    .summary = "a student made of its teacher's layers",
    .description =
        "Writes OUT, a folder that Transformers and `limbeck distill` load: copies of some of "
        "TEACHER's layers, renumbered, with its embeddings, head, tokenizer and settings; with "
        "--hidden, --heads, --kv-heads or --ffn, only some channels, heads and neurons of them. "
        "Such a student is worse than its teacher until it is trained, and then learns much faster "
        "than one that begins from nothing.\n\n"
        "A number of layers alone keeps so many, evenly spread: layer i of N is layer "
        "round(i * (L - 1) / (N - 1)) of L, so that of 12 layers 6 are 0 2 4 7 9 11, as in "
        "DistilBERT and DistilGPT-2. With --layer-selection influence, those are kept that turn "
        "the hidden state most: 1 - cos(before, after), the mean over the tokens of "
        "--calibration.\n\n"
        "Widths are cut by activations on the calibration text, as Minitron does: channels by what "
        "leaves the norms, heads by the norm of their output, neurons by what enters the down "
        "projection. Head size stays. Query heads that share a key-value head go with it, or each "
        "such group loses as many. Norms' gains make up for the mean square that changes with "
        "fewer channels. Keeping everything gives the teacher, bit for bit.\n\n"
        "--vocab-from trims the vocabulary to what a text uses; embedding and head, a fifth to two "
        "thirds of a small model, shrink with it. Kept are its tokens and those on the way to "
        "them, "
        "special tokens, and bytes or characters to write any other text with, under new ids in "
        "their order: that text gets the same tokens as before. vocab_map.json in OUT says which "
        "of the teacher's they are, and `limbeck distill` cuts the teacher to them.\n\n"
        "An existing OUT is left alone unless --overwrite is given. With --json: one object.",
    .positionals = {{.name = "TEACHER",
                     .help = "a Hugging Face folder, a .gguf file, or a hub name"},
                    {.name = "OUT", .help = "the folder to make"}},
    .options = shrink_options,
    .examples =
        {{"limbeck shrink ./gpt2 ./student --layers 6", "half the layers, evenly spread"},
         {"limbeck shrink model.gguf ./student --layers 0-3,8,11 --type bf16",
          "these, from a GGUF"},
         {"limbeck shrink ./big ./student --hidden 384 --ffn 1024 --calibration texts.jsonl",
          "all layers, narrower: what is most active on these texts stays"},
         {"limbeck shrink ./gemma-3-270m ./student --vocab-from texts/ --vocab-size 16000",
          "all layers, with the tokens that these texts use most"}},
    .args_size = sizeof(shrink_args),
    .run = run_shrink};
