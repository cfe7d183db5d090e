/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* zstd for one block at a time, with contexts that are used again. An object belongs to one thread
 * at a time; its contexts (about 0.6 MiB to compress, 0.1 MiB to inflate) are made when first
 * needed. */
#pragma once
#include <gio/gio.h>
#include <stdint.h>

typedef struct pack pack;

pack *pack_new(void);
void pack_free(pack *self); /* NULL is allowed */

/* Compresses into at most `room` bytes, as one zstd frame, quickly rather than well. Returns its
 * length, or 0 when it does not fit. */
uint32_t pack_shrink(pack *self, void *out, uint32_t room, const void *in, uint32_t length);
/* The reverse, for bytes from a peer: they must be exactly one zstd frame that gives exactly
 * `length` bytes; never writes more. Errors: G_IO_ERROR_INVALID_DATA. */
gboolean pack_inflate(pack *self, void *out, uint32_t length, const void *in, uint32_t in_length,
                      GError **error);
