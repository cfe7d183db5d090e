/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server's part of NBD, byte by byte as the protocol's document has it. That real clients get
 * along with it is shown by the tests of the relay's exports. */
#include "block/nbd.h"
#include "base/bytes.h"

#include <errno.h>
#include <string.h>

enum { EXPORT_NAME = 1, ABORT = 2, LIST = 3, INFO = 6, GO = 7 };

static const nbd_export exports[] = {{"drive-virtio-disk0", 5 * 1024 * 1024}, {"b", 512}};
static const uint8_t flags = 1 | 4 | 8 | 32 | 64;

static nbd_verdict answer(uint32_t option, const void *data, uint32_t length, GByteArray *out,
                          unsigned *chosen)
{
    /* A copy of exactly this length, so that a sanitizer sees reading beyond it. */
    g_autofree uint8_t *copy = g_memdup2(data, length);

    g_byte_array_set_size(out, 0);
    *chosen = 77;
    return nbd_answer(option, copy, length, exports, G_N_ELEMENTS(exports), TRUE, out, chosen);
}

/* Takes one reply to an option off the front. */
static uint32_t take_reply(GByteArray *from, uint32_t option, GByteArray *data)
{
    uint32_t type, length;

    g_assert_cmpuint(from->len, >=, 20);
    g_assert_cmphex(get_be64(from->data), ==, 0x3e889045565a9);
    g_assert_cmpuint(get_be32(from->data + 8), ==, option);
    type = get_be32(from->data + 12);
    length = get_be32(from->data + 16);
    g_assert_cmpuint(from->len, >=, 20 + length);
    g_byte_array_set_size(data, 0);
    g_byte_array_append(data, from->data + 20, length);
    g_byte_array_remove_range(from, 0, 20 + length);
    return type;
}

static void answers_only(uint32_t option, const void *data, uint32_t length, uint32_t type)
{
    g_autoptr(GByteArray) out = g_byte_array_new(), body = g_byte_array_new();
    unsigned chosen;

    g_assert_cmpint(answer(option, data, length, out, &chosen), ==, NBD_GO_ON);
    g_assert_cmpuint(chosen, ==, 77);
    g_assert_cmphex(take_reply(out, option, body), ==, type);
    g_assert_cmpuint(body->len, ==, 0);
    g_assert_cmpuint(out->len, ==, 0);
}

/* The data of GO and INFO. */
static GByteArray *go(const char *name, unsigned asked, const uint16_t *infos)
{
    GByteArray *data = g_byte_array_new();
    uint8_t number[4];

    put_be32(number, (uint32_t)strlen(name));
    g_byte_array_append(data, number, 4);
    g_byte_array_append(data, (const uint8_t *)name, (guint)strlen(name));
    put_be16(number, (uint16_t)asked);
    g_byte_array_append(data, number, 2);
    for (unsigned i = 0; i < asked; i++) {
        put_be16(number, infos[i]);
        g_byte_array_append(data, number, 2);
    }
    return data;
}

static void test_greeting(void)
{
    uint8_t bytes[NBD_GREETING];

    nbd_put_greeting(bytes);
    g_assert_cmpmem(bytes, 16, "NBDMAGICIHAVEOPT", 16);
    g_assert_cmpuint(get_be16(bytes + 16), ==, 3);
}

static void test_client_flags(void)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        g_autoptr(GError) error = NULL;
        uint8_t in[4];
        gboolean no_zeroes = 77;

        put_be32(in, 1U << bit | 1);
        if (nbd_get_client_flags(in, &no_zeroes, &error)) {
            g_assert_cmpuint(bit, <=, 1);
            g_assert_cmpint(no_zeroes, ==, bit == 1);
        } else {
            g_assert_cmpuint(bit, >, 1);
            g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
        }
        put_be32(in, bit == 0 ? 0 : 2);
        g_assert_false(nbd_get_client_flags(in, &no_zeroes, NULL));
    }
}

