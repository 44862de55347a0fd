/* verb_score.c - `limbeck score`: what a model thinks of given tokens. */
#include "document_input.h"
#include "generation_options.h"
#include "json_writer.h"
#include "precision_view.h"
#include "terminal.h"

#include <limbeck/score.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Documents run together until they have this many tokens: enough to keep the kernels busy. */
enum { GROUP_TOKENS = 1024, GROUP_DOCUMENTS = 64 };

typedef struct score_args {
  verb_args words;
  const char *input, *words_text;
  int64_t top;
  bool no_special, compare_precision;
  precision_args precision;
} score_args;

#define FIELD(field) offsetof(score_args, field)
static const option score_options[] = {
    {.name = "input",
     .kind = OPTION_TEXT,
     .offset = FIELD(input),
     .value = "FILE",
     .help = "documents as JSON Lines, {\"text\":...} or {\"ids\":[...]}; - is standard input, and "
             "the default"},
    {.name = "text",
     .kind = OPTION_TEXT,
     .offset = FIELD(words_text),
     .value = "TEXT",
     .help = "score this text; without --json, token by token"},
    {.name = "top",
     .aliases = "top-k",
     .kind = OPTION_INT,
     .offset = FIELD(top),
     .value = "K",
     .range = "0..1024",
     .fallback = "0",
     .help = "report the K most likely tokens per position"},
    {.name = "no-special",
     .kind = OPTION_FLAG,
     .offset = FIELD(no_special),
     .help = "add no special tokens (such as BOS) to texts"},
    {.name = "compare-precision",
     .kind = OPTION_FLAG,
     .offset = FIELD(compare_precision),
     .help = "instead of scores: what each precision does to the model's predictions of these "
             "texts, how fast it is and how much memory it takes"},
    PRECISION_OPTIONS(FIELD(precision), "f32"),
    {0}};

typedef struct score_run {
  cli *c;
  const score_args *args;
  lb_model *model;
  text_side side;
  writer out;
  table rows;
  document *kept; /* [n_kept] for --compare-precision, which wants all at once */
  size_t n_kept;
  double total_nll;
  int64_t total_tokens; /* that were predicted: every one but the first of each document */
} score_run;

/* ---- printing ---- */

static void print_json(score_run *run, const document *d, const lb_score_row *row) {
  writer *w = &run->out;
  size_t K = (size_t)row->top_k;
  writer_open_object(w, NULL);
  writer_ids(w, "ids", d->ids.ids, d->ids.n);
  writer_floats(w, "logprobs", row->logprobs, row->n);
  writer_ids(w, "argmax", row->argmax, row->n);
  writer_floats(w, "logsumexp", row->logsumexp, row->n);
  writer_open_array(w, "top");
  for (size_t t = 0; t < row->n; t++) {
    writer_open_array(w, NULL);
    for (size_t k = 0; k < K; k++) {
      writer_open_array(w, NULL);
      writer_int(w, NULL, row->top_ids[t * K + k]);
      writer_float(w, NULL, row->top_logprobs[t * K + k]);
      writer_close_array(w);
    }
    writer_close_array(w);
  }
  writer_close_array(w);
  writer_real(w, "nll", row->nll);
  writer_close_object(w);
  writer_end_line(w);
}

static void add_token(score_run *run, int32_t id) {
  text cell = {0};
  if (run->side.tokenizer != NULL) text_side_put_quoted(&cell, &run->side, id);
  table_add(&run->rows, "%s", text_get(&cell));
  text_free(&cell);
}

/* --text: one row per token, with the best guess of the model at that place. */
static void add_tokens(score_run *run, const document *d, const lb_score_row *row) {
  for (size_t t = 0; t < row->n; t++) {
    table_add(&run->rows, "%zu", t);
    table_add(&run->rows, "%d", d->ids.ids[t]);
    add_token(run, d->ids.ids[t]);
    table_add_number(&run->rows, 4, (double)row->logprobs[t]);
    if (t == 0)
      table_add(&run->rows, "-");
    else
      add_token(run, row->argmax[t - 1]);
  }
}

static void add_summary(table *t, const char *name, size_t tokens, double nll) {
  table_add(t, "%s", name);
  table_add(t, "%zu", tokens);
  table_add_number(t, 4, nll);
  table_add_number(t, 3, exp(nll));
}

