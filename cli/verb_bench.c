/* verb_bench.c - `limbeck bench`: how fast this machine runs a model. One warm-up, then repeats;
 * the median is the result, and the spread tells how much to trust it. */
#include "verb_bench_ops.h"
#include "verb_bench_step.h"
#include "generation_options.h"
#include "json_writer.h"
#include "recipe_options.h"
#include "terminal.h"
#include "text_side.h"

#include <limbeck/bench.h>
#include <limbeck/environment.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct bench_args {
  verb_args words;
  int64_t tokens, batch, repeat;
  const char *input, *op;
  bool csv;
  precision_args precision;
} bench_args;

#define FIELD(field) offsetof(bench_args, field)
static const option bench_options[] = {
    {.name = "tokens",
     .kind = OPTION_INT,
     .offset = FIELD(tokens),
     .value = "N",
     .range = "1..1048576",
     .help = "tokens of the prompt (default: 512) or new tokens (default: 64)"},
    {.name = "batch",
     .kind = OPTION_INT,
     .offset = FIELD(batch),
     .value = "N",
     .range = "1..4096",
     .fallback = "1",
     .help = "prompts at the same time"},
    {.name = "repeat",
     .kind = OPTION_INT,
     .offset = FIELD(repeat),
     .value = "N",
     .range = "1..1000",
     .fallback = "5",
     .help = "measurements after the warm-up"},
    {.name = "input",
     .kind = OPTION_TEXT,
     .offset = FIELD(input),
     .value = "FILE",
     .help = "tokenize: the text to tokenize, in pieces of 2 kB; else a built-in one"},
    {.name = "op",
     .kind = OPTION_TEXT,
     .offset = FIELD(op),
     .value = "NAME",
     .help = "ops: only this one"},
    {.name = "csv",
     .kind = OPTION_FLAG,
     .offset = FIELD(csv),
     .help = "print comma-separated values"},
    PRECISION_OPTIONS(FIELD(precision), "auto"),
    {0}};

typedef struct bench bench_run;

/* One thing that can be measured. */
typedef struct bench_job {
  const char *name;
  int64_t default_tokens;
  bool needs_model;
  /* Does it once. *ns is the time, *tokens how many tokens it took. */
  lb_status (*run_once)(bench_run *b, int64_t *ns, int64_t *tokens, lb_error *err);
} bench_job;

/* What a measurement reached beside what the machine can do. */
typedef struct share {
  double reached, peak;  /* GFLOP/s of products, or GB/s of weights read; 0: not known */
  const char *unit, *of; /* "GFLOP/s", "oneDNN u8s8" */
} share;

struct bench {
  cli *c;
  const bench_args *args;
  const bench_job *job;
  const char *path;
  lb_model *model;
  lb_precision precision; /* that it really computes in */
  text_side side;
  text corpus;
  int64_t tokens;                 /* asked for */
  double median, lowest, highest; /* seconds */
  double counted;                 /* tokens of one measurement */
  share of_machine;
  uint64_t memory; /* most that was resident */
};

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- the jobs ---- */

/* Ids that jump about the vocabulary: what they are does not matter to the time. */
static id_list made_up_ids(const lb_model *model, size_t n, uint64_t seed) {
  id_list list = {cli_alloc(n * sizeof(int32_t)), n};
  uint64_t size = (uint64_t)lb_model_get_info(model)->vocab_size;
  for (size_t i = 0; i < n; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    list.ids[i] = (int32_t)((seed >> 33) % size);
  }
  return list;
}

static lb_status generate_once(bench_run *b, size_t prompt_tokens, int64_t new_tokens,
                               lb_generation_times *times, lb_error *err) {
  lb_generate_options o = lb_generate_options_default();
  size_t n = (size_t)b->args->batch;
  lb_prompt *prompts = cli_alloc(n * sizeof *prompts);
  id_list *lists = cli_alloc(n * sizeof *lists);
  lb_generation *g;
  o.max_new_tokens = new_tokens;
  o.ignore_eos = true;
  o.cancel = &cli_cancelled;
  for (size_t i = 0; i < n; i++) {
    lists[i] = made_up_ids(b->model, prompt_tokens, i + 1);
    prompts[i] = (lb_prompt){lists[i].ids, lists[i].n};
  }
  lb_status st = lb_generate(&g, b->model, NULL, prompts, n, &o, err);
  if (st == LB_OK) *times = lb_generation_get_times(g);
  lb_generation_free(g);
  for (size_t i = 0; i < n; i++) free(lists[i].ids);
  free(lists);
  free(prompts);
  return st;
}

static lb_status prompt_once(bench_run *b, int64_t *ns, int64_t *tokens, lb_error *err) {
  lb_generation_times times = {0};
  lb_status st = generate_once(b, (size_t)b->tokens, 1, &times, err);
  *ns = times.prompt_ns;
  *tokens = times.prompt_tokens;
  return st;
}

