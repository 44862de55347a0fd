/* test_corpus.c - every format of rows becomes the right tokens with the right ones learned; bad
 * rows are counted and named; nothing depends on threads or on where the tokens are kept. A
 * tokenizer of single letters makes ids readable: documents are compared as text in which what is
 * learned stands in brackets. */
#include "data/batch.h"
#include "data/corpus.h"

#include "base/files.h"
#include "faults.h"
#include "scratch.h"
#include "small_tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static lb_error err;
static char *folder;
static lb_tokenizer *letters;
static lb_chat_template *chat;

/* ---- a tokenizer: bytes, and "he", "lo"; <s> goes before each text, </s> is the end ---- */

static lb_tokenizer *make_letters(bool adds_bos) {
  static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 ".,:;!?#<>|/_-()[]{}'=";
  char members[6000];
  int n = snprintf(members, sizeof members,
                   "\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true},"
                   "{\"id\":4,\"content\":\"</s>\",\"special\":true},"
                   "{\"id\":5,\"content\":\"<u>\",\"special\":true},"
                   "{\"id\":6,\"content\":\"<a>\",\"special\":true}],"
                   "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                   "\"use_regex\":false},\"decoder\":{\"type\":\"ByteLevel\"},");
  if (adds_bos)
    n += snprintf(members + n, sizeof members - (size_t)n,
                  "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
                  "\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}],"
                  "\"special_tokens\":{\"<s>\":{\"ids\":[3]}}},");
  n += snprintf(members + n, sizeof members - (size_t)n,
                "\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\u0120\":0,\"\\u010a\":1,\"he\":2,"
                "\"<s>\":3,\"</s>\":4,\"<u>\":5,\"<a>\":6,\"lo\":7,\"\\u00c3\":8,\"\\u00a9\":9,"
                "\"\\\"\":10,\"\\u010a\\u010a\":11");
  for (int i = 0; alphabet[i] != '\0'; i++)
    n += snprintf(members + n, sizeof members - (size_t)n, ",\"%c\":%d", alphabet[i], 12 + i);
  snprintf(members + n, sizeof members - (size_t)n,
           "},\"merges\":[[\"h\",\"e\"],[\"l\",\"o\"],[\"\\u010a\",\"\\u010a\"]]}");
  char *f = scratch_new(), text[7000];
  lb_tokenizer *t;
  snprintf(text, sizeof text, "{\"version\":\"1.0\",%s}", members);
  scratch_write_text(f, "tokenizer.json", text);
  scratch_write_text(f, "tokenizer_config.json", "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"}");
  if (lb_tokenizer_open(&t, f, &err) != LB_OK) fail_msg("%s", err.message);
  scratch_remove(f);
  return t;
}

static lb_chat_template *template_of(const char *source) {
  lb_chat_template *t;
  if (lb_chat_template_parse(&t, source, strlen(source), "test", &err) != LB_OK)
    fail_msg("%s", err.message);
  return t;
}

#define PLAIN_TEMPLATE                                                                             \
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<u>{{ m.content }}\n"            \
  "{% elif m.role == 'assistant' %}<a>{{ m.content }}</s>\n{% else %}({{ m.role }}:"               \
  "{{ m.content }}){% endif %}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"

static int set_up(void **state) {
  (void)state;
  folder = scratch_new();
  letters = make_letters(true);
  chat = template_of(PLAIN_TEMPLATE);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lb_chat_template_free(chat);
  lb_tokenizer_free(letters);
  scratch_remove(folder);
  return 0;
}

/* ---- comparing ---- */

static const char *const *one_path(const char *name) {
  static const char *paths[1];
  static char kept[1024];
  snprintf(kept, sizeof kept, "%s", scratch_path(folder, name));
  paths[0] = kept;
  return paths;
}

static lb__corpus_options options_for(const char *name) {
  lb__corpus_options o = lb__corpus_options_default();
  o.paths = one_path(name);
  o.n_paths = 1;
  o.tokenizer = letters;
  o.chat_template = chat;
  return o;
}

static lb__corpus *open_corpus(const lb__corpus_options *o) {
  lb__corpus *c;
  if (lb__corpus_open(&c, o, &err) != LB_OK) fail_msg("%s", err.message);
  assert_non_null(c);
  return c;
}

static lb__corpus *corpus_of(const char *rows) {
  scratch_write_text(folder, "d.jsonl", rows);
  lb__corpus_options o = options_for("d.jsonl");
  return open_corpus(&o);
}

/* "a[b]" for learned b; newlines as ~. Checks on the way what every document promises. */
static const char *shown(const lb__corpus *c, int64_t i) {
  static char text[4096];
  lb__shown_piece *pieces;
  size_t n, at = 0;
  lb__document_view d = lb__corpus_document(c, i);
  int64_t n_trained = 0;
  for (int64_t k = 0; k < d.n; k++) {
    n_trained += d.targets[k] != LB__NOT_TRAINED;
    if (d.targets[k] != LB__NOT_TRAINED) assert_int_equal(d.targets[k], d.ids[k + 1]);
  }
  assert_int_equal(d.targets[d.n - 1], LB__NOT_TRAINED);
  assert_int_equal(n_trained, d.n_trained);
  assert_int_equal(lb__corpus_show(&pieces, &n, c, i, letters, &err), LB_OK);
  for (size_t k = 0; k < n; k++)
    at += (size_t)snprintf(text + at, sizeof text - at, pieces[k].is_trained ? "[%s]" : "%s",
                           pieces[k].text);
  lb__shown_pieces_free(pieces, n);
  for (char *p = text; *p != '\0'; p++)
    if (*p == '\n') *p = '~';
  return text;
}

