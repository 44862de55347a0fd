/* verb_generate.c - `limbeck generate`: continue prompts. One prompt streams to stdout as it is
 * made; many prompts run in groups and come out in the order they came in. */
#include "document_input.h"
#include "generation_options.h"
#include "json_writer.h"
#include "terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct generate_args {
  verb_args words;
  generation_args generation;
  const char *prompt, *input, *system, *template_name;
  id_list prompt_ids;
  bool chat, no_special;
  int64_t batch_size;
} generate_args;

#define NEW_TOKENS   "128"
#define FIELD(field) offsetof(generate_args, field)
static const option generate_options[] = {
    {.name = "prompt",
     .aliases = "p",
     .kind = OPTION_TEXT,
     .offset = FIELD(prompt),
     .value = "TEXT",
     .help = "the text to continue"},
    {.name = "prompt-ids",
     .kind = OPTION_IDS,
     .offset = FIELD(prompt_ids),
     .value = "IDS",
     .help = "the prompt as token ids: 1,2,3"},
    {.name = "input",
     .kind = OPTION_TEXT,
     .offset = FIELD(input),
     .value = "FILE",
     .help = "prompts as JSON Lines, {\"text\":...}, {\"ids\":[...]} or {\"messages\":[...]}; - is "
             "standard input"},
    {.name = "batch-size",
     .kind = OPTION_INT,
     .offset = FIELD(batch_size),
     .value = "N",
     .range = "1..4096",
     .fallback = "16",
     .help = "lines of --input that run together"},
    {.name = "chat",
     .kind = OPTION_FLAG,
     .offset = FIELD(chat),
     .help = "give the prompt to the model as a user's message, through its chat template"},
    {.name = "system",
     .kind = OPTION_TEXT,
     .offset = FIELD(system),
     .value = "TEXT",
     .help = "a system message before the prompt; implies --chat"},
    {.name = "template",
     .kind = OPTION_TEXT,
     .offset = FIELD(template_name),
     .value = "NAME|FILE",
     .help = "another chat template; implies --chat"},
    {.name = "no-special",
     .kind = OPTION_FLAG,
     .offset = FIELD(no_special),
     .help = "add no special tokens (such as BOS) to the prompt"},
#include "generation_options.def"
#include "beam_options.def"
    {0}};

typedef struct generate_run {
  cli *c;
  const generate_args *args;
  lb_model *model;
  text_side side;
  lb_generate_options options;
  writer out;
  bool streamed, has_streamed; /* tokens go out as they come; one did */
  size_t n_shown;
} generate_run;

/* ---- printing ---- */

/* With one prompt and one answer, tokens go out as they come. */
static bool print_token(void *ctx, size_t prompt, size_t sequence, int32_t id, float logprob,
                        const char *bytes, size_t size) {
  generate_run *run = ctx;
  (void)prompt, (void)sequence, (void)id, (void)logprob;
  if (bytes != NULL && size > 0) {
    terminal_print_text(stdout, run->c->out_is_terminal, bytes, size);
    fflush(stdout);
    run->has_streamed = true;
  }
  return true;
}

static void print_json(generate_run *run, const document *d, const lb_sequence *s, double rate) {
  writer *w = &run->out;
  writer_open_object(w, NULL);
  writer_ids(w, "prompt_ids", d->ids.ids, d->ids.n);
  writer_ids(w, "ids", s->ids, s->n_ids);
  writer_text(w, "text", s->text, s->text_size);
  writer_string(w, "finish_reason", lb_finish_reason_name(s->finish_reason));
  writer_real(w, "logprob", s->logprob);
  if (run->options.num_beams > 1) writer_real(w, "score", s->score);
  writer_real(w, "tokens_per_second", rate);
  writer_close_object(w);
  writer_end_line(w);
}

