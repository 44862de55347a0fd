/* demo_texts.c - the demo's texts: short stories and worked sums from a grammar, so that there is
 * as much as one wants, and so that answers can be checked exactly.
 *
 *   demo_texts make FOLDER DOCUMENTS SEED QUESTIONS
 *   demo_texts check QUESTIONS ANSWERS
 *
 * make: train.jsonl and held-out.jsonl, of which there are QUESTIONS or more; harder.jsonl;
 * questions.jsonl and harder-questions.jsonl: sums that are held out, up to the question mark.
 * check: how many answers are right, ANSWERS being what `limbeck generate --input QUESTIONS --json`
 * prints.
 *
 * A text is a pure function of (seed, number). Which of them are held out is a function of the text
 * itself: a held-out text is in no training file of any seed. "Harder" sums have larger numbers and
 * more steps than any that is trained on. Read next: words.h, the stories. */
#include "words.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 4096, HELD_OUT = 16 /* one text of so many */ };

static void stop(const char *what, const char *name) {
  fprintf(stderr, "demo_texts: %s: %s\n", what, name);
  exit(1);
}

/* ---- random numbers: splitmix64 (Steele, Lea and Flood 2014) ---- */

static uint64_t mixed(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
  x = (x ^ x >> 27) * 0x94D049BB133111EBU;
  return x ^ x >> 31;
}

static uint64_t state;

static uint64_t below(uint64_t n) {
  state += 0x9E3779B97F4A7C15U;
  return mixed(state) % n;
}

static int64_t between(int64_t low, int64_t high) {
  return low + (int64_t)below((uint64_t)(high - low + 1));
}

/* ---- texts ---- */

typedef struct text {
  char bytes[TEXT_SIZE];
  size_t size;
} text;

__attribute__((format(printf, 2, 3))) static void put(text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(t->bytes + t->size, sizeof t->bytes - t->size, format, args);
  va_end(args);
  if (n < 0 || (size_t)n >= sizeof t->bytes - t->size) stop("a text is too long", t->bytes);
  t->size += (size_t)n;
}

static size_t count(const char *const *words) {
  size_t n = 0;
  while (words[n] != NULL) n++;
  return n;
}

/* ---- stories ---- */

enum { SLOTS = 64, SLOT_SIZE = 24 };
typedef struct story {
  struct {
    char name[SLOT_SIZE]; /* "place2" */
    const char *word;
  } slots[SLOTS];
  size_t n;
  bool is_girl;
} story;

static const char *const *list_of(const char *slot) {
  size_t size = strcspn(slot, "0123456789");
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    if (strlen(lists[i].name) == size && memcmp(lists[i].name, slot, size) == 0)
      return lists[i].words;
  stop("there is no list of words", slot);
  return NULL;
}

static bool is_taken(const story *s, const char *word) {
  for (size_t i = 0; i < s->n; i++)
    if (s->slots[i].word == word) return true;
  return false;
}

static const char *pronoun(const story *s, const char *slot) {
  static const char *const forms[][3] = {
      {"they", "he", "she"}, {"them", "him", "her"}, {"their", "his", "her"}};
  for (size_t i = 0; i < 3; i++)
    if (strcmp(forms[i][0], slot) == 0) return forms[i][s->is_girl ? 2 : 1];
  return NULL;
}

/* The same word for the same slot; different words for different slots. */
static const char *word_of(story *s, const char *slot) {
  const char *known = pronoun(s, slot);
  for (size_t i = 0; i < s->n && known == NULL; i++)
    if (strcmp(s->slots[i].name, slot) == 0) known = s->slots[i].word;
  if (known != NULL) return known;
  const char *const *words = list_of(slot);
  size_t n = count(words), k;
  do k = below(n);
  while (is_taken(s, words[k]));
  if (s->n == SLOTS) stop("too many slots", slot);
  snprintf(s->slots[s->n].name, SLOT_SIZE, "%s", slot);
  s->slots[s->n++].word = words[k];
  if (words == names) s->is_girl = k % 2 == 0;
  return words[k];
}

