/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading back what was written; see readback.h.
 *
 * Each pass flushes the image, makes the kernel forget its pages, and opens it anew: so what is read
 * comes from the medium, and from qcow2 by what its tables say there, not by what a QEMU remembers.
 * A block that differs may just have been written again. It is given back to the ledger, and only
 * the last pass, in which nobody writes, takes a difference for what it is.
 */
#include "relay/readback.h"
#include "base/fdio.h"
#include "base/log.h"
#include "relay/sink-inside.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define LOG_AREA "disk"

#define WORTH_IT 1024 /* blocks to be read back that are worth another pass */

struct readback {
    sink *owner;
    GThread *thread;
    gboolean stopping; /* guarded by the sink's lock */
};

static gboolean forget_pages(const char *path, GError **error)
{
    fdio_auto fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int result;

    if (fd < 0)
        return fdio_error(error, errno, "%s cannot be opened", path);
    result = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return result == 0 || fdio_error(error, result, "%s cannot be read from its medium", path);
}

static image *open_again(const sink_target *target, GError **error)
{
    if (!forget_pages(target->path, error))
        return NULL;
    return target->raw ? image_open_file(target->path, FALSE, error)
                       : image_open_qcow2(target->path, error);
}

static gboolean is_stopping(readback *self)
{
    gboolean stopping;

    g_mutex_lock(&self->owner->lock);
    stopping = self->stopping;
    g_mutex_unlock(&self->owner->lock);
    return stopping;
}

/* All blocks of the ledger that are left. `last`: nobody writes; else it ends early when told. */
static gboolean pass(readback *self, sink_target *target, gboolean last, GError **error)
{
    g_autoptr(image) disk = open_again(target, error);
    g_autofree uint8_t *block = g_malloc(OP_BLOCK);
    uint64_t number = 0;

    if (!disk)
        return FALSE;
    for (uint64_t from = 0; last || !is_stopping(self); from = number + 1) {
        op_digest wanted, found;
        gboolean any, same;
        size_t length;

        if (!ledger_take(target->ledger, from, &number, &wanted, &any, error))
            return FALSE;
        if (!any)
            break;
        length = (size_t)MIN(OP_BLOCK, target->size - number * OP_BLOCK);
        same = image_read(disk, number * OP_BLOCK, block, length, last ? error : NULL);
        if (same) {
            found = op_digest_of(block, length);
            same = op_digest_equal(&found, &wanted);
            if (!same && last)
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                            "%s at offset %" G_GUINT64_FORMAT
                            " does not read as it was written; look at the medium below it",
                            target->path, (guint64)(number * OP_BLOCK));
        }
        if (!same)
            ledger_give_back(target->ledger, number);
        if (!same && last)
            return FALSE;
    }
    return TRUE;
}

/* Makes what was written so far readable from the medium, through a connection of its own. */
static gboolean flush(readback *self, const sink_target *target, GError **error)
{
    g_autoptr(image) nbd = NULL;

    if (target->file)
        return image_flush(target->file, error);
    nbd = image_open_nbd(self->owner->nbd_socket, target->export, error);
    return nbd && image_flush(nbd, error);
}

/* A disk worth a pass; NULL: none now. With the sink's lock held. */
static sink_target *choose(readback *self)
{
    for (unsigned i = 0; i < self->owner->setup.count; i++) {
        sink_target *target = &self->owner->targets[i];
        uint64_t written, left;

        ledger_count(target->ledger, &written, &left);
        if (target->flushed && !target->closed && left >= WORTH_IT)
            return target;
    }
    return NULL;
}

/* What goes wrong here goes wrong again in the last pass, where it counts. */
static gpointer main_loop(gpointer data)
{
    readback *self = data;
    sink *owner = self->owner;
    gint64 pause;

    g_mutex_lock(&owner->lock);
    while (!self->stopping) {
        sink_target *target = choose(self);
        g_autoptr(GError) error = NULL;

        if (target) {
            g_mutex_unlock(&owner->lock);
            if (!flush(self, target, &error) || !pass(self, target, FALSE, &error))
                log_warning("disk %s: %s", target->what, error->message);
            g_mutex_lock(&owner->lock);
        }
        pause = g_get_monotonic_time() + G_TIME_SPAN_SECOND;
        while (!self->stopping && g_cond_wait_until(&owner->changed, &owner->lock, pause))
            ;
    }
    g_mutex_unlock(&owner->lock);
    return NULL;
}

readback *readback_new(sink *owner, GError **error)
{
    readback *self = g_new0(readback, 1);

    self->owner = owner;
    self->thread = g_thread_try_new("disk-readback", main_loop, self, error);
    if (!self->thread)
        g_clear_pointer(&self, g_free);
    return self;
}

static void stop(readback *self)
{
    g_mutex_lock(&self->owner->lock);
    self->stopping = TRUE;
    g_cond_broadcast(&self->owner->changed);
    g_mutex_unlock(&self->owner->lock);
    if (self->thread)
        g_thread_join(g_steal_pointer(&self->thread));
}

void readback_free(readback *self)
{
    if (!self)
        return;
    stop(self);
    g_free(self);
}

gboolean readback_finish(readback *self, GError **error)
{
    stop(self);
    for (unsigned i = 0; i < self->owner->setup.count; i++) {
        sink_target *target = &self->owner->targets[i];

        if (!pass(self, target, TRUE, error)) {
            g_prefix_error(error, "disk %s: ", target->what);
            return FALSE;
        }
    }
    return TRUE;
}
