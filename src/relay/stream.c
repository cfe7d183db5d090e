/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Windows, order and resending; see stream.h. */
#include "relay/stream.h"

#include <string.h>

/* Frames a direction may end with: END, then END with BROKEN. Room is kept for them. */
#define ENDS_MAX 2

#define SLOT(self, number) (&(self)->slot[(number) % WIRE_WINDOW_FRAMES])

void stream_out_init(stream_out *self)
{
    memset(self, 0, sizeof *self);
}

void stream_out_clear(stream_out *self)
{
    for (uint64_t n = self->acked; n < self->next; n++)
        g_clear_pointer(&SLOT(self, n)->frame, frame_unref);
    self->acked = self->cursor = self->fresh = self->next;
    self->bytes = self->queued = 0;
}

gboolean stream_out_has_room(const stream_out *self, uint32_t length)
{
    return self->next - self->acked < WIRE_WINDOW_FRAMES - ENDS_MAX &&
           self->bytes + length <= WIRE_WINDOW_BYTES;
}

gboolean stream_out_may_queue(const stream_out *self, uint32_t length, uint32_t most)
{
    return stream_out_has_room(self, length) &&
           (self->queued == 0 || self->queued + length <= most);
}

static void append(stream_out *self, frame *f)
{
    f->number = self->next++;
    SLOT(self, f->number)->frame = f;
    SLOT(self, f->number)->channel = STREAM_NO_CHANNEL;
    self->bytes += f->length;
    self->queued += f->length;
    self->pushed += f->length;
}

void stream_out_push(stream_out *self, frame *f)
{
    g_assert(f->flags == 0 && !self->ended && stream_out_has_room(self, f->length));
    append(self, f);
}

void stream_out_end(stream_out *self, uint16_t id, gboolean broken)
{
    frame *f;

    if (self->broken || (self->ended && !broken))
        return;
    f = frame_new(NULL, 0);
    f->stream = id;
    f->flags = FRAME_END | (broken ? FRAME_BROKEN : 0);
    append(self, f);
    self->ended = TRUE;
    self->broken = broken;
}

gboolean stream_out_is_waiting(const stream_out *self)
{
    return self->cursor < self->next;
}

/* The cursor always stands on a frame that waits, or at the end. */
static void find_waiting(stream_out *self)
{
    while (self->cursor < self->next && SLOT(self, self->cursor)->channel != STREAM_NO_CHANNEL)
        self->cursor++;
}

frame *stream_out_take(stream_out *self, int channel, gboolean *again)
{
    frame *f;

    if (!stream_out_is_waiting(self))
        return NULL;
    f = SLOT(self, self->cursor)->frame;
    SLOT(self, self->cursor)->channel = channel;
    self->queued -= f->length;
    *again = self->cursor < self->fresh;
    self->cursor++;
    self->fresh = MAX(self->fresh, self->cursor);
    find_waiting(self);
    return frame_ref(f);
}

void stream_out_lost(stream_out *self, int channel)
{
    for (uint64_t n = self->acked; n < self->fresh; n++)
        if (SLOT(self, n)->channel == channel) {
            SLOT(self, n)->channel = STREAM_NO_CHANNEL;
            self->queued += SLOT(self, n)->frame->length;
            self->cursor = MIN(self->cursor, n);
        }
}

gboolean stream_out_ack(stream_out *self, uint64_t number, frame **gone, GError **error)
{
    *gone = NULL;
    if (number > self->fresh) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "acknowledges frame %" G_GUINT64_FORMAT ", sent were %" G_GUINT64_FORMAT,
                    number, self->fresh);
        return FALSE;
    }
    for (; self->acked < number; self->acked++) {
        frame *f = g_steal_pointer(&SLOT(self, self->acked)->frame);
        self->bytes -= f->length;
        if (SLOT(self, self->acked)->channel == STREAM_NO_CHANNEL)
            self->queued -= f->length;
        f->next = *gone;
        *gone = f;
    }
    self->cursor = MAX(self->cursor, self->acked);
    find_waiting(self);
    return TRUE;
}

gboolean stream_out_is_done(const stream_out *self)
{
    return self->ended && self->acked == self->next;
}

void stream_in_init(stream_in *self)
{
    memset(self, 0, sizeof *self);
    self->end = UINT64_MAX;
}

void stream_in_clear(stream_in *self)
{
    for (size_t i = 0; i < WIRE_WINDOW_FRAMES; i++)
        g_clear_pointer(&self->slot[i].frame, frame_unref);
}

static stream_verdict wrong(GError **error, const wire_frame *header, const char *why)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "frame %" G_GUINT64_FORMAT " of %u bytes %s", header->number, header->length, why);
    return STREAM_WRONG;
}

/* A direction ends once, or once in order and then broken; those two may overtake each other. */
static gboolean end_is_legal(const stream_in *self, const wire_frame *header)
{
    if (self->end == UINT64_MAX)
        return header->number + 1 >= self->highest;
    if (header->flags & FRAME_BROKEN)
        return !self->broken && header->number == self->end && header->length == 0;
    return self->broken && !self->ended && header->number + 2 == self->end;
}

stream_verdict stream_in_announce(stream_in *self, const wire_frame *header, GError **error)
{
    uint64_t number = header->number;

    if (number < self->taken)
        return STREAM_STALE;
    if (number - self->consumed >= WIRE_WINDOW_FRAMES)
        return wrong(error, header, "is beyond the window");
    if (SLOT(self, number)->announced) {
        if (SLOT(self, number)->length != header->length ||
            SLOT(self, number)->flags != header->flags)
            return wrong(error, header, "is not the same as when it was sent before");
        return SLOT(self, number)->frame ? STREAM_STALE : STREAM_WANTED;
    }
    if (header->flags & FRAME_END ? !end_is_legal(self, header) : number >= self->end)
        return wrong(error, header, "does not go with the end of its stream");
    if (self->bytes + header->length > WIRE_WINDOW_BYTES)
        return wrong(error, header, "does not fit the window");
    SLOT(self, number)->announced = TRUE;
    SLOT(self, number)->length = header->length;
    SLOT(self, number)->flags = header->flags;
    self->bytes += header->length;
    self->highest = MAX(self->highest, number + 1);
    if (header->flags & FRAME_END)
        self->end = self->end == UINT64_MAX ? number + 1 : MAX(self->end, number + 1);
    self->ended |= header->flags == FRAME_END;
    self->broken |= (header->flags & FRAME_BROKEN) != 0;
    return STREAM_WANTED;
}

gboolean stream_in_deliver(stream_in *self, frame *f)
{
    if (f->number < self->taken || SLOT(self, f->number)->frame) {
        frame_unref(f);
        return FALSE;
    }
    SLOT(self, f->number)->frame = f;
    return TRUE;
}

gboolean stream_in_is_ready(const stream_in *self)
{
    /* A slot is emptied when its frame is taken, so what lies here is this very number. */
    return SLOT(self, self->taken)->frame != NULL;
}

frame *stream_in_take(stream_in *self)
{
    if (!stream_in_is_ready(self))
        return NULL;
    return g_steal_pointer(&SLOT(self, self->taken++)->frame);
}

void stream_in_consumed(stream_in *self, uint64_t number)
{
    g_assert(number <= self->taken);
    for (; self->consumed < number; self->consumed++) {
        self->bytes -= SLOT(self, self->consumed)->length;
        SLOT(self, self->consumed)->announced = FALSE;
    }
}

gboolean stream_in_is_done(const stream_in *self)
{
    return self->consumed == self->end;
}