static lb_status new_tokens_once(bench_run *b, int64_t *ns, int64_t *tokens, lb_error *err) {
  enum { SHORT_PROMPT = 8 };
  lb_generation_times times = {0};
  lb_status st = generate_once(b, SHORT_PROMPT, b->tokens, &times, err);
  *ns = times.generate_ns;
  *tokens = times.new_tokens;
  return st;
}

/* The longest piece up to 2 kB that does not cut a character. */
static size_t piece_size(const text *corpus, size_t at) {
  enum { PIECE = 2048 };
  if (corpus->size - at <= PIECE) return corpus->size - at;
  size_t n = PIECE;
  while (n > 0 && ((unsigned char)corpus->data[at + n] & 0xc0) == 0x80) n--;
  return n == 0 ? PIECE : n;
}

static lb_status tokenize_once(bench_run *b, int64_t *ns, int64_t *tokens, lb_error *err) {
  lb_status st = LB_OK;
  int64_t start = now_ns();
  *tokens = 0;
  for (size_t at = 0; st == LB_OK && at < b->corpus.size && !cli_cancelled;) {
    size_t size = piece_size(&b->corpus, at), n = 0;
    int32_t *ids = NULL;
    st = lb_tokenizer_encode(b->side.tokenizer, b->corpus.data + at, size, NULL, &ids, &n, err);
    if (st == LB_OK) lb_ids_free(ids);
    *tokens += (int64_t)n;
    at += size;
  }
  *ns = now_ns() - start;
  return st;
}

static lb_status open_model(bench_run *b, lb_error *err) {
  lb_status st = generation_open_model(&b->model, b->c, b->path, &b->args->precision, err);
  if (st == LB_OK) b->precision = lb_model_get_info(b->model)->precision;
  return st;
}

/* From nothing to the first new token: model, tokenizer, one short prompt. */
static lb_status load_once(bench_run *b, int64_t *ns, int64_t *tokens, lb_error *err) {
  lb_generation_times times;
  int64_t start = now_ns();
  lb_status st = open_model(b, err);
  if (st == LB_OK) st = text_side_open(&b->side, lb_model_get_info(b->model)->path, err);
  if (st == LB_OK) st = generate_once(b, 1, 1, &times, err);
  *ns = now_ns() - start;
  *tokens = 1;
  text_side_close(&b->side);
  lb_model_free(b->model);
  b->model = NULL;
  return st;
}

static const bench_job jobs[] = {
    {"prompt", 512, true, prompt_once},
    {"generate", 64, true, new_tokens_once},
    {"tokenize", 0, false, tokenize_once},
    {"load", 1, false, load_once},
};

/* ---- measuring ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static lb_status measure(bench_run *b, lb_error *err) {
  size_t n = (size_t)b->args->repeat;
  double *seconds = cli_alloc(n * sizeof *seconds);
  int64_t ns = 0, tokens = 0;
  lb_status st = b->job->run_once(b, &ns, &tokens, err); /* warm-up */
  for (size_t i = 0; st == LB_OK && i < n && !cli_cancelled; i++) {
    st = b->job->run_once(b, &ns, &tokens, err);
    seconds[i] = (double)ns / 1e9;
  }
  qsort(seconds, n, sizeof *seconds, by_value);
  b->lowest = seconds[0];
  b->highest = seconds[n - 1];
  b->median = n % 2 == 1 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2;
  b->counted = (double)tokens;
  free(seconds);
  return st;
}

/* ---- beside what the machine can do ---- */

/* What a job's time should go to. Reading: a multiplication and an addition for each weight of the
 * layers and each token (attention is not counted). Writing: the weights, once for each step. */
static double needed_per_second(const bench_run *b, bool reads_weights) {
  const lb_model_info *i = lb_model_get_info(b->model);
  double tables = (double)i->vocab_size * (double)i->hidden_size;
  double weights = (double)i->n_parameters - tables * (i->tied ? 1.0 : 2.0);
  double tokens_per_second = b->counted / b->median;
  if (!reads_weights) return 2.0 * weights * tokens_per_second / 1e9;
  double bytes = i->precision == LB_PRECISION_INT8 ? weights + tables : (double)i->weight_bytes;
  return bytes * tokens_per_second / (double)b->args->batch / 1e9;
}

