/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NBD as a client speaks it that is up to no good: the handshake, options, then requests. No answer is
 * longer than what there is to say, and a request that may be done lies within the export.
 *
 * Input: what the client sends. */
#include "block/nbd.h"
#include "fuzz.h"

#define ANSWER_MAX 2048

static const nbd_export exports[] = {{"vda", 10 * 65536 + 512}, {"drive-virtio-disk1", 1ULL << 40}};

static gboolean next(fuzz_input *in, void *out, size_t length)
{
    if (in->left < length)
        return FALSE;
    memcpy(out, in->at, length);
    in->at += length;
    in->left -= length;
    return TRUE;
}

static gboolean do_option(fuzz_input *in, gboolean no_zeroes, nbd_verdict *verdict,
                          unsigned *chosen)
{
    g_autoptr(GByteArray) answer = g_byte_array_new();
    uint8_t header[NBD_OPTION_HEADER];
    uint32_t option, length;
    size_t have;

    if (!next(in, header, sizeof header) || !nbd_get_option(header, &option, &length, NULL))
        return FALSE;
    g_assert_cmpuint(length, <=, NBD_OPTION_MAX);
    if (length > in->left)
        return FALSE;
    have = length;
    g_autofree uint8_t *data = fuzz_take(in, &have);
    *verdict = nbd_answer(option, data, length, exports, G_N_ELEMENTS(exports), no_zeroes, answer,
                          chosen);
    g_assert_cmpuint(answer->len, <=, ANSWER_MAX);
    g_assert_true(answer->len > 0 || *verdict == NBD_LEAVE);
    if (*verdict == NBD_CHOSEN) { /* the one that was named */
        g_assert_cmpuint(*chosen, <, G_N_ELEMENTS(exports));
        g_assert_nonnull(memmem(data, length, exports[*chosen].name, strlen(exports[*chosen].name)));
    }
    return TRUE;
}

static gboolean do_request(fuzz_input *in, uint64_t size)
{
    uint8_t header[NBD_REQUEST];
    nbd_request request;

    if (!next(in, header, sizeof header) || !nbd_get_request(header, &request, NULL))
        return FALSE;
    if (nbd_refuse(&request, size) == 0) {
        g_assert_true(!request.odd || request.command == NBD_DISC);
        g_assert_true(request.command >= NBD_WRITE && request.command <= NBD_WRITE_ZEROES &&
                      request.command != NBD_CACHE);
        if (request.command != NBD_DISC && request.command != NBD_FLUSH) {
            g_assert_cmpuint(request.length, >, 0);
            g_assert_cmpuint(request.offset, <, size);
            g_assert_cmpuint(request.length, <=, size - request.offset);
        }
    }
    if (request.command == NBD_WRITE) {
        g_assert_cmpuint(request.length, <=, NBD_LENGTH_MAX);
        if (in->left < request.length)
            return FALSE;
        in->at += request.length;
        in->left -= request.length;
    }
    return request.command != NBD_DISC;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    uint8_t flags[NBD_CLIENT_FLAGS];
    nbd_verdict verdict = NBD_GO_ON;
    gboolean no_zeroes;
    unsigned chosen = G_MAXUINT;

    if (!next(&in, flags, sizeof flags) || !nbd_get_client_flags(flags, &no_zeroes, NULL))
        return 0;
    while (verdict == NBD_GO_ON)
        if (!do_option(&in, no_zeroes, &verdict, &chosen))
            return 0;
    if (verdict == NBD_LEAVE)
        return 0;
    while (do_request(&in, exports[chosen].size))
        ;
    return 0;
}
