/* verb_compare.c - `limbeck compare`: a student beside its teacher and beside a baseline, on
 * held-out documents. measures[] is the one list of what is told, for the table and for --json. */
#include "document_input.h"
#include "generation_options.h"
#include "json_writer.h"
#include "run_display.h"
#include "terminal.h"

#include <limbeck/comparison.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct compare_args {
  verb_args words;
  const char *models[LB_N_COMPARED];
  text_list data, prompts;
  const char *prompts_file;
  int64_t max_length, max_documents, max_new_tokens;
  precision_args precision;
} compare_args;

#define FIELD(field) offsetof(compare_args, field)
static const option compare_options[] = {
    {.name = "teacher",
     .kind = OPTION_TEXT,
     .offset = FIELD(models[LB_COMPARED_TEACHER]),
     .value = "MODEL",
     .help = "what the student learned from: a folder, a .gguf file or a name in the hub cache",
     .only_typed = true},
    {.name = "student",
     .aliases = "model",
     .kind = OPTION_TEXT,
     .offset = FIELD(models[LB_COMPARED_STUDENT]),
     .value = "MODEL",
     .help = "the model in question",
     .only_typed = true},
    {.name = "baseline",
     .kind = OPTION_TEXT,
     .offset = FIELD(models[LB_COMPARED_BASELINE]),
     .value = "MODEL",
     .help = "the same student without a teacher, or another one to beat",
     .only_typed = true},
    {.name = "data",
     .aliases = "input",
     .kind = OPTION_TEXTS,
     .offset = FIELD(data),
     .value = "FILE",
     .help =
         "documents that none of them was trained on: .jsonl, .json or .txt files, also .gz and "
         ".zst, and folders; may be repeated. Of conversations and prompts only what is learned "
         "counts",
     .only_typed = true},
    {.name = "prompt",
     .aliases = "p",
     .kind = OPTION_TEXTS,
     .offset = FIELD(prompts),
     .value = "TEXT",
     .help = "a text that each model continues, to be read side by side; may be repeated",
     .only_typed = true},
    {.name = "prompts",
     .kind = OPTION_TEXT,
     .offset = FIELD(prompts_file),
     .value = "FILE",
     .help =
         "more of them: a .txt file has one a line; any other, and - for standard input, one JSON "
         "object a line: {\"prompt\":...} or {\"text\":...}",
     .only_typed = true},
    {.name = "max-new-tokens",
     .aliases = "n",
     .kind = OPTION_INT,
     .offset = FIELD(max_new_tokens),
     .value = "N",
     .range = ">= 1",
     .fallback = "50",
     .help = "of each answer"},
    {.name = "max-length",
     .kind = OPTION_INT,
     .offset = FIELD(max_length),
     .value = "N",
     .range = ">= 2",
     .fallback = "1024",
     .help = "tokens of a document; longer ones, and those longer than a context, lose their end"},
    {.name = "max-documents",
     .kind = OPTION_INT,
     .offset = FIELD(max_documents),
     .value = "N",
     .range = ">= 0",
     .fallback = "0",
     .help = "read no more than so many; 0: all"},
    PRECISION_OPTIONS(FIELD(precision), "f32"),
    {0}};

/* ---- what is told ---- */

