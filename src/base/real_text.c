/* real_text.c - see real_text.h. */
#include "real_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lb__real_text(char text[LB__REAL_TEXT_SIZE], double value) {
  int digits = 1;
  for (; digits < 17; digits++) {
    snprintf(text, LB__REAL_TEXT_SIZE, "%.*e", digits - 1, value);
    if (strtod(text, NULL) == value) break;
  }
  snprintf(text, LB__REAL_TEXT_SIZE, "%.*e", digits - 1, value);
  const char *e = strchr(text, 'e');
  int exponent = e != NULL ? atoi(e + 1) : 0;
  if (exponent >= -4 && exponent < 16)
    snprintf(text, LB__REAL_TEXT_SIZE, "%.*f",
             digits - 1 - exponent > 1 ? digits - 1 - exponent : 1, value);
}
