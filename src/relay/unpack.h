/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XDR (RFC 4506) read from a packet that nobody vouches for. Borrowed results point into the
 * packet. The first thing that does not fit makes this and all later reads fail, so a caller may
 * read a whole structure and ask once at the end. (Not named xdr_: libvirt brings functions of
 * that name along.) */
#pragma once
#include <glib.h>
#include <stdint.h>

typedef struct {
    const uint8_t *at;
    size_t left;
    gboolean bad; /* something did not fit */
} unpack;

typedef struct {
    const char *bytes; /* not terminated, perhaps with NULs inside */
    uint32_t length;
} unpack_bytes;

unpack unpack_start(const uint8_t *bytes, size_t length);
uint32_t unpack_u32(unpack *self);
uint64_t unpack_u64(unpack *self);
/* 0 or 1, nothing else. */
gboolean unpack_bool(unpack *self);
/* opaque<most> or string<most>; the padding must be zero. */
unpack_bytes unpack_opaque(unpack *self, uint32_t most);
/* opaque[length] */
const uint8_t *unpack_fixed(unpack *self, uint32_t length);
/* Everything fitted, and nothing is left over. */
gboolean unpack_end(const unpack *self);

/* Is it exactly this string? */
gboolean unpack_is(unpack_bytes bytes, const char *text);
/* For messages: at most 80 bytes, escaped. Caller frees. */
char *unpack_show(unpack_bytes bytes);