static void test_option(void)
{
    uint8_t in[NBD_OPTION_HEADER] = "IHAVEOPT";
    uint32_t option, length;

    put_be32(in + 8, 0xfffffff0);
    put_be32(in + 12, NBD_OPTION_MAX);
    g_assert_true(nbd_get_option(in, &option, &length, NULL));
    g_assert_cmpuint(option, ==, 0xfffffff0);
    g_assert_cmpuint(length, ==, NBD_OPTION_MAX);
    put_be32(in + 12, NBD_OPTION_MAX + 1);
    g_assert_false(nbd_get_option(in, &option, &length, NULL));
    put_be32(in + 12, UINT32_MAX);
    g_assert_false(nbd_get_option(in, &option, &length, NULL));
    put_be32(in + 12, 0);
    for (unsigned i = 0; i < 8; i++) {
        in[i] ^= 0x20;
        g_assert_false(nbd_get_option(in, &option, &length, NULL));
        in[i] ^= 0x20;
    }
}

static void test_export_name(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    unsigned chosen;

    g_assert_cmpint(answer(EXPORT_NAME, "drive-virtio-disk0", 18, out, &chosen), ==, NBD_CHOSEN);
    g_assert_cmpuint(chosen, ==, 0);
    g_assert_cmpuint(out->len, ==, 10);
    g_assert_cmpuint(get_be64(out->data), ==, exports[0].size);
    g_assert_cmpuint(get_be16(out->data + 8), ==, flags);

    g_byte_array_set_size(out, 0);
    g_assert_cmpint(
        nbd_answer(EXPORT_NAME, (const uint8_t *)"b", 1, exports, 2, FALSE, out, &chosen), ==,
        NBD_CHOSEN);
    g_assert_cmpuint(chosen, ==, 1);
    g_assert_cmpuint(out->len, ==, 134);
    for (unsigned i = 10; i < out->len; i++)
        g_assert_cmpuint(out->data[i], ==, 0);

    g_assert_cmpint(answer(EXPORT_NAME, "drive-virtio-disk", 17, out, &chosen), ==, NBD_LEAVE);
    g_assert_cmpint(answer(EXPORT_NAME, "b\0", 2, out, &chosen), ==, NBD_LEAVE);
    g_assert_cmpint(answer(EXPORT_NAME, "", 0, out, &chosen), ==, NBD_LEAVE);
    g_assert_cmpuint(out->len, ==, 0);
}

static void test_go(void)
{
    static const uint16_t asked[] = {3, 1, 4711};
    g_autoptr(GByteArray) out = g_byte_array_new(), body = g_byte_array_new();
    g_autoptr(GByteArray) plain = go("drive-virtio-disk0", 0, NULL), more = go("b", 3, asked);
    unsigned chosen;

    g_assert_cmpint(answer(GO, plain->data, plain->len, out, &chosen), ==, NBD_CHOSEN);
    g_assert_cmpuint(chosen, ==, 0);
    g_assert_cmpuint(take_reply(out, GO, body), ==, 3);
    g_assert_cmpuint(body->len, ==, 12);
    g_assert_cmpuint(get_be16(body->data), ==, 0);
    g_assert_cmpuint(get_be64(body->data + 2), ==, exports[0].size);
    g_assert_cmpuint(get_be16(body->data + 10), ==, flags);
    g_assert_cmpuint(take_reply(out, GO, body), ==, 3);
    g_assert_cmpuint(body->len, ==, 14);
    g_assert_cmpuint(get_be16(body->data), ==, 3);
    g_assert_cmpuint(get_be32(body->data + 2), ==, 1);
    g_assert_cmpuint(get_be32(body->data + 6), ==, 65536);
    g_assert_cmpuint(get_be32(body->data + 10), ==, NBD_LENGTH_MAX);
    g_assert_cmpuint(take_reply(out, GO, body), ==, 1);
    g_assert_cmpuint(out->len, ==, 0);

    g_assert_cmpint(answer(INFO, more->data, more->len, out, &chosen), ==, NBD_GO_ON);
    g_assert_cmpuint(chosen, ==, 77);
    g_assert_cmpuint(take_reply(out, INFO, body), ==, 3);
    g_assert_cmpuint(take_reply(out, INFO, body), ==, 3);
    g_assert_cmpuint(take_reply(out, INFO, body), ==, 3);
    g_assert_cmpuint(get_be16(body->data), ==, 1);
    g_assert_cmpmem(body->data + 2, body->len - 2, "b", 1);
    g_assert_cmpuint(take_reply(out, INFO, body), ==, 1);
}

