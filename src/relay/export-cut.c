/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU writes becomes messages: digest, zeroes, known, compressed; see export.h. */
#include "base/hook.h"
#include "block/sha.h"
#include "relay/export-inside.h"

#include <string.h>

frame *export_room(export *self, uint32_t length)
{
    if (length < OP_BLOCK)
        return pump_frame(self->io, OP_HEADER + length);
    return self->spare ? g_steal_pointer(&self->spare) : pump_frame(self->io, OP_HEADER + OP_BLOCK);
}

/* The frame was not sent: its room can be used again. */
static void keep_room(export *self, frame *f)
{
    if (!self->spare && f->capacity >= OP_HEADER + OP_BLOCK)
        self->spare = f;
    else
        frame_unref(f);
}

void export_push(export *self, op *message, frame *f)
{
    pthread_mutex_lock(&self->order);
    if (message->type == OP_FLUSH)
        message->digest = self->running;
    else
        op_chain(&self->running, message);
    f->length = op_put(f->payload, message) + message->body_length;
    pump_to_peer(self->io, f);
    pthread_mutex_unlock(&self->order);
}

/* Gives the message its id. Takes over `kept` (NULL: none) in any case. */
static gboolean add(export *self, flight_request *request, op *message, frame *kept)
{
    gboolean going;

    pthread_mutex_lock(&self->lock);
    while (!flight_has_room(self->flight, 1) && !self->over)
        pthread_cond_wait(&self->room, &self->lock);
    going = !self->over;
    if (going)
        flight_add(self->flight, request, message, g_steal_pointer(&kept));
    pthread_mutex_unlock(&self->lock);
    g_clear_pointer(&kept, frame_unref);
    return going;
}

gboolean export_send_zero(export *self, flight_request *request, uint64_t offset, uint64_t length,
                          gboolean unmap)
{
    op message = {.type = OP_ZERO, .unmap = unmap, .offset = offset, .length = length};

    if (!add(self, request, &message, NULL))
        return FALSE;
    self->zeroes += length;
    export_push(self, &message, pump_frame(self->io, OP_HEADER));
    return TRUE;
}

gboolean export_send_flush(export *self, flight_request *request)
{
    op message = {.type = OP_FLUSH};

    if (!add(self, request, &message, NULL))
        return FALSE;
    export_push(self, &message, pump_frame(self->io, OP_HEADER));
    return TRUE;
}

gboolean export_finish_cut(export *self, export_cut *cut)
{
    uint64_t length = cut->zero_length;

    cut->zero_length = 0;
    /* Written as zeroes or never written: the guest cannot tell. */
    return length == 0 || export_send_zero(self, cut->request, cut->zero_at, length, TRUE);
}

static gboolean is_zero(const uint8_t *bytes, uint32_t length)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* Does the target say that it holds this block? Then `sha` is its SHA-256. */
static gboolean is_known(export *self, const uint8_t *content, const op *message,
                         uint8_t sha[OP_SHA256])
{
    gboolean room;

    if (message->offset % OP_BLOCK != 0 ||
        (message->length != OP_BLOCK && message->offset + message->length != self->size) ||
        !hints_any(self->table->known))
        return FALSE;
    pthread_mutex_lock(&self->lock);
    room = flight_kept(self->flight) < EXPORT_KEPT_MOST;
    pthread_mutex_unlock(&self->lock);
    if (!room)
        return FALSE;
    sha_of(content, message->length, sha);
    return hints_has(self->table->known, sha_hint(sha));
}

static gboolean send_known(export *self, export_cut *cut, op *message, frame *f,
                           const uint8_t sha[OP_SHA256])
{
    frame *small = pump_frame(self->io, OP_HEADER + OP_SHA256);

    message->form = OP_KNOWN;
    message->body_length = OP_SHA256;
    memcpy(small->payload + OP_HEADER, sha, OP_SHA256);
    if (!add(self, cut->request, message, f)) {
        frame_unref(small);
        return FALSE;
    }
    self->known += message->length;
    pump_count_found(self->io, (int64_t)message->length);
    export_push(self, message, small);
    return TRUE;
}

gboolean export_send_content(export *self, export_cut *cut, frame *f, uint64_t offset,
                             uint32_t length)
{
    uint8_t *content = f->payload + OP_HEADER, sha[OP_SHA256];
    op message = {.type = OP_DATA, .offset = offset, .length = length};
    frame *smaller;

    if (is_zero(content, length)) {
        if (cut->zero_length == 0)
            cut->zero_at = offset;
        cut->zero_length += length;
        keep_room(self, f);
        return TRUE;
    }
    message.digest = op_digest_of(content, length);
    if (hook_wrong("export.content"))
        content[length / 2] ^= 1;
    if (!export_finish_cut(self, cut)) {
        frame_unref(f);
        return FALSE;
    }
    if (is_known(self, content, &message, sha))
        return send_known(self, cut, &message, f, sha);

    smaller = shrink_try(&self->shrink, self->io, content, length, OP_HEADER);
    message.form = smaller ? OP_ZSTD : OP_PLAIN;
    message.body_length = smaller ? smaller->length - OP_HEADER : length;
    if (!add(self, cut->request, &message, NULL)) {
        g_clear_pointer(&smaller, frame_unref);
        frame_unref(f);
        return FALSE;
    }
    if (smaller) {
        self->packed += length;
        self->packed_to += message.body_length;
        keep_room(self, f);
        export_push(self, &message, smaller);
    } else {
        self->plain += length;
        export_push(self, &message, f);
    }
    return TRUE;
}
