/* unpacker.h - the bytes of a file, decompressed as they are read: plain, .gz (one or more
 * members), .zst (one or more frames). Memory is bounded by the window of the format (32 KiB; at
 * most 128 MiB for zstd, its own default limit), whatever the file claims. Refuses: knowing what
 * the bytes mean.
 */
#ifndef LB_DATA_UNPACKER_H
#define LB_DATA_UNPACKER_H

#include "base/files.h"

typedef struct lb__unpacker lb__unpacker;

/* The kind is told by the ending of the name.
 * @owns *out: lb__unpacker_close   @error LB_E_IO, LB_E_NOMEM   @test tests/unit/test_dataset.c */
lb_status lb__unpacker_open(lb__unpacker **out, const char *path, lb_error *err);
/* Up to `size` bytes; *n is 0 at the end only. A file that ends too early or is damaged is
 * LB_E_FORMAT, with the byte: what came before has been handed out. */
lb_status lb__unpacker_read(lb__unpacker *u, void *bytes, size_t size, size_t *n, lb_error *err);
uint64_t lb__unpacker_offset(const lb__unpacker *u); /* bytes of the file read so far */
void lb__unpacker_close(lb__unpacker *u);            /* accepts NULL */

/* The length of "name.jsonl" in "name.jsonl.gz": the name without the ending of a compressed file.
 */
size_t lb__unpacked_name_size(const char *path);

#endif