/* Measures the machine, half a second; what cannot be measured stays unknown. */
static void find_share(bench_run *b) {
  bool reads_weights = b->job->run_once == new_tokens_once;
  if (!reads_weights && b->job->run_once != prompt_once) return;
  static const char *const kernels[] = {[LB_PRECISION_F32] = "oneDNN sgemm",
                                        [LB_PRECISION_BF16] = "oneDNN bf16",
                                        [LB_PRECISION_INT8] = "oneDNN u8s8",
                                        [LB_PRECISION_STORED] = "oneDNN u8s8"};
  lb_bench_options options = {.op = "machine"};
  lb_bench_result *all;
  size_t n;
  b->of_machine.of = reads_weights ? "memory read" : kernels[b->precision];
  b->of_machine.unit = reads_weights ? "GB/s" : "GFLOP/s";
  if (lb_bench_ops(&all, &n, &options, NULL) != LB_OK) return;
  for (size_t k = 0; k < n; k++)
    if (strcmp(all[k].kernel, b->of_machine.of) == 0)
      b->of_machine.peak = reads_weights ? all[k].gbyte_per_s : all[k].gflop_per_s;
  b->of_machine.reached = needed_per_second(b, reads_weights);
  lb_bench_results_free(all);
}

/* ---- the corpus of `tokenize` ---- */

static const char built_in_text[] =
    "The still stands in the cellar. A mash of grain goes in at the bottom, and what comes over "
    "the "
    "arm is clear, strong and a tenth of the volume.\n\n"
    "int distil(const char *mash, size_t n) {\n  size_t kept = 0;\n"
    "  for (size_t i = 0; i < n; i++)\n    if (mash[i] != ' ') kept += (size_t)(mash[i] & 0x0f);\n"
    "  return (int)(kept / 10); /* 10 to 1 */\n}\n\n"
    "In 1829 it took 3.5 hours; today's takes 47 minutes, doesn't it?\n\n";

static int read_corpus(bench_run *b) {
  enum { BUILT_IN_BYTES = 4 << 20 };
  if (b->args->input == NULL) {
    while (b->corpus.size < BUILT_IN_BYTES)
      text_add(&b->corpus, built_in_text, sizeof built_in_text - 1);
    return CLI_DONE;
  }
  char block[65536];
  size_t n;
  FILE *file = fopen(b->args->input, "rb");
  if (file == NULL) return cli_failure(b->c, NULL, "%s: cannot be opened", b->args->input);
  while ((n = fread(block, 1, sizeof block, file)) > 0) text_add(&b->corpus, block, n);
  bool bad = ferror(file) != 0;
  fclose(file);
  if (bad) return cli_failure(b->c, NULL, "%s: cannot be read", b->args->input);
  if (b->corpus.size == 0) return cli_usage(b->c, NULL, "--input: %s is empty", b->args->input);
  return CLI_DONE;
}

/* ---- results ---- */

static const char *precision_name(const bench_run *b) {
  if (b->job->run_once == tokenize_once) return NULL;
  return lb_precision_name(b->precision);
}

static void print_json(const bench_run *b) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "bench", b->job->name);
  writer_string(&w, "model", b->path);
  writer_real(&w, "tokens_per_second", b->counted / b->median);
  writer_uint(&w, "peak_memory_bytes", b->memory);
  writer_string(&w, "precision", precision_name(b));
  writer_int(&w, "threads", lb_threads_get());
  writer_int(&w, "tokens", (int64_t)b->counted);
  writer_int(&w, "batch", b->args->batch);
  writer_int(&w, "repeats", b->args->repeat);
  writer_real(&w, "median", b->median);
  writer_real(&w, "spread", (b->highest - b->lowest) / b->median);
  if (b->of_machine.peak > 0.0) {
    writer_real(&w, "share_of_peak", b->of_machine.reached / b->of_machine.peak);
    writer_string(&w, "peak_of", b->of_machine.of);
    writer_real(&w, b->job->run_once == new_tokens_once ? "peak_gbytes_per_second" : "peak_gflops",
                b->of_machine.peak);
  }
  if (b->corpus.size > 0) writer_real(&w, "bytes_per_second", (double)b->corpus.size / b->median);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

static void print_csv(const bench_run *b) {
  puts("bench,tokens,batch,threads,precision,repeats,median_s,spread,tokens_per_second,peak_memory_"
       "bytes,share_of_peak");
  const char *precision = precision_name(b);
  printf("%s,%.0f,%lld,%d,%s,%lld,%.6g,%.4f,%.6g,%llu,", b->job->name, b->counted,
         (long long)b->args->batch, lb_threads_get(), precision == NULL ? "" : precision,
         (long long)b->args->repeat, b->median, (b->highest - b->lowest) / b->median,
         b->counted / b->median, (unsigned long long)b->memory);
  if (b->of_machine.peak > 0.0) printf("%.4f", b->of_machine.reached / b->of_machine.peak);
  putchar('\n');
}