#define EXPECT(corpus, ...)                                                                        \
  do {                                                                                             \
    static const char *const want_[] = {__VA_ARGS__};                                              \
    int64_t n_ = sizeof want_ / sizeof *want_;                                                     \
    assert_int_equal(lb__corpus_n_documents(corpus), n_);                                          \
    for (int64_t i_ = 0; i_ < n_; i_++) assert_string_equal(shown(corpus, i_), want_[i_]);         \
    lb__corpus_free(corpus);                                                                       \
  } while (0)

/* ---- formats ---- */

static void text_rows(void **state) {
  (void)state;
  lb__corpus *c = corpus_of("{\"text\":\"hello\"}\n\n{\"text\":\"a</s>\",\"other\":null}\n"
                            "{\"text\":\"\"}\n");
  assert_int_equal(lb__corpus_get_facts(c)->n_too_short, 1);
  const lb__corpus_facts *f = lb__corpus_get_facts(c);
  assert_int_equal(f->format, LB__DATA_TEXT);
  assert_int_equal(f->train_on, LB__TRAIN_ON_ALL);
  assert_int_equal(f->n_documents, 2);
  assert_int_equal(f->n_tokens, 5 + 3);
  assert_int_equal(f->n_trained, 4 + 2);
  assert_int_equal(f->longest, 5);
  assert_int_equal(f->n_bad_lines, 0);
  EXPECT(c, "<s>[hello</s>]", "<s>[a</s>]"); /* one end token, also when the text has it */
}

static void without_end_token(void **state) {
  (void)state;
  scratch_write_text(folder, "d.jsonl", "{\"content\":\"abc\"}");
  lb__corpus_options o = options_for("d.jsonl");
  o.append_eos = false;
  o.text_field = "content";
  lb__corpus *c = open_corpus(&o);
  EXPECT(c, "<s>[abc]");
}

static void prompt_rows(void **state) {
  (void)state;
  lb__corpus *c = corpus_of("{\"prompt\":\"ab\",\"completion\":\"cd\"}\n"
                            "{\"prompt\":\"\",\"completion\":\"cd\"}\n"
                            "{\"prompt\":\"ah\",\"completion\":\"elo\"}\n" /* "he" lies across */
                            "{\"prompt\":\"ab\",\"completion\":\"\"}\n"
                            "{\"prompt\":\"\u00e9\",\"completion\":\"\u00e9x\"}\n"
                            "{\"prompt\":\"x\\n\",\"completion\":\"\\ny</s>\"}\n");
  assert_int_equal(lb__corpus_get_facts(c)->n_untrained, 1);
  assert_int_equal(lb__corpus_get_facts(c)->format, LB__DATA_PROMPT);
  assert_int_equal(lb__corpus_get_facts(c)->train_on, LB__TRAIN_ON_COMPLETION);
  EXPECT(c, "<s>ab[cd</s>]", "<s>[cd</s>]", "<s>a[helo</s>]", "<s>\u00e9[\u00e9x</s>]",
         "<s>x[~~y</s>]");
}

static void prompt_rows_all(void **state) {
  (void)state;
  scratch_write_text(folder, "d.jsonl", "{\"prompt\":\"ab\",\"completion\":\"cd\"}");
  lb__corpus_options o = options_for("d.jsonl");
  o.train_on = LB__TRAIN_ON_ALL;
  lb__corpus *c = open_corpus(&o);
  EXPECT(c, "<s>[abcd</s>]");
}

static void message_lists_of_prompts(void **state) {
  (void)state;
  lb__corpus *c = corpus_of(
      "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"r\"},{\"role\":\"user\",\"content\":\"s\"}],\"completion\":[{\"role\":\"assistant\","
      "\"content\":\"t\"}]}");
  EXPECT(c, "<s><u>q~<a>r</s>~<u>s~<a>[t</s>]~");
}

static void message_rows(void **state) {
  (void)state;
  lb__corpus *c = corpus_of(
      "{\"messages\":[{\"role\":\"system\",\"content\":\"y\"},{\"role\":\"user\",\"content\":"
      "\"q\"},{\"role\":\"assistant\",\"content\":\"r\"},{\"role\":\"user\",\"content\":\"s\"},"
      "{\"role\":\"assistant\",\"content\":\"t\"}]}\n"
      "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}\n"
      "{\"messages\":[{\"role\":\"user\",\"content\":\"x</s>\"},{\"role\":\"assistant\","
      "\"content\":\"</s><a>\"}]}\n"
      "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"r\",\"weight\":0},{\"role\":\"user\",\"content\":\"s\"},{\"role\":\"assistant\","
      "\"content\":\"t\",\"weight\":1}]}\n");
  const lb__corpus_facts *f = lb__corpus_get_facts(c);
  assert_int_equal(f->format, LB__DATA_MESSAGES);
  assert_int_equal(f->train_on, LB__TRAIN_ON_ASSISTANT);
  assert_int_equal(f->n_untrained, 1);
  /* what users write is letters: <u> and <a> from the template, one </s>, none from the content */
  lb__document_view d = lb__corpus_document(c, 1);
  int special[8] = {0};
  for (int64_t i = 0; i < d.n; i++)
    if (d.ids[i] < 8) special[d.ids[i]]++;
  assert_int_equal(special[4], 1);
  assert_int_equal(special[6], 1);
  EXPECT(c, "<s>(system:y)<u>q~<a>[r</s>]~<u>s~<a>[t</s>]~", "<s><u>x</s>~<a>[</s><a></s>]~",
         "<s><u>q~<a>r</s>~<u>s~<a>[t</s>]~");
}