typedef enum measure_kind { PLAIN, SHARE, COUNT, BYTES, RATE } measure_kind;
static const struct measure {
  const char *key, *label;
  measure_kind kind;
  size_t offset;
  int better; /* -1: less is better, 1: more is, 0: neither */
} measures[] = {
    {"perplexity", "perplexity", PLAIN, offsetof(lb_compared, perplexity), -1},
    {"forward_kl", "KL(teacher || it), nats", PLAIN, offsetof(lb_compared, forward_kl), -1},
    {"forward_kl_error", "  standard error", PLAIN, offsetof(lb_compared, forward_kl_error), 0},
    {"reverse_kl", "KL(it || teacher), nats", PLAIN, offsetof(lb_compared, reverse_kl), -1},
    {"reverse_kl_error", "  standard error", PLAIN, offsetof(lb_compared, reverse_kl_error), 0},
    {"agreement", "same best token as the teacher", SHARE, offsetof(lb_compared, agreement), 1},
    {"accuracy", "best token is the text's", SHARE, offsetof(lb_compared, accuracy), 1},
    {"calibration_error", "calibration error", SHARE, offsetof(lb_compared, calibration_error), -1},
    {"parameters", "parameters", COUNT, offsetof(lb_compared, parameters), 0},
    {"size_bytes", "size", BYTES, offsetof(lb_compared, size_bytes), 0},
    {"read_tokens_per_second", "reads, tokens/s", RATE, offsetof(lb_compared, read_rate), 0},
    {"write_tokens_per_second", "writes, tokens/s", RATE, offsetof(lb_compared, write_rate), 0},
};
enum { N_MEASURES = sizeof measures / sizeof *measures };

static const void *value_of(const lb_compared *m, const struct measure *of) {
  return (const char *)m + of->offset;
}
static double real_of(const lb_compared *m, const struct measure *of) {
  return *(const double *)value_of(m, of);
}

static bool is_real(const struct measure *of) {
  return of->kind == PLAIN || of->kind == SHARE || of->kind == RATE;
}

static void put_value(text *cell, const lb_compared *m, const struct measure *of) {
  if (is_real(of) && !isfinite(real_of(m, of)))
    text_putf(cell, "-");
  else if (of->kind == PLAIN)
    text_putf(cell, "%.4g", real_of(m, of));
  else if (of->kind == SHARE)
    text_putf(cell, "%.1f %%", 100 * real_of(m, of));
  else if (of->kind == RATE)
    format_thousands(cell, real_of(m, of));
  else if (of->kind == COUNT)
    format_count(cell, *(const int64_t *)value_of(m, of));
  else
    format_bytes(cell, *(const uint64_t *)value_of(m, of));
}

/* Without a teacher there is nothing to say of it. */
static bool is_measured(const lb_model_comparison *found, const struct measure *of) {
  for (int r = 0; r < LB_N_COMPARED; r++)
    if (found->models[r].is_there && (!is_real(of) || isfinite(real_of(&found->models[r], of))))
      return true;
  return false;
}

/* Chance alone exceeds twice the standard error once in twenty. */
static bool is_told_apart(double gain, double error) {
  return fabs(gain) > 0 && fabs(gain) >= 2 * error;
}

/* Whether student and baseline differ in this measure by more than chance, where that is known. */
static bool may_differ(const lb_model_comparison *f, const struct measure *of) {
  if (of->offset == offsetof(lb_compared, perplexity)) return is_told_apart(f->gain, f->gain_error);
  if (of->offset == offsetof(lb_compared, forward_kl))
    return is_told_apart(f->forward_kl_gain, f->forward_kl_gain_error);
  if (of->offset == offsetof(lb_compared, reverse_kl))
    return is_told_apart(f->reverse_kl_gain, f->reverse_kl_gain_error);
  return true;
}

/* Which of student and baseline is better by this measure: its role, or -1. */
static int winner(const lb_model_comparison *found, const struct measure *of) {
  const lb_compared *student = &found->models[LB_COMPARED_STUDENT],
                    *baseline = &found->models[LB_COMPARED_BASELINE];
  if (of->better == 0 || !student->is_there || !baseline->is_there) return -1;
  if (!may_differ(found, of)) return -1;
  double gain = of->better * (real_of(student, of) - real_of(baseline, of));
  return gain > 0 ? LB_COMPARED_STUDENT : gain < 0 ? LB_COMPARED_BASELINE : -1;
}

