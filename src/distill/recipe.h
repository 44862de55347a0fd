/* recipe.h - what a run is asked to do: the YAML recipe as a plain struct.
 *
 * recipe.def is the single list of keys: path, aliases, type, default, range or choices, meaning.
 * It makes the parser, "did you mean", command-line overrides, `limbeck distill --help`,
 * docs/recipe.md and the resolved recipe that a run saves. Owns: reading and checking the text of a
 * recipe. Refuses: opening models and data (run.c), knowing whether they fit (plan.c). */
#ifndef LB_DISTILL_RECIPE_H
#define LB_DISTILL_RECIPE_H

#include "base/memory.h"
#include "data/corpus.h"
#include "train/schedule.h"

#include <limbeck/distill.h>
#include <limbeck/generate.h>
#include <limbeck/model.h>

typedef enum lb__distill_type {
  LB__DISTILL_LOGITS,
  LB__DISTILL_HIDDEN,
  LB__DISTILL_ATTENTION
} lb__distill_type;

typedef enum lb__checkpointing {
  LB__CHECKPOINTING_AUTO, /* where memory is short: lb__setup.recomputes says what that came to */
  LB__CHECKPOINTING_ON,
  LB__CHECKPOINTING_OFF
} lb__checkpointing;

/* Strings live in the recipe's arena. NULL strings: not given. Lists: n = 0 when not given. */
typedef struct lb__text_list {
  const char **items;
  size_t n;
} lb__text_list;
typedef struct lb__int_list {
  int64_t *items;
  size_t n;
} lb__int_list;

struct lb_recipe {
  lb__arena arena;
  const char *source;  /* the file's name, for messages */
  const char *teacher; /* folder, .gguf, hub name; "none": train on text alone */
  struct {
    const char *path; /* the first member, so that the key `student` is this; NULL: made anew */
    const char *tokenizer; /* of a configured one; NULL: the teacher's */
    struct {               /* random weights; the names are those of Transformers. 0: not given */
      const char *path;    /* a config.json, the key `student.config`; NULL: what follows */
      const char *model_type;
      int64_t hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim,
          intermediate_size, max_position_embeddings, vocab_size;
      int tie_word_embeddings; /* 0: auto, 1: true, 2: false */
      double rope_theta, rms_norm_eps, initializer_range;
    } config;
    struct {               /* a part of the teacher: lb_shrink_options. 0: not given */
      lb__int_list layers; /* one number: how many; several: which */
      int dtype;           /* 0: auto, else 1 + lb_dtype */
      int layer_selection; /* lb_layer_selection */
      int selection;       /* lb_width_selection */
      int64_t hidden_size, num_attention_heads, num_key_value_heads, intermediate_size;
      lb__text_list calibration; /* n = 0: data.train */
      lb__text_list vocab_from;  /* n = 0: data.train, where vocab_size says how many */
      int64_t vocab_size;
    } shrink;
  } student;
  struct {
    lb__text_list train, eval; /* files and folders */
    double eval_fraction;      /* 0: none */
    int64_t max_length;        /* 1024 */
    int format;                /* lb__data_format */
    int train_on;              /* lb__train_on */
    const char *text_field, *messages_field, *chat_template;
    bool packing, shuffle, append_eos;
    int64_t max_documents;
  } data;
  struct {
    int type; /* lb__distill_type */
    double temperature, alpha, beta;
    bool t_squared;             /* multiply KD by temperature^2 */
    lb__int_list hidden_layers; /* student layers to compare (hidden_states numbering; -1 the last);
                                   default: the last */
    lb__int_list teacher_layers; /* their partners, as many; default: the same depth, rounded */
    int64_t relation_heads;      /* 0: chosen: the largest number that divides both widths, <= 48 */
    int teacher_precision;       /* lb_precision */
    double teacher_precision_max_kl;
    int dropout; /* 0: off, 1: config (the student's own) */
  } distill;
  struct {
    double num_train_epochs, learning_rate, weight_decay, adam_beta1, adam_beta2, adam_epsilon,
        max_grad_norm, warmup_steps, min_lr;
    int64_t max_steps, per_device_train_batch_size, gradient_accumulation_steps, logging_steps,
        save_steps, save_total_limit, eval_steps, seed, max_bad_steps;
    int lr_scheduler_type; /* lb__scheduler */
    bool logging_first_step, resume_with_other_kernels;
    int gradient_checkpointing; /* lb__checkpointing */
    int precision;              /* lb_precision of the student's products */
    const char *resume_from_checkpoint;
    lb__text_list report_to; /* "tensorboard", "none" */
  } train;
  const char *output_dir;
  bool overwrite_output_dir;
  int save_dtype;   /* lb_dtype of the final student: F32, BF16, F16; -1: as the student's source */
  const char *gguf; /* also write the student as this GGUF type ("f16", "q8_0"); NULL: no */
  struct {
    const char *prompt; /* NULL: no test */
    int64_t max_new_tokens, num_beams;
    bool early_stopping;
  } test;
};

#endif
