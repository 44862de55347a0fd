/* verb_chat.c - `limbeck chat`: a conversation. What the model has already read stays in its cache,
 * so a turn costs only what is new in it. */
#include "generation_options.h"
#include "json_writer.h"
#include "terminal.h"
#include "text_side.h"

#include <jansson.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct chat_args {
  verb_args words;
  generation_args generation;
  const char *system, *template_name;
} chat_args;

#define NEW_TOKENS   "1024"
#define FIELD(field) offsetof(chat_args, field)
static const option chat_options[] = {{.name = "system",
                                       .kind = OPTION_TEXT,
                                       .offset = FIELD(system),
                                       .value = "TEXT",
                                       .help = "a system message before the conversation"},
                                      {.name = "template",
                                       .kind = OPTION_TEXT,
                                       .offset = FIELD(template_name),
                                       .value = "NAME|FILE",
                                       .help = "another chat template than the model's own"},
#include "generation_options.def"
                                      {0}};

typedef struct conversation {
  cli *c;
  const chat_args *args;
  lb_model *model;
  lb_session *session;
  text_side side;
  lb_generate_options options;
  json_t *messages;
  text answer; /* of this turn, as it appears */
  writer out;
  bool is_typed; /* a person sits at stdin */
} conversation;

/* ---- the conversation ---- */

static bool add_message(conversation *chat, const char *role, const char *bytes, size_t size) {
  json_t *content = json_stringn(bytes, size); /* NULL: not UTF-8 */
  if (content == NULL) return false;
  json_array_append_new(chat->messages, json_pack("{s:s,s:o}", "role", role, "content", content));
  return true;
}

static void drop_last_message(conversation *chat) {
  size_t n = json_array_size(chat->messages);
  if (n > 0) json_array_remove(chat->messages, n - 1);
}

static const char *last_role(const conversation *chat) {
  size_t n = json_array_size(chat->messages);
  const json_t *last = n == 0 ? NULL : json_array_get(chat->messages, n - 1);
  return last == NULL ? "" : json_string_value(json_object_get(last, "role"));
}

static void reset(conversation *chat) {
  json_array_clear(chat->messages);
  if (chat->args->system != NULL)
    add_message(chat, "system", chat->args->system, strlen(chat->args->system));
}

static lb_status conversation_ids(id_list *out, const conversation *chat, lb_error *err) {
  json_t *all = json_pack("{s:O,s:b}", "messages", chat->messages, "add_generation_prompt", 1);
  char *json = json_dumps(all, JSON_COMPACT);
  lb_status st = text_side_encode_chat(out, NULL, &chat->side, json, strlen(json), err);
  free(json);
  json_decref(all);
  return st;
}

/* ---- one turn ---- */

static bool take_token(void *ctx, size_t prompt, size_t sequence, int32_t id, float logprob,
                       const char *bytes, size_t size) {
  conversation *chat = ctx;
  (void)prompt, (void)sequence, (void)id, (void)logprob;
  if (size == 0) return true;
  text_add(&chat->answer, bytes, size);
  if (!chat->c->global.json) {
    terminal_print_text(stdout, chat->c->out_is_terminal, bytes, size);
    fflush(stdout);
  }
  return true;
}

static void print_json(conversation *chat, const lb_generation *g) {
  const lb_sequence *s = lb_generation_sequence(g, 0, 0);
  writer *w = &chat->out;
  writer_open_object(w, NULL);
  writer_string(w, "role", "assistant");
  writer_text(w, "content", s->text, s->text_size);
  writer_ids(w, "ids", s->ids, s->n_ids);
  writer_string(w, "finish_reason", lb_finish_reason_name(s->finish_reason));
  writer_real(w, "tokens_per_second", generation_rate(lb_generation_get_times(g)));
  writer_close_object(w);
  writer_end_line(w);
  fflush(stdout);
}

/* The model answers the conversation as it stands. An answer that Ctrl-C cut short is kept as far
 * as it came: it has been read. */
static lb_status answer(conversation *chat, lb_error *err) {
  id_list ids;
  lb_generation *g = NULL;
  text_clear(&chat->answer);
  lb_status st = conversation_ids(&ids, chat, err);
  if (st == LB_OK) {
    lb_prompt prompt = {ids.ids, ids.n};
    st = lb_session_generate(&g, chat->session, prompt, &chat->options, err);
  }
  free(ids.ids);
  if (st == LB_OK && chat->c->global.json)
    print_json(chat, g);
  else if (!chat->c->global.json && chat->answer.size > 0)
    putchar('\n');
  if (st == LB_OK && chat->is_typed)
    generation_tell_times(chat->c, lb_generation_get_times(g),
                          lb_finish_reason_name(lb_generation_sequence(g, 0, 0)->finish_reason));
  if (st == LB_OK || (st == LB_E_CANCELLED && chat->answer.size > 0))
    add_message(chat, "assistant", text_get(&chat->answer), chat->answer.size);
  lb_generation_free(g);
  return st;
}

/* @return false to leave. A person may try again; a script is told at once. */
static bool take_turn(conversation *chat, int *code) {
  lb_error err = {0};
  lb_status st = answer(chat, &err);
  if (st == LB_OK) return true;
  *code = cli_error(chat->c, &err);
  if (!chat->is_typed) return false;
  *code = CLI_DONE;
  if (st == LB_E_CANCELLED) {
    cli_listen_for_cancel();
    return true;
  }
  drop_last_message(chat); /* the question that could not be answered */
  cli_note(chat->c, "/reset starts a new conversation");
  return true;
}

