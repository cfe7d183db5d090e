/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU writes becomes messages: digest, zeroes, known, compressed; see export.h. */
#include "base/hook.h"
#include "block/sha.h"
#include "relay/export-inside.h"

#include <string.h>

frame *export_room(export *self, export_hand *hand, uint32_t length)
{
    if (length < OP_BLOCK)
        return pump_frame(self->io, OP_HEADER + length);
    return hand->spare ? g_steal_pointer(&hand->spare) : pump_frame(self->io, OP_HEADER + OP_BLOCK);
}

void export_keep_room(export_hand *hand, frame *f)
{
    if (!hand->spare && f->capacity >= OP_HEADER + OP_BLOCK)
        hand->spare = f;
    else
        frame_unref(f);
}

void export_hand_clear(export_hand *hand)
{
    shrink_clear(&hand->shrink);
    g_clear_pointer(&hand->spare, frame_unref);
}

void export_push(export *self, op *message, frame *f)
{
    pthread_mutex_lock(&self->order);
    export_push_locked(self, message, f);
    pthread_mutex_unlock(&self->order);
}

void export_push_locked(export *self, op *message, frame *f)
{
    if (message->type == OP_FLUSH)
        message->digest = self->running;
    else
        op_chain(&self->running, message);
    f->length = op_put(f->payload, message) + message->body_length;
    pump_to_peer(self->io, f);
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

static gboolean send_zero(export *self, export_cut *cut, uint64_t offset, uint64_t length,
                          gboolean unmap)
{
    op message = {.type = OP_ZERO, .unmap = unmap, .offset = offset, .length = length};

    if (!add(self, cut->request, &message, NULL))
        return FALSE;
    export_push(self, &message, pump_frame(self->io, OP_HEADER));
    return TRUE;
}

gboolean export_send_zero(export *self, export_cut *cut, uint64_t offset, uint64_t length,
                          gboolean unmap)
{
    if (!export_ahead_yield(self, cut, offset, length) ||
        !send_zero(self, cut, offset, length, unmap))
        return FALSE;
    cut->hand->zeroes += length;
    return TRUE;
}

gboolean export_undo(export *self, export_cut *cut, uint64_t offset, uint64_t length)
{
    return send_zero(self, cut, offset, length, TRUE);
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
    return length == 0 || export_send_zero(self, cut, cut->zero_at, length, TRUE);
}

gboolean export_is_zero(const uint8_t *bytes, uint32_t length)
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

frame *export_form(export *self, export_hand *hand, frame *f, op *message, frame **kept)
{
    uint8_t *content = f->payload + OP_HEADER, sha[OP_SHA256];
    uint32_t length = (uint32_t)message->length;
    frame *smaller;

    *kept = NULL;
    message->type = OP_DATA;
    message->digest = op_digest_of(content, length);
    if (hook_wrong("export.content"))
        content[length / 2] ^= 1;
    if (is_known(self, content, message, sha)) {
        smaller = pump_frame(self->io, OP_HEADER + OP_SHA256);
        memcpy(smaller->payload + OP_HEADER, sha, OP_SHA256);
        message->form = OP_KNOWN;
        message->body_length = OP_SHA256;
        hand->known += length;
        *kept = f;
        return smaller;
    }
    smaller = shrink_try(&hand->shrink, self->io, content, length, OP_HEADER);
    message->form = smaller ? OP_ZSTD : OP_PLAIN;
    message->body_length = smaller ? smaller->length - OP_HEADER : length;
    if (!smaller) {
        hand->plain += length;
        return f;
    }
    hand->packed += length;
    hand->packed_to += message->body_length;
    export_keep_room(hand, f);
    return smaller;
}

gboolean export_send_content(export *self, export_cut *cut, frame *f, uint64_t offset,
                             uint32_t length)
{
    op message = {.type = OP_DATA, .offset = offset, .length = length};
    frame *sent, *kept;

    if (export_is_zero(f->payload + OP_HEADER, length)) {
        if (cut->zero_length == 0)
            cut->zero_at = offset;
        cut->zero_length += length;
        export_keep_room(cut->hand, f);
        return TRUE;
    }
    if (!export_finish_cut(self, cut) || !export_ahead_yield(self, cut, offset, length)) {
        frame_unref(f);
        return FALSE;
    }
    sent = export_form(self, cut->hand, f, &message, &kept);
    if (!add(self, cut->request, &message, kept)) {
        frame_unref(sent);
        return FALSE;
    }
    if (message.form == OP_KNOWN)
        pump_count_found(self->io, (int64_t)length);
    export_push(self, &message, sent);
    return TRUE;
}
