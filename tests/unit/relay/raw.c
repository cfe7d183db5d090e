/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames by hand; see raw.h. */
#include "raw.h"

#include <poll.h>

static void wait_channel(channel *c)
{
    struct pollfd p = {.fd = channel_fd(c), .events = channel_wants(c)};

    if (channel_pending(c) == 0 && poll(&p, 1, 100000) == 0)
        g_error("the session says nothing");
}

gboolean raw_send(channel *c, const void *bytes, size_t length)
{
    struct iovec part = {(void *)bytes, length};
    int flushed;

    while (part.iov_len > 0) {
        ssize_t n = channel_send(c, &part, 1, NULL);
        if (n < 0)
            return FALSE;
        part.iov_base = (char *)part.iov_base + n;
        part.iov_len -= (size_t)n;
        if (part.iov_len > 0) {
            struct pollfd p = {.fd = channel_fd(c), .events = POLLOUT};
            poll(&p, 1, -1);
        }
    }
    while ((flushed = channel_flush(c, NULL)) == 0) {
        struct pollfd p = {.fd = channel_fd(c), .events = POLLOUT};
        poll(&p, 1, -1);
    }
    return flushed > 0;
}

gboolean raw_frame(channel *c, wire_frame header, const void *payload)
{
    uint8_t bytes[WIRE_HEADER_SIZE];
    g_autofree void *zeros = payload ? NULL : g_malloc0(header.length + 1);

    wire_put_frame(bytes, &header);
    return raw_send(c, bytes, sizeof bytes) &&
           (header.type != FRAME_DATA || raw_send(c, payload ? payload : zeros, header.length));
}

static gboolean receive_full(channel *c, uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = channel_receive(c, bytes, length, NULL);
        if (n < 0)
            return FALSE;
        bytes += n;
        length -= (size_t)n;
        if (n == 0)
            wait_channel(c);
    }
    return TRUE;
}

gboolean raw_next(channel *c, wire_frame *header)
{
    uint8_t bytes[WIRE_HEADER_SIZE];
    g_autofree uint8_t *payload = g_malloc(WIRE_PAYLOAD_MAX);
    g_autoptr(GError) error = NULL;

    if (!receive_full(c, bytes, sizeof bytes))
        return FALSE;
    wire_get_frame(bytes, header, &error);
    g_assert_no_error(error);
    if (header->type == FRAME_BEAT)
        return raw_next(c, header);
    return header->type != FRAME_DATA || receive_full(c, payload, header->length);
}

wire_frame raw_expect(channel *c, frame_type type)
{
    wire_frame header;

    do
        g_assert_true(raw_next(c, &header));
    while (header.type != type);
    return header;
}

gboolean raw_ends_with_bye(channel *c, uint8_t flags)
{
    wire_frame header, last = {0};

    while (raw_next(c, &header))
        last = header;
    return last.type == FRAME_BYE && last.flags == flags;
}
