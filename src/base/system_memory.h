/* system_memory.h - how much room there is: memory (a container's limit counts) and disk. */
#ifndef LB_BASE_SYSTEM_MEMORY_H
#define LB_BASE_SYSTEM_MEMORY_H

#include <stdint.h>

/* Bytes that could be allocated now without swapping; UINT64_MAX when nobody knows. */
uint64_t lb__system_memory_available(void);
/* Bytes of memory that this process takes up now; 0: unknown. */
uint64_t lb__system_memory_resident(void);
/* Bytes free for this user on the disk that holds `path`, or its nearest existing parent; 0:
 * unknown.
 */
uint64_t lb__system_disk_available(const char *path);

#endif
