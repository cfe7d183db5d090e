/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XDR from hostile packets; see unpack.h. */
#include "relay/unpack.h"
#include "base/bytes.h"

#include <string.h>

unpack unpack_start(const uint8_t *bytes, size_t length)
{
    return (unpack){.at = bytes, .left = length};
}

/* `length` bytes, or NULL. */
static const uint8_t *take(unpack *self, size_t length)
{
    const uint8_t *at = self->at;

    if (self->bad || self->left < length) {
        self->bad = TRUE;
        return NULL;
    }
    self->at += length;
    self->left -= length;
    return at;
}

uint32_t unpack_u32(unpack *self)
{
    const uint8_t *p = take(self, 4);

    return p ? get_be32(p) : 0;
}

uint64_t unpack_u64(unpack *self)
{
    const uint8_t *p = take(self, 8);

    return p ? get_be64(p) : 0;
}

gboolean unpack_bool(unpack *self)
{
    uint32_t value = unpack_u32(self);

    self->bad |= value > 1;
    return !self->bad && value == 1;
}

const uint8_t *unpack_fixed(unpack *self, uint32_t length)
{
    const uint8_t *p = take(self, length), *padding = take(self, -length & 3u);

    for (uint32_t i = 0; padding && i < (-length & 3u); i++)
        self->bad |= padding[i] != 0;
    return self->bad ? NULL : p;
}

unpack_bytes unpack_opaque(unpack *self, uint32_t most)
{
    unpack_bytes bytes = {.bytes = "", .length = unpack_u32(self)};
    const uint8_t *p;

    self->bad |= bytes.length > most;
    p = unpack_fixed(self, self->bad ? 0 : bytes.length);
    if (self->bad)
        return (unpack_bytes){.bytes = ""};
    bytes.bytes = (const char *)p;
    return bytes;
}

gboolean unpack_end(const unpack *self)
{
    return !self->bad && self->left == 0;
}

gboolean unpack_is(unpack_bytes bytes, const char *text)
{
    return bytes.length == strlen(text) && memcmp(bytes.bytes, text, bytes.length) == 0;
}

char *unpack_show(unpack_bytes bytes)
{
    g_autofree char *head = g_strndup(bytes.bytes, MIN(bytes.length, 80));

    return g_strescape(head, NULL);
}
