/* model_card.h - the student's README.md, as model hubs show it: where it comes from, what it was
 * trained on and how, and how good it is. Owns: its text; everything that comes from outside is
 * escaped. Refuses: saying what is not known. */
#ifndef LB_REPORT_MODEL_CARD_H
#define LB_REPORT_MODEL_CARD_H

#include <limbeck/distill.h>

/* All borrowed. NULL and -1: not known, left out. */
typedef struct lb__model_card {
  const char *student;      /* as the recipe names it; base_model when that is a hub's name */
  const char *student_path; /* where it was found: its license is read there */
  const char *teacher;      /* as the recipe names it; NULL: none, trained on text alone */
  bool only_measured;       /* by the teacher: no loss looked at it */
  const char *loss; /* "0.7 * KL(teacher || student) at temperature 2 + 0.3 * cross entropy" */
  const char *const *data; /* [n_data] files, as the recipe names them */
  size_t n_data;
  int64_t n_documents, n_tokens, n_held_out; /* of the data set; documents that measured */
  const char *settings;                      /* the resolved recipe, YAML */
  const lb_distill_result *result;
} lb__model_card;

/* Writes folder/README.md atomically. @error LB_E_IO, LB_E_NOMEM, and lb__source_license_read's
 * @test tests/unit/test_model_card.c */
lb_status lb__model_card_write(const char *folder, const lb__model_card *card, lb_error *err);

#endif
