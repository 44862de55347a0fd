/* vocabulary_choice.h - what --vocab-from says: the texts whose tokens a trimmed vocabulary keeps.
 */
#ifndef VOCABULARY_CHOICE_H
#define VOCABULARY_CHOICE_H

#include "cli.h"
#include "option_table.h"

#include <limbeck/model.h>
#include <limbeck/token_counts.h>

typedef struct vocabulary_args {
  text_list from;
  int64_t size;
} vocabulary_args;

/* For an options table: FIELD(vocabulary) of the verb's arguments. */
#define VOCABULARY_OPTIONS(offset_of_args)                                                         \
  {.name = "vocab-from",                                                                           \
   .kind = OPTION_TEXTS,                                                                           \
   .offset = (offset_of_args) + offsetof(vocabulary_args, from),                                   \
   .value = "DATA",                                                                                \
   .help = "trim the vocabulary to the tokens that this text uses: .txt, .jsonl, .json, also .gz " \
           "and .zst, or a folder of them; repeatable",                                            \
   .only_typed = true},                                                                            \
  {                                                                                                \
    .name = "vocab-size", .kind = OPTION_INT,                                                      \
    .offset = (offset_of_args) + offsetof(vocabulary_args, size), .value = "N", .range = ">= 1",   \
    .help = "keep at most so many tokens: the most used ones of --vocab-from", .only_typed = true  \
  }

/* Counts the tokens; nothing where no text is named.
 * @owns *out: lb_token_counts_free   @return CLI_DONE, or another code after telling why */
int vocabulary_count(lb_token_counts **out, cli *c, const vocabulary_args *args, const char *model);
void vocabulary_tell(const cli *c, const lb_token_counts *counts, const lb_model_info *teacher,
                     const lb_model_info *student);

#endif
