/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading an image block by block; see seeds-scan.h. */
#include "block/seeds-scan.h"

#include "block/sha.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PORTION 16 /* blocks read at a time */

/* linux/ioprio.h, which is not everywhere */
enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_BE = 2, IOPRIO_IDLE = 3, IOPRIO_SHIFT = 13, IOPRIO_LAST = 7 };

/* Beside two busy threads a core, SCHED_IDLE digested less than 25 MB/s, nice 10 91, nice 0 528;
 * what is found in time need not be sent, which costs more than finding it. */
#define LOW_NICE 5

void seeds_scan_priority(seeds_priority priority)
{
    int io = priority == SEEDS_IDLE ? IOPRIO_IDLE << IOPRIO_SHIFT
                                    : IOPRIO_BE << IOPRIO_SHIFT | IOPRIO_LAST;
    struct sched_param none = {0};

    /* On Linux all of these are a thread's own. Where one is refused the scan runs all the same. */
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, io);
    if (priority == SEEDS_IDLE)
        (void)sched_setscheduler(0, SCHED_IDLE, &none);
    else
        (void)setpriority(PRIO_PROCESS, 0, LOW_NICE);
}

static gboolean is_zero(const uint8_t *bytes, size_t length)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, length - 1);
}

/* One portion that has been read. */
static unsigned digest(const uint8_t *bytes, size_t length, uint64_t offset, seeds_block *found)
{
    unsigned count = 0;
    uint8_t sha[OP_SHA256];

    for (size_t at = 0; at < length; at += OP_BLOCK) {
        size_t n = MIN(length - at, OP_BLOCK);
        if (is_zero(bytes + at, n))
            continue;
        sha_of(bytes + at, n, sha);
        found[count++] = (seeds_block){(offset + at) / OP_BLOCK, sha_hint(sha)};
    }
    return count;
}

gboolean seeds_scan(image *from, const gint *stop, seeds_take take, void *user, GError **error)
{
    g_autofree uint8_t *bytes = g_malloc((size_t)PORTION * OP_BLOCK);
    uint64_t size = image_size(from), at = 0, start, length;

    /* `at` is always the start of a block, or the end. */
    while (at < size && !g_atomic_int_get(stop)) {
        seeds_block found[PORTION];
        unsigned count;
        size_t n;

        if (!image_next_data(from, at, &start, &length, error))
            return FALSE;
        if (!length)
            break;
        at = MAX(at, start - start % OP_BLOCK);
        n = (size_t)MIN((uint64_t)PORTION * OP_BLOCK, start + length - at);
        n = (size_t)MIN((n + OP_BLOCK - 1) / OP_BLOCK * OP_BLOCK, size - at);
        if (!image_read(from, at, bytes, n, error))
            return FALSE;
        count = digest(bytes, n, at, found);
        if (count && !take(found, count, user))
            break;
        at += n;
    }
    return TRUE;
}
