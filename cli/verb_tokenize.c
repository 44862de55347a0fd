/* verb_tokenize.c - `limbeck tokenize`: text to ids, ids to text, conversations to both. */
#include "document_input.h"
#include "json_writer.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>

typedef struct tokenize_args {
  verb_args words;
  const char *input, *template_name;
  bool decode, skip_special, no_special, chat;
} tokenize_args;

#define FIELD(field) offsetof(tokenize_args, field)
static const option tokenize_options[] = {
    {.name = "input",
     .kind = OPTION_TEXT,
     .offset = FIELD(input),
     .value = "FILE",
     .fallback = "-",
     .help = "JSON Lines to work on when there is no TEXT; - is standard input"},
    {.name = "decode",
     .kind = OPTION_FLAG,
     .offset = FIELD(decode),
     .help = "from ids to text; TEXT is then ids such as 1,2,3"},
    {.name = "skip-special",
     .kind = OPTION_FLAG,
     .offset = FIELD(skip_special),
     .help = "with --decode: leave special tokens out"},
    {.name = "no-special",
     .kind = OPTION_FLAG,
     .offset = FIELD(no_special),
     .help = "add no special tokens (such as BOS)"},
    {.name = "chat",
     .kind = OPTION_FLAG,
     .offset = FIELD(chat),
     .help = "lines are conversations, {\"messages\":[...],\"tools\":[...],"
             "\"add_generation_prompt\":true, ...}; TEXT is one user message"},
    {.name = "template",
     .kind = OPTION_TEXT,
     .offset = FIELD(template_name),
     .value = "NAME|FILE",
     .help = "another chat template; implies --chat"},
    {0}};

typedef struct tokenize_run {
  cli *c;
  const tokenize_args *args;
  bool chat;
  text_side side;
  writer out;
} tokenize_run;

/* ---- printing ---- */

static void print_table(tokenize_run *run, const id_list *ids) {
  table t = {.header = {"position", "id", "token", "text", "special"}, .align = "rrlll"};
  text token = {0};
  for (size_t i = 0; i < ids->n; i++) {
    text_clear(&token);
    text_side_put_token(&token, &run->side, ids->ids[i]);
    table_add(&t, "%zu", i);
    table_add(&t, "%d", ids->ids[i]);
    table_add(&t, "%s", text_get(&token));
    text_clear(&token);
    text_side_put_quoted(&token, &run->side, ids->ids[i]);
    table_add(&t, "%s", text_get(&token));
    table_add(&t, "%s", lb_tokenizer_is_special(run->side.tokenizer, ids->ids[i]) ? "yes" : "");
  }
  table_print(&t, run->c, stdout);
  text_free(&token);
  table_free(&t);
}

/* `rendered` is NULL unless a template made the text. */
static void print_ids(tokenize_run *run, const text *rendered, const id_list *ids, bool is_word) {
  writer *w = &run->out;
  if (run->c->global.json) {
    writer_open_object(w, NULL);
    if (rendered != NULL) writer_text(w, "text", text_get(rendered), rendered->size);
    writer_ids(w, "ids", ids->ids, ids->n);
    writer_close_object(w);
    writer_end_line(w);
    return;
  }
  if (rendered != NULL) {
    terminal_print_text(stdout, run->c->out_is_terminal, text_get(rendered), rendered->size);
    putchar('\n');
  }
  if (is_word)
    print_table(run, ids);
  else
    for (size_t i = 0; i < ids->n; i++) printf("%d%c", ids->ids[i], i + 1 == ids->n ? '\n' : ' ');
}

static void print_text(tokenize_run *run, const text *decoded) {
  if (!run->c->global.json) {
    terminal_print_text(stdout, run->c->out_is_terminal, text_get(decoded), decoded->size);
    putchar('\n');
    return;
  }
  writer_open_object(&run->out, NULL);
  writer_text(&run->out, "text", text_get(decoded), decoded->size);
  writer_close_object(&run->out);
  writer_end_line(&run->out);
}

/* ---- one thing each; errors are left to the caller to tell ---- */

static lb_status decode_ids(tokenize_run *run, const id_list *ids, lb_error *err) {
  text decoded = {0};
  lb_status st =
      text_side_decode(&decoded, &run->side, ids->ids, ids->n, run->args->skip_special, err);
  if (st == LB_OK) print_text(run, &decoded);
  text_free(&decoded);
  return st;
}

static lb_status encode_text(tokenize_run *run, const char *bytes, size_t size, bool is_word,
                             lb_error *err) {
  id_list ids;
  lb_status st = text_side_encode(&ids, &run->side, bytes, size, !run->args->no_special, err);
  if (st == LB_OK) print_ids(run, NULL, &ids, is_word);
  free(ids.ids);
  return st;
}

static lb_status encode_chat(tokenize_run *run, const char *json, size_t size, bool is_word,
                             lb_error *err) {
  id_list ids;
  text rendered = {0};
  lb_status st = text_side_encode_chat(&ids, &rendered, &run->side, json, size, err);
  if (st == LB_OK) print_ids(run, &rendered, &ids, is_word);
  text_free(&rendered);
  free(ids.ids);
  return st;
}