static void print_plain(generate_run *run, const lb_sequence *s, bool numbered) {
  if (numbered) printf("[%zu] ", ++run->n_shown);
  if (run->streamed)
    ; /* it is there already */
  else if (run->side.tokenizer != NULL)
    terminal_print_text(stdout, run->c->out_is_terminal, s->text, s->text_size);
  else
    for (size_t i = 0; i < s->n_ids; i++) printf("%s%d", i == 0 ? "" : ",", s->ids[i]);
  putchar('\n');
}

static void print_group(generate_run *run, const lb_generation *g, const document *documents,
                        size_t n) {
  lb_generation_times times = lb_generation_get_times(g);
  bool many = run->args->input != NULL || lb_generation_n_sequences(g, 0) > 1;
  const lb_sequence *s = NULL;
  for (size_t p = 0; p < n; p++)
    for (size_t i = 0; i < lb_generation_n_sequences(g, p); i++) {
      s = lb_generation_sequence(g, p, i);
      if (run->c->global.json)
        print_json(run, &documents[p], s, generation_rate(times));
      else
        print_plain(run, s, many);
    }
  if (!run->c->global.json)
    generation_tell_times(run->c, times,
                          many || s == NULL ? NULL : lb_finish_reason_name(s->finish_reason));
}

/* ---- running ---- */

static int run_group(generate_run *run, const document *documents, size_t n) {
  lb_error err = {0};
  lb_generation *g;
  lb_prompt *prompts = cli_alloc(n * sizeof *prompts);
  for (size_t i = 0; i < n; i++) prompts[i] = (lb_prompt){documents[i].ids.ids, documents[i].ids.n};
  lb_status st = lb_generate(&g, run->model, run->side.tokenizer, prompts, n, &run->options, &err);
  free(prompts);
  if (st == LB_OK)
    print_group(run, g, documents, n);
  else if (run->has_streamed)
    putchar('\n');
  lb_generation_free(g);
  if (st == LB_OK) fflush(stdout);
  return st == LB_OK ? CLI_DONE : cli_error(run->c, &err);
}

/* --prompt or --prompt-ids */
static int run_single(generate_run *run) {
  const generate_args *args = run->args;
  lb_error err = {0};
  document d = {.line = 1};
  lb_status st = LB_OK;
  if (args->prompt == NULL) {
    d.ids.ids = cli_alloc(args->prompt_ids.n * sizeof *d.ids.ids);
    memcpy(d.ids.ids, args->prompt_ids.ids, args->prompt_ids.n * sizeof *d.ids.ids);
    d.ids.n = args->prompt_ids.n;
  } else if (run->side.text_is_message) {
    st = text_side_encode_message(&d.ids, &run->side, args->system, args->prompt,
                                  strlen(args->prompt), &err);
  } else {
    st = text_side_encode(&d.ids, &run->side, args->prompt, strlen(args->prompt), !args->no_special,
                          &err);
  }
  int code = CLI_DONE;
  if (st != LB_OK)
    code = cli_error(run->c, &err);
  else if (d.ids.n == 0)
    code = cli_usage(run->c, "an empty text needs a model whose tokenizer adds BOS",
                     "--prompt: want at least one token, found none");
  run->streamed = !run->c->global.json && run->options.num_beams == 1 &&
                  run->options.num_return_sequences == 1 && run->side.tokenizer != NULL;
  if (run->streamed) {
    run->options.on_token = print_token;
    run->options.on_token_ctx = run;
  }
  if (code == CLI_DONE) code = run_group(run, &d, 1);
  document_free(&d);
  return code;
}

