/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preambles and frame headers: what is let through keeps wire.h's promises, and is written back to
 * the same bytes.
 *
 * Input: a preamble, then frame headers. */
#include "fuzz.h"
#include "relay/wire.h"

static void do_preamble(const uint8_t *bytes)
{
    g_autoptr(GError) error = NULL;
    uint8_t again[WIRE_PREAMBLE_SIZE];
    wire_preamble preamble;

    if (!wire_get_preamble(bytes, &preamble, &error)) {
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
        return;
    }
    g_assert_no_error(error);
    g_assert_cmpuint(preamble.channel, <, WIRE_CHANNELS_MAX);
    wire_put_preamble(again, &preamble);
    g_assert_cmpmem(again, sizeof again, bytes, sizeof again);
}

static void check_frame(const wire_frame *f)
{
    gboolean control = wire_stream_kind(f->stream) == STREAM_CONTROL;

    g_assert_cmpuint(wire_stream_kind(f->stream), <, STREAM_KINDS);
    g_assert_true(!control || wire_stream_number(f->stream) == 0);
    switch (f->type) {
    case FRAME_DATA:
        g_assert_cmpuint(f->length, <=, control ? WIRE_CONTROL_MAX : WIRE_PAYLOAD_MAX);
        g_assert_true(f->length > 0 || (!control && (f->number == 0 || f->flags & FRAME_END)));
        g_assert_true(!(f->flags & FRAME_BROKEN) || f->flags & FRAME_END);
        break;
    case FRAME_ACK:
        g_assert_cmpuint(f->number, >, 0);
        G_GNUC_FALLTHROUGH;
    case FRAME_BYE:
    case FRAME_BEAT:
        g_assert_cmpuint(f->length, ==, 0);
        break;
    default:
        g_assert_not_reached();
    }
}

static void do_frame(const uint8_t *bytes)
{
    g_autoptr(GError) error = NULL;
    uint8_t again[WIRE_HEADER_SIZE];
    wire_frame f;

    if (!wire_get_frame(bytes, &f, &error)) {
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
        return;
    }
    g_assert_no_error(error);
    check_frame(&f);
    wire_put_frame(again, &f);
    g_assert_cmpmem(again, sizeof again, bytes, sizeof again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < WIRE_PREAMBLE_SIZE)
        return 0;
    do_preamble(data);
    for (size_t at = WIRE_PREAMBLE_SIZE; at + WIRE_HEADER_SIZE <= size; at += WIRE_HEADER_SIZE)
        do_frame(data + at);
    return 0;
}