static void add_document(score_run *run, const document *d, const lb_score_row *row) {
  char name[32];
  if (row->n > 1) {
    run->total_nll += row->nll * (double)(row->n - 1);
    run->total_tokens += (int64_t)row->n - 1;
  }
  if (run->c->global.json)
    print_json(run, d, row);
  else if (run->args->words_text != NULL)
    add_tokens(run, d, row);
  else {
    snprintf(name, sizeof name, "line %zu", d->line);
    add_summary(&run->rows, name, row->n, row->nll);
  }
}

static void print_tables(score_run *run) {
  double mean = run->total_nll / (double)run->total_tokens; /* 0/0: NaN, printed as "-" */
  if (run->args->words_text == NULL) {
    memcpy(run->rows.header, (const char *[]){"document", "tokens", "nll", "perplexity"},
           4 * sizeof(char *));
    run->rows.align = "lrrr";
    add_summary(&run->rows, "all", (size_t)run->total_tokens, mean);
    table_print(&run->rows, run->c, stdout);
    return;
  }
  memcpy(run->rows.header, (const char *[]){"t", "id", "token", "logprob", "best guess"},
         5 * sizeof(char *));
  run->rows.align = "rrlrl";
  table_print(&run->rows, run->c, stdout);
  if (run->total_tokens > 0)
    printf("\nnll %.4f nats per token, perplexity %.3f\n", mean, exp(mean));
}

/* ---- --compare-precision: the documents are kept, and compared when all are there ---- */

static int keep_group(score_run *run, document *documents, size_t n) {
  run->kept = cli_resize(run->kept, (run->n_kept + n) * sizeof *run->kept);
  for (size_t i = 0; i < n; i++) {
    run->kept[run->n_kept++] = documents[i];
    documents[i] = (document){0};
  }
  return CLI_DONE;
}

static int compare_kept(score_run *run) {
  lb_error err = {0};
  lb_precision_comparison found;
  lb_prompt *prompts = cli_alloc((run->n_kept + 1) * sizeof *prompts);
  for (size_t i = 0; i < run->n_kept; i++)
    prompts[i] = (lb_prompt){run->kept[i].ids.ids, run->kept[i].ids.n};
  lb_status st = lb_compare_precisions(&found, run->args->words.positional[0], prompts, run->n_kept,
                                       &cli_cancelled, &err);
  free(prompts);
  if (st != LB_OK) return cli_error(run->c, &err);
  precision_view_print(run->c, &found);
  return CLI_DONE;
}

/* ---- running ---- */

static int score_group(score_run *run, document *documents, size_t n) {
  if (run->args->compare_precision) return keep_group(run, documents, n);
  lb_error err = {0};
  lb_score_options options = lb_score_options_default();
  lb_scores *scores;
  lb_prompt prompts[GROUP_DOCUMENTS];
  options.top_k = run->args->top;
  for (size_t i = 0; i < n; i++) prompts[i] = (lb_prompt){documents[i].ids.ids, documents[i].ids.n};
  lb_status st = lb_score(&scores, run->model, prompts, n, &options, &err);
  for (size_t i = 0; st == LB_OK && i < n; i++)
    add_document(run, &documents[i], lb_scores_get(scores, i));
  lb_scores_free(scores);
  if (st == LB_OK) return CLI_DONE;
  if (run->args->words_text != NULL || st == LB_E_CANCELLED) return cli_error(run->c, &err);
  cli_failure(run->c, NULL, "lines %zu to %zu: %s", documents[0].line, documents[n - 1].line,
              err.message);
  return CLI_FAILED;
}

static int score_text(score_run *run) {
  lb_error err = {0};
  document d = {.line = 1};
  lb_status st = text_side_encode(&d.ids, &run->side, run->args->words_text,
                                  strlen(run->args->words_text), !run->args->no_special, &err);
  int code = CLI_DONE;
  if (st != LB_OK)
    code = cli_error(run->c, &err);
  else if (d.ids.n == 0)
    code = cli_usage(run->c, NULL, "--text: want at least one token, found none");
  else
    code = score_group(run, &d, 1);
  document_free(&d);
  return code;
}