static int run_lines(generate_run *run) {
  line_input in;
  size_t batch = (size_t)run->args->batch_size, n = 0, done = 0;
  if (!line_input_open(&in, run->c, run->args->input)) return CLI_FAILED;
  document *documents = cli_alloc(batch * sizeof *documents);
  line_result result = LINE_READ;
  int code = CLI_DONE;
  while (code == CLI_DONE && result == LINE_READ) {
    result = document_next(&documents[n], &in, &run->side, run->model, !run->args->no_special);
    n += result == LINE_READ;
    /* What was read before a bad line is still answered. */
    bool idle = result != LINE_READ || line_input_waits(&in);
    if (n == batch || (idle && n > 0)) {
      code = run_group(run, documents, n);
      fflush(stdout);
      done += n;
      run->options.first_prompt = done;
      for (; n > 0; n--) document_free(&documents[n - 1]);
    }
  }
  free(documents);
  line_input_close(&in);
  if (cli_cancelled) return CLI_INTERRUPTED;
  return code == CLI_DONE && result == LINE_BAD ? CLI_FAILED : code;
}

static lb_status open_all(generate_run *run, lb_error *err) {
  const generate_args *args = run->args;
  lb_status st = generation_open_model(&run->model, run->c, args->words.positional[0],
                                       &args->generation.precision, err);
  if (st != LB_OK) return st;
  st = text_side_open(&run->side, lb_model_get_info(run->model)->path, err);
  run->side.wants_answer = true;
  /* Ids alone need no tokenizer; a broken one is still an error. */
  bool needs_text = args->prompt != NULL || args->generation.stop.n > 0;
  if (st == LB_E_IO && !needs_text) st = LB_OK;
  if (st != LB_OK || (!args->chat && args->system == NULL && args->template_name == NULL))
    return st;
  if (run->side.tokenizer == NULL)
    return lb_tokenizer_open(&run->side.tokenizer, run->side.path, err);
  run->side.text_is_message = true;
  run->side.system = args->system;
  return text_side_open_chat(&run->side, args->template_name, err);
}

static int run_generate(cli *c, void *opaque) {
  const generate_args *args = opaque;
  int sources = (args->prompt != NULL) + (args->prompt_ids.n > 0) + (args->input != NULL);
  if (sources != 1)
    return cli_usage(c, "limbeck generate MODEL --prompt \"Once upon a time\"",
                     sources == 0 ? "nothing to continue: give --prompt, --prompt-ids or --input"
                                  : "give only one of --prompt, --prompt-ids and --input");
  generate_run run = {.c = c, .args = args};
  lb_error err = {0};
  int code;
  if (open_all(&run, &err) != LB_OK) {
    code = cli_error(c, &err);
  } else {
    run.options = generation_options_make(c, &args->generation, run.model, false);
    code = args->input != NULL ? run_lines(&run) : run_single(&run);
  }
  writer_free(&run.out);
  text_side_close(&run.side);
  lb_model_free(run.model);
  return code;
}

const verb verb_generate = {
    .name = "generate",
    .summary = "continue a text, or many",
    .description =
        "Continues a prompt with the tokens that the model finds best (greedy search), with draws "
        "(--do-sample or --temperature), or with beam search (--num-beams). Options have the names "
        "and meanings of Transformers' GenerationConfig.\n\n"
        "A single prompt is printed as it is made. With --json each answer is one line: "
        "prompt_ids, ids (the new ones), text, finish_reason (eos, length or stop), logprob (the "
        "sum over the new tokens, of the model without temperature and the like), "
        "tokens_per_second.",
    .positionals = {{.name = "MODEL",
                     .help = "a Hugging Face folder, a .gguf file, or a name in the local hub "
                             "cache"}},
    .options = generate_options,
    .examples =
        {{"limbeck generate model.gguf --prompt \"Once upon a time\"", "greedy search"},
         {"limbeck generate model.gguf -p \"A haiku:\" --temperature 0.8 --top-p 0.9 --seed 7",
          "sampling, repeatable"},
         {"limbeck generate ./gpt2 -p \"The answer is\" num_beams=4 early_stopping=true",
          "beam search"},
         {"limbeck generate model.gguf --chat --prompt \"Why is the sky blue?\"",
          "one question to a chat model"}},
    .args_size = sizeof(generate_args),
    .run = run_generate};
