/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory streams, compressed; see squeezed.h. */
#include "relay/squeezed.h"
#include "base/bytes.h"
#include "relay/shrink.h"
#include "relay/valve.h"

#include <string.h>

#define HEADER 8
enum { PLAIN = 0, ZSTD = 1 };

typedef struct {
    pump_codec codec;
    valve *held;   /* NULL: nothing is held back */
    shrink shrink; /* the reader thread's */
    pack *pack;    /* the writer thread's, these two */
    uint8_t *inflated;
} squeezed;

static void put_header(frame *f, uint8_t form, uint32_t content)
{
    put_be32(f->payload, (uint32_t)form << 24);
    put_be32(f->payload + 4, content);
}

static frame *wrap(squeezed *self, pump *io, frame **whole, uint32_t length)
{
    const uint8_t *content = (*whole)->payload + HEADER;
    frame *f = shrink_try(&self->shrink, io, content, length, HEADER);

    if (f) {
        put_header(f, ZSTD, length);
        return f;
    }
    /* A little data must not keep a big frame until it is acknowledged. */
    if (length < (*whole)->capacity / 2) {
        f = pump_frame(io, HEADER + length);
        memcpy(f->payload + HEADER, content, length);
    } else {
        f = g_steal_pointer(whole);
    }
    put_header(f, PLAIN, length);
    f->length = HEADER + length;
    return f;
}

/* What is there, at least one byte, as far as it may pass; 0: the end. */
static size_t receive(squeezed *self, pump *io, void *out)
{
    size_t most = WIRE_PAYLOAD_MAX - HEADER, got;

    if (!self->held)
        return pump_receive_some(io, out, most);
    most = valve_take(self->held, io, most);
    got = most ? pump_receive_some(io, out, most) : 0;
    valve_give_back(self->held, most - got);
    return got;
}

static gboolean serve(pump_codec *codec, pump *io, GError **error)
{
    squeezed *self = (squeezed *)codec;
    g_autoptr(frame) whole = NULL;
    size_t n;

    do {
        if (!whole)
            whole = pump_frame(io, WIRE_PAYLOAD_MAX);
        n = receive(self, io, whole->payload + HEADER);
        if (n > 0) {
            pump_count(io, n);
            pump_to_peer(io, wrap(self, io, &whole, (uint32_t)n));
        }
    } while (n > 0);
    return TRUE;
}

static gboolean invalid(GError **error, const char *why)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "memory data from the peer %s", why);
    return FALSE;
}

static gboolean from_peer(pump_codec *codec, pump *io, frame *bytes, GError **error)
{
    g_autoptr(frame) f = bytes;
    squeezed *self = (squeezed *)codec;
    const uint8_t *body = f->payload + HEADER;
    uint32_t form, length;

    if (f->length <= HEADER)
        return invalid(error, "is too short");
    form = get_be32(f->payload);
    length = get_be32(f->payload + 4);
    if (length == 0 || length > SQUEEZED_CONTENT_MAX)
        return invalid(error, "announces an impossible length");
    pump_count(io, length);
    if (form == (uint32_t)PLAIN << 24) {
        if (f->length - HEADER != length)
            return invalid(error, "is not as long as announced");
        pump_to_local(io, body, length);
        return TRUE;
    }
    if (form != (uint32_t)ZSTD << 24)
        return invalid(error, "has an unknown form");
    if (!self->pack) {
        self->pack = pack_new();
        self->inflated = g_malloc(SQUEEZED_CONTENT_MAX);
    }
    if (!pack_inflate(self->pack, self->inflated, length, body, f->length - HEADER, error)) {
        g_prefix_error(error, "memory data from the peer: ");
        return FALSE;
    }
    pump_to_local(io, self->inflated, length);
    return TRUE;
}

static void wake(pump_codec *codec)
{
    squeezed *self = (squeezed *)codec;

    if (self->held)
        valve_wake(self->held);
}

static void squeezed_free(pump_codec *codec)
{
    squeezed *self = (squeezed *)codec;

    if (self->held)
        valve_leave(self->held);
    shrink_clear(&self->shrink);
    pack_free(self->pack);
    g_free(self->inflated);
    g_free(self);
}

pump_codec *squeezed_codec_new(void *valve_)
{
    squeezed *self = g_new0(squeezed, 1);

    self->held = valve_;
    self->codec = (pump_codec){
        .serve = serve, .from_peer = from_peer, .wake = wake, .free = squeezed_free};
    return &self->codec;
}