static void print_measures(const cli *c, const lb_model_comparison *found) {
  table t = {.header = {""}};
  size_t column = 1;
  for (int r = 0; r < LB_N_COMPARED; r++)
    if (found->models[r].is_there) t.header[column++] = lb_compared_role_name((lb_compared_role)r);
  t.align = column == 1 + LB_N_COMPARED ? "lrrr" : "lrr"; /* a student is never alone */
  for (size_t i = 0; i < N_MEASURES; i++) {
    if (!is_measured(found, &measures[i])) continue;
    table_add(&t, "%s", measures[i].label);
    for (int r = 0; r < LB_N_COMPARED; r++) {
      if (!found->models[r].is_there) continue;
      text cell = {0};
      put_value(&cell, &found->models[r], &measures[i]);
      table_add(&t, "%s", text_get(&cell));
      if (r == winner(found, &measures[i])) table_emphasize(&t);
      text_free(&cell);
    }
  }
  table_print(&t, c, stdout);
  table_free(&t);
}

/* By how many percent a difference of logarithms lowers the perplexity. */
static double percent(double gain) {
  return 100 * (1 - exp(-gain));
}

static void print_gain(const lb_model_comparison *found) {
  double gain = fabs(found->gain), error = 2 * found->gain_error;
  if (!isfinite(gain) || !isfinite(error)) return;
  if (!is_told_apart(found->gain, found->gain_error))
    printf("\nstudent and baseline cannot be told apart: perplexities are %.1f %% apart, other "
           "documents "
           "change that by %.1f %%\n",
           percent(gain), percent(error));
  else
    printf("\nthe %s has the lower perplexity, by %.1f %% (%.1f to %.1f %% with other documents)\n",
           found->gain > 0 ? "student" : "baseline", percent(gain), percent(gain - error),
           percent(gain + error));
}

static void print_kl_gain(const lb_model_comparison *found) {
  double gain = fabs(found->forward_kl_gain), error = 2 * found->forward_kl_gain_error;
  if (!isfinite(gain) || !isfinite(error)) return;
  if (!is_told_apart(found->forward_kl_gain, found->forward_kl_gain_error))
    printf(
        "neither is nearer to the teacher: KL(teacher || it) is %.2g nats apart, other documents "
        "change that by %.2g\n",
        gain, error);
  else
    printf("the %s is nearer to the teacher, by %.3g nats (%.3g to %.3g with other documents)\n",
           found->forward_kl_gain > 0 ? "student" : "baseline", gain, gain - error, gain + error);
}

static void print_answers(const cli *c, const compare_args *args,
                          const lb_model_comparison *found) {
  const char *bold = terminal_bold(c, stdout), *plain = terminal_plain(c, stdout);
  for (size_t i = 0; i < args->prompts.n; i++) {
    printf("\n%sprompt%s    ", bold, plain);
    terminal_print_text(stdout, c->out_is_terminal, args->prompts.items[i],
                        strlen(args->prompts.items[i]));
    for (int r = 0; r < LB_N_COMPARED; r++) {
      const lb_compared *m = &found->models[r];
      if (!m->is_there) continue;
      printf("\n%s%-9s%s ", bold, lb_compared_role_name((lb_compared_role)r), plain);
      terminal_print_text(stdout, c->out_is_terminal, m->answers[i], strlen(m->answers[i]));
    }
    putchar('\n');
  }
}

static void print_text(const cli *c, const compare_args *args, const lb_model_comparison *found) {
  print_measures(c, found);
  printf("\n%lld documents, %lld tokens, %lld of them predicted", (long long)found->documents,
         (long long)found->tokens, (long long)found->measured);
  if (found->cut > 0) printf("; %lld documents lost their end", (long long)found->cut);
  putchar('\n');
  print_gain(found);
  print_kl_gain(found);
  print_answers(c, args, found);
}

/* ---- for programs ---- */

static void write_model(writer *w, const compare_args *args, const lb_compared *m, const char *role,
                        const char *path) {
  writer_open_object(w, role);
  writer_string(w, "model", path);
  for (size_t i = 0; i < N_MEASURES; i++) {
    const struct measure *of = &measures[i];
    if (of->kind == COUNT)
      writer_int(w, of->key, *(const int64_t *)value_of(m, of));
    else if (of->kind == BYTES)
      writer_uint(w, of->key, *(const uint64_t *)value_of(m, of));
    else
      writer_real(w, of->key, real_of(m, of));
  }
  writer_open_array(w, "answers");
  for (size_t i = 0; i < args->prompts.n; i++) writer_string(w, NULL, m->answers[i]);
  writer_close_array(w);
  writer_close_object(w);
}