static void only_the_last_answer(void **state) {
  (void)state;
  scratch_write_text(folder, "d.jsonl",
                     "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":"
                     "\"assistant\",\"content\":\"r\"},{\"role\":\"user\",\"content\":\"s\"},"
                     "{\"role\":\"assistant\",\"content\":\"t\"},{\"role\":\"user\",\"content\":"
                     "\"u\"}]}");
  lb__corpus_options o = options_for("d.jsonl");
  o.train_on = LB__TRAIN_ON_COMPLETION;
  lb__corpus *c = open_corpus(&o);
  EXPECT(c, "<s><u>q~<a>r</s>~<u>s~<a>[t</s>]~<u>u~");
}

static void alpaca_rows(void **state) {
  (void)state;
  static const char rows[] =
      "{\"instruction\":\"i\",\"input\":\"j\",\"output\":\"o\"}\n"
      "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\",\"system\":\"y\",\"history\":"
      "[[\"a\",\"b\"]]}\n";
  lb__corpus *c = corpus_of(rows);
  assert_int_equal(lb__corpus_get_facts(c)->format, LB__DATA_ALPACA);
  EXPECT(c, "<s><u>i~j~<a>[o</s>]~", "<s>(system:y)<u>a~<a>b</s>~<u>i~<a>[o</s>]~");
  lb__corpus_options o = options_for("d.jsonl");
  o.chat_template = NULL;
  c = open_corpus(&o);
  EXPECT(c,
         "<s>Below is an instruction that describes a task, paired with an input that provides "
         "further context. Write a response that appropriately completes the request.~~### "
         "Instruction:~i~~### Input:~j~~### Response:~[o</s>]",
         "<s>y~~### Instruction:~a~~### Response:~b~~### Instruction:~i~~### "
         "Response:~[o</s>]");
}

static void sharegpt_rows(void **state) {
  (void)state;
  lb_chat_template *tools = template_of(
      "{% for m in messages %}<u>{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}!"
      "{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}"
      "{% if add_generation_prompt %}<u>assistant:{% endif %}{{ tools | tojson if tools }}");
  scratch_write_text(
      folder, "d.jsonl",
      "{\"conversations\":[{\"from\":\"system\",\"value\":\"y\"},{\"from\":\"human\",\"value\":"
      "\"q\"},{\"from\":\"function_call\",\"value\":\"{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{"
      "\\\"x\\\":1}}\"},{\"from\":\"observation\",\"value\":\"w\"},{\"from\":\"gpt\",\"value\":"
      "\"r\"}]}\n"
      "{\"conversations\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\","
      "\"content\":\"r\"}]}\n"
      "{\"conversations\":[{\"from\":\"martian\",\"value\":\"q\"}]}\n");
  lb__corpus_options o = options_for("d.jsonl");
  o.chat_template = tools;
  lb__corpus *c = open_corpus(&o);
  const lb__corpus_facts *f = lb__corpus_get_facts(c);
  assert_int_equal(f->format, LB__DATA_SHAREGPT);
  assert_int_equal(f->n_bad_lines, 1);
  assert_non_null(strstr(f->first_bad, "d.jsonl:3: "));
  assert_non_null(strstr(f->first_bad, "martian"));
  EXPECT(c, "<u>system:y<u>user:q<u>assistant:[!f{\"x\": 1}]<u>tool:w<u>assistant:[r]",
         "<u>user:q<u>assistant:[r]");
  lb_chat_template_free(tools);
}

static void token_rows(void **state) {
  (void)state;
  scratch_write_text(folder, "d.jsonl",
                     "{\"input_ids\":[12,13,14],\"labels\":[-100,-100,14],\"text\":\"no\"}\n"
                     "{\"input_ids\":[12,13,14]}\n"
                     "{\"input_ids\":[0,0,12,13],\"attention_mask\":[0,0,1,1],\"labels\":[-100,"
                     "-100,12,13]}\n"
                     "{\"input_ids\":[12,13],\"labels\":[12,-100]}\n" /* learns nothing */
                     "{\"input_ids\":[12]}\n");
  lb__corpus_options o = options_for("d.jsonl");
  o.tokenizer = NULL;
  o.chat_template = NULL;
  o.vocab_size = 15;
  lb__corpus *c = open_corpus(&o);
  const lb__corpus_facts *f = lb__corpus_get_facts(c);
  assert_int_equal(f->format, LB__DATA_TOKENS);
  assert_int_equal(f->n_documents, 3);
  assert_int_equal(f->n_untrained, 1);
  assert_int_equal(f->n_too_short, 1);
  lb__document_view d = lb__corpus_document(c, 0);
  assert_int_equal(d.targets[0], LB__NOT_TRAINED);
  assert_int_equal(d.targets[1], 14);
  assert_int_equal(d.targets[2], LB__NOT_TRAINED);
  d = lb__corpus_document(c, 2);
  assert_int_equal(d.n, 2);
  assert_int_equal(d.ids[0], 12);
  assert_int_equal(d.targets[0], 13);
  lb__shown_piece *pieces;
  size_t n;
  assert_int_equal(lb__corpus_show(&pieces, &n, c, 0, NULL, &err), LB_OK);
  assert_int_equal(n, 2);
  assert_string_equal(pieces[0].text, "12 13 ");
  assert_true(pieces[1].is_trained);
  lb__shown_pieces_free(pieces, n);
  lb__corpus_free(c);
  o.vocab_size = 14;
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "d.jsonl:1: "));
  assert_non_null(strstr(err.message, "14"));
}

