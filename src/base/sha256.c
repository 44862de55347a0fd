/* sha256.c - see sha256.h. Refuses: an implementation of our own; OpenSSL's uses the CPU's SHA
 * instructions, and a checkpoint is gigabytes. */
#include "sha256.h"

#include "fail.h"
#include "file_calls.h"

#include <errno.h>
#include <openssl/evp.h>

enum { PIECE = 1 << 20 };

static lb_status fail_digest(const char *path, lb_error *err) {
  return lb__fail(err, LB_E_NOMEM, "out of memory: SHA-256 of '%s'", path);
}

/* Everything up to the end of the file into the digest. */
static lb_status digest_rest(EVP_MD_CTX *digest, uint64_t *size, int fd, void *piece,
                             const char *path, lb_error *err) {
  for (;;) {
    ssize_t got = lb__io_get()->read(fd, piece, PIECE);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return lb__fail_path(err, path);
    if (got == 0) return LB_OK;
    if (EVP_DigestUpdate(digest, piece, (size_t)got) != 1) return fail_digest(path, err);
    *size += (uint64_t)got;
  }
}

static lb_status finish(char hex[LB__SHA256_HEX_SIZE], EVP_MD_CTX *digest, const char *path,
                        lb_error *err) {
  static const char digits[] = "0123456789abcdef";
  unsigned char sum[32];
  if (EVP_DigestFinal_ex(digest, sum, NULL) != 1) return fail_digest(path, err);
  for (int i = 0; i < 32; i++) {
    hex[2 * i] = digits[sum[i] >> 4];
    hex[2 * i + 1] = digits[sum[i] & 15];
  }
  hex[64] = '\0';
  return LB_OK;
}

lb_status lb__sha256_file(char hex[LB__SHA256_HEX_SIZE], uint64_t *size, const char *path,
                          lb_error *err) {
  hex[0] = '\0';
  *size = 0;
  int fd;
  size_t stated;
  lb_status st = lb__open_regular(&fd, &stated, path, err);
  if (st != LB_OK) return st;
  void *piece = lb__alloc(PIECE);
  EVP_MD_CTX *digest = EVP_MD_CTX_new();
  if (piece == NULL || digest == NULL || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
    st = fail_digest(path, err);
  if (st == LB_OK) st = digest_rest(digest, size, fd, piece, path, err);
  if (st == LB_OK) st = finish(hex, digest, path, err);
  EVP_MD_CTX_free(digest);
  lb__free(piece);
  lb__io_get()->close(fd); /* nothing was written: a failure here loses nothing */
  return st;
}
