/* verbs.c - every verb, in the order of the overview. To add one: a file verb_<name>.c with a
 * `const verb verb_<name>`, and a line here. Help, man page and completion follow by themselves. */
#include "cli.h"

#include <string.h>

extern const verb verb_distill, verb_plan, verb_verify, verb_generate, verb_chat, verb_score,
    verb_compare, verb_report, verb_tokenize, verb_inspect, verb_convert, verb_shrink, verb_doctor,
    verb_bench, verb_help, verb_version, verb_completion;

static const verb *const verbs[] = {
    &verb_distill, &verb_plan,   &verb_verify,   &verb_generate, &verb_chat,      &verb_score,
    &verb_compare, &verb_report, &verb_tokenize, &verb_inspect,  &verb_convert,   &verb_shrink,
    &verb_doctor,  &verb_bench,  &verb_help,     &verb_version,  &verb_completion};

const verb *verb_at(size_t i) {
  return i < sizeof verbs / sizeof verbs[0] ? verbs[i] : NULL;
}

const verb *verb_find(const char *name) {
  for (size_t i = 0; verb_at(i) != NULL; i++)
    if (strcmp(verb_at(i)->name, name) == 0) return verb_at(i);
  return NULL;
}
