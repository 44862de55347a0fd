/* append.h - a file that grows by whole records: logs.
 *
 * Owns: the rule that what is in the file is whole records. A record that could not be written is
 * cut off again; if even that fails (the disk is gone), the end of the file is torn, and whoever
 * opens it next says how much of it to keep. Refuses: knowing what a record is. */
#ifndef LB_BASE_APPEND_H
#define LB_BASE_APPEND_H

#include "files.h"

typedef struct lb__append {
  char *path; /* NULL: not open */
  int fd;
  uint64_t size;    /* bytes of whole records */
  lb_status status; /* sticky: after a failure every call fails */
  bool is_synced;   /* the file's entry in its folder is on disk */
} lb__append;

/* Opens or creates the file and cuts it to its first `keep` bytes.
 * @owns *a: lb__append_close, also after a failure
 * @error LB_E_IO, LB_E_ARG (keep is more than there is), LB_E_NOMEM  @test tests/unit/test_append.c
 */
lb_status lb__append_open(lb__append *a, const char *path, uint64_t keep, lb_error *err);
/* Handed to the system at once: a killed process loses nothing. */
lb_status lb__append_write(lb__append *a, const void *bytes, size_t size, lb_error *err);
/* On the disk: a power cut loses nothing. A failure is final (see save.c). */
lb_status lb__append_sync(lb__append *a, lb_error *err);
lb_status lb__append_close(lb__append *a, lb_error *err); /* fine on a zeroed or closed one */

#endif