/* ---- templates ---- */

#define TWO_ROUNDS                                                                                 \
  "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"      \
  "\"r\"},{\"role\":\"user\",\"content\":\"s\"},{\"role\":\"assistant\",\"content\":\"<t\"}]}"

static lb__corpus *with_template(const char *source, const char *rows) {
  lb_chat_template *t = template_of(source);
  scratch_write_text(folder, "d.jsonl", rows);
  lb__corpus_options o = options_for("d.jsonl");
  o.chat_template = t;
  lb__corpus *c;
  lb_status st = lb__corpus_open(&c, &o, &err);
  lb_chat_template_free(t);
  return st == LB_OK ? c : NULL;
}

static void a_template_that_marks_generation(void **state) {
  (void)state;
  lb__corpus *c = with_template(
      "{% for m in messages %}{% if m.role == 'assistant' %}<a>:{%- generation %}{{ m.content }}"
      "</s>\n{% endgeneration %}{% else %}<u>{{ m.content }}{% endif %}{% endfor %}",
      TWO_ROUNDS);
  assert_non_null(c);
  EXPECT(c, "<u>q<a>:[r</s>~]<u>s<a>:[<t</s>~]"); /* exactly what it marks */
}

/* The prompt opens <think>, earlier and last turns do not show it; an answer that begins like it is
 * still learned from its first byte. */
static void a_prompt_that_goes_on_differently(void **state) {
  (void)state;
  lb__corpus *c = with_template(
      "{% for m in messages %}{{ '<a>' if m.role == 'assistant' else '<u>' }}{{ m.content }}</s>"
      "{% endfor %}{% if add_generation_prompt %}<a><think>\n{% endif %}",
      TWO_ROUNDS);
  assert_non_null(c);
  EXPECT(c, "<u>q</s><a>[r</s>]<u>s</s><a>[<t</s>]");
}

/* An earlier turn is shown without what the model wrote: it is learned where it is the last. */
static void a_template_that_rewrites_history(void **state) {
  (void)state;
  lb__corpus *c = with_template(
      "{% for m in messages %}{% if m.role == 'assistant' %}<a>{{ '(think)' if loop.last }}"
      "{{ m.content }}</s>{% else %}<u>{{ m.content }}{% endif %}{% endfor %}"
      "{% if add_generation_prompt %}<a>{% endif %}",
      TWO_ROUNDS);
  assert_non_null(c);
  EXPECT(c, "<u>q<a>[(think)r</s>]", "<u>q<a>r</s><u>s<a>[(think)<t</s>]");
}

/* What stands before the turn depends on the turn: nothing can be said, so nothing is learned. */
static void a_template_that_hides_the_turn(void **state) {
  (void)state;
  assert_null(with_template("{{ messages | length }}{% for m in messages %}<u>{{ m.content }}"
                            "{% endfor %}",
                            TWO_ROUNDS));
  assert_int_equal(err.status, LB_E_FORMAT);
  assert_non_null(strstr(err.message, "d.jsonl:1: "));
  assert_non_null(strstr(err.message, "{% generation %}"));
}

static void a_template_that_complains(void **state) {
  (void)state;
  assert_null(with_template("{{ raise_exception('no such talk') }}", TWO_ROUNDS));
  assert_non_null(strstr(err.message, "no such talk"));
}

/* n messages, the user's first, each of `content`. */
static void write_conversation(size_t n, const char *content) {
  lb__buf b;
  lb__buf_init(&b, SIZE_MAX);
  lb__buf_add_text(&b, "{\"messages\":[");
  for (size_t i = 0; i < n; i++)
    lb__buf_printf(&b, "%s{\"role\":\"%s\",\"content\":\"%s\"}", i > 0 ? "," : "",
                   i % 2 == 0 ? "user" : "assistant", content);
  lb__buf_add_text(&b, "]}");
  scratch_write_text(folder, "d.jsonl", lb__buf_text(&b));
  lb__buf_deinit(&b);
}

/* A template that must be asked anew for each turn is not asked for ever. */
static void a_conversation_without_end(void **state) {
  (void)state;
  lb_chat_template *marks =
      template_of("{% for m in messages %}{% if m.role == 'assistant' %}<a>{% generation %}"
                  "{{ m.content }}</s>{% endgeneration %}{% endif %}{% endfor %}");
  write_conversation(3000, "a");
  lb__corpus *c;
  lb__corpus_options o = options_for("d.jsonl");
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_FORMAT);
  assert_non_null(strstr(err.message, "d.jsonl:1: "));
  assert_non_null(strstr(err.message, "a conversation of 3000 messages is too long"));
  o.chat_template = marks;
  o.max_length = 1 << 20;
  c = open_corpus(&o);
  assert_int_equal(lb__corpus_get_facts(c)->n_trained, 1500 * 2);
  lb__corpus_free(c);
  lb_chat_template_free(marks);
}

