/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NBD exports as images, and qcow2 files by a qemu-nbd of our own; see image.h. */
#include "base/fdio.h"
#include "block/image-inside.h"

#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_MAX (2 * 1024 * 1024) /* bytes read or written by one request */
#define ZERO_MAX    (1024 * 1024 * 1024)

typedef struct {
    image common;
    struct nbd_handle *nbd;
    gboolean told; /* the server tells what is allocated */
} image_nbd;

static gboolean failed(const image *common, GError **error, const char *what, uint64_t offset)
{
    return image_fail(common, error, nbd_get_errno(), what, offset, nbd_get_error());
}

static ssize_t do_read(image *common, uint64_t offset, void *out, size_t length, GError **error)
{
    const image_nbd *self = (const image_nbd *)common;
    size_t n = MIN(length, REQUEST_MAX);

    if (nbd_pread(self->nbd, out, n, offset, 0) == 0)
        return (ssize_t)n;
    failed(common, error, "read", offset);
    return -1;
}

static ssize_t do_write(image *common, uint64_t offset, const void *bytes, size_t length,
                        GError **error)
{
    const image_nbd *self = (const image_nbd *)common;
    size_t n = MIN(length, REQUEST_MAX);

    if (nbd_pwrite(self->nbd, bytes, n, offset, 0) == 0)
        return (ssize_t)n;
    failed(common, error, "write", offset);
    return -1;
}

static gboolean do_zero(image *common, uint64_t offset, uint64_t length, gboolean may_unmap,
                        GError **error)
{
    const image_nbd *self = (const image_nbd *)common;
    uint32_t flags = may_unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE;

    for (uint64_t n; length > 0; offset += n, length -= n) {
        n = MIN(length, ZERO_MAX);
        if (nbd_zero(self->nbd, n, offset, flags) != 0)
            return failed(common, error, "write zeroes", offset);
    }
    return TRUE;
}

static gboolean do_flush(image *common, GError **error)
{
    const image_nbd *self = (const image_nbd *)common;

    return nbd_can_flush(self->nbd) != 1 || nbd_flush(self->nbd, 0) == 0 ||
           failed(common, error, "flush", 0);
}

typedef struct { /* the beginning of what one answer of the server describes */
    uint64_t zeroes, data;
    gboolean over;
} extents;

static int take_extents(void *user, const char *context, uint64_t offset, uint32_t *entries,
                        size_t count, int *errnum)
{
    extents *found = user;

    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION))
        return 0;
    for (size_t i = 0; i + 1 < count && !found->over; i += 2)
        if (!(entries[i + 1] & LIBNBD_STATE_ZERO))
            found->data += entries[i];
        else if (found->data)
            found->over = TRUE;
        else
            found->zeroes += entries[i];
    return 0;
}

static gboolean do_next_data(image *common, uint64_t offset, uint64_t *start, uint64_t *length,
                             GError **error)
{
    image_nbd *self = (image_nbd *)common;
    uint64_t at = offset;

    while (at < common->size) {
        extents found = {0};
        nbd_extent_callback callback = {.callback = take_extents, .user_data = &found};
        uint64_t n = MIN(common->size - at, ZERO_MAX);

        if (!self->told)
            found.data = common->size - at;
        else if (nbd_block_status(self->nbd, n, at, callback, 0) != 0)
            return failed(common, error, "look for data", at);
        if (!found.data && !found.zeroes)
            return image_fail(common, error, EPROTO, "look for data", at, "the server tells nothing");
        if (found.data && found.zeroes < common->size - at) {
            *start = at + found.zeroes;
            *length = MIN(found.data, common->size - *start);
            return TRUE;
        }
        at += MIN(found.zeroes, common->size - at);
    }
    return TRUE;
}

static void do_close(image *common)
{
    image_nbd *self = (image_nbd *)common;

    if (self->nbd)
        (void)nbd_shutdown(self->nbd, 0);
    nbd_close(self->nbd); /* ends its qemu-nbd as well */
}

static image_nbd *new_nbd(const char *name, const char *export, GError **error)
{
    static const image_kind kind = {.read = do_read,
                                    .write = do_write,
                                    .zero = do_zero,
                                    .flush = do_flush,
                                    .next_data = do_next_data,
                                    .close = do_close};
    image_nbd *self = g_new0(image_nbd, 1);

    self->common = (image){.kind = &kind, .name = g_strdup(name)};
    self->nbd = nbd_create();
    if (self->nbd && nbd_set_export_name(self->nbd, export) == 0 &&
        nbd_add_meta_context(self->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0)
        return self;
    g_set_error(error, IMAGE_ERROR, ENOMEM, "%s: %s", name, nbd_get_error());
    image_free(&self->common);
    return NULL;
}

/* After an attempt to connect: is it what we need? */
static image *connected(image_nbd *self, int result, GError **error)
{
    int64_t size = result == 0 ? nbd_get_size(self->nbd) : -1;

    if (size >= 0) {
        self->common.size = (uint64_t)size;
        self->told = nbd_can_meta_context(self->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
        return &self->common;
    }
    g_set_error(error, IMAGE_ERROR, nbd_get_errno() > 0 ? nbd_get_errno() : EIO,
                "%s cannot be opened: %s", self->common.name, nbd_get_error());
    image_free(&self->common);
    return NULL;
}

image *image_open_nbd(const char *unix_socket, const char *export, GError **error)
{
    image_nbd *self = new_nbd(export, export, error);

    return self ? connected(self, nbd_connect_unix(self->nbd, unix_socket), error) : NULL;
}

image *image_nbd_serve(const char *name, int fd, GError **error)
{
    /* qemu-nbd opens our descriptor: what was looked at, wherever the path leads meanwhile, and by a name
     * that needs no quoting. It is not handed down, which whoever forks just then would do as well. */
    g_autofree char *options = NULL;
    image_nbd *self = new_nbd(name, "", error);
    int result;

    if (!self)
        return NULL;
    options = g_strdup_printf("json:{\"driver\":\"qcow2\",\"backing\":null,\"read-only\":true,"
                              "\"force-share\":true,"
                              "\"file\":{\"driver\":\"file\",\"filename\":\"/proc/%d/fd/%d\"}}",
                              (int)getpid(), fd);
    char *argv[] = {(char *)"qemu-nbd", (char *)"--read-only", options, NULL};
    result = nbd_connect_systemd_socket_activation(self->nbd, argv);
    return connected(self, result, error);
}
