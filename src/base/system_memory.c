/* system_memory.c - see system_memory.h. Linux says MemAvailable in /proc/meminfo; a container's
 * limit is in its control group (v2: memory.max minus memory.current, v1: limit_in_bytes). */
#include "system_memory.h"

#include "files.h"

#include <limbeck/environment.h>

#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { SMALL_FILE = 64 * 1024 };

/* The first number in a small file, after `key` when that is not NULL. */
static uint64_t number_in(const char *path, const char *key) {
  char *text;
  size_t size;
  uint64_t n = UINT64_MAX;
  if (lb__file_read(&text, &size, path, SMALL_FILE, NULL) != LB_OK) return n;
  const char *at = key != NULL ? strstr(text, key) : text;
  if (at != NULL) at += key != NULL ? strlen(key) : 0;
  while (at != NULL && *at == ' ') at++;
  if (at != NULL && *at >= '0' && *at <= '9') n = strtoull(at, NULL, 10);
  lb__free(text);
  return n;
}

static uint64_t group_left(const char *limit, const char *used) {
  uint64_t most = number_in(limit, NULL), now = number_in(used, NULL);
  if (most == UINT64_MAX || now == UINT64_MAX || most > UINT64_MAX / 4) return UINT64_MAX;
  return most > now ? most - now : 0;
}

static uint64_t smaller(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t lb__system_memory_available(void) {
  uint64_t left = number_in("/proc/meminfo", "MemAvailable:");
  if (left != UINT64_MAX) left *= 1024;
  left = smaller(left, group_left("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"));
  left = smaller(left, group_left("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                  "/sys/fs/cgroup/memory/memory.usage_in_bytes"));
  if (left != UINT64_MAX) return left;
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}

uint64_t lb__system_memory_resident(void) {
  uint64_t kilobytes = number_in("/proc/self/status", "VmRSS:\t");
  return kilobytes != UINT64_MAX ? kilobytes * 1024 : 0;
}

uint64_t lb_memory_peak(void) {
  uint64_t kilobytes = number_in("/proc/self/status", "VmHWM:\t");
  return kilobytes != UINT64_MAX ? kilobytes * 1024 : 0;
}

uint64_t lb__system_disk_available(const char *path) {
  struct statvfs disk;
  char *at = lb__strdup(path);
  uint64_t free_bytes = 0;
  while (at != NULL) {
    if (statvfs(at[0] != '\0' ? at : ".", &disk) == 0) {
      free_bytes = (uint64_t)disk.f_bavail * (uint64_t)disk.f_frsize;
      break;
    }
    char *slash = strrchr(at, '/');
    if (at[0] == '\0') break;
    if (slash == at && at[1] != '\0')
      at[1] = '\0'; /* "/name": the root is next */
    else
      *(slash != NULL && slash != at ? slash : at) = '\0';
  }
  lb__free(at);
  return free_bytes;
}
