/* fuzz_folder.h - a folder in memory (/dev/shm) for targets that read whole folders; removed when
 * the process ends. */
#ifndef LB_TESTS_FUZZ_FOLDER_H
#define LB_TESTS_FUZZ_FOLDER_H

#include <stddef.h>

void fuzz_folder_make(void); /* once; a crash where that is impossible */
const char *fuzz_folder(void);
void fuzz_folder_write(const char *name, const void *bytes, size_t size);
void fuzz_folder_link(const char *target, const char *name);
void fuzz_folder_remove(const char *name); /* absent is fine */

#endif