static void test_go_refused(void)
{
    static const uint16_t asked[] = {3, 1};
    g_autoptr(GByteArray) unknown = go("drive-virtio-disk1", 0, NULL), good = go("b", 2, asked);

    answers_only(GO, unknown->data, unknown->len, 1U << 31 | 6);
    answers_only(INFO, unknown->data, unknown->len, 1U << 31 | 6);
    for (guint length = 0; length < good->len; length++)
        answers_only(GO, good->data, length, 1U << 31 | 3);
    g_byte_array_append(good, (const uint8_t *)"", 1);
    answers_only(GO, good->data, good->len, 1U << 31 | 3);
    put_be32(good->data, UINT32_MAX);
    answers_only(GO, good->data, good->len, 1U << 31 | 3);
}

static void test_other_options(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new(), body = g_byte_array_new();
    static const uint32_t unsupported[] = {0, 4, 5, 8, 9, 10, 11, 12, UINT32_MAX};
    unsigned chosen;

    for (unsigned i = 0; i < G_N_ELEMENTS(unsupported); i++) {
        answers_only(unsupported[i], "", 0, 1U << 31 | 1);
        answers_only(unsupported[i], "abcdef", 6, 1U << 31 | 1);
    }
    g_assert_cmpint(answer(ABORT, "", 0, out, &chosen), ==, NBD_LEAVE);
    g_assert_cmpuint(take_reply(out, ABORT, body), ==, 1);

    answers_only(LIST, "x", 1, 1U << 31 | 3);
    g_assert_cmpint(answer(LIST, "", 0, out, &chosen), ==, NBD_GO_ON);
    for (unsigned i = 0; i < G_N_ELEMENTS(exports); i++) {
        g_assert_cmpuint(take_reply(out, LIST, body), ==, 2);
        g_assert_cmpuint(get_be32(body->data), ==, strlen(exports[i].name));
        g_assert_cmpmem(body->data + 4, body->len - 4, exports[i].name, strlen(exports[i].name));
    }
    g_assert_cmpuint(take_reply(out, LIST, body), ==, 1);
    g_assert_cmpuint(out->len, ==, 0);
}

static gboolean get(uint16_t its_flags, uint16_t command, uint64_t offset, uint32_t length,
                    nbd_request *request)
{
    uint8_t in[NBD_REQUEST];

    put_be32(in, 0x25609513);
    put_be16(in + 4, its_flags);
    put_be16(in + 6, command);
    put_be64(in + 8, 0x0102030405060708);
    put_be64(in + 16, offset);
    put_be32(in + 24, length);
    return nbd_get_request(in, request, NULL);
}

static void judged(uint16_t its_flags, uint16_t command, uint64_t offset, uint32_t length,
                   uint32_t wanted)
{
    nbd_request request;

    g_assert_true(get(its_flags, command, offset, length, &request));
    g_assert_cmpuint(nbd_refuse(&request, 1024 * 1024), ==, wanted);
}

