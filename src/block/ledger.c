/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Digests of what was written; see ledger.h.
 *
 * The file is read and written, not mapped: where the file system is full, that is an error and not a
 * signal. */
#include "block/ledger.h"
#include "base/fdio.h"
#include "block/bitmap.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct ledger {
    GMutex lock;
    int fd;          /* of op_digest, by number; all zero: never put */
    bitmap *unread;
    uint64_t written, left;
};

ledger *ledger_new(const char *directory, uint64_t disk_size, GError **error)
{
    uint64_t blocks = (disk_size + OP_BLOCK - 1) / OP_BLOCK;
    fdio_auto fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    g_autoptr(bitmap) unread = NULL;
    ledger *self;

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        g_autofree char *path = g_build_filename(directory, "ledger-XXXXXX", NULL);
        fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0)
            unlink(path);
    }
    if (fd < 0 || ftruncate(fd, (off_t)(blocks * sizeof(op_digest))) < 0) {
        fdio_error(error, errno, "a ledger cannot be kept in %s", directory);
        return NULL;
    }
    unread = bitmap_new(blocks, error);
    if (!unread)
        return NULL;
    self = g_new0(ledger, 1);
    g_mutex_init(&self->lock);
    self->fd = g_steal_fd(&fd);
    self->unread = g_steal_pointer(&unread);
    return self;
}

void ledger_free(ledger *self)
{
    if (!self)
        return;
    fdio_clear(&self->fd);
    bitmap_free(self->unread);
    g_mutex_clear(&self->lock);
    g_free(self);
}

static gboolean look_up(ledger *self, uint64_t number, op_digest *digest, GError **error)
{
    ssize_t n = pread(self->fd, digest, sizeof *digest, (off_t)(number * sizeof *digest));

    return n == sizeof *digest ||
           fdio_error(error, n < 0 ? errno : EIO, "the ledger of a disk cannot be read");
}

gboolean ledger_get(ledger *self, uint64_t number, op_digest *digest, gboolean *known,
                    GError **error)
{
    gboolean good;

    g_mutex_lock(&self->lock);
    good = look_up(self, number, digest, error);
    g_mutex_unlock(&self->lock);
    *known = good && (digest->low || digest->high);
    return good;
}

static gboolean put(ledger *self, uint64_t number, const op_digest *digest, GError **error)
{
    op_digest before;
    ssize_t n;

    if (!look_up(self, number, &before, error))
        return FALSE;
    n = pwrite(self->fd, digest, sizeof *digest, (off_t)(number * sizeof *digest));
    if (n != sizeof *digest)
        return fdio_error(error, n < 0 ? errno : ENOSPC, "the ledger of a disk cannot be written");
    if (!before.low && !before.high)
        self->written++;
    if (!bitmap_set(self->unread, number))
        self->left++;
    return TRUE;
}

gboolean ledger_put(ledger *self, uint64_t number, const op_digest *digest, GError **error)
{
    gboolean good;

    g_mutex_lock(&self->lock);
    good = put(self, number, digest, error);
    g_mutex_unlock(&self->lock);
    return good;
}

gboolean ledger_take(ledger *self, uint64_t from, uint64_t *number, op_digest *digest,
                     gboolean *found, GError **error)
{
    gboolean good = TRUE;

    g_mutex_lock(&self->lock);
    *found = bitmap_next(self->unread, from, G_MAXUINT64, number);
    if (*found)
        good = look_up(self, *number, digest, error);
    if (*found && good) {
        (void)bitmap_clear(self->unread, *number);
        self->left--;
    }
    g_mutex_unlock(&self->lock);
    return good;
}

void ledger_give_back(ledger *self, uint64_t number)
{
    g_mutex_lock(&self->lock);
    if (!bitmap_set(self->unread, number))
        self->left++;
    g_mutex_unlock(&self->lock);
}

void ledger_count(ledger *self, uint64_t *written, uint64_t *left)
{
    g_mutex_lock(&self->lock);
    *written = self->written;
    *left = self->left;
    g_mutex_unlock(&self->lock);
}