/* Tokens must not depend on the day. */
static void the_date_stands_still(void **state) {
  (void)state;
  lb__corpus *c = with_template("{{ strftime_now('%d %B %Y') }}<a>{% generation %}x"
                                "{% endgeneration %}",
                                TWO_ROUNDS);
  assert_non_null(c);
  EXPECT(c, "26 July 2024<a>[x]");
}

/* ---- normalisers: the text and the decoded ids differ, so borders are found by tokenising ---- */

static void borders_in_normalised_text(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(
      "\"normalizer\":{\"type\":\"Lowercase\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\","
      "\"add_prefix_space\":false,\"use_regex\":false},\"decoder\":{\"type\":\"ByteLevel\"},"
      "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"bc\":3},\"merges\":[["
      "\"b\",\"c\"]]}");
  scratch_write_text(folder, "d.jsonl",
                     "{\"prompt\":\"AB\",\"completion\":\"AC\"}\n"
                     "{\"prompt\":\"AB\",\"completion\":\"CA\"}\n");
  lb__corpus_options o = options_for("d.jsonl");
  o.tokenizer = t;
  lb__corpus *c = open_corpus(&o);
  assert_int_equal(lb__corpus_n_documents(c), 2);
  static const int32_t want[2][4] = {{LB__NOT_TRAINED, 0, 2, LB__NOT_TRAINED},
                                     {3, 0, LB__NOT_TRAINED, 0}};
  for (int i = 0; i < 2; i++) {
    lb__document_view d = lb__corpus_document(c, i);
    assert_int_equal(d.n, 4 - i);
    for (int64_t k = 0; k < d.n; k++) assert_int_equal(d.targets[k], want[i][k]);
  }
  lb__corpus_free(c);
  lb_tokenizer_free(t);
}

/* Two tokenizations for each border: of many borders in much text, too many. */
static void too_many_borders_in_normalised_text(void **state) {
  (void)state;
  char content[4001];
  memset(content, 'A', sizeof content - 1);
  content[sizeof content - 1] = '\0';
  lb_chat_template *t = template_of(
      "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
      "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}");
  lb_tokenizer *lower = small_tokenizer(
      "\"normalizer\":{\"type\":\"Lowercase\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\","
      "\"add_prefix_space\":false,\"use_regex\":false},\"decoder\":{\"type\":\"ByteLevel\"},"
      "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}");
  write_conversation(100, content);
  lb__corpus *c;
  lb__corpus_options o = options_for("d.jsonl");
  o.tokenizer = lower;
  o.chat_template = t;
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_FORMAT);
  assert_non_null(strstr(err.message, "400000 bytes with 50 trained parts"));
  lb_tokenizer_free(lower);
  lb_chat_template_free(t);
}

/* ---- limits and counts ---- */

static void truncation_keeps_the_beginning(void **state) {
  (void)state;
  scratch_write_text(folder, "d.jsonl",
                     "{\"text\":\"abcdefgh\"}\n{\"text\":\"ab\"}\n"
                     "{\"prompt\":\"abcdefgh\",\"completion\":\"i\"}\n");
  lb__corpus_options o = options_for("d.jsonl");
  o.max_length = 4;
  lb__corpus *c = open_corpus(&o);
  const lb__corpus_facts *f = lb__corpus_get_facts(c);
  assert_int_equal(f->n_truncated, 2);
  assert_int_equal(f->n_untrained, 1); /* its answer lies beyond the cut */
  assert_int_equal(f->longest, 4);
  EXPECT(c, "<s>[abc]", "<s>[ab</s>]");
}

static void most_documents(void **state) {
  (void)state;
  scratch_write_text(folder, "d.jsonl", "{\"text\":\"ab\"}\n{\"text\":\"cd\"}\n{\"text\":\"ef\"}");
  lb__corpus_options o = options_for("d.jsonl");
  o.max_documents = 2;
  lb__corpus *c = open_corpus(&o);
  EXPECT(c, "<s>[ab</s>]", "<s>[cd</s>]");
}

static void bad_rows_are_counted(void **state) {
  (void)state;
  lb__corpus *c = corpus_of("{\"text\":\"ab\"}\n{\"text\":\n[1]\n{\"text\":5}\n{\"x\":1}\n"
                            "{\"text\":\"cd\"}\n{\"text\":\"\xff\"}\n");
  const lb__corpus_facts *f = lb__corpus_get_facts(c);
  assert_int_equal(f->n_bad_lines, 5);
  assert_non_null(strstr(f->first_bad, "d.jsonl:2: JSON:1:"));
  EXPECT(c, "<s>[ab</s>]", "<s>[cd</s>]");
}

typedef struct bad_case {
  const char *name, *content, *wanted;
  lb_status status;
} bad_case;