static void test_requests(void)
{
    static const uint16_t writing[] = {NBD_WRITE, NBD_WRITE_ZEROES, NBD_TRIM};
    const uint32_t mib = 1024 * 1024;

    for (unsigned i = 0; i < G_N_ELEMENTS(writing); i++) {
        uint32_t beyond = writing[i] == NBD_TRIM ? NBD_EINVAL : NBD_ENOSPC;
        judged(0, writing[i], 0, mib, 0);
        judged(1, writing[i], 5, 7, 0);
        judged(0, writing[i], mib - 1, 1, 0);
        judged(0, writing[i], 0, 0, NBD_EINVAL);
        judged(0, writing[i], mib, 1, beyond);
        judged(0, writing[i], 1, mib, beyond);
        judged(0, writing[i], UINT64_MAX, 1, beyond);
        judged(0, writing[i], UINT64_MAX, 2, beyond);
        for (unsigned bit = 1; bit < 16; bit++)
            judged((uint16_t)(1 << bit), writing[i], 0, 1,
                   bit == 1 && writing[i] == NBD_WRITE_ZEROES ? 0 : NBD_EINVAL);
    }
    judged(0, NBD_FLUSH, 0, 0, 0);
    judged(1, NBD_FLUSH, 0, 0, 0);
    judged(2, NBD_FLUSH, 0, 0, NBD_EINVAL);
    judged(0, NBD_FLUSH, 1, 0, NBD_EINVAL);
    judged(0, NBD_FLUSH, 0, 1, NBD_EINVAL);
    judged(0, NBD_DISC, 0, 0, 0);
    judged(0, NBD_READ, 0, 512, NBD_EPERM);
    judged(0, NBD_CACHE, 0, 512, NBD_EINVAL);
    for (unsigned command = 7; command < 65536; command += 13)
        judged(0, (uint16_t)command, 0, 0, NBD_EINVAL);
}

static void test_request_fields(void)
{
    nbd_request request;
    uint8_t bad[NBD_REQUEST] = {0x25, 0x60, 0x95, 0x12};

    g_assert_true(get(1, NBD_WRITE, 4711, NBD_LENGTH_MAX, &request));
    g_assert_cmphex(request.cookie, ==, 0x0102030405060708);
    g_assert_cmpuint(request.offset, ==, 4711);
    g_assert_cmpuint(request.length, ==, NBD_LENGTH_MAX);
    g_assert_true(request.fua && !request.unmap);
    g_assert_false(get(0, NBD_WRITE, 0, NBD_LENGTH_MAX + 1, &request));
    g_assert_true(get(0, NBD_WRITE_ZEROES, 0, UINT32_MAX, &request));
    g_assert_true(!request.fua && request.unmap);
    g_assert_true(get(2, NBD_WRITE_ZEROES, 0, 1, &request));
    g_assert_false(request.unmap);
    g_assert_true(get(0, NBD_TRIM, 0, 1, &request));
    g_assert_true(request.unmap);
    g_assert_false(nbd_get_request(bad, &request, NULL));
}

static void test_reply(void)
{
    static const uint8_t wanted[] = {0x67, 0x44, 0x66, 0x98, 0, 0, 0, 28, 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t bytes[NBD_REPLY];

    nbd_put_reply(bytes, 0x0102030405060708, NBD_ENOSPC);
    g_assert_cmpmem(bytes, sizeof bytes, wanted, sizeof wanted);
    g_assert_cmpuint(nbd_error(0), ==, 0);
    g_assert_cmpuint(nbd_error(EROFS), ==, NBD_EPERM);
    g_assert_cmpuint(nbd_error(EDQUOT), ==, NBD_ENOSPC);
    g_assert_cmpuint(nbd_error(ENOMEM), ==, NBD_ENOMEM);
    for (uint32_t errnum = 1; errnum <= 4095; errnum++)
        g_assert_cmpuint(nbd_error(errnum), !=, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nbd/greeting", test_greeting);
    g_test_add_func("/nbd/client-flags", test_client_flags);
    g_test_add_func("/nbd/option", test_option);
    g_test_add_func("/nbd/export-name", test_export_name);
    g_test_add_func("/nbd/go", test_go);
    g_test_add_func("/nbd/go-refused", test_go_refused);
    g_test_add_func("/nbd/other-options", test_other_options);
    g_test_add_func("/nbd/requests", test_requests);
    g_test_add_func("/nbd/request-fields", test_request_fields);
    g_test_add_func("/nbd/reply", test_reply);
    return g_test_run();
}
