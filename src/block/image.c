/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images: what all kinds have in common; see image.h. */
#include "block/image-inside.h"

#include <errno.h>

G_DEFINE_QUARK(image-error, image_error)

gboolean image_fail(const image *self, GError **error, int errnum, const char *what,
                    uint64_t offset, const char *why)
{
    g_set_error(error, IMAGE_ERROR, errnum > 0 ? errnum : EIO,
                "%s: cannot %s at offset %" G_GUINT64_FORMAT ": %s", self->name, what,
                (guint64)offset, why ? why : g_strerror(errnum > 0 ? errnum : EIO));
    return FALSE;
}

static gboolean within(const image *self, uint64_t offset, uint64_t length, const char *what,
                       GError **error)
{
    return (offset <= self->size && length <= self->size - offset) ||
           image_fail(self, error, EINVAL, what, offset, "that is beyond its end");
}

void image_free(image *self)
{
    if (!self)
        return;
    self->kind->close(self);
    g_free(self->name);
    g_free(self);
}

uint64_t image_size(const image *self)
{
    return self->size;
}

gboolean image_is_shared(const image *self)
{
    return self->shared;
}

gboolean image_read(image *self, uint64_t offset, void *out, size_t length, GError **error)
{
    uint8_t *at = out;

    if (!within(self, offset, length, "read", error))
        return FALSE;
    while (length > 0) {
        ssize_t n = self->kind->read(self, offset, at, length, error);
        if (n < 0)
            return FALSE;
        at += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return TRUE;
}

gboolean image_write(image *self, uint64_t offset, const void *bytes, size_t length,
                     GError **error)
{
    const uint8_t *at = bytes;

    if (!within(self, offset, length, "write", error))
        return FALSE;
    while (length > 0) {
        ssize_t n = self->kind->write(self, offset, at, length, error);
        if (n < 0)
            return FALSE;
        at += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return TRUE;
}

gboolean image_zero(image *self, uint64_t offset, uint64_t length, gboolean may_unmap,
                    GError **error)
{
    return within(self, offset, length, "write zeroes", error) &&
           (length == 0 || self->kind->zero(self, offset, length, may_unmap, error));
}

gboolean image_flush(image *self, GError **error)
{
    return self->kind->flush(self, error);
}

gboolean image_next_data(image *self, uint64_t offset, uint64_t *start, uint64_t *length,
                         GError **error)
{
    *start = self->size;
    *length = 0;
    return within(self, offset, 0, "look for data", error) &&
           (offset == self->size || self->kind->next_data(self, offset, start, length, error));
}