static void print_table(const bench_run *b) {
  table t = {
      .header = {"bench", "tokens", "threads", "median", "spread", "tokens/s", "peak memory"},
      .align = "lrrrrrr"};
  text memory = {0};
  format_bytes(&memory, b->memory);
  table_add(&t, "%s", b->job->name);
  table_add(&t, "%.0f", b->counted);
  table_add(&t, "%d", lb_threads_get());
  table_add(&t, "%.4g s", b->median);
  table_add(&t, "%.1f %%", 100 * (b->highest - b->lowest) / b->median);
  table_add(&t, "%.1f", b->counted / b->median);
  table_add(&t, "%s", text_get(&memory));
  table_print(&t, b->c, stdout);
  if (b->of_machine.peak > 0.0)
    printf("\n%.4g %s, %.0f %% of the %.4g that this machine reaches (%s)\n", b->of_machine.reached,
           b->of_machine.unit, 100 * b->of_machine.reached / b->of_machine.peak, b->of_machine.peak,
           b->of_machine.of);
  if (b->corpus.size > 0) printf("\n%.2f MB/s of text\n", (double)b->corpus.size / b->median / 1e6);
  text_free(&memory);
  table_free(&t);
}

static lb_status open_needed(bench_run *b, lb_error *err) {
  if (b->job->needs_model) return open_model(b, err);
  if (b->job->run_once == tokenize_once) return text_side_open(&b->side, b->path, err);
  return LB_OK;
}

static int run_bench(cli *c, void *opaque) {
  const bench_args *args = opaque;
  bench_run b = {.c = c, .args = args, .path = args->words.positional[1]};
  if (strcmp(args->words.positional[0], "step") == 0)
    return bench_step(c, b.path, args->repeat, args->csv);
  if (c->extra.n_typed > 0)
    return cli_usage(c, "limbeck bench step RECIPE takes them", "only step knows a recipe's keys");
  if (strcmp(args->words.positional[0], "ops") == 0) return bench_ops(c, args->op, args->csv);
  if (b.path == NULL) return cli_usage(c, "limbeck bench prompt MODEL", "MODEL is missing");
  lb_error err = {0};
  for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++)
    if (strcmp(jobs[i].name, args->words.positional[0]) == 0) b.job = &jobs[i];
  b.tokens = args->tokens > 0 ? args->tokens : b.job->default_tokens;
  int code = b.job->run_once == tokenize_once ? read_corpus(&b) : CLI_DONE;
  if (code == CLI_DONE && (open_needed(&b, &err) != LB_OK || measure(&b, &err) != LB_OK))
    code = cli_error(c, &err);
  if (code == CLI_DONE && cli_cancelled) code = CLI_INTERRUPTED;
  b.memory = lb_memory_peak(); /* before the machine itself is measured, which takes some */
  if (code == CLI_DONE) find_share(&b);
  if (code == CLI_DONE && c->global.json)
    print_json(&b);
  else if (code == CLI_DONE && args->csv)
    print_csv(&b);
  else if (code == CLI_DONE)
    print_table(&b);
  text_free(&b.corpus);
  text_side_close(&b.side);
  lb_model_free(b.model);
  return code;
}

const verb verb_bench = {
    .name = "bench",
    .summary = "how fast this machine runs a model",
    .description =
        "Measures single operations on shapes of real models (ops), reading a prompt, making new "
        "tokens, tokenizing, loading up to the first token, or the training steps of a recipe "
        "(step). "
        "After a warm-up it repeats and reports the median time and the spread, (slowest - "
        "fastest) / "
        "median.\n\n"
        "step trains as distill would, and keeps nothing. Its table says where the time goes, and "
        "how "
        "much of a step its matrix products would need at the peak that this machine reaches in "
        "the "
        "precision each computes in.\n\n"
        "With --json: one object with tokens_per_second, peak_memory_bytes, precision, threads, "
        "median (seconds) and spread; and share_of_peak: the products of a prompt beside oneDNN's "
        "alone, the weights that new tokens read beside the speed of memory.",
    .positionals =
        {{.name = "WHAT",
          .help = "ops, prompt, generate, tokenize, load or step",
          .choices = "ops|prompt|generate|tokenize|load|step"},
         {.name = "MODEL",
          .help = "a Hugging Face folder, a .gguf file, or a hub name; step: a recipe, whose keys "
                  "may follow; ops needs none",
          .optional = true}},
    .options = bench_options,
    .examples = {{"limbeck bench ops --csv > ops.csv", "every operation, beside its reference"},
                 {"limbeck bench prompt model.gguf --tokens 512", "reading a prompt"},
                 {"limbeck bench generate model.gguf --tokens 64 --batch 16", "16 texts at once"},
                 {"limbeck bench tokenize tokenizer.json --input book.txt", "tokens per second"},
                 {"limbeck bench step recipe.yaml max_length=1024", "where training time goes"}},
    .args_size = sizeof(bench_args),
    .extra_key = recipe_extra_key,
    .run = run_bench};
