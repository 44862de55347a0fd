/* checkpoint_folder.h - a folder that appears whole or not at all.
 *
 *   begin:  output_dir/.checkpoint-N.tmp-PID          files are written into it
 *   commit: every file fsynced, manifest.json (size and SHA-256 of each file, format version, step)
 *           written last, folder fsynced, renamed to output_dir/checkpoint-N, parent fsynced;
 *           then older ones beyond save_total_limit are removed, never the only verified one
 *   verify: every file of the manifest is there, has its size and its hash
 * Owns: names, manifest, rotation, finding the newest that verifies. Refuses: knowing contents.
 * A checkpoint is hostile input too. @test tests/unit/test_checkpoint_folder.c */
#ifndef LB_TRAIN_CHECKPOINT_FOLDER_H
#define LB_TRAIN_CHECKPOINT_FOLDER_H

#include <limbeck/status.h>

#include <stdbool.h>

typedef struct lb__folder_save {
  char *folder; /* to write into; NULL once it is committed */
  char *final;  /* what it will be called */
  char *output_dir;
  int64_t step;
} lb__folder_save;

lb_status lb__checkpoint_begin(lb__folder_save *s, const char *output_dir, int64_t step,
                               lb_error *err);
/* Afterwards s->final is there, until lb__checkpoint_abort frees the names. save_total_limit 0: no
 * limit. What cannot be removed is told to the log; everything else is an error. */
lb_status lb__checkpoint_commit(lb__folder_save *s, int64_t save_total_limit, lb_error *err);
/* Removes what was written and not committed; fine after commit and on a zeroed one. */
void lb__checkpoint_abort(lb__folder_save *s);

/* LB_E_FORMAT naming the file and what is wrong. */
lb_status lb__checkpoint_verify(const char *folder, lb_error *err);
/* The newest checkpoint-N under output_dir that verifies; *out NULL when there is none. Those
 * passed over are told to the log as warnings, each with its reason. */
lb_status lb__checkpoint_newest(char **out, int64_t *step, const char *output_dir, lb_error *err);
/* Removes folders that a killed run left behind (.checkpoint-N.tmp-*), and finishes or takes back
 * what it was doing with others. What cannot be removed is told to the log. */
lb_status lb__checkpoint_clean(const char *output_dir, lb_error *err);
/* Removes every checkpoint of an earlier run: output_dir begins anew. */
lb_status lb__checkpoint_remove_all(const char *output_dir, lb_error *err);

#endif
