/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that fail and clocks that jump, for the programs it is preloaded into (LD_PRELOAD): QEMU,
 * ferry-worker, ferryd.
 *
 * /run/faulty has one line for each fault in force, read anew before each call it may concern;
 * while it does not exist nothing is different from usual.
 *
 *   write ENOSPC|EIO|short PREFIX     writes to files below PREFIX fail, or take half of what they
 * are given read EIO PREFIX                   reads of them fail clock SECONDS what the time of day
 * is ahead by
 */
#undef _FILE_OFFSET_BITS /* or the two names of each call below would be one */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CONTROL    "/run/faulty"
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The line of this kind that concerns the file (or any, with fd < 0) in `value`; 0 if there is
 * none. */
static int in_force(const char *kind, int fd, char value[32])
{
    char path[4096] = "", line[4096], link[64];
    FILE *file;
    int found = 0, saved = errno;
    ssize_t n;

    if (access(CONTROL, F_OK))
        goto out;
    if (fd >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof path - 1);
        if (n <= 0 || path[0] != '/')
            goto out;
        path[n] = 0;
    }
    file = fopen(CONTROL, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        char its[16], prefix[2048] = "";
        found = sscanf(line, "%15s %31s %2047s", its, value, prefix) >= 2 && !strcmp(its, kind) &&
                (fd < 0 || !strncmp(path, prefix, strlen(prefix)));
    }
    if (file)
        fclose(file);
out:
    errno = saved;
    return found;
}

/* How many bytes of a write or read may go on: all, half, or -1 with errno. */
static ssize_t allowed(const char *kind, int fd, size_t length)
{
    char value[32];

    if (!in_force(kind, fd, value))
        return (ssize_t)length;
    if (!strcmp(value, "short"))
        return (ssize_t)(length > 512 ? length / 2 / 512 * 512 : length);
    errno = strcmp(value, "ENOSPC") ? EIO : ENOSPC;
    return -1;
}

static size_t total(const struct iovec *parts, int count)
{
    size_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += parts[i].iov_len;
    return sum;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    ssize_t may = fd > 2 ? allowed("write", fd, length) : (ssize_t)length;

    return may < 0 ? -1 : NEXT(write)(fd, bytes, (size_t)may);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at)
{
    ssize_t may = allowed("write", fd, length);

    return may < 0 ? -1 : NEXT(pwrite64)(fd, bytes, (size_t)may, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
    return pwrite64(fd, bytes, length, at);
}

/* A short one of several parts takes the first part only, as a disk that ran full in between. */
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    size_t length = total(parts, count);
    ssize_t may = allowed("write", fd, length);

    if (may < 0)
        return -1;
    return (size_t)may < length ? NEXT(pwritev64)(fd, parts, 1, at)
                                : NEXT(pwritev64)(fd, parts, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return pwritev64(fd, parts, count, at);
}

ssize_t pread64(int fd, void *bytes, size_t length, off64_t at)
{
    return allowed("read", fd, length) < 0 ? -1 : NEXT(pread64)(fd, bytes, length, at);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t at)
{
    return pread64(fd, bytes, length, at);
}

ssize_t preadv64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return allowed("read", fd, total(parts, count)) < 0 ? -1 : NEXT(preadv64)(fd, parts, count, at);
}

ssize_t preadv(int fd, const struct iovec *parts, int count, off_t at)
{
    return preadv64(fd, parts, count, at);
}

static time_t ahead(void)
{
    char value[32];

    return in_force("clock", -1, value) ? (time_t)atoll(value) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = NEXT(clock_gettime)(clock, now);

    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += ahead();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int result = NEXT(gettimeofday)(now, zone);

    if (!result)
        now->tv_sec += ahead();
    return result;
}

time_t time(time_t *where)
{
    time_t now = NEXT(time)(NULL) + ahead();

    if (where)
        *where = now;
    return now;
}