static int score_lines(score_run *run) {
  line_input in;
  document documents[GROUP_DOCUMENTS];
  size_t n = 0, tokens = 0;
  const char *path = run->args->input == NULL ? "-" : run->args->input;
  if (!line_input_open(&in, run->c, path)) return CLI_FAILED;
  line_result result = LINE_READ;
  int code = CLI_DONE;
  while (code == CLI_DONE && result == LINE_READ && !cli_cancelled) {
    result = document_next(&documents[n], &in, &run->side, run->model, !run->args->no_special);
    if (result == LINE_READ) tokens += documents[n++].ids.n;
    bool full = n == GROUP_DOCUMENTS || tokens >= GROUP_TOKENS;
    bool idle = result != LINE_READ || line_input_waits(&in);
    if (full || (idle && n > 0)) {
      code = score_group(run, documents, n);
      fflush(stdout);
      for (; n > 0; n--) document_free(&documents[n - 1]);
      tokens = 0;
    }
  }
  for (; n > 0; n--) document_free(&documents[n - 1]);
  line_input_close(&in);
  if (cli_cancelled) return CLI_INTERRUPTED;
  return code == CLI_DONE && result == LINE_BAD ? CLI_FAILED : code;
}

static int check_arguments(const cli *c, const score_args *args) {
  static const char *const of_scores[] = {"top", "precision", "precision-max-kl"};
  if (args->input != NULL && args->words_text != NULL)
    return cli_usage(c, NULL, "give only one of --input and --text");
  for (size_t i = 0; i < sizeof of_scores / sizeof *of_scores && args->compare_precision; i++)
    if (cli_is_given(c, of_scores[i]))
      return cli_usage(c, NULL, "--compare-precision measures every precision: leave out --%s",
                       of_scores[i]);
  return CLI_DONE;
}

static int run_score(cli *c, void *opaque) {
  const score_args *args = opaque;
  int code = check_arguments(c, args);
  if (code != CLI_DONE) return code;
  score_run run = {.c = c, .args = args};
  lb_error err = {0};
  lb_status st =
      generation_open_model(&run.model, c, args->words.positional[0], &args->precision, &err);
  if (st == LB_OK) st = text_side_open(&run.side, lb_model_get_info(run.model)->path, &err);
  if (st == LB_E_IO && run.model != NULL && args->words_text == NULL)
    st = LB_OK; /* ids need none */
  if (st != LB_OK)
    code = cli_error(c, &err);
  else
    code = args->words_text != NULL ? score_text(&run) : score_lines(&run);
  if (code == CLI_DONE && args->compare_precision)
    code = compare_kept(&run);
  else if (code == CLI_DONE && !c->global.json)
    print_tables(&run);
  for (size_t i = 0; i < run.n_kept; i++) document_free(&run.kept[i]);
  free(run.kept);
  table_free(&run.rows);
  writer_free(&run.out);
  text_side_close(&run.side);
  lb_model_free(run.model);
  return code;
}

const verb verb_score = {
    .name = "score",
    .summary = "log-probabilities of given text: the base of evaluation",
    .description =
        "Reads documents and tells how likely the model finds each token given those before it. "
        "nll is the mean of -log p over all tokens but the first of a document, in nats; "
        "perplexity is its exponential.\n\n"
        "With --json each document is one line: ids, logprobs (of ids[t] given what comes before; "
        "the first is null), argmax, logsumexp (of the raw logits) and top describe the prediction "
        "made after reading ids[0..t]; nll.\n\n"
        "--compare-precision reads the documents once more in every precision that the model can "
        "compute in here, and prints KL(f32 || it) of the predictions after each token (mean, the "
        "99th percentile and the worst, in nats), how often the most likely token is the same, "
        "perplexity, the speed of reading these texts and of writing one, and by how much memory "
        "grew. With --json: one object with documents, tokens and precisions, a list.",
    .positionals = {{.name = "MODEL",
                     .help = "a Hugging Face folder, a .gguf file, or a name in the local hub "
                             "cache"}},
    .options = score_options,
    .examples = {{"limbeck score model.gguf --text \"The cat sat on the mat.\"", "token by token"},
                 {"limbeck score model.gguf --input texts.jsonl", "perplexity of a file"},
                 {"limbeck score model.gguf --input texts.jsonl --top 5 --json > scores.jsonl",
                  "everything, for programs"},
                 {"limbeck score model.gguf --input texts.jsonl --compare-precision",
                  "which --precision to use"}},
    .args_size = sizeof(score_args),
    .run = run_score};