static void print_json(const compare_args *args, const lb_model_comparison *found) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_int(&w, "documents", found->documents);
  writer_int(&w, "tokens", found->tokens);
  writer_int(&w, "measured_tokens", found->measured);
  writer_int(&w, "cut_documents", found->cut);
  writer_open_array(&w, "prompts");
  for (size_t i = 0; i < args->prompts.n; i++) writer_string(&w, NULL, args->prompts.items[i]);
  writer_close_array(&w);
  for (int r = 0; r < LB_N_COMPARED; r++)
    if (found->models[r].is_there)
      write_model(&w, args, &found->models[r], lb_compared_role_name((lb_compared_role)r),
                  args->models[r]);
  writer_real(&w, "log_perplexity_gain", found->gain);
  writer_real(&w, "log_perplexity_gain_error", found->gain_error);
  writer_real(&w, "forward_kl_gain", found->forward_kl_gain);
  writer_real(&w, "forward_kl_gain_error", found->forward_kl_gain_error);
  writer_real(&w, "reverse_kl_gain", found->reverse_kl_gain);
  writer_real(&w, "reverse_kl_gain_error", found->reverse_kl_gain_error);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

/* ---- prompts from a file ---- */

static void add_prompt(text_list *prompts, const char *bytes, size_t size) {
  prompts->items = cli_resize(prompts->items, (prompts->n + 1) * sizeof *prompts->items);
  prompts->items[prompts->n++] = cli_copy(bytes, size);
}

/* The first byte that is not of UTF-8; size: all are. */
static size_t first_bad_byte(const char *bytes, size_t size) {
  int32_t c = 0;
  size_t at = 0;
  while (at < size) {
    size_t n = text_character(&c, bytes + at, size - at);
    if (c < 0) break;
    at += n;
  }
  return at;
}

/* The line is the prompt. @return false after telling why */
static bool take_line(text_list *prompts, const line_input *in) {
  const char *bytes = in->line.data;
  size_t size = in->line.size, bad = first_bad_byte(bytes, size);
  if (size > 0 && bytes[size - 1] == '\r') size--; /* a line's end, in some editors */
  if (memchr(bytes, '\0', size) != NULL)
    return line_input_failure(in, "want text, found a NUL character"), false;
  if (bad < size)
    return line_input_failure(in, "want UTF-8, found another byte at column %zu", bad + 1), false;
  add_prompt(prompts, bytes, size);
  return true;
}

static const char *kind_of(const json_t *value) {
  switch (json_typeof(value)) {
  case JSON_OBJECT: return "an object";
  case JSON_ARRAY: return "a list";
  case JSON_STRING: return "a string";
  case JSON_INTEGER:
  case JSON_REAL: return "a number";
  case JSON_TRUE:
  case JSON_FALSE: return "true or false";
  default: return "null";
  }
}

/* @return false after telling why */
static bool take_object(text_list *prompts, const line_input *in) {
  json_t *object = line_input_object(in);
  if (object == NULL) return false;
  const json_t *prompt = json_object_get(object, "prompt");
  const char *key = prompt != NULL ? "prompt" : "text";
  if (prompt == NULL) prompt = json_object_get(object, "text");
  const char *bytes = json_string_value(prompt);
  bool ok = bytes != NULL && strlen(bytes) == json_string_length(prompt);
  if (ok)
    add_prompt(prompts, bytes, strlen(bytes));
  else if (prompt == NULL)
    line_input_failure(in, "want {\"prompt\": \"...\"} or {\"text\": \"...\"}, found neither");
  else if (bytes == NULL)
    line_input_failure(in, "%s: want a string, found %s", key, kind_of(prompt));
  else
    line_input_failure(in, "%s: want text, found a NUL character", key);
  json_decref(object);
  return ok;
}

