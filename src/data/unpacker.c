/* unpacker.c - see unpacker.h. Owns: the only calls of zlib and libzstd. */
#include "unpacker.h"

#include "base/fail.h"

#include <zlib.h>
#include <zstd.h>

enum { IN_SIZE = 1 << 16, ZSTD_WINDOW_LOG = 27 };

typedef enum kind { PLAIN, GZIP, ZSTD } kind;

struct lb__unpacker {
  lb__reader file;
  kind kind;
  bool is_inside;     /* a member or frame has begun and not ended */
  bool at_end;        /* of the file */
  bool began;         /* some member or frame */
  size_t in_at, in_n; /* compressed bytes that wait */
  z_stream z;         /* GZIP */
  ZSTD_DCtx *zstd;    /* ZSTD */
  unsigned char in[IN_SIZE];
};

static kind kind_of(const char *path) {
  if (lb__path_ends_with(path, ".gz")) return GZIP;
  return lb__path_ends_with(path, ".zst") ? ZSTD : PLAIN;
}

size_t lb__unpacked_name_size(const char *path) {
  static const size_t ending_size[] = {[PLAIN] = 0, [GZIP] = 3, [ZSTD] = 4};
  return strlen(path) - ending_size[kind_of(path)];
}

/* ---- opening ---- */

static voidpf z_alloc(voidpf ctx, uInt n, uInt size) {
  (void)ctx;
  return lb__new_array(n, size); /* zlib reads bytes of its window that it has not written */
}

static void z_release(voidpf ctx, voidpf p) {
  (void)ctx;
  lb__free(p);
}

/* libzstd allocates for itself: its interface for another allocator is not part of its stable ABI.
 */
static bool start_decoder(lb__unpacker *u) {
  switch (u->kind) {
  case PLAIN: return true;
  case GZIP:
    u->z.zalloc = z_alloc;
    u->z.zfree = z_release;
    return inflateInit2(&u->z, 15 + 16) == Z_OK; /* the largest window; a gzip header, no other */
  case ZSTD:
    u->zstd = ZSTD_createDCtx();
    return u->zstd != NULL &&
           !ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG));
  }
  return false;
}

lb_status lb__unpacker_open(lb__unpacker **out, const char *path, lb_error *err) {
  *out = NULL;
  lb__unpacker *u = lb__new(sizeof *u);
  if (u == NULL) return lb__fail_nomem(err, path);
  u->kind = kind_of(path);
  lb_status st = lb__reader_open(&u->file, path, err);
  if (st == LB_OK && !start_decoder(u)) st = lb__fail_nomem(err, path);
  if (st != LB_OK) {
    lb__unpacker_close(u);
    return st;
  }
  *out = u;
  return LB_OK;
}

void lb__unpacker_close(lb__unpacker *u) {
  if (u == NULL) return;
  if (u->kind == GZIP && u->z.state != NULL) inflateEnd(&u->z);
  ZSTD_freeDCtx(u->zstd);
  lb__reader_close(&u->file);
  lb__free(u);
}

uint64_t lb__unpacker_offset(const lb__unpacker *u) {
  return u->file.offset;
}

/* ---- reading ---- */

static lb_status fail_damaged(const lb__unpacker *u, const char *what, lb_error *err) {
  return lb__fail(err, LB_E_FORMAT, "'%s': %s near byte %llu; is the file complete?", u->file.path,
                  what, (unsigned long long)(u->file.offset - (u->in_n - u->in_at)));
}

static lb_status refill(lb__unpacker *u, lb_error *err) {
  if (u->in_at < u->in_n || u->at_end) return LB_OK;
  u->in_at = 0;
  lb_status st = lb__reader_read(&u->file, u->in, sizeof u->in, &u->in_n, err);
  u->at_end = st == LB_OK && u->in_n == 0;
  return st;
}

/* One call of zlib: takes what it can of `in`, gives at most `size` bytes. */
static lb_status inflate_some(lb__unpacker *u, void *bytes, size_t size, size_t *n, lb_error *err) {
  u->z.next_in = u->in + u->in_at;
  u->z.avail_in = (uInt)(u->in_n - u->in_at);
  u->z.next_out = bytes;
  u->z.avail_out = (uInt)size;
  int result = inflate(&u->z, Z_NO_FLUSH);
  u->in_at = u->in_n - u->z.avail_in;
  *n = size - u->z.avail_out;
  if (result == Z_MEM_ERROR) return lb__fail_nomem(err, u->file.path);
  if (result == Z_STREAM_END) { /* another member may follow */
    u->is_inside = false;
    return inflateReset(&u->z) == Z_OK ? LB_OK : fail_damaged(u, "zlib cannot go on", err);
  }
  if (result == Z_OK || result == Z_BUF_ERROR) return LB_OK; /* the latter: wants more input */
  return fail_damaged(u, u->z.msg != NULL ? u->z.msg : "damaged gzip data", err);
}

static lb_status unzstd_some(lb__unpacker *u, void *bytes, size_t size, size_t *n, lb_error *err) {
  ZSTD_inBuffer in = {u->in, u->in_n, u->in_at};
  ZSTD_outBuffer out = {bytes, size, 0};
  size_t result = ZSTD_decompressStream(u->zstd, &out, &in);
  u->in_at = in.pos;
  *n = out.pos;
  if (ZSTD_isError(result)) return fail_damaged(u, ZSTD_getErrorName(result), err);
  if (result == 0) u->is_inside = false;
  return LB_OK;
}

/* The decoders may hold bytes back after all input is in, so they are asked until they give none.
 */
static lb_status unpack_some(lb__unpacker *u, void *bytes, size_t size, size_t *n, lb_error *err) {
  lb_status st = LB_OK;
  while (st == LB_OK && *n == 0) {
    st = refill(u, err);
    if (st != LB_OK) return st;
    if (u->at_end && !u->is_inside)
      return u->began ? LB_OK : fail_damaged(u, "no compressed data", err);
    size_t before = u->in_at;
    u->is_inside = u->began = true;
    st = u->kind == GZIP ? inflate_some(u, bytes, size, n, err)
                         : unzstd_some(u, bytes, size, n, err);
    if (st == LB_OK && u->at_end && u->is_inside && *n == 0 && u->in_at == before)
      return fail_damaged(u, "the compressed data ends too early", err);
  }
  return st;
}

lb_status lb__unpacker_read(lb__unpacker *u, void *bytes, size_t size, size_t *n, lb_error *err) {
  *n = 0;
  if (u->kind == PLAIN) return lb__reader_read(&u->file, bytes, size, n, err);
  return unpack_some(u, bytes, size < UINT32_MAX ? size : UINT32_MAX, n, err);
}
