/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages of disk streams, in both directions: what is let through lies within the disk and within
 * the message, and is written back to the same bytes.
 *
 * Input: 1 (bit 0: from the source; bits 1 to 3: the disk), then messages: 2 length, bytes. */
#include "block/op.h"
#include "fuzz.h"

static const uint64_t sizes[] = {
    0, 1, OP_BLOCK, 10 * OP_BLOCK + 512, 1ULL << 40, OP_SIZE_MAX - 1, OP_SIZE_MAX, 100};

static void check_range(const op *m, uint64_t disk_size)
{
    g_assert_cmpuint(m->length, >, 0);
    g_assert_cmpuint(m->offset, <, disk_size);
    g_assert_cmpuint(m->length, <=, disk_size - m->offset);
    if (m->type == OP_DATA) {
        g_assert_cmpuint(m->offset / OP_BLOCK, ==, (m->offset + m->length - 1) / OP_BLOCK);
        g_assert_cmpuint(m->body_length, <=, MAX(m->length, OP_SHA256));
    }
}

/* All entries are read: the sanitizer knows whether they are there. */
static void check_entries(const op *m, uint8_t *again)
{
    uint32_t errnum, id;

    g_assert_cmpuint(m->count, <=, m->type == OP_HINTS ? OP_HINTS_MAX : OP_IDS_MAX);
    for (unsigned i = 0; i < m->count; i++)
        switch (m->type) {
        case OP_DONE:
            id = op_done_id(m, i, &errnum);
            g_assert_cmpuint(errnum, <=, 4095);
            op_put_done(again, i, id, errnum);
            break;
        case OP_NEED:
            op_put_need(again, i, op_need_id(m, i));
            break;
        default:
            op_put_hint(again, i, op_hint(m, i));
        }
}

static void check(const op *m, const uint8_t *bytes, uint32_t length, gboolean from_source,
                  uint64_t disk_size)
{
    uint8_t *again = g_malloc0(OP_HEADER + length);
    op_digest running = {0};
    uint32_t header = op_put(again, m);

    g_assert_cmpint(m->type <= OP_FLUSH, ==, from_source);
    g_assert_cmpint(m->type == OP_OPEN, ==, disk_size == 0);
    g_assert_cmpuint(header + m->body_length, ==, length);
    if (m->type == OP_DATA || m->type == OP_ZERO) {
        check_range(m, disk_size);
        op_chain(&running, m);
    }
    if (m->type >= OP_DONE)
        check_entries(m, again + header);
    else if (m->body_length)
        memcpy(again + header, m->body, m->body_length);
    g_assert_cmpmem(again, length, bytes, length);
    g_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    uint8_t setting = fuzz_byte(&in);
    gboolean from_source = setting & 1;
    uint64_t disk_size = sizes[setting >> 1 & 7];

    while (in.left) {
        g_autoptr(GError) error = NULL;
        size_t length = fuzz_short(&in);
        g_autofree uint8_t *bytes = fuzz_take(&in, &length);
        op m;
        if (!op_get(bytes, (uint32_t)length, from_source, disk_size, &m, &error)) {
            g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
            continue;
        }
        g_assert_no_error(error);
        check(&m, bytes, (uint32_t)length, from_source, disk_size);
        if (m.type == OP_OPEN)
            disk_size = m.length;
    }
    return 0;
}
