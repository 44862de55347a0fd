/* option_table.h - options as rows of data.
 *
 * A row says what an option is called, what kind of value it takes, where in the verb's struct the
 * value goes and what it means. One parser reads all rows. The rules, for every option of every
 * verb:
 *   --key value, --key=value and key=value are the same; so are `-` and `_` inside a key;
 *   the command line beats the environment (LIMBECK_<KEY>), which beats the default;
 *   a flag needs no value, and takes true or false; --no-key is key=false;
 *   after `--` nothing is an option.
 * A verb may accept keys beyond its table (those of a recipe): the same rules find them, and their
 * values are handed on as "key=value", unread. */
#ifndef OPTION_TABLE_H
#define OPTION_TABLE_H

#include "cli_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum option_kind {
  OPTION_FLAG,   /* bool */
  OPTION_INT,    /* int64_t */
  OPTION_UINT,   /* uint64_t */
  OPTION_SIZE,   /* uint64_t bytes: 500M, 5GB, 2GiB */
  OPTION_REAL,   /* double */
  OPTION_TEXT,   /* const char *, borrowed from argv or the environment */
  OPTION_CHOICE, /* int: which one of `choices` */
  OPTION_IDS,    /* id_list: 1,2,3 */
  OPTION_TEXTS   /* text_list: the option may be repeated */
} option_kind;

typedef struct id_list {
  int32_t *ids;
  size_t n;
} id_list;

typedef struct text_list {
  const char **items;
  size_t n;
} text_list;

typedef struct option {
  const char *name;    /* "max-new-tokens"; NULL ends the table */
  const char *aliases; /* "n|max-tokens": one letter is -n, more is --max-tokens; or NULL */
  option_kind kind;
  size_t offset;        /* of the value in the struct */
  const char *value;    /* what the help calls the value: "N" */
  const char *fallback; /* the default as one would type it; NULL: zero, empty */
  const char *choices;  /* OPTION_CHOICE: "auto|f32|bf16" */
  const char *range;    /* numbers: "> 0", ">= 1", "0..1"; NULL: any */
  const char *help;
  bool only_typed; /* the environment does not set it */
} option;

enum { OPTIONS_MAX = 64 };
typedef enum option_source { FROM_DEFAULT, FROM_ENVIRONMENT, FROM_COMMAND_LINE } option_source;

/* Where each value came from: rows of the verb first, then the global ones. */
typedef struct option_sources {
  unsigned char of[OPTIONS_MAX];
} option_sources;

/* A key beyond the table. Rows of a list that a function gives out one by one. */
typedef struct extra_key {
  const char *name;                 /* "learning_rate"; NULL: past the end */
  bool is_flag, is_alias, is_whole; /* whole: "train.learning_rate" */
} extra_key;
typedef extra_key extra_key_fn(size_t i);

/* What was given of them: "key=value", the environment's first, so that the last one wins. */
typedef struct extra_values {
  char **items;
  size_t n, n_typed; /* the typed ones are the last */
} extra_values;
void extra_values_free(extra_values *v);

/* A table and the struct that it fills. */
typedef struct option_target {
  const option *table;
  void *args;
  extra_key_fn *extra_key; /* NULL: the table is all there is */
  extra_values *extra;
} option_target;

/* What was wrong with the command line; both empty when nothing was. */
typedef struct option_complaint {
  text message, hint;
} option_complaint;

/* Defaults, environment, then argv[0..argc). Words that are no options go to positional[0..max).
 * @return false with *complaint filled */
bool options_parse(const option_target targets[2], option_sources *sources, int argc, char **argv,
                   const char **positional, size_t max_positional, option_complaint *complaint);
/* Frees the lists in args. */
void options_free(option_target target);

/* "max-new-tokens" is `name` or an alias of o, whatever its - and _. */
bool option_is_called(const option *o, const char *name, size_t size);
/* "LIMBECK_MAX_NEW_TOKENS" */
void option_print_environment(text *out, const option *o);

/* suggest.c: the closest of the candidates, when close enough to be meant. */
typedef struct suggestion {
  const char *wanted;
  size_t wanted_size;
  const char *best; /* NULL: nothing is close */
  size_t best_distance;
} suggestion;
suggestion suggestion_for(const char *wanted, size_t size);
void suggestion_consider(suggestion *s, const char *candidate);

/* "1,2,3"; the list is the caller's, what was in *out is freed. @return false: not ids */
bool ids_from_text(id_list *out, const char *value);

/* "a|b|c": the k-th part; its size, 0 past the end. */
size_t choice_part(const char **out, const char *choices, size_t k);

#endif