static void hopeless_files_are_errors(void **state) {
  (void)state;
  static const bad_case cases[] = {
      {"d.jsonl", "", "holds no row", LB_E_FORMAT},
      {"d.jsonl", "{}\n{\n", "none of its 2 rows can be used; the first: ", LB_E_FORMAT},
      {"d.jsonl", "{\"a\":1,\"b\":2}", "found: a, b", LB_E_FORMAT},
      {"d.jsonl", "{\"prompt\":\"a\"}", "want the keys text", LB_E_FORMAT},
      {"d.jsonl", "{\"prompt\":\"a\",\"completion\":[1]}", "found string and array", LB_E_FORMAT},
      {"d.jsonl", "{\"messages\":[]}", "an empty one", LB_E_FORMAT},
      {"d.jsonl", "{\"messages\":[5]}", "message 0: want an object", LB_E_FORMAT},
      {"d.jsonl", "{\"messages\":[{\"content\":\"x\"}]}", "one without 'role'", LB_E_FORMAT},
      {"d.jsonl", "{\"input_ids\":[1,2],\"labels\":[1]}", "want as many", LB_E_FORMAT},
      {"d.jsonl", "{\"input_ids\":[1,\"2\"]}", "item 1: want an integer", LB_E_FORMAT},
      {"d.jsonl", "{\"input_ids\":[1,9999999999]}", "32 bits", LB_E_ARG},
      {"d.jsonl", "{\"input_ids\":[1,-5]}", "-5 at position 1", LB_E_ARG},
      {"d.jsonl", "{\"input_ids\":[1,2],\"labels\":[-100,-100]}", "trained token", LB_E_ARG},
      {"d.csv", "a,b", ".jsonl", LB_E_UNSUPPORTED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lb__corpus *c;
    scratch_empty(folder);
    scratch_write_text(folder, cases[i].name, cases[i].content);
    lb__corpus_options o = options_for(cases[i].name);
    lb_status st = lb__corpus_open(&c, &o, &err);
    assert_null(c);
    if (st != cases[i].status || strstr(err.message, cases[i].wanted) == NULL ||
        strstr(err.message, cases[i].name) == NULL)
      fail_msg("%s: %s", cases[i].content, err.message);
  }
}

static void wrong_wishes_are_errors(void **state) {
  (void)state;
  lb__corpus *c;
  scratch_write_text(folder, "t.jsonl", "{\"text\":\"ab\"}");
  scratch_write_text(folder, "m.jsonl", TWO_ROUNDS);
  lb__corpus_options o = options_for("t.jsonl");
  o.train_on = LB__TRAIN_ON_ASSISTANT;
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "train_on"));
  o = options_for("m.jsonl");
  o.chat_template = NULL;
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "chat template"));
  o = options_for("t.jsonl");
  o.tokenizer = NULL;
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "tokenizer"));
  o = options_for("t.jsonl");
  o.max_length = 1;
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_ARG);
  o = options_for("t.jsonl");
  o.format = LB__DATA_PROMPT;
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_FORMAT);
  o = options_for("gone.jsonl");
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_IO);
  const volatile int stop = 1;
  o = options_for("t.jsonl");
  o.cancel = &stop;
  assert_int_equal(lb__corpus_open(&c, &o, &err), LB_E_CANCELLED);
}

/* ---- several files ---- */

typedef struct progress {
  uint64_t done, total;
  int64_t n_documents;
  int calls;
} progress;

static void note_progress(void *ctx, uint64_t done, uint64_t total, int64_t n_documents) {
  progress *p = ctx;
  assert_true(done >= p->done && done <= total);
  assert_true(n_documents >= p->n_documents);
  *p = (progress){done, total, n_documents, p->calls + 1};
}

static void folders_mix_formats(void **state) {
  (void)state;
  scratch_empty(folder);
  scratch_write_text(folder, "a.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n{]\n");
  scratch_write_text(folder, "b.txt", "cd\n");
  scratch_write_text(folder, "c.json", "[{\"text\":\"ef\"},\n{\"input_ids\":[12,13]}, 7]");
  const char *paths[] = {folder};
  progress p = {0};
  lb__corpus_options o = options_for("");
  o.paths = paths;
  o.on_progress = note_progress;
  o.on_progress_ctx = &p;
  lb__corpus *c = open_corpus(&o);
  const lb__corpus_facts *f = lb__corpus_get_facts(c);
  assert_int_equal(f->format, LB__DATA_PROMPT);
  assert_int_equal(f->n_bad_lines, 2);
  assert_non_null(strstr(f->first_bad, "a.jsonl:2: "));
  assert_true(p.calls == 3 && p.done == p.total && p.n_documents == 4);
  EXPECT(c, "<s>a[b</s>]", "<s>[cd~</s>]", "<s>[ef</s>]", "a[b]");
  scratch_write_text(folder, "d.jsonl", "no\n");
  o.on_progress = NULL;
  assert_int_equal(lb__corpus_open(&c, &o, &err),
                   LB_E_FORMAT); /* a file of no use is no accident */
  assert_non_null(strstr(err.message, "d.jsonl': none of its 1 rows can be used"));
  scratch_empty(folder);
}

/* ---- running text ---- */