/* ---- TEXT on the command line ---- */

static int tokenize_word(tokenize_run *run, const char *word) {
  lb_error err = {0};
  lb_status st;
  if (run->args->decode) {
    id_list ids = {0};
    if (!ids_from_text(&ids, word))
      return cli_usage(run->c, "limbeck tokenize MODEL --decode 1,2,3",
                       "TEXT: want token ids such as 1,2,3, found '%s'", word);
    st = decode_ids(run, &ids, &err);
    free(ids.ids);
  } else if (run->chat) {
    size_t size;
    char *json = text_side_user_message(NULL, word, strlen(word), &size);
    if (json == NULL) return cli_usage(run->c, NULL, "TEXT: want valid UTF-8");
    st = encode_chat(run, json, size, true, &err);
    free(json);
  } else {
    st = encode_text(run, word, strlen(word), true, &err);
  }
  return st == LB_OK ? CLI_DONE : cli_error(run->c, &err);
}

/* ---- JSON Lines ---- */

static bool tokenize_object(tokenize_run *run, const line_input *in, const json_t *object) {
  lb_error err = {0};
  lb_status st;
  if (run->args->decode) {
    id_list ids;
    if (!line_input_ids(&ids, in, json_object_get(object, "ids"))) return false;
    st = decode_ids(run, &ids, &err);
    free(ids.ids);
  } else if (run->chat) {
    st = encode_chat(run, in->line.data, in->line.size, false, &err);
  } else {
    const json_t *words = json_object_get(object, "text");
    if (!json_is_string(words)) {
      line_input_failure(in, "want {\"text\":\"...\"}");
      return false;
    }
    st = encode_text(run, json_string_value(words), json_string_length(words), false, &err);
  }
  if (st != LB_OK) line_input_failure(in, "%s", err.message);
  return st == LB_OK;
}

static int tokenize_lines(tokenize_run *run) {
  line_input in;
  if (!line_input_open(&in, run->c, run->args->input)) return CLI_FAILED;
  line_result result;
  bool ok = true;
  while (ok && !cli_cancelled && (result = line_input_next(&in)) != LINE_END) {
    json_t *object = result == LINE_READ ? line_input_object(&in) : NULL;
    ok = object != NULL && tokenize_object(run, &in, object);
    json_decref(object);
    if (line_input_waits(&in)) fflush(stdout); /* who asks through a pipe may wait for the answer */
  }
  line_input_close(&in);
  return cli_cancelled ? CLI_INTERRUPTED : ok ? CLI_DONE : CLI_FAILED;
}

static int run_tokenize(cli *c, void *opaque) {
  const tokenize_args *args = opaque;
  tokenize_run run = {.c = c, .args = args, .chat = args->chat || args->template_name != NULL};
  if (run.chat && args->decode)
    return cli_usage(c, NULL, "--chat makes ids and --decode reads them: give only one");
  lb_error err = {0};
  int code;
  lb_status st = text_side_open(&run.side, args->words.positional[0], &err);
  if (st == LB_OK && run.chat) st = text_side_open_chat(&run.side, args->template_name, &err);
  if (st != LB_OK)
    code = cli_error(c, &err);
  else if (args->words.positional[1] != NULL)
    code = tokenize_word(&run, args->words.positional[1]);
  else
    code = tokenize_lines(&run);
  writer_free(&run.out);
  text_side_close(&run.side);
  return code;
}

const verb verb_tokenize = {
    .name = "tokenize",
    .summary = "text to token ids and back; conversations through the chat template",
    .description =
        "Tokenizes TEXT and prints a table, or reads JSON Lines and prints one line for each.\n\n"
        "With --json: {\"text\":...} gives {\"ids\":[...]}; with --decode, {\"ids\":[...]} gives "
        "{\"text\":...}; with --chat, {\"messages\":[...],\"tools\":[...],"
        "\"add_generation_prompt\":true, other template variables} gives {\"text\":...,"
        "\"ids\":[...]}. What a message says never becomes a control token.",
    .positionals = {{.name = "MODEL",
                     .help =
                         "a folder, a tokenizer.json, a .gguf file, or a folder with vocab.json "
                         "and merges.txt"},
                    {.name = "TEXT", .help = "what to tokenize; else --input", .optional = true}},
    .options = tokenize_options,
    .examples = {{"limbeck tokenize model.gguf \"Hello world\"", "a table of tokens"},
                 {"limbeck tokenize model.gguf --decode 19556,905", "back to text"},
                 {"limbeck tokenize tokenizer.json --json < texts.jsonl > ids.jsonl", "many texts"},
                 {"limbeck tokenize model.gguf --chat \"Hello\"",
                  "what a chat model is really given"}},
    .args_size = sizeof(tokenize_args),
    .run = run_tokenize};
