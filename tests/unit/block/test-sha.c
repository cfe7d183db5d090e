/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256 of blocks: the values of FIPS 180-4, and GLib's opinion of whole blocks. */
#include "block/sha.h"

static void check(const void *bytes, size_t length)
{
    g_autofree char *wanted = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, length);
    g_autoptr(GString) got = g_string_new(NULL);
    uint8_t sha[OP_SHA256];

    sha_of(bytes, length, sha);
    for (unsigned i = 0; i < sizeof sha; i++)
        g_string_append_printf(got, "%02x", sha[i]);
    g_assert_cmpstr(got->str, ==, wanted);
}

static void test_values(void)
{
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea};
    g_autofree uint8_t *block = g_malloc(OP_BLOCK);
    uint8_t sha[OP_SHA256];

    sha_of("abc", 3, sha);
    g_assert_cmpmem(sha, sizeof abc, abc, sizeof abc);
    g_assert_cmphex(sha_hint(sha), ==, 0xba7816bf8f01cfea);
    for (unsigned i = 0; i < OP_BLOCK; i++)
        block[i] = (uint8_t)(i * 7 + i / 256);
    check(block, OP_BLOCK);
    check(block, 511);
    check(block, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sha/values", test_values);
    return g_test_run();
}