/* cherries, tomatoes, radishes, pears */
static void put_many(text *t, const char *word) {
  size_t size = strlen(word);
  char last = word[size - 1];
  bool is_hissing = last == 'x' || last == 'h';
  if (last == 'y')
    put(t, "%.*sies", (int)size - 1, word);
  else
    put(t, "%s%s", word, last == 'o' || is_hissing ? "es" : "s");
}

static void put_word(text *t, const char *word, bool is_capital, bool is_many) {
  char copy[SLOT_SIZE];
  snprintf(copy, sizeof copy, "%s", word);
  bool after_a = t->size >= 3 && memcmp(t->bytes + t->size - 3, " a ", 3) == 0;
  bool begins_so = t->size == 2 && t->bytes[0] == 'A';
  if ((after_a || begins_so) && strchr("aeiou", word[0]) != NULL) {
    t->size--;
    put(t, "n ");
  }
  if (is_capital) copy[0] = (char)toupper((unsigned char)copy[0]);
  if (is_many)
    put_many(t, copy);
  else
    put(t, "%s", copy);
}

static void put_sentence(text *t, story *s, const char *sentence) {
  while (*sentence != '\0') {
    size_t plain = strcspn(sentence, "{");
    put(t, "%.*s", (int)plain, sentence);
    sentence += plain;
    if (*sentence == '\0') return;
    size_t size = strcspn(++sentence, "}");
    char slot[SLOT_SIZE];
    snprintf(slot, sizeof slot, "%.*s", (int)size, sentence);
    bool is_capital = isupper((unsigned char)slot[0]) != 0;
    slot[0] = (char)tolower((unsigned char)slot[0]);
    sentence += size + 1;
    bool is_many = sentence[0] == 's' && !isalpha((unsigned char)sentence[1]);
    put_word(t, word_of(s, slot), is_capital, is_many);
    sentence += is_many;
  }
}

static void put_story(text *t) {
  story s = {0};
  const plot *p = plots[below(N_PLOTS)];
  (void)word_of(&s, "name"); /* the hero, before anybody says "she" */
  for (size_t i = 0; i < SENTENCES && (*p)[i][0] != NULL; i++) {
    size_t n = 0;
    while (n < VARIANTS && (*p)[i][n] != NULL) n++;
    if (i > 0) put(t, " ");
    put_sentence(t, &s, (*p)[i][below(n)]);
  }
}

/* ---- sums ---- */

typedef struct sum {
  text question, work;
  int64_t answer;
} sum;

static int64_t work(text *t, int64_t a, char operation, int64_t b) {
  int64_t result = operation == '+' ? a + b : operation == '-' ? a - b : a * b;
  put(t, "%" PRId64 " %c %" PRId64 " = %" PRId64 ", ", a, operation, b, result);
  return result;
}

/* Numbers of the usual sums, and of the harder ones that nobody is trained on. */
typedef struct range {
  int64_t low, high;
} range;
static const range amount[] = {{1, 20}, {21, 60}}, factor[] = {{2, 9}, {10, 19}};

static int64_t draw(const range *r) {
  return between(r->low, r->high);
}

static void sum_add(sum *s, story *w, bool is_hard) {
  int64_t a = draw(&amount[is_hard]), b = draw(&amount[is_hard]);
  put_sentence(&s->question, w, "{Name} has ");
  put(&s->question, "%" PRId64, a);
  put_sentence(&s->question, w, " {food}s and gets ");
  put(&s->question, "%" PRId64 " more", b);
  put_sentence(&s->question, w, " from the {animal}. How many {food}s does {name} have now?");
  s->answer = work(&s->work, a, '+', b);
}

