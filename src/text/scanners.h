/* scanners.h - hand-written equals of the pre-tokenizer regexes that nearly every model uses, ten
 * times as fast as the regex. Owns: the table from exact pattern text to scanner. A unit test
 * compares each with PCRE2 on random Unicode. Read next: regex in text_regex.h. */
#ifndef LB_TEXT_SCANNERS_H
#define LB_TEXT_SCANNERS_H

#include "unicode_class.h"

/* Where the match that starts at `p` ends (p < end, valid UTF-8). These patterns match everywhere,
 * so that the matches lie end to end. */
typedef const unsigned char *lb__scanner(const lb__unicode_table *t, const unsigned char *p,
                                         const unsigned char *end);

extern const char lb__pattern_gpt2[], lb__pattern_llama3[], lb__pattern_qwen2[];

/* The scanner for a pattern text, or NULL. */
lb__scanner *lb__scanner_find(const char *pattern, size_t size);
lb__scanner lb__scan_gpt2;

#endif
