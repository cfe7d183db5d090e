/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressed frames; see shrink.h. */
#include "relay/shrink.h"

#include <string.h>

/* Less does not matter: it is neither many bytes nor much work. */
#define CONTENT_LEAST      512
#define GAIN_LEAST(length) ((length) / 16)

void shrink_clear(shrink *self)
{
    g_clear_pointer(&self->pack, pack_free);
    g_clear_pointer(&self->scratch, g_free);
}

static gboolean is_wanted(shrink *self, pump *io, gint64 now)
{
    squeeze_pace pace;

    if (!self->begun || squeeze_is_due(&self->squeeze, now)) {
        pump_get_pace(io, &pace);
        if (self->begun)
            squeeze_look(&self->squeeze, now, &pace);
        else
            squeeze_init(&self->squeeze, now, &pace);
        self->begun = TRUE;
    }
    return squeeze_wants(&self->squeeze);
}

frame *shrink_try(shrink *self, pump *io, const void *content, uint32_t length, uint32_t header)
{
    gint64 from = g_get_monotonic_time();
    uint32_t n = 0;
    frame *f;

    if (length < CONTENT_LEAST || !is_wanted(self, io, from)) {
        squeeze_note(&self->squeeze, length, length, FALSE, 0);
        return NULL;
    }
    if (!self->pack) {
        self->pack = pack_new();
        self->scratch = g_malloc(WIRE_PAYLOAD_MAX);
    }
    n = pack_shrink(self->pack, self->scratch, length - GAIN_LEAST(length), content, length);
    squeeze_note(&self->squeeze, length, n ? n : length, TRUE, g_get_monotonic_time() - from);
    if (n == 0)
        return NULL;
    f = pump_frame(io, header + n);
    memcpy(f->payload + header, self->scratch, n);
    f->length = header + n;
    return f;
}