static void text_files_lose_nothing(void **state) {
  (void)state;
  enum { N = 3 << 20 };
  char *text = malloc(N + 1), *back = calloc(1, N + 1);
  for (int i = 0; i < N; i++) text[i] = (char)(i % 61 == 60 ? '\n' : 'i' + i * 7 % 3);
  text[N] = '\0';
  scratch_write(folder, "d.txt", text, N);
  lb__corpus_options o = options_for("d.txt");
  o.max_length = 100;
  lb__corpus *c = open_corpus(&o);
  size_t at = 0;
  int64_t n = lb__corpus_n_documents(c);
  for (int64_t i = 0; i < n; i++) {
    lb__document_view d = lb__corpus_document(c, i);
    char *piece;
    size_t size;
    assert_int_equal(d.ids[0], 3);
    assert_int_equal(d.n_trained, d.n - 1);
    assert_true(d.n <= 100);
    assert_int_equal(d.ids[d.n - 1] == 4, i + 1 == n);
    assert_int_equal(lb_tokenizer_decode(letters, d.ids, (size_t)d.n, true, &piece, &size, &err),
                     LB_OK);
    memcpy(back + at, piece, size);
    at += size;
    lb_text_free(piece);
  }
  assert_int_equal(at, N);
  assert_memory_equal(text, back, N);
  lb__corpus_free(c);
  free(text);
  free(back);
}

/* ---- sameness ---- */

static void write_many(const char *name, int n) {
  char *text = malloc((size_t)n * 60), *p = text;
  for (int i = 0; i < n; i++)
    p += i % 3 == 0 ? sprintf(p, "{\"text\":\"row %d%.*s\"}\n", i, i % 20, "abcdefghijklmnopqrstu")
                    : sprintf(p, "{\"prompt\":\"p%d\",\"completion\":\"c%d\"}\n", i, i);
  scratch_write_text(folder, name, text);
  free(text);
}

static void same_for_any_threads_and_place(void **state) {
  (void)state;
  write_many("d.jsonl", 5000);
  lb__corpus_options o = options_for("d.jsonl");
  lb__corpus *one, *many, *filed;
  char cache[1024];
  snprintf(cache, sizeof cache, "%s", scratch_path(folder, "tokens.bin"));
  lb_threads_set(1);
  one = open_corpus(&o);
  lb_threads_set(4);
  many = open_corpus(&o);
  o.cache_path = cache;
  filed = open_corpus(&o);
  lb_threads_set(0);
  assert_int_equal(scratch_exists(folder, "tokens.bin"), 0); /* mapped, and gone */
  assert_int_equal(lb__corpus_n_documents(one), 5000);
  const lb__corpus *others[] = {many, filed};
  for (int k = 0; k < 2; k++) {
    assert_true(lb__corpus_get_facts(one)->hash == lb__corpus_get_facts(others[k])->hash);
    for (int64_t i = 0; i < 5000; i++) {
      lb__document_view a = lb__corpus_document(one, i), b = lb__corpus_document(others[k], i);
      assert_int_equal(a.n, b.n);
      assert_memory_equal(a.ids, b.ids, (size_t)a.n * sizeof *a.ids);
      assert_memory_equal(a.targets, b.targets, (size_t)a.n * sizeof *a.targets);
    }
  }
  lb__corpus_free(one);
  lb__corpus_free(many);
  lb__corpus_free(filed);
}

static void the_hash_sees_tokens_and_targets(void **state) {
  (void)state;
  const int32_t ids[] = {1, 2, 3, 4}, other[] = {1, 2, 3, 5};
  const int32_t targets[] = {2, -100, 4, -100}, fewer[] = {2, -100, -100, -100};
  const int64_t start[] = {0, 2, 4}, joined[] = {0, 4};
  lb__corpus *c[4];
  assert_int_equal(lb__corpus_from_arrays(&c[0], ids, targets, start, 2, &err), LB_OK);
  assert_int_equal(lb__corpus_from_arrays(&c[1], other, targets, start, 2, &err), LB_OK);
  assert_int_equal(lb__corpus_from_arrays(&c[2], ids, fewer, start, 2, &err), LB_OK);
  assert_int_equal(lb__corpus_from_arrays(&c[3], ids, targets, joined, 1, &err), LB_OK);
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < i; k++)
      assert_true(lb__corpus_get_facts(c[i])->hash != lb__corpus_get_facts(c[k])->hash);
  for (int i = 0; i < 4; i++) lb__corpus_free(c[i]);
}

/* ---- the held-out part ---- */

static void splits(void **state) {
  (void)state;
  static const struct {
    double fraction;
    int64_t held_out;
  } cases[] = {{0.1, 30}, {0.001, 1}, {0.999, 299}, {0.5, 150}, {0.0034, 2}};
  write_many("d.jsonl", 300);
  lb__corpus_options o = options_for("d.jsonl");
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    lb__corpus *c = open_corpus(&o), *held, *again = open_corpus(&o), *held_again;
    lb__corpus_facts whole = *lb__corpus_get_facts(c);
    assert_int_equal(lb__corpus_split(&held, c, cases[k].fraction, 5, &err), LB_OK);
    assert_int_equal(lb__corpus_split(&held_again, again, cases[k].fraction, 5, &err), LB_OK);
    const lb__corpus_facts *a = lb__corpus_get_facts(c), *b = lb__corpus_get_facts(held);
    assert_int_equal(b->n_documents, cases[k].held_out);
    assert_int_equal(lb__corpus_n_documents(held), cases[k].held_out);
    assert_int_equal(a->n_documents + b->n_documents, 300);
    assert_int_equal(a->n_tokens + b->n_tokens, whole.n_tokens);
    assert_int_equal(a->n_trained + b->n_trained, whole.n_trained);
    assert_true(a->hash != whole.hash && b->hash != whole.hash && a->hash != b->hash);
    assert_true(b->hash == lb__corpus_get_facts(held_again)->hash);
    int64_t n = 0;
    for (int64_t i = 0; i < b->n_documents; i++) n += lb__corpus_document(held, i).n;
    assert_int_equal(n, b->n_tokens);
    lb__corpus_free(held);
    lb__corpus_free(held_again);
    lb__corpus_free(again);
    lb__corpus_free(c);
  }
  lb__corpus *c = open_corpus(&o), *held;
  assert_int_equal(lb__corpus_split(&held, c, 1.0, 5, &err), LB_E_ARG);
  assert_int_equal(lb__corpus_split(&held, c, 0.0, 5, &err), LB_E_ARG);
  lb__corpus_free(c);
}

