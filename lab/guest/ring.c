/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record slots on the lab guest's disks. */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CHUNK (1u << 20) /* read at a time: few requests, little memory */

struct ring {
    int fd[REPORT_DISKS];
    uint32_t disks, slots;
};

struct ring *ring_open(const struct options *o, char *error, size_t size)
{
    struct ring *ring = calloc(1, sizeof *ring);

    if (!ring) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    ring->slots = o->ring_mib * (CHUNK / RECORD_SIZE);
    for (; ring->disks < o->disks; ring->disks++) {
        const char *path = o->disk[ring->disks];
        uint64_t bytes = 0;
        int fd = open(path, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
        if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0 || bytes < RECORD_SIZE) {
            snprintf(error, size, "cannot write records to %s: %s", path,
                     fd < 0 || bytes == 0 ? strerror(errno) : "it is smaller than one record");
            return NULL;
        }
        ring->fd[ring->disks] = fd;
        if (bytes / RECORD_SIZE < ring->slots)
            ring->slots = (uint32_t)(bytes / RECORD_SIZE);
    }
    return ring;
}

uint32_t ring_disks(const struct ring *ring)
{
    return ring->disks;
}

uint32_t ring_slots(const struct ring *ring)
{
    return ring->slots;
}

int ring_write(struct ring *ring, const struct record *r)
{
    ssize_t n = pwrite(ring->fd[r->disk], r, sizeof *r, (off_t)r->slot * RECORD_SIZE);
    return n == (ssize_t)sizeof *r ? 0 : n < 0 ? errno : EIO;
}

int ring_sync(struct ring *ring)
{
    for (uint32_t d = 0; d < ring->disks; d++)
        if (fsync(ring->fd[d]) < 0)
            return errno;
    return 0;
}

static bool blank(const struct record *r)
{
    const char *p = (const char *)r;
    return p[0] == 0 && memcmp(p, p + 1, sizeof *r - 1) == 0;
}

static int read_at(int fd, void *to, size_t length, uint64_t at)
{
    ssize_t n = pread(fd, to, length, (off_t)at);
    return n == (ssize_t)length ? 0 : n < 0 ? errno : EIO;
}

/* A slot may have been read while its record was written, and a chunk fails as a whole for one bad
 * sector: so what is not good is read once more by itself before it is called bad. */
static bool look(struct ring *ring, const char *vm, uint32_t disk, uint32_t slot, struct record *r,
                 int error, ring_found found, void *user)
{
    if (!error && blank(r))
        return true;
    if (error || !report_record_valid(r, disk, slot, vm)) {
        error = read_at(ring->fd[disk], r, sizeof *r, (uint64_t)slot * RECORD_SIZE);
        if (!error && blank(r))
            return true;
        if (error || !report_record_valid(r, disk, slot, vm))
            return found(user, disk, slot, NULL, error);
    }
    return found(user, disk, slot, r, 0);
}

bool ring_walk(struct ring *ring, const char *vm, ring_found found, void *user)
{
    struct record *chunk = NULL;
    bool going = posix_memalign((void **)&chunk, RECORD_SIZE, CHUNK) == 0;

    for (uint32_t d = 0; going && d < ring->disks; d++)
        for (uint32_t s = 0; going && s < ring->slots; s += CHUNK / RECORD_SIZE) {
            uint32_t n =
                ring->slots - s < CHUNK / RECORD_SIZE ? ring->slots - s : CHUNK / RECORD_SIZE;
            int error = read_at(ring->fd[d], chunk, n * RECORD_SIZE, (uint64_t)s * RECORD_SIZE);
            for (uint32_t i = 0; going && i < n; i++)
                going = look(ring, vm, d, s + i, &chunk[i], error, found, user);
        }
    free(chunk);
    return going;
}