static bool is_plain_text(const char *path) {
  size_t n = strlen(path);
  return n >= 4 && strcmp(path + n - 4, ".txt") == 0;
}

static int read_prompts(text_list *prompts, const cli *c, const char *path) {
  line_input in;
  line_result result = LINE_READ;
  bool ok = true;
  size_t before = prompts->n;
  if (path == NULL) return CLI_DONE;
  if (!line_input_open(&in, c, path)) return CLI_FAILED;
  while (ok && !cli_cancelled && (result = line_input_next(&in)) == LINE_READ)
    ok = is_plain_text(path) ? take_line(prompts, &in) : take_object(prompts, &in);
  if (ok && !cli_cancelled && result == LINE_END && prompts->n == before)
    ok = cli_failure(c, NULL, "%s: want a prompt a line, found none", in.name) == CLI_DONE;
  line_input_close(&in);
  if (cli_cancelled) return CLI_INTERRUPTED;
  return ok && result != LINE_BAD ? CLI_DONE : CLI_FAILED;
}

/* ---- the verb ---- */

static void show_phase(void *ctx, const char *what, uint64_t done, uint64_t total) {
  progress_show(ctx, (size_t)done, (size_t)total, what);
}

static int compare(cli *c, const compare_args *args) {
  progress bar = {.c = c, .title = "compare"};
  lb_compare_options o = lb_compare_options_default();
  lb_model_comparison *found;
  lb_error err = {0};
  for (size_t r = 0; r < LB_N_COMPARED; r++) o.models[r] = args->models[r];
  o.data = args->data.items;
  o.n_data = args->data.n;
  o.prompts = args->prompts.items;
  o.n_prompts = args->prompts.n;
  o.max_length = args->max_length;
  o.max_documents = args->max_documents;
  o.max_new_tokens = args->max_new_tokens;
  o.on_phase = show_phase;
  o.on_phase_ctx = &bar;
  o.cancel = &cli_cancelled;
  lb_status st = generation_model_options(&o.how, c, &args->precision, &err);
  if (st == LB_OK) st = lb_compare(&found, &o, &err);
  progress_end(&bar);
  if (st != LB_OK) return cli_error(c, &err);
  if (c->global.json)
    print_json(args, found);
  else
    print_text(c, args, found);
  lb_model_comparison_free(found);
  return CLI_DONE;
}

static int run_compare(cli *c, void *opaque) {
  compare_args *args = opaque;
  size_t n_typed = args->prompts.n; /* these are the command line's, the others ours */
  if (args->models[LB_COMPARED_STUDENT] == NULL || args->data.n == 0)
    return cli_usage(c, "limbeck compare --teacher T --student S --data held-out.jsonl", "want %s",
                     args->data.n == 0 ? "--data" : "--student");
  int code = read_prompts(&args->prompts, c, args->prompts_file);
  if (code == CLI_DONE) code = compare(c, args);
  while (args->prompts.n > n_typed) free((char *)args->prompts.items[--args->prompts.n]);
  return code;
}

const verb verb_compare = {
    .name = "compare",
    .summary = "a student beside its teacher and a baseline",
    .description =
        "Reads documents with each model and tells how surprised it is (perplexity), how far its "
        "predictions are from the teacher's (KL both ways, how often the best token is the same), "
        "how "
        "often its best token is the text's, and whether its probabilities mean what they say "
        "(calibration error: the mean difference between the probability of its best token and how "
        "often that is right, in 15 bins); size and speed; and its answers to prompts.\n\n"
        "Each KL comes with its standard error over documents, and with a baseline so do the "
        "differences of the perplexities and of the KL; one below twice its error is not told as a "
        "difference. With --json: one object.",
    .options = compare_options,
    .examples = {{"limbeck compare --teacher gpt2-medium --student distilled --data held-out.jsonl",
                  "how much of the teacher it has"},
                 {"limbeck compare --teacher T --student S --baseline B --data texts -p \"Once\"",
                  "was the teacher worth it, and how do they write"}},
    .args_size = sizeof(compare_args),
    .run = run_compare};
