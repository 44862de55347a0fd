/* real_text.h - a double as text: what JSON files and chat templates show. */
#ifndef LB_BASE_REAL_TEXT_H
#define LB_BASE_REAL_TEXT_H

/* The shortest text that reads back as the same finite double, as Python's repr(float) writes it.
 */
#define LB__REAL_TEXT_SIZE 40
void lb__real_text(char text[LB__REAL_TEXT_SIZE], double value);

#endif
