/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* zstd from a peer: gives what was announced or an error, writes not a byte more, and needs no memory
 * for what it announces (libFuzzer's and the sanitizer's limits of one allocation see to that).
 *
 * Input: 3 length announced (up to SQUEEZED_CONTENT_MAX), then the zstd frame. */
#include "block/pack.h"
#include "fuzz.h"
#include "relay/squeezed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    uint32_t announced = (uint32_t)fuzz_byte(&in) << 16;
    g_autoptr(GError) error = NULL;
    pack *packer = pack_new();
    size_t length = SIZE_MAX;
    uint8_t *out, *again;

    announced = 1 + (announced | fuzz_short(&in)) % SQUEEZED_CONTENT_MAX;
    g_autofree uint8_t *bytes = fuzz_take(&in, &length);
    out = g_malloc(announced); /* exactly: the sanitizer sees what lies behind */
    if (pack_inflate(packer, out, announced, bytes, (uint32_t)length, &error)) {
        uint32_t room = announced + 1024, packed;
        g_assert_no_error(error);
        g_assert_cmpmem(bytes, 4, "\x28\xb5\x2f\xfd", 4); /* and no older format */
        again = g_malloc(room);
        packed = pack_shrink(packer, again, room, out, announced);
        g_assert_cmpuint(packed, >, 0);
        g_autofree uint8_t *back = g_malloc(announced);
        g_assert_true(pack_inflate(packer, back, announced, again, packed, NULL));
        g_assert_cmpmem(back, announced, out, announced);
        g_free(again);
    } else {
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    }
    g_free(out);
    pack_free(packer);
    return 0;
}
