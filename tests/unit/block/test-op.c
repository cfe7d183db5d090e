/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages of disk streams: what is put comes out again, and nothing else comes out. */
#include "block/op.h"

#include <string.h>

#define MIB  (1024 * 1024)
#define DISK (3 * MIB + 512) /* its last block is a short one */

typedef struct {
    uint8_t bytes[OP_HEADER + OP_BLOCK + 8];
    uint32_t length;
} wire_bytes;

static uint8_t content[OP_BLOCK + 8];
static const op_digest sample = {.low = 0x1112131415161718, .high = 0x0102030405060708};

static void put(wire_bytes *out, const op *message)
{
    out->length = op_put(out->bytes, message);
    if (message->body_length)
        memcpy(out->bytes + out->length, message->body, message->body_length);
    out->length += message->body_length;
}

static gboolean from_source(const op *message)
{
    return message->type <= OP_FLUSH;
}

static uint64_t disk_for(const op *message)
{
    return message->type == OP_OPEN ? 0 : DISK;
}

static void bytes_refused(const wire_bytes *w, gboolean source, uint64_t disk, const char *why)
{
    g_autoptr(GError) error = NULL;
    /* A copy of exactly this length, so that a sanitizer sees reading beyond it. */
    g_autofree uint8_t *copy = g_memdup2(w->bytes, w->length);
    op got = {.type = 77};

    g_assert_false(op_get(copy, w->length, source, disk, &got, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    if (!strstr(error->message, why))
        g_error("\"%s\" does not say \"%s\"", error->message, why);
    g_assert_cmpint((int)got.type, ==, 77);
}

static void refused(const op *message, const char *why)
{
    wire_bytes w;

    put(&w, message);
    bytes_refused(&w, from_source(message), disk_for(message), why);
}

static void accepted(const op *message)
{
    g_autoptr(GError) error = NULL;
    g_autofree uint8_t *copy = NULL;
    wire_bytes w;
    op got;

    put(&w, message);
    copy = g_memdup2(w.bytes, w.length);
    op_get(copy, w.length, from_source(message), disk_for(message), &got, &error);
    g_assert_no_error(error);
    g_assert_cmpint(got.type, ==, message->type);
    g_assert_cmpint(got.form, ==, message->form);
    g_assert_cmpint(got.unmap, ==, message->unmap);
    g_assert_cmpint(got.last, ==, message->last);
    g_assert_cmpuint(got.id, ==, message->id);
    g_assert_cmpuint(got.offset, ==, message->offset);
    g_assert_cmpuint(got.length, ==, message->length);
    g_assert_cmpuint(got.count, ==, message->count);
    g_assert_true(op_digest_equal(&got.digest, &message->digest));
    g_assert_cmpmem(got.body, got.body_length, message->body, message->body_length);
}

static op data(op_form form, uint64_t offset, uint64_t length, uint32_t body)
{
    return (op){.type = OP_DATA,
                .form = form,
                .id = 0xfffffff0,
                .offset = offset,
                .length = length,
                .digest = sample,
                .body = content,
                .body_length = body};
}

static op zero(uint64_t offset, uint64_t length)
{
    return (op){.type = OP_ZERO, .unmap = TRUE, .id = 3, .offset = offset, .length = length};
}

static op open_named(const char *name, uint32_t length, uint64_t size)
{
    return (op){
        .type = OP_OPEN, .length = size, .body = (const uint8_t *)name, .body_length = length};
}

static op entries(op_type type, unsigned count, uint32_t entry)
{
    return (op){.type = type, .count = count, .body = content, .body_length = count * entry};
}

/* One good message of each type and form. */
static unsigned samples(op out[16])
{
    unsigned n = 0;

    memset(content, 0, sizeof content);
    out[n++] = open_named("drive-virtio-disk0", 18, DISK);
    out[n++] = data(OP_PLAIN, OP_BLOCK, OP_BLOCK, OP_BLOCK);
    out[n++] = data(OP_PLAIN, 5 * OP_BLOCK + 512, 512, 512);
    out[n++] = data(OP_ZSTD, OP_BLOCK, OP_BLOCK, 20);
    out[n++] = data(OP_KNOWN, OP_BLOCK, OP_BLOCK, OP_SHA256);
    out[n++] = zero(512, 2 * MIB);
    out[n++] = (op){.type = OP_FLUSH, .id = 9, .digest = sample};
    out[n++] = entries(OP_DONE, 3, 8);
    out[n++] = entries(OP_NEED, 3, 4);
    out[n++] = entries(OP_HINTS, 3, 8);
    return n;
}

static void test_layout(void)
{
    static const uint8_t head[] = {2, 1, 0, 0, 0xff, 0xff, 0xff, 0xf0, 0,    0,    1,    0,   0, 0,
                                   0, 0, 0, 0, 0,    0,    0,    1,    0,    0,    1,    2,   3, 4,
                                   5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18};
    op message = data(OP_ZSTD, OP_BLOCK, 256, 20);
    wire_bytes w;

    put(&w, &message);
    g_assert_cmpmem(w.bytes, OP_HEADER, head, sizeof head);
    g_assert_cmpuint(w.length, ==, OP_HEADER + 20);
}

static void test_round_trip(void)
{
    op all[16];
    unsigned n = samples(all);
    op last = {.type = OP_HINTS, .last = TRUE};
    op keep = zero(0, DISK);

    for (unsigned i = 0; i < n; i++)
        accepted(&all[i]);
    accepted(&last);
    keep.unmap = FALSE;
    accepted(&keep);
}

static void test_truncation(void)
{
    op all[16];
    unsigned n = samples(all);

    for (unsigned i = 0; i < n; i++) {
        wire_bytes w;
        uint32_t whole;

        put(&w, &all[i]);
        whole = w.length + 1;
        w.bytes[w.length] = 0;
        for (w.length = 0; w.length <= whole; w.length++) {
            /* A zstd frame says itself where it ends. */
            gboolean free_length = all[i].form == OP_ZSTD && w.length > OP_HEADER;
            if (w.length != whole - 1 && !free_length)
                bytes_refused(&w, from_source(&all[i]), disk_for(&all[i]), "disk message");
        }
    }
}

/* Every bit of the fixed parts that means nothing has to be 0. */
static void test_reserved(void)
{
    static const struct {
        op_type type;
        uint8_t from, to;
    } reserved[] = {{OP_OPEN, 1, 2}, {OP_OPEN, 4, 8},  {OP_DATA, 2, 4},  {OP_DATA, 12, 16},
                    {OP_ZERO, 2, 4}, {OP_ZERO, 8, 16}, {OP_FLUSH, 1, 4}, {OP_DONE, 1, 2},
                    {OP_NEED, 1, 2}, {OP_HINTS, 4, 8}};
    op all[16];
    unsigned n = samples(all);

    for (unsigned i = 0; i < n; i++)
        for (unsigned r = 0; r < G_N_ELEMENTS(reserved); r++)
            for (unsigned at = reserved[r].from; at < reserved[r].to; at++)
                for (unsigned bit = 0; bit < 8 && all[i].type == reserved[r].type; bit++) {
                    wire_bytes w;
                    put(&w, &all[i]);
                    w.bytes[at] |= (uint8_t)(1 << bit);
                    bytes_refused(&w, from_source(&all[i]), disk_for(&all[i]), "not zero");
                }
}

static void test_types(void)
{
    op all[16];
    unsigned n = samples(all);
    wire_bytes w;

    for (unsigned i = 0; i < n; i++) {
        put(&w, &all[i]);
        bytes_refused(&w, !from_source(&all[i]), disk_for(&all[i]), "other side");
        bytes_refused(&w, from_source(&all[i]), disk_for(&all[i]) ? 0 : DISK,
                      disk_for(&all[i]) ? "before" : "after");
        for (unsigned type = 0; type < 256; type++)
            if (type < OP_OPEN || type > OP_NEED) {
                w.bytes[0] = (uint8_t)type;
                bytes_refused(&w, TRUE, DISK, "unknown type");
                bytes_refused(&w, FALSE, DISK, "unknown type");
            }
    }
    put(&w, &all[1]);
    for (unsigned form = OP_KNOWN + 1; form < 256; form++) {
        w.bytes[1] = (uint8_t)form;
        bytes_refused(&w, TRUE, DISK, "unknown form");
    }
    for (unsigned flags = 2; flags < 256; flags++) {
        put(&w, &all[5]);
        w.bytes[1] = (uint8_t)flags;
        bytes_refused(&w, TRUE, DISK, "unknown flags");
        put(&w, &all[9]);
        w.bytes[1] = (uint8_t)flags;
        bytes_refused(&w, FALSE, DISK, "unknown flags");
    }
}

static void check_data(op_form form, uint64_t offset, uint64_t length, uint32_t body,
                       const char *why)
{
    op message = data(form, offset, length, body);

    if (why)
        refused(&message, why);
    else
        accepted(&message);
}

static void test_data_ranges(void)
{
    const uint64_t end = DISK / OP_BLOCK * OP_BLOCK;

    check_data(OP_PLAIN, 0, 1, 1, NULL);
    check_data(OP_PLAIN, 0, 0, 0, "0 bytes");
    check_data(OP_PLAIN, OP_BLOCK - 1, 1, 1, NULL);
    check_data(OP_PLAIN, OP_BLOCK - 1, 2, 2, "border");
    check_data(OP_PLAIN, 1, OP_BLOCK, OP_BLOCK, "border");
    check_data(OP_PLAIN, 0, OP_BLOCK + 1, OP_BLOCK + 1, "border");
    check_data(OP_PLAIN, 0, OP_BLOCK, OP_BLOCK - 1, "body");
    check_data(OP_PLAIN, 0, OP_BLOCK - 1, OP_BLOCK, "body");
    check_data(OP_PLAIN, 0, UINT32_MAX, 1, "of a disk");
    check_data(OP_PLAIN, end, 512, 512, NULL);
    check_data(OP_PLAIN, end, 513, 513, "of a disk");
    check_data(OP_PLAIN, end + 511, 1, 1, NULL);
    check_data(OP_PLAIN, DISK, 1, 1, "of a disk");
    check_data(OP_PLAIN, DISK + 1, 1, 1, "of a disk");
    check_data(OP_PLAIN, UINT64_MAX, 1, 1, "of a disk");
    check_data(OP_PLAIN, UINT64_MAX - OP_BLOCK + 1, OP_BLOCK, OP_BLOCK, "of a disk");
    check_data(OP_ZSTD, 0, OP_BLOCK, 1, NULL);
    check_data(OP_ZSTD, 0, OP_BLOCK, OP_BLOCK - 1, NULL);
    check_data(OP_ZSTD, 0, OP_BLOCK, OP_BLOCK, "compressed");
    check_data(OP_ZSTD, 0, OP_BLOCK, 0, "compressed");
    check_data(OP_KNOWN, end, 512, OP_SHA256, NULL);
    check_data(OP_KNOWN, end, 511, OP_SHA256, "part of a block");
    check_data(OP_KNOWN, 0, OP_BLOCK - 1, OP_SHA256, "part of a block");
    check_data(OP_KNOWN, end + 1, 511, OP_SHA256, "part of a block");
    check_data(OP_KNOWN, 0, OP_BLOCK, OP_SHA256 - 1, "body");
    check_data(OP_KNOWN, 0, OP_BLOCK, OP_SHA256 + 1, "body");
}

static void check_zero(uint64_t offset, uint64_t length, const char *why)
{
    op message = zero(offset, length);

    if (why)
        refused(&message, why);
    else
        accepted(&message);
}

static void test_zero_ranges(void)
{
    check_zero(0, DISK, NULL);
    check_zero(DISK - 1, 1, NULL);
    check_zero(0, 0, "0 bytes");
    check_zero(0, DISK + 1, "of a disk");
    check_zero(1, DISK, "of a disk");
    check_zero(DISK, 1, "of a disk");
    check_zero(1, UINT64_MAX, "of a disk");
    check_zero(UINT64_MAX, 1, "of a disk");
    check_zero(UINT64_MAX, 2, "of a disk");
}

static void check_open(const char *name, uint32_t length, uint64_t size, const char *why)
{
    op message = open_named(name, length, size);

    if (why)
        refused(&message, why);
    else
        accepted(&message);
}

static void test_open(void)
{
    g_autofree char *longest = g_strnfill(OP_NAME_MAX + 1, 'x');

    check_open(longest, 1, 1, NULL);
    check_open(longest, OP_NAME_MAX, OP_SIZE_MAX, NULL);
    check_open(longest, OP_NAME_MAX + 1, DISK, "name of 256");
    check_open(longest, 0, DISK, "name of 0");
    check_open("drive", 5, 0, "disk of 0");
    check_open("drive", 5, OP_SIZE_MAX + 1, "disk of");
    check_open("drive", 5, UINT64_MAX, "disk of");
    check_open("dr\0ve", 5, DISK, "name");
    check_open("dr\nve", 5, DISK, "name");
    check_open("dr\x1b[m", 5, DISK, "name");
    check_open("dr\xffve", 5, DISK, "name");
    check_open("dr\xc3\xadve", 6, DISK, NULL);
}

static void check_entries(op_type type, unsigned count, uint32_t body, const char *why)
{
    op message = entries(type, count, 0);

    message.body_length = body;
    if (why)
        refused(&message, why);
    else
        accepted(&message);
}

static void test_counts(void)
{
    op hints = {.type = OP_HINTS, .count = OP_HINTS_MAX, .body = content, .body_length = OP_BLOCK};

    G_STATIC_ASSERT(OP_HINTS_MAX * 8 == OP_BLOCK);
    memset(content, 0, sizeof content);
    accepted(&hints);
    hints.count++;
    hints.body_length += 8;
    refused(&hints, "8193 entries");
    check_entries(OP_HINTS, 0, 0, "0 entries");
    check_entries(OP_HINTS, 2, 8, "body");
    check_entries(OP_DONE, OP_IDS_MAX, OP_IDS_MAX * 8, NULL);
    check_entries(OP_DONE, OP_IDS_MAX + 1, OP_IDS_MAX * 8 + 8, "1025 entries");
    check_entries(OP_DONE, 0, 0, "0 entries");
    check_entries(OP_DONE, 2, 8, "body");
    check_entries(OP_NEED, OP_IDS_MAX, OP_IDS_MAX * 4, NULL);
    check_entries(OP_NEED, OP_IDS_MAX + 1, OP_IDS_MAX * 4 + 4, "1025 entries");
    check_entries(OP_NEED, 0, 0, "0 entries");
    check_entries(OP_NEED, 2, 12, "body");
}

static void test_entries(void)
{
    uint8_t body[3 * 8];
    op done = {.type = OP_DONE, .count = 3, .body = body, .body_length = sizeof body};
    op hints = {.type = OP_HINTS, .count = 3, .body = body, .body_length = sizeof body};
    op need = {.type = OP_NEED, .count = 3, .body = body, .body_length = 12};
    uint32_t errnum;

    for (unsigned i = 0; i < 3; i++)
        op_put_done(body, i, 0xfffffffe + i, i == 2 ? 4095 : i);
    accepted(&done);
    g_assert_cmpuint(op_done_id(&done, 1, &errnum), ==, 0xffffffff);
    g_assert_cmpuint(errnum, ==, 1);
    g_assert_cmpuint(op_done_id(&done, 2, &errnum), ==, 0);
    g_assert_cmpuint(errnum, ==, 4095);
    op_put_done(body, 1, 7, 4096);
    refused(&done, "error number 4096");
    op_put_done(body, 1, 7, UINT32_MAX);
    refused(&done, "error number");

    for (unsigned i = 0; i < 3; i++)
        op_put_hint(body, i, 0xfffffffffffffffe + i);
    accepted(&hints);
    g_assert_cmpuint(op_hint(&hints, 0), ==, 0xfffffffffffffffe);
    g_assert_cmpuint(op_hint(&hints, 2), ==, 0);
    for (unsigned i = 0; i < 3; i++)
        op_put_need(body, i, 0xfffffffe + i);
    accepted(&need);
    g_assert_cmpuint(op_need_id(&need, 0), ==, 0xfffffffe);
    g_assert_cmpuint(op_need_id(&need, 2), ==, 0);
}

/* Whatever arrives: no more than an error, and what is let through stays within its bounds. */
static void test_random(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    op all[16];
    unsigned n = samples(all), let_through = 0;

    for (unsigned round = 0; round < 200000; round++) {
        const op *of = &all[g_rand_int_range(random, 0, (gint32)n)];
        g_autoptr(GError) error = NULL;
        wire_bytes w;
        op got;

        put(&w, of);
        for (int changes = g_rand_int_range(random, 1, 4); changes > 0; changes--)
            w.bytes[g_rand_int_range(random, 0, 41)] = (uint8_t)g_rand_int(random);
        if (!op_get(w.bytes, w.length, g_rand_boolean(random), disk_for(of), &got, &error)) {
            g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
            continue;
        }
        let_through++;
        g_assert_true(got.body_length == 0 || got.body + got.body_length == w.bytes + w.length);
        if (got.type == OP_DATA || got.type == OP_ZERO)
            g_assert_true(got.length > 0 && got.offset < DISK && got.length <= DISK - got.offset);
        if (got.type == OP_DATA)
            g_assert_cmpuint(got.offset / OP_BLOCK, ==, (got.offset + got.length - 1) / OP_BLOCK);
    }
    g_assert_cmpuint(let_through, >, 100);
}

static op_digest chain_of(const op *first, const op *second)
{
    op_digest running = {0};

    op_chain(&running, first);
    if (second)
        op_chain(&running, second);
    return running;
}

static void chains_differ(const op *a, const op *b)
{
    op_digest one = chain_of(a, NULL), other = chain_of(b, NULL);

    g_assert_false(op_digest_equal(&one, &other));
}

static void test_chain(void)
{
    op block = data(OP_PLAIN, 0, 512, 512), changed = block, known = block, gap = zero(0, 512);
    op_digest one, other;

    changed.digest.low ^= 1;
    chains_differ(&block, &changed);
    changed = block;
    changed.digest.high ^= 1;
    chains_differ(&block, &changed);
    changed = block;
    changed.offset++;
    chains_differ(&block, &changed);
    changed = block;
    changed.length++;
    chains_differ(&block, &changed);
    chains_differ(&block, &gap);

    /* In which form, and under which id, is of no importance. */
    known.form = OP_KNOWN;
    known.id = 1;
    one = chain_of(&block, NULL);
    other = chain_of(&known, NULL);
    g_assert_true(op_digest_equal(&one, &other));
    changed = gap;
    changed.unmap = FALSE;
    one = chain_of(&gap, NULL);
    other = chain_of(&changed, NULL);
    g_assert_true(op_digest_equal(&one, &other));

    /* Lost, doubled, displaced. */
    one = chain_of(&block, &gap);
    other = chain_of(&gap, &block);
    g_assert_false(op_digest_equal(&one, &other));
    other = chain_of(&block, NULL);
    g_assert_false(op_digest_equal(&one, &other));
    one = chain_of(&block, &block);
    g_assert_false(op_digest_equal(&one, &other));
}

/* Both hosts must compute the same: a known value of XXH3-128. */
static void test_digest(void)
{
    op_digest empty = op_digest_of("", 0), a = op_digest_of("a", 1);

    g_assert_cmphex(empty.high, ==, 0x99aa06d3014798d8);
    g_assert_cmphex(empty.low, ==, 0x6001c324468d497f);
    g_assert_false(op_digest_equal(&empty, &a));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/op/layout", test_layout);
    g_test_add_func("/op/round-trip", test_round_trip);
    g_test_add_func("/op/truncation", test_truncation);
    g_test_add_func("/op/reserved", test_reserved);
    g_test_add_func("/op/types", test_types);
    g_test_add_func("/op/data-ranges", test_data_ranges);
    g_test_add_func("/op/zero-ranges", test_zero_ranges);
    g_test_add_func("/op/open", test_open);
    g_test_add_func("/op/counts", test_counts);
    g_test_add_func("/op/entries", test_entries);
    g_test_add_func("/op/random", test_random);
    g_test_add_func("/op/chain", test_chain);
    g_test_add_func("/op/digest", test_digest);
    return g_test_run();
}
