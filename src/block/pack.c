/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One zstd frame for one block; see pack.h. */
#include "block/pack.h"

#include <string.h>
#include <zstd.h>

#define LEVEL 1

struct pack {
    ZSTD_CCtx *shrinking;
    ZSTD_DCtx *inflating;
};

pack *pack_new(void)
{
    return g_new0(pack, 1);
}

void pack_free(pack *self)
{
    if (!self)
        return;
    ZSTD_freeCCtx(self->shrinking);
    ZSTD_freeDCtx(self->inflating);
    g_free(self);
}

uint32_t pack_shrink(pack *self, void *out, uint32_t room, const void *in, uint32_t length)
{
    size_t n;

    if (!self->shrinking)
        self->shrinking = ZSTD_createCCtx();
    if (!self->shrinking) /* no memory: then uncompressed */
        return 0;
    n = ZSTD_compressCCtx(self->shrinking, out, room, in, length, LEVEL);
    return ZSTD_isError(n) ? 0 : (uint32_t)n;
}

static gboolean invalid(GError **error, const char *why)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "compressed data: %s", why);
    return FALSE;
}

gboolean pack_inflate(pack *self, void *out, uint32_t length, const void *in, uint32_t in_length,
                      GError **error)
{
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    size_t n;

    /* libzstd would also take the frames of its years before 1.0, with decoders of their own. */
    if (in_length < sizeof magic || memcmp(in, magic, sizeof magic) != 0)
        return invalid(error, "not a zstd frame");
    n = ZSTD_findFrameCompressedSize(in, in_length);
    if (ZSTD_isError(n))
        return invalid(error, ZSTD_getErrorName(n));
    if (n != in_length)
        return invalid(error, "more than one zstd frame");
    if (!self->inflating)
        self->inflating = ZSTD_createDCtx();
    if (!self->inflating)
        return invalid(error, "no memory to inflate it");
    n = ZSTD_decompressDCtx(self->inflating, out, length, in, in_length);
    if (ZSTD_isError(n))
        return invalid(error, ZSTD_getErrorName(n));
    return n == length || invalid(error, "it gives fewer bytes than announced");
}