/* ---- lines ---- */

/* A line, or several that end in a backslash. @return false at the end of the input or Ctrl-C */
static bool read_input(const conversation *chat, text *out) {
  text_clear(out);
  if (chat->is_typed)
    fprintf(stderr, "%s> %s", terminal_bold(chat->c, stderr), terminal_plain(chat->c, stderr));
  for (;;) {
    int c = getchar();
    if (c == EOF) return out->size > 0 && !cli_cancelled;
    bool continues = c == '\n' && out->size > 0 && out->data[out->size - 1] == '\\';
    if (continues) {
      out->data[out->size - 1] = '\n';
      if (chat->is_typed) fputs("  ", stderr);
    } else if (c == '\n') {
      return true;
    } else {
      char byte = (char)c;
      text_add(out, &byte, 1);
    }
  }
}

static void print_commands(const conversation *chat) {
  (void)chat;
  fputs("  /reset       forget the conversation\n"
        "  /regenerate  another answer to the last question\n"
        "  /exit        leave (as Ctrl-D, or Ctrl-C at the prompt)\n"
        "  Ctrl-C stops an answer; a line that ends in \\ goes on in the next one\n",
        stderr);
}

static bool regenerate(conversation *chat, int *code) {
  if (strcmp(last_role(chat), "assistant") == 0) drop_last_message(chat);
  if (strcmp(last_role(chat), "user") != 0) {
    cli_note(chat->c, "there is no question yet");
    return true;
  }
  chat->options.seed++; /* with sampling: another answer */
  return take_turn(chat, code);
}

/* @return false to leave */
static bool obey(conversation *chat, const char *command, int *code) {
  if (strcmp(command, "/exit") == 0 || strcmp(command, "/quit") == 0) return false;
  if (strcmp(command, "/reset") == 0)
    reset(chat);
  else if (strcmp(command, "/regenerate") == 0)
    return regenerate(chat, code);
  else if (strcmp(command, "/help") == 0)
    print_commands(chat);
  else
    cli_note(chat->c, "unknown command; /help lists them");
  return true;
}

static int converse(conversation *chat) {
  text line = {0};
  int code = CLI_DONE;
  bool goes_on = true;
  while (goes_on && read_input(chat, &line)) {
    if (line.size == 0) continue;
    if (line.data[0] == '/' && chat->is_typed) {
      goes_on = obey(chat, line.data, &code);
    } else if (!add_message(chat, "user", line.data, line.size)) {
      code = cli_usage(chat->c, NULL, "the line is not valid UTF-8");
      goes_on = chat->is_typed;
    } else {
      goes_on = take_turn(chat, &code);
    }
  }
  if (chat->is_typed) fputc('\n', stderr);
  text_free(&line);
  return cli_cancelled && !chat->is_typed ? CLI_INTERRUPTED : code;
}

static lb_status open_all(conversation *chat, lb_error *err) {
  lb_status st = generation_open_model(&chat->model, chat->c, chat->args->words.positional[0],
                                       &chat->args->generation.precision, err);
  if (st == LB_OK) st = text_side_open(&chat->side, lb_model_get_info(chat->model)->path, err);
  if (st == LB_OK) st = text_side_open_chat(&chat->side, chat->args->template_name, err);
  if (st == LB_OK) st = lb_session_new(&chat->session, chat->model, chat->side.tokenizer, err);
  return st;
}

static int run_chat(cli *c, void *opaque) {
  conversation chat = {.c = c, .args = opaque, .is_typed = isatty(STDIN_FILENO)};
  lb_error err = {0};
  int code;
  chat.messages = json_array();
  if (open_all(&chat, &err) != LB_OK) {
    code = cli_error(c, &err);
  } else {
    chat.options = generation_options_make(c, &chat.args->generation, chat.model, true);
    chat.options.on_token = take_token;
    chat.options.on_token_ctx = &chat;
    reset(&chat);
    if (chat.is_typed)
      cli_note(c, "%s; /help lists the commands", lb_model_get_info(chat.model)->family);
    code = converse(&chat);
  }
  json_decref(chat.messages);
  text_free(&chat.answer);
  writer_free(&chat.out);
  lb_session_free(chat.session);
  text_side_close(&chat.side);
  lb_model_free(chat.model);
  return code;
}

const verb verb_chat = {
    .name = "chat",
    .summary = "a conversation with a chat model",
    .description =
        "Reads one message per line and answers through the model's chat template, remembering the "
        "conversation. A line that ends in \\ goes on in the next one; /help lists the commands. "
        "Ctrl-C stops an answer, and leaves at the prompt.\n\n"
        "When standard input is not a terminal, every line is a message. Sampling follows the "
        "recommendation of the model's makers unless options say otherwise. With --json each "
        "answer "
        "is one line: role, content, ids, finish_reason, tokens_per_second.",
    .positionals = {{.name = "MODEL",
                     .help = "a Hugging Face folder, a .gguf file, or a name in the local hub "
                             "cache"}},
    .options = chat_options,
    .examples = {{"limbeck chat model.gguf", "talk"},
                 {"limbeck chat model.gguf --system \"Answer in one sentence.\" --temperature 0.7",
                  "with a system message, sampled"},
                 {"printf 'Hi\\nAnd now in French\\n' | limbeck chat model.gguf --json",
                  "two turns from a script"}},
    .args_size = sizeof(chat_args),
    .run = run_chat};