static void sum_subtract(sum *s, story *w, bool is_hard) {
  int64_t b = draw(&amount[is_hard]), a = b + draw(&amount[is_hard]);
  put_sentence(&s->question, w, "There are ");
  put(&s->question, "%" PRId64, a);
  put_sentence(&s->question, w, " {thing}s in the box. The {animal} takes away ");
  put(&s->question, "%" PRId64, b);
  put_sentence(&s->question, w, ". How many {thing}s are left?");
  s->answer = work(&s->work, a, '-', b);
}

static void sum_multiply(sum *s, story *w, bool is_hard) {
  int64_t a = between(2, 9), b = draw(&factor[is_hard]);
  put_sentence(&s->question, w, "{Name} fills ");
  put(&s->question, "%" PRId64, a);
  put_sentence(&s->question, w, " baskets with ");
  put(&s->question, "%" PRId64, b);
  put_sentence(&s->question, w, " {food}s each. How many {food}s are that together?");
  s->answer = work(&s->work, a, 'x', b);
}

static void sum_two_steps(sum *s, story *w, bool is_hard) {
  int64_t a = draw(&amount[0]), b = draw(&amount[0]), c = between(1, a + b < 20 ? a + b : 20);
  put_sentence(&s->question, w, "{Name} finds ");
  put(&s->question, "%" PRId64, a);
  put_sentence(&s->question, w, " {food}s at the {place} and ");
  put(&s->question, "%" PRId64, b);
  put_sentence(&s->question, w, " at the {place2}. The {animal} eats ");
  put(&s->question, "%" PRId64, c);
  put_sentence(&s->question, w, " of them.");
  s->answer = work(&s->work, work(&s->work, a, '+', b), '-', c);
  if (is_hard) {
    int64_t d = draw(&amount[0]);
    put_sentence(&s->question, w, " Then {they} finds ");
    put(&s->question, "%" PRId64 " more.", d);
    s->answer = work(&s->work, s->answer, '+', d);
  }
  put_sentence(&s->question, w, " How many {food}s are left?");
}

static sum make_sum(bool is_hard) {
  static void (*const kinds[])(sum *, story *, bool) = {sum_add, sum_subtract, sum_multiply,
                                                        sum_two_steps};
  sum s = {0};
  story words = {0};
  (void)word_of(&words, "name");
  kinds[below(sizeof kinds / sizeof *kinds)](&s, &words, is_hard);
  s.work.bytes[s.work.size -= 2] = '\0'; /* the last ", " */
  return s;
}

/* ---- files ---- */

/* Beginning anew for each text makes it a function of its number alone. */
static void begin_text(uint64_t seed, uint64_t number) {
  state = mixed(mixed(seed + 1) + number);
}

static bool is_held_out(const char *bytes) { /* FNV-1a */
  uint64_t h = 0xCBF29CE484222325U;
  for (; *bytes != '\0'; bytes++) h = (h ^ (unsigned char)*bytes) * 0x100000001B3U;
  return mixed(h) % HELD_OUT == 0;
}

static FILE *create(const char *folder, const char *name) {
  char path[4096];
  if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
    stop("the path is too long", folder);
  FILE *f = fopen(path, "w");
  if (f == NULL) stop("cannot write", path);
  return f;
}

static void write_row(FILE *f, json_t *row) {
  char *line = row != NULL ? json_dumps(row, JSON_COMPACT) : NULL;
  if (line == NULL || fprintf(f, "%s\n", line) < 0) stop("cannot write", "a row");
  free(line);
  json_decref(row);
}

static void write_text(FILE *f, const char *bytes) {
  write_row(f, json_pack("{s:s}", "text", bytes));
}

static void write_question(FILE *f, const sum *s) {
  char answer[32];
  snprintf(answer, sizeof answer, "%" PRId64, s->answer);
  write_row(f, json_pack("{s:s+,s:s}", "text", s->question.bytes, "\n", "answer", answer));
}

static text whole(const sum *s) {
  text t = {0};
  put(&t, "%s\n%s.\nAnswer: %" PRId64, s->question.bytes, s->work.bytes, s->answer);
  return t;
}

static void close_all(FILE *const *files, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (fclose(files[i]) != 0) stop("cannot write", "the last bytes");
}

