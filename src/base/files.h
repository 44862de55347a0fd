/* files.h - the one way to touch the disk. Owns: the replaceable I/O table, reading, mapping, and
 * the atomic save (temporary file, fsync, rename, fsync of the folder). Refuses: following a name
 * out of its folder (lb__path_is_plain_name). Paths are bytes, '/' separates. */
#ifndef LB_BASE_FILES_H
#define LB_BASE_FILES_H

#include "memory.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/types.h>

/* The system calls the library makes, replaceable so that tests can make the n-th one fail.
 * Each behaves as the call of that name: -1 and errno on failure. */
typedef struct lb__io {
  int (*open)(const char *path, int flags, mode_t mode);
  ssize_t (*read)(int fd, void *bytes, size_t size);
  ssize_t (*write)(int fd, const void *bytes, size_t size);
  int (*fsync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char *from, const char *to);
  int (*unlink)(const char *path);
  int (*mkdir)(const char *path, mode_t mode);
  void *(*mmap)(size_t size, int fd); /* whole file, read-only, private; MAP_FAILED on failure */
  int (*ftruncate)(int fd, off_t size);
  int (*rmdir)(const char *path);
  DIR *(*opendir)(const char *path); /* NULL on failure */
} lb__io;
void lb__io_set(const lb__io *io); /* NULL restores the real calls */
const lb__io *lb__io_default(void);

/* ---- paths ---- */
char *lb__path_join(const char *folder, const char *name); /* a new string */
/* "$TMPDIR/name-PID.tmp", for a file that goes as soon as it is open; a new string */
char *lb__temporary_path(const char *name);
/* A new, empty folder below $TMPDIR that only this user can enter: "name-PID-0.tmp", or the next
 * number. @owns *out: lb__free, after lb__folder_remove */
lb_status lb__temporary_folder(char **out, const char *name, lb_error *err);
/* Where this user keeps `name` of what can be measured or fetched again: below $LIMBECK_CACHE,
 * $XDG_CACHE_HOME/limbeck or $HOME/.cache/limbeck; a new string. NULL: nowhere, or no memory. */
char *lb__cache_path(const char *name);
const char *lb__path_base(const char *path); /* after the last '/' */
char *lb__path_name(const char *path);       /* "b" of "a/b" and of "a/b/"; a new string */
bool lb__path_ends_with(const char *path, const char *ending); /* ".gguf" */
bool lb__path_is_folder(const char *path);
bool lb__path_is_file(const char *path);
bool lb__path_same(const char *a, const char *b); /* both exist and are one file or folder */
/* True for a name that cannot leave its folder: nonempty, no '/', no NUL, not "." or "..". */
bool lb__path_is_plain_name(const char *name);
/* Names in a folder, sorted, without "." and ".."; free with lb__name_list_free. */
lb_status lb__folder_list(char ***names, size_t *n, const char *folder, lb_error *err);
void lb__name_list_free(char **names, size_t n);
lb_status lb__folder_make(const char *path, lb_error *err); /* with parents; existing is fine */
lb_status lb__file_remove(const char *path, lb_error *err); /* absent is fine */
/* A folder and the files in it; absent is fine. Refuses one that holds folders. */
lb_status lb__folder_remove(const char *path, lb_error *err);
lb_status lb__path_rename(const char *from, const char *to, lb_error *err);
/* What was written to a file, or into a folder's list of names, is on the disk. */
lb_status lb__path_sync(const char *path, lb_error *err);

/* ---- reading ---- */
/* The whole file, NUL-terminated (the NUL is not counted). LB_E_LIMIT above max_size. */
lb_status lb__file_read(char **bytes, size_t *size, const char *path, size_t max_size,
                        lb_error *err);

typedef struct lb__mapping {
  const uint8_t *bytes; /* NULL when size is 0 */
  size_t size;
} lb__mapping;
/* Maps a regular file read-only. */
lb_status lb__file_map(lb__mapping *out, const char *path, lb_error *err);
/* What was read of a mapped file between these bytes is not needed soon: its memory is given back,
 * and the next look reads it again. Only ever for bytes of a mapping. */
void lb__mapped_forget(const void *bytes, size_t size);
void lb__file_unmap(lb__mapping *m); /* accepts a zeroed one */

/* A regular file from front to back, in pieces of the caller's size. */
typedef struct lb__reader {
  char *path; /* NULL: not open */
  int fd;
  uint64_t size;   /* when it was opened */
  uint64_t offset; /* bytes read so far */
} lb__reader;
lb_status lb__reader_open(lb__reader *r, const char *path, lb_error *err);
/* Up to `size` bytes; *n is 0 at the end of the file only. */
lb_status lb__reader_read(lb__reader *r, void *bytes, size_t size, size_t *n, lb_error *err);
void lb__reader_close(lb__reader *r); /* accepts a zeroed one */

/* ---- atomic save: readers see the old file or the new one, whole ---- */
typedef struct lb__save {
  char *path, *temporary_path;
  int fd;
  uint64_t offset;  /* bytes written so far */
  lb_status status; /* sticky */
} lb__save;
lb_status lb__save_begin(lb__save *s, const char *path, lb_error *err);
lb_status lb__save_write(lb__save *s, const void *bytes, size_t size, lb_error *err);
lb_status lb__save_zeros(lb__save *s, size_t size, lb_error *err);
/* fsync, close, rename, fsync of the folder. After OK or error the save is over. */
lb_status lb__save_commit(lb__save *s, lb_error *err);
void lb__save_abort(lb__save *s); /* removes the temporary file; fine after commit or on zeroed */
/* All of the above for a small file. */
lb_status lb__file_save(const char *path, const void *bytes, size_t size, lb_error *err);

#endif
