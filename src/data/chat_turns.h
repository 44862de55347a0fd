/* chat_turns.h - a conversation as text, and which bytes of it the assistant is trained on.
 *
 * A template with {% generation %} says so itself. For any other the assistant's turn is what it
 * adds to the conversation before it, rendered with add_generation_prompt: what the model is given
 * when it answers is never trained, all it then writes is, the end of the turn included.
 *
 * Many templates show an earlier answer differently from the last one (reasoning is dropped, an
 * end token changes). A turn that the whole conversation does not show as the model would have
 * written it becomes a text of its own: the conversation up to that turn, with this turn trained.
 * So a model is trained on what it will say, after what it will see. (Qwen3's own template, and
 * gpt-oss's; a template made for training, with {% generation %}, avoids the extra texts.)
 *
 * Owns: the rendering of rows. Refuses: tokens (token_mask.h). */
#ifndef LB_DATA_CHAT_TURNS_H
#define LB_DATA_CHAT_TURNS_H

#include "example.h"

typedef struct lb__byte_range {
  size_t begin, end;
} lb__byte_range;

typedef struct lb__turn_text {
  lb_chat_text *text;
  lb__byte_range *trained; /* ascending, apart; meaningless when the caller trains on all */
  size_t n_trained, capacity;
  bool marked_by_template; /* {% generation %}: the ranges are exactly what it says */
} lb__turn_text;

typedef struct lb__turn_texts {
  lb__turn_text *items;
  size_t n, capacity;
} lb__turn_texts;

/* Which turns. */
typedef enum lb__trained_turns {
  LB__TURNS_ALL_TEXT,   /* the caller trains on everything: one text, no ranges */
  LB__TURNS_ASSISTANT,  /* every message of the assistant (but for "weight": 0 or "train": false) */
  LB__TURNS_COMPLETION, /* what follows the given messages; without any, the last assistant turn */
} lb__trained_turns;

/* True when the source holds {% generation %}. */
bool lb__template_marks_generation(const lb_chat_template *t);

/* Renders a conversation. Without a trained turn there is one text without ranges.
 * @owns  the contents of *out, which starts zeroed: lb__turn_texts_deinit, whatever the status
 * @error those of lb_chat_render; LB_E_FORMAT when the template shows the conversation before a
 *        turn in another way once the turn follows, so that the turn cannot be found, or when there
 * are so many turns that rendering each would take more than a second or so */
lb_status lb__turns_render(lb__turn_texts *out, const lb__example *e, const lb_chat_template *t,
                           bool marks_generation, const lb_chat_render_options *options,
                           lb__trained_turns which, lb_error *err);
void lb__turn_texts_deinit(lb__turn_texts *texts);

#endif