/* ---- faults ---- */

static uint64_t clean_hash;

static lb_status open_and_split(void *ctx, lb_error *e) {
  lb__corpus *c, *held = NULL;
  lb__shown_piece *pieces = NULL;
  size_t n = 0;
  lb__corpus_options o = options_for("d.jsonl");
  o.cache_path = ctx;
  lb_status st = lb__corpus_open(&c, &o, e);
  if (st == LB_OK) { /* what survives a fault has lost nothing */
    const lb__corpus_facts *f = lb__corpus_get_facts(c);
    if (clean_hash == 0) clean_hash = f->hash;
    assert_true(f->hash == clean_hash);
    assert_int_equal(f->n_bad_lines, 0);
  }
  if (st == LB_OK) st = lb__corpus_split(&held, c, 0.4, 1, e);
  if (st == LB_OK) st = lb__corpus_show(&pieces, &n, c, 0, letters, e);
  lb__shown_pieces_free(pieces, n);
  lb__corpus_free(held);
  lb__corpus_free(c);
  return st;
}

static void nothing_stays(void *ctx, lb_status status, bool left_behind) {
  (void)ctx, (void)status;
  if (!left_behind) assert_int_equal(scratch_count_hidden(folder), 0);
}

static void write_all_formats(void *ctx) {
  (void)ctx;
  scratch_empty(folder);
  scratch_write_text(
      folder, "d.jsonl",
      "{\"text\":\"ab\"}\n{\"prompt\":\"a\u00e9\",\"completion\":\"c\"}\n" TWO_ROUNDS
      "\n{\"instruction\":\"i\",\"input\":\"j\",\"output\":\"o\"}\n"
      "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"function_call\","
      "\"value\":\"{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{}}\"}]}\n"
      "{\"input_ids\":[1,2,3]}\n{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":"
      "\"assistant\",\"content\":\"r\"}],\"tools\":\"[]\",\"chat_template_kwargs\":{\"x\":1}}");
}

static void everything_may_fail(void **state) {
  (void)state;
  char cache[1024];
  snprintf(cache, sizeof cache, "%s", scratch_path(folder, "tokens.bin"));
  write_all_formats(NULL);
  lb_threads_set(1);
  clean_hash = 0;
  assert_int_equal(open_and_split(NULL, &err), LB_OK);
  fault_case c = {.run = open_and_split,
                  .prepare = write_all_formats,
                  .may_survive = true}; /* an arena tries a smaller block */
  assert_true(fault_each_allocation(&c) > 200);
  c.ctx = cache;
  c.check = nothing_stays;
  assert_true(fault_each_allocation(&c) > 200);
  assert_true(fault_each_io(&c) > 20);
  lb_threads_set(0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_rows),
      cmocka_unit_test(without_end_token),
      cmocka_unit_test(prompt_rows),
      cmocka_unit_test(prompt_rows_all),
      cmocka_unit_test(message_lists_of_prompts),
      cmocka_unit_test(message_rows),
      cmocka_unit_test(only_the_last_answer),
      cmocka_unit_test(alpaca_rows),
      cmocka_unit_test(sharegpt_rows),
      cmocka_unit_test(token_rows),
      cmocka_unit_test(a_template_that_marks_generation),
      cmocka_unit_test(a_prompt_that_goes_on_differently),
      cmocka_unit_test(a_template_that_rewrites_history),
      cmocka_unit_test(a_template_that_hides_the_turn),
      cmocka_unit_test(a_template_that_complains),
      cmocka_unit_test(a_conversation_without_end),
      cmocka_unit_test(the_date_stands_still),
      cmocka_unit_test(borders_in_normalised_text),
      cmocka_unit_test(too_many_borders_in_normalised_text),
      cmocka_unit_test(truncation_keeps_the_beginning),
      cmocka_unit_test(most_documents),
      cmocka_unit_test(bad_rows_are_counted),
      cmocka_unit_test(hopeless_files_are_errors),
      cmocka_unit_test(wrong_wishes_are_errors),
      cmocka_unit_test(folders_mix_formats),
      cmocka_unit_test(text_files_lose_nothing),
      cmocka_unit_test(same_for_any_threads_and_place),
      cmocka_unit_test(the_hash_sees_tokens_and_targets),
      cmocka_unit_test(splits),
      cmocka_unit_test(everything_may_fail),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
