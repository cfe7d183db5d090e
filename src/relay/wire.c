/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data protocol's bytes: put and validated; see wire.h. */
#include "relay/wire.h"
#include "base/bytes.h"

#include <string.h>

static const uint8_t magic[8] = {'F', 'E', 'R', 'R', 'Y', '-', 'L', 'N'};

const char *stream_kind_name(stream_kind kind)
{
    static const char *const names[] = {"control", "rpc", "memory", "disk"};

    G_STATIC_ASSERT(G_N_ELEMENTS(names) == STREAM_KINDS);
    return (unsigned)kind < STREAM_KINDS ? names[kind] : "unknown";
}

void wire_put_preamble(uint8_t out[WIRE_PREAMBLE_SIZE], const wire_preamble *preamble)
{
    memset(out, 0, WIRE_PREAMBLE_SIZE);
    memcpy(out, magic, sizeof magic);
    put_be16(out + 8, WIRE_VERSION);
    put_be16(out + 10, preamble->channel);
    memcpy(out + 12, preamble->landing, sizeof preamble->landing);
}

static gboolean invalid(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean invalid(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error)
        *error = g_error_new_valist(G_IO_ERROR, G_IO_ERROR_INVALID_DATA, format, args);
    va_end(args);
    return FALSE;
}

gboolean wire_get_preamble(const uint8_t in[WIRE_PREAMBLE_SIZE], wire_preamble *preamble,
                           GError **error)
{
    uint16_t version = get_be16(in + 8), index = get_be16(in + 10);

    if (memcmp(in, magic, sizeof magic) != 0)
        return invalid(error, "this is not a Ferry data connection (bad preamble)");
    if (version != WIRE_VERSION)
        return invalid(error,
                       "the peer speaks version %u of the data protocol, this host version %u: "
                       "install the same version of Ferry on both hosts",
                       version, WIRE_VERSION);
    if (index >= WIRE_CHANNELS_MAX)
        return invalid(error, "preamble: channel %u; there are at most %u", index,
                       WIRE_CHANNELS_MAX);
    for (size_t i = 28; i < WIRE_PREAMBLE_SIZE; i++)
        if (in[i] != 0)
            return invalid(error, "preamble: byte %zu is not zero", i);
    preamble->channel = index;
    memcpy(preamble->landing, in + 12, sizeof preamble->landing);
    return TRUE;
}

void wire_put_frame(uint8_t out[WIRE_HEADER_SIZE], const wire_frame *frame)
{
    out[0] = frame->type;
    out[1] = frame->flags;
    put_be16(out + 2, frame->stream);
    put_be32(out + 4, frame->length);
    put_be64(out + 8, frame->number);
}

static gboolean check_data(const wire_frame *frame, GError **error)
{
    if (wire_stream_kind(frame->stream) == STREAM_CONTROL) {
        if (frame->flags != 0)
            return invalid(error, "control frame with flags 0x%02x", frame->flags);
        if (frame->length == 0 || frame->length > WIRE_CONTROL_MAX)
            return invalid(error, "control frame of %u bytes; 1 to %u are allowed", frame->length,
                           WIRE_CONTROL_MAX);
        return TRUE;
    }
    if (frame->flags & ~(FRAME_END | FRAME_BROKEN) || frame->flags == FRAME_BROKEN)
        return invalid(error, "data frame with flags 0x%02x", frame->flags);
    if (frame->length > WIRE_PAYLOAD_MAX)
        return invalid(error, "data frame of %u bytes; at most %u are allowed", frame->length,
                       WIRE_PAYLOAD_MAX);
    if (frame->length == 0 && frame->number > 0 && !(frame->flags & FRAME_END))
        return invalid(error, "empty data frame in the middle of a stream");
    return TRUE;
}

gboolean wire_get_frame(const uint8_t in[WIRE_HEADER_SIZE], wire_frame *frame, GError **error)
{
    wire_frame f = {.type = in[0],
                    .flags = in[1],
                    .stream = get_be16(in + 2),
                    .length = get_be32(in + 4),
                    .number = get_be64(in + 8)};

    if (f.type < FRAME_DATA || f.type > FRAME_BEAT)
        return invalid(error, "frame of unknown type %u", f.type);
    if (wire_stream_kind(f.stream) >= STREAM_KINDS)
        return invalid(error, "frame of a stream of unknown kind %u", wire_stream_kind(f.stream));
    if (wire_stream_kind(f.stream) == STREAM_CONTROL && wire_stream_number(f.stream) != 0)
        return invalid(error, "frame of control stream %u; there is only one",
                       wire_stream_number(f.stream));
    switch (f.type) {
    case FRAME_DATA:
        if (!check_data(&f, error))
            return FALSE;
        break;
    case FRAME_ACK:
        if (f.flags != 0 || f.length != 0 || f.number == 0)
            return invalid(error, "malformed acknowledgement");
        break;
    case FRAME_BYE:
        if (f.flags & ~FRAME_BROKEN || f.stream != 0 || f.length != 0 || f.number != 0)
            return invalid(error, "malformed goodbye");
        break;
    case FRAME_BEAT:
        if (f.flags != 0 || f.stream != 0 || f.length != 0 || f.number != 0)
            return invalid(error, "malformed heartbeat");
        break;
    }
    *frame = f;
    return TRUE;
}
