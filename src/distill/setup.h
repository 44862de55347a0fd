/* setup.h - everything a recipe names, opened: models, tokenizer, template, documents. Training,
 * planning and verifying begin here.
 * Owns: the order of opening, the common vocabulary, the held-out split. Refuses: computing. */
#ifndef LB_DISTILL_SETUP_H
#define LB_DISTILL_SETUP_H

#include "recipe.h"
#include "student.h"
#include "teacher.h"

#include "data/loader.h"
#include "model/trainable.h"
#include "train/trainer.h"

typedef struct lb__setup {
  lb_recipe *recipe;                 /* borrowed */
  const lb_distill_options *options; /* borrowed, never NULL */
  lb__teacher *teacher;              /* NULL: none */
  lb__student source;                /* where the student was opened from */
  lb_model *student;                 /* trainable, unless only_look */
  lb_tokenizer *tokenizer;           /* the student's, else the teacher's; NULL: none has one */
  lb_chat_template *chat;            /* NULL: none */
  bool is_teachers_tokenizer;        /* the student brought none */
  int64_t vocab;                     /* true common vocabulary */
  lb__corpus *corpus, *held_out;     /* held_out NULL: none */
  bool only_look;                    /* as the options say */
  bool recomputes;                   /* activations are made again in backward */
  lb__loader *loader;
} lb__setup;

typedef struct lb__setup_options {
  lb_dtype real;          /* of the student, and of the teacher when F64 */
  const char *token_file; /* where tokens go; NULL: memory */
  int64_t max_documents;  /* read at most so many; 0: as the recipe says */
  bool keep_student;      /* one that is made stays in output_dir */
  bool only_look;         /* the student's weights stay as they are stored: nobody will train */
} lb__setup_options;

/* @owns *s: lb__setup_close, also after a failure
 * @error LB_E_ARG (no student; vocabularies that do not match, with the first differing token; data
 *        that does not fit the models), LB_E_IO, LB_E_FORMAT, LB_E_UNSUPPORTED, LB_E_NOMEM */
lb_status lb__setup_open(lb__setup *s, lb_recipe *recipe, const lb_distill_options *options,
                         const lb__setup_options *how, lb_error *err);
void lb__setup_close(lb__setup *s);
/* s->chat: that of the model at this path, or the recipe's; none where there is none. */
lb_status lb__setup_open_template(lb__setup *s, const char *model, lb_error *err);
/* How the recipe reads these files, with the tokenizer and the template of s. */
lb__corpus_options lb__setup_corpus_options(lb__setup *s, const lb__text_list *paths);
/* What the recipe says of training; not where to save, nor what to resume. */
lb__trainer_options lb__setup_trainer_options(const lb__setup *s);
/* Tokens that a run trains on, repetitions counted. */
double lb__setup_run_tokens(const lb__setup *s);

/* Tells the caller what is being done. */
void lb__setup_phase(const lb__setup *s, const char *what, uint64_t done, uint64_t total);
bool lb__setup_is_cancelled(const lb__setup *s);
bool lb__recipe_has_teacher(const lb_recipe *r);

#endif