static void make(const char *folder, uint64_t n_documents, uint64_t seed, uint64_t wanted) {
  FILE *train = create(folder, "train.jsonl"), *held_out = create(folder, "held-out.jsonl"),
       *harder = create(folder, "harder.jsonl"), *questions = create(folder, "questions.jsonl"),
       *hard_questions = create(folder, "harder-questions.jsonl");
  uint64_t n_questions = 0, n_held_out = 0;
  for (uint64_t i = 0; i < n_documents || n_questions < wanted || n_held_out < wanted; i++) {
    text t = {0};
    sum s = {0};
    begin_text(seed, i);
    bool is_sum = i % 2 == 1, is_wanted = i < n_documents;
    if (is_sum) {
      s = make_sum(false);
      t = whole(&s);
    } else {
      put_story(&t);
    }
    bool is_out = is_held_out(t.bytes);
    if (is_out && (is_wanted || n_held_out < wanted)) {
      write_text(held_out, t.bytes);
      n_held_out++;
    } else if (!is_out && is_wanted) {
      write_text(train, t.bytes);
    }
    if (is_sum && is_out && n_questions++ < wanted) write_question(questions, &s);
  }
  for (uint64_t i = 0; i < wanted; i++) {
    begin_text(seed + 0x10000000U, i);
    sum s = make_sum(true);
    text t = whole(&s);
    write_text(harder, t.bytes);
    write_question(hard_questions, &s);
  }
  close_all((FILE *const[]){train, held_out, harder, questions, hard_questions}, 5);
}

/* ---- checking ---- */

static const char *text_at(json_t *row, const char *key, const char *path) {
  const char *found = json_string_value(json_object_get(row, key));
  if (found == NULL) stop("a line lacks what is looked for", path);
  return found;
}

/* "Answer: 72", to its last digit. */
static bool is_right(const char *answer, const char *wanted) {
  const char *at = strstr(answer, "Answer: ");
  if (at == NULL) return false;
  at += strlen("Answer: ");
  size_t size = strspn(at, "0123456789");
  return size == strlen(wanted) && memcmp(at, wanted, size) == 0;
}

static json_t *next_row(FILE *f, const char *path) {
  static char line[1 << 20];
  if (fgets(line, sizeof line, f) == NULL) return NULL;
  json_t *row = json_loads(line, 0, NULL);
  if (row == NULL) stop("a line is no JSON", path);
  return row;
}

static void check(const char *questions, const char *answers) {
  FILE *q = fopen(questions, "r"), *a = fopen(answers, "r");
  int n = 0, right = 0;
  json_t *question, *answer;
  if (q == NULL) stop("cannot read", questions);
  if (a == NULL) stop("cannot read", answers);
  while ((question = next_row(q, questions)) != NULL) {
    answer = next_row(a, answers);
    if (answer == NULL) stop("fewer answers than questions", answers);
    right += is_right(text_at(answer, "text", answers), text_at(question, "answer", questions));
    n++;
    json_decref(question);
    json_decref(answer);
  }
  fclose(q);
  fclose(a);
  printf("%d of %d\n", right, n);
}

static uint64_t number_of(const char *word) {
  char *end;
  unsigned long long n = strtoull(word, &end, 10);
  if (!isdigit((unsigned char)word[0]) || *end != '\0' || n > 100000000)
    stop("want a number up to 100000000", word);
  return n;
}

int main(int argc, char **argv) {
  if (argc == 6 && strcmp(argv[1], "make") == 0)
    make(argv[2], number_of(argv[3]), number_of(argv[4]), number_of(argv[5]));
  else if (argc == 4 && strcmp(argv[1], "check") == 0)
    check(argv[2], argv[3]);
  else
    return fprintf(stderr, "usage: demo_texts make FOLDER DOCUMENTS SEED QUESTIONS\n"
                           "       demo_texts check QUESTIONS ANSWERS\n"),
           2;
  return 0;
}
