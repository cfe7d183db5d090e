/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* zstd for blocks: what comes back, and what a peer might send in its place. */
#include "block/pack.h"

#include <string.h>

#define BLOCK 65536

typedef struct {
    pack *pack;
    uint8_t text[BLOCK], shrunk[BLOCK], out[BLOCK];
    uint32_t length;
} fixture;

static void set_up(fixture *f, const void *unused)
{
    f->pack = pack_new();
    for (unsigned i = 0; i < BLOCK; i++)
        f->text[i] = (uint8_t)((i / 3 * 7) % 61 + i / 4096);
    f->length = pack_shrink(f->pack, f->shrunk, BLOCK, f->text, BLOCK);
    g_assert_cmpuint(f->length, >, 0);
    g_assert_cmpuint(f->length, <, BLOCK / 2);
}

static void tear_down(fixture *f, const void *unused)
{
    pack_free(f->pack);
}

/* Into a buffer of exactly this length, so that a sanitizer sees writing beyond it. */
static void refused(fixture *f, uint32_t length, const void *in, uint32_t in_length)
{
    g_autofree uint8_t *out = g_malloc(length), *copy = g_memdup2(in, in_length);
    g_autoptr(GError) error = NULL;

    g_assert_false(pack_inflate(f->pack, out, length, copy, in_length, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

static void test_round_trip(fixture *f, const void *unused)
{
    g_autoptr(GError) error = NULL;

    for (unsigned again = 0; again < 3; again++) {
        memset(f->out, 0, BLOCK);
        pack_inflate(f->pack, f->out, BLOCK, f->shrunk, f->length, &error);
        g_assert_no_error(error);
        g_assert_cmpmem(f->out, BLOCK, f->text, BLOCK);
        f->length = pack_shrink(f->pack, f->shrunk, BLOCK, f->text, BLOCK);
    }
}

static void test_does_not_fit(fixture *f, const void *unused)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    uint8_t few[8];

    for (unsigned i = 0; i < BLOCK; i++)
        f->text[i] = (uint8_t)g_rand_int(random);
    g_assert_cmpuint(pack_shrink(f->pack, f->shrunk, BLOCK - BLOCK / 16, f->text, BLOCK), ==, 0);
    g_assert_cmpuint(pack_shrink(f->pack, few, sizeof few, f->text, 100), ==, 0);
}

static void test_hostile(fixture *f, const void *unused)
{
    uint8_t doubled[2 * BLOCK];

    refused(f, BLOCK - 1, f->shrunk, f->length); /* it would give more than announced */
    refused(f, 1, f->shrunk, f->length);
    for (uint32_t length = 0; length < f->length; length += length < 64 ? 1 : 97)
        refused(f, BLOCK, f->shrunk, length);
    memcpy(doubled, f->shrunk, f->length);
    memcpy(doubled + f->length, f->shrunk, f->length);
    refused(f, BLOCK, doubled, 2 * f->length);
    refused(f, BLOCK, doubled, f->length + 1);
    refused(f, BLOCK, "\x50\x2a\x4d\x18\0\0\0\0", 8); /* a frame to be skipped */
    /* What libzstd 0.5 to 0.7 wrote for "hello": one raw block. */
    refused(f, 5, "\x25\xb5\x2f\xfd\0\x40\0\5hello\xc0\0\0", 16);
    refused(f, 5, "\x27\xb5\x2f\xfd\x20\5\x40\0\5hello\xc0\0\0", 17);
    f->length = pack_shrink(f->pack, f->shrunk, BLOCK, f->text, 1000);
    refused(f, BLOCK, f->shrunk, f->length); /* fewer */
}

static void test_random(fixture *f, const void *unused)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(2);

    for (unsigned round = 0; round < 2000; round++) {
        g_autofree uint8_t *in = g_memdup2(f->shrunk, f->length), *out = g_malloc(BLOCK);
        for (int changes = g_rand_int_range(random, 1, 5); changes > 0; changes--)
            in[g_rand_int_range(random, 0, round % 2 ? 16 : (gint32)f->length)] ^=
                (uint8_t)g_rand_int(random);
        (void)pack_inflate(f->pack, out, BLOCK, in, f->length, NULL);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/pack/round-trip", fixture, NULL, set_up, test_round_trip, tear_down);
    g_test_add("/pack/does-not-fit", fixture, NULL, set_up, test_does_not_fit, tear_down);
    g_test_add("/pack/hostile", fixture, NULL, set_up, test_hostile, tear_down);
    g_test_add("/pack/random", fixture, NULL, set_up, test_random, tear_down);
    return g_test_run();
}
