/* text_side.h - the text half of a model: its tokenizer and its chat template, opened together.
 * Verbs go through this file, so that "special tokens", "chat" and "--template" mean one thing. */
#ifndef TEXT_SIDE_H
#define TEXT_SIDE_H

#include "option_table.h"

#include <limbeck/chat.h>
#include <limbeck/tokenizer.h>

typedef struct text_side {
  const char *path; /* borrowed */
  lb_tokenizer *tokenizer;
  lb_chat_template *chat; /* NULL until text_side_open_chat */
  bool text_is_message;   /* --chat: a plain text is what the user says */
  bool wants_answer;      /* a conversation without add_generation_prompt means true */
  const char *system;     /* then the message before it, or NULL; borrowed */
} text_side;

lb_status text_side_open(text_side *side, const char *path, lb_error *err);
/* The model's own template, or the one called (or stored in) template_name. */
lb_status text_side_open_chat(text_side *side, const char *template_name, lb_error *err);
void text_side_close(text_side *side);

/* The lists are the caller's: free(out->ids). */
lb_status text_side_encode(id_list *out, const text_side *side, const char *bytes, size_t size,
                           bool add_special, lb_error *err);
/* A conversation as JSON ({"messages":[...],...}) to ids; `rendered` (may be NULL) gets the text.
 */
lb_status text_side_encode_chat(id_list *out, text *rendered, const text_side *side,
                                const char *json, size_t size, lb_error *err);
lb_status text_side_decode(text *out, const text_side *side, const int32_t *ids, size_t n,
                           bool skip_special, lb_error *err);
/* Adds an id as the vocabulary spells it (Ġthe), and as the text that it stands for (" the"). */
void text_side_put_token(text *out, const text_side *side, int32_t id);
void text_side_put_quoted(text *out, const text_side *side, int32_t id);

/* One message of the user, after `system` unless that is NULL. @error LB_E_ARG (not UTF-8) */
lb_status text_side_encode_message(id_list *out, const text_side *side, const char *system,
                                   const char *user, size_t size, lb_error *err);
/* {"messages":[system?, user],"add_generation_prompt":true}; NULL when that is not UTF-8 */
char *text_side_user_message(const char *system, const char *user, size_t user_size, size_t *size);

#endif
