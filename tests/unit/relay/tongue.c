/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disk streams by hand; see tongue.h. The codec at the source gives each message a length in front of
 * it on the local connection. */
#include "tongue.h"
#include "base/bytes.h"
#include "base/fdio.h"
#include "block/pack.h"
#include "block/sha.h"
#include "relay/pump.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static gboolean serve(pump_codec *self, pump *io, GError **error)
{
    uint8_t length[4];

    while (pump_receive(io, length, sizeof length)) {
        frame *f = pump_frame(io, get_be32(length));
        f->length = get_be32(length);
        g_assert_true(pump_receive(io, f->payload, f->length));
        pump_to_peer(io, f);
    }
    return TRUE;
}

static gboolean from_peer(pump_codec *self, pump *io, frame *bytes, GError **error)
{
    uint8_t length[4];

    put_be32(length, bytes->length);
    pump_to_local(io, length, sizeof length);
    pump_to_local(io, bytes->payload, bytes->length);
    frame_unref(bytes);
    return TRUE;
}

static pump_codec *codec_new(void *user)
{
    pump_codec *self = g_new0(pump_codec, 1);

    *self = (pump_codec){
        .serve = serve, .from_peer = from_peer, .free = (void (*)(pump_codec *))g_free};
    return self;
}

void tongue_listen(pair *p, unsigned most)
{
    g_assert_true(session_listen(p->source.session, STREAM_DISK, pair_path(p, "tongue"), 0600, most,
                                 codec_new, NULL, NULL));
}

void tongue_connect(tongue *self, pair *p)
{
    g_autofree char *path = g_build_filename(p->directory, "tongue", NULL);

    memset(self, 0, sizeof *self);
    self->fd = fdio_unix_connect(path, SOCK_STREAM, NULL);
    g_assert_cmpint(self->fd, >=, 0);
}

void tongue_close(tongue *self)
{
    fdio_clear(&self->fd);
}

gboolean tongue_send(tongue *self, const op *message, const void *body, uint32_t length)
{
    uint8_t header[4 + OP_HEADER];
    uint32_t size;
    op m = *message;

    m.body_length = length;
    size = op_put(header + 4, &m);
    put_be32(header, size + length);
    return send(self->fd, header, 4 + size, MSG_NOSIGNAL | MSG_MORE) == (ssize_t)(4 + size) &&
           (length == 0 || send(self->fd, body, length, MSG_NOSIGNAL) == (ssize_t)length);
}

void tongue_open(tongue *self, const char *export, uint64_t size)
{
    op m = {.type = OP_OPEN, .length = size};

    (void)tongue_send(self, &m, export, (uint32_t)strlen(export));
}

static op data_of(tongue *self, op_form form, uint64_t offset, const void *bytes, uint32_t length)
{
    return (op){.type = OP_DATA,
                .form = form,
                .id = ++self->id,
                .offset = offset,
                .length = length,
                .digest = op_digest_of(bytes, length)};
}

static uint32_t say(tongue *self, const op *m, const void *body, uint32_t length)
{
    op_chain(&self->running, m);
    (void)tongue_send(self, m, body, length);
    return m->id;
}

uint32_t tongue_data(tongue *self, uint64_t offset, const void *bytes, uint32_t length)
{
    op m = data_of(self, OP_PLAIN, offset, bytes, length);

    return say(self, &m, bytes, length);
}

uint32_t tongue_zstd(tongue *self, uint64_t offset, const void *bytes, uint32_t length)
{
    op m = data_of(self, OP_ZSTD, offset, bytes, length);
    g_autofree uint8_t *packed = g_malloc(length);
    pack *packer = pack_new();
    uint32_t size = pack_shrink(packer, packed, length - 1, bytes, length);

    g_assert_cmpuint(size, >, 0);
    pack_free(packer);
    return say(self, &m, packed, size);
}

uint32_t tongue_known(tongue *self, uint64_t offset, const void *bytes, uint32_t length)
{
    op m = data_of(self, OP_KNOWN, offset, bytes, length);
    uint8_t sha[OP_SHA256];

    sha_of(bytes, length, sha);
    return say(self, &m, sha, sizeof sha);
}

void tongue_again(tongue *self, uint32_t id, uint64_t offset, const void *bytes, uint32_t length)
{
    op m = data_of(self, OP_PLAIN, offset, bytes, length);

    self->id--;
    m.id = id;
    (void)say(self, &m, bytes, length);
}

uint32_t tongue_zero(tongue *self, uint64_t offset, uint64_t length, gboolean unmap)
{
    op m = {.type = OP_ZERO, .id = ++self->id, .offset = offset, .length = length, .unmap = unmap};

    return say(self, &m, NULL, 0);
}

uint32_t tongue_flush(tongue *self)
{
    op m = {.type = OP_FLUSH, .id = ++self->id, .digest = self->running};

    (void)tongue_send(self, &m, NULL, 0);
    return m.id;
}

gboolean tongue_hear(tongue *self, op *message)
{
    g_autoptr(GError) error = NULL;
    uint8_t length[4];

    if (!fdio_read_full(self->fd, length, sizeof length, NULL) ||
        !fdio_read_full(self->fd, self->heard, get_be32(length), NULL))
        return FALSE;
    g_assert_true(op_get(self->heard, get_be32(length), FALSE, 1, message, &error));
    return TRUE;
}

uint32_t tongue_await(tongue *self, uint32_t first, uint32_t last)
{
    g_autofree gboolean *done = g_new0(gboolean, last - first + 1);
    uint32_t left = last - first + 1, result = 0;

    while (left > 0) {
        op m;

        g_assert_true(tongue_hear(self, &m));
        for (unsigned i = 0; m.type == OP_DONE && i < m.count; i++) {
            uint32_t errnum, id = op_done_id(&m, i, &errnum);
            if (id < first || id > last)
                continue;
            g_assert_false(done[id - first]);
            done[id - first] = TRUE;
            left--;
            result = errnum ? errnum : result;
        }
    }
    return result;
}
