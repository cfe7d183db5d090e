/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw files as images; see image.h. */
#include "base/fdio.h"
#include "block/image-inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZEROES (64 * 1024) /* written at a time where the file system knows no holes */

typedef struct {
    image common;
    int fd;
    int direct;  /* the same file with O_DIRECT, for writing; -1: there is none */
    int refused; /* atomic: direct writes are not possible after all */
} image_file;

int image_file_fd(const image *self)
{
    return ((const image_file *)self)->fd;
}

static ssize_t file_read(image *common, uint64_t offset, void *out, size_t length, GError **error)
{
    const image_file *self = (const image_file *)common;
    ssize_t n;

    do
        n = pread(self->fd, out, length, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return n;
    image_fail(common, error, n < 0 ? errno : EIO, "read", offset,
               n < 0 ? NULL : "the file has become shorter");
    return -1;
}

/* Past the page cache where that is possible: filling it costs more CPU than all else a write does, takes memory from
 * guests, and leaves the medium's work to the flush, for which a stopped guest waits. */
static ssize_t write_direct(image_file *self, uint64_t offset, const void *bytes, size_t length)
{
    ssize_t n = -1;

    if (self->direct < 0 || g_atomic_int_get(&self->refused) ||
        (offset | length | (uintptr_t)bytes) % IMAGE_ALIGNED != 0)
        return -1;
    do
        n = pwrite(self->direct, bytes, length, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EINVAL) /* this file system wants more of it */
        g_atomic_int_set(&self->refused, 1);
    return n;
}

static ssize_t file_write(image *common, uint64_t offset, const void *bytes, size_t length,
                          GError **error)
{
    image_file *self = (image_file *)common;
    ssize_t n = write_direct(self, offset, bytes, length);

    if (n > 0)
        return n;
    /* An error of the medium comes again here, and is told. */
    do
        n = pwrite(self->fd, bytes, length, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return n;
    image_fail(common, error, n < 0 ? errno : EIO, "write", offset, NULL);
    return -1;
}

static gboolean write_zeroes(image *common, uint64_t offset, uint64_t length, GError **error)
{
    static const uint8_t zeroes[ZEROES];

    while (length > 0) {
        ssize_t n = file_write(common, offset, zeroes, (size_t)MIN(length, ZEROES), error);
        if (n < 0)
            return FALSE;
        offset += (uint64_t)n;
        length -= (uint64_t)n;
    }
    return TRUE;
}

static gboolean file_zero(image *common, uint64_t offset, uint64_t length, gboolean may_unmap,
                          GError **error)
{
    const image_file *self = (const image_file *)common;
    int mode = FALLOC_FL_KEEP_SIZE | (may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
    int result;

    do
        result = fallocate(self->fd, mode, (off_t)offset, (off_t)length);
    while (result < 0 && errno == EINTR);
    if (result == 0)
        return TRUE;
    if (errno == EOPNOTSUPP)
        return write_zeroes(common, offset, length, error);
    return image_fail(common, error, errno, "write zeroes", offset, NULL);
}

static gboolean file_flush(image *common, GError **error)
{
    const image_file *self = (const image_file *)common;

    return fdatasync(self->fd) == 0 || image_fail(common, error, errno, "flush", 0, NULL);
}

/* SEEK_DATA and SEEK_HOLE move the file's position, which nothing here uses. */
static gboolean file_next_data(image *common, uint64_t offset, uint64_t *start, uint64_t *length,
                               GError **error)
{
    const image_file *self = (const image_file *)common;
    off_t data = lseek(self->fd, (off_t)offset, SEEK_DATA), hole;

    if (data < 0 && errno == ENXIO)
        return TRUE;
    hole = data < 0 ? -1 : lseek(self->fd, data, SEEK_HOLE);
    if (data < 0 && errno != EINVAL)
        return image_fail(common, error, errno, "look for data", offset, NULL);
    if ((uint64_t)data >= common->size && data >= 0)
        return TRUE;
    *start = data < 0 ? offset : (uint64_t)data;
    *length = (hole < 0 ? common->size : MIN((uint64_t)hole, common->size)) - *start;
    return TRUE;
}

static void file_close(image *common)
{
    fdio_clear(&((image_file *)common)->fd);
    fdio_clear(&((image_file *)common)->direct);
}

/* The very file, whatever its path leads to by now. */
static int open_direct(int fd)
{
    g_autofree char *name = g_strdup_printf("/proc/self/fd/%d", fd);

    return open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
}

image *image_open_file(const char *path, gboolean writable, GError **error)
{
    static const image_kind kind = {.read = file_read,
                                    .write = file_write,
                                    .zero = file_zero,
                                    .flush = file_flush,
                                    .next_data = file_next_data,
                                    .close = file_close};
    /* O_NONBLOCK: opening must not wait, whatever lies there. */
    fdio_auto fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    image_file *self;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        g_set_error(error, IMAGE_ERROR, errno, "%s cannot be opened: %s", path, g_strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, IMAGE_ERROR, EINVAL, "%s cannot be opened: it is not a regular file",
                    path);
        return NULL;
    }
    self = g_new0(image_file, 1);
    self->common = (image){.kind = &kind, .name = g_strdup(path), .size = (uint64_t)st.st_size,
                           .shared = TRUE};
    self->fd = g_steal_fd(&fd);
    self->direct = writable ? open_direct(self->fd) : -1;
    return &self->common;
}
