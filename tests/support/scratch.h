/* scratch.h - a folder of its own for a test that writes files. */
#ifndef LB_TESTS_SCRATCH_H
#define LB_TESTS_SCRATCH_H

#include <stddef.h>

char *scratch_new(void);           /* a new empty folder below $TMPDIR, /dev/shm or /tmp */
void scratch_remove(char *folder); /* with everything in it; frees the name */
/* "folder/name" in one of a few static buffers: good until a handful of calls later. */
const char *scratch_path(const char *folder, const char *name);
void scratch_write(const char *folder, const char *name, const void *bytes, size_t size);
void scratch_write_text(const char *folder, const char *name, const char *text);
/* malloc'ed, NUL-terminated; fails the test when the file is not there. */
char *scratch_read(const char *folder, const char *name, size_t *size);
int scratch_exists(const char *folder, const char *name);
int scratch_count(const char *folder);        /* entries */
int scratch_count_hidden(const char *folder); /* entries that begin with '.': left by a save */
void scratch_empty(const char *folder);       /* removes the files in it */

#endif
