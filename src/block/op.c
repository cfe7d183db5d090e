/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages of disk streams; see op.h. */
#include "block/op.h"
#include "base/bytes.h"

#include <string.h>
#include <xxhash.h>

/* Lengths of the fixed parts; DATA has OP_HEADER. */
enum {
    ZERO_HEADER = 32,
    FLUSH_HEADER = 24,
    OPEN_HEADER = 16,
    DONE_HEADER = 4,
    NEED_HEADER = 4,
    HINTS_HEADER = 8
};
enum { DONE_ENTRY = 8, NEED_ENTRY = 4, HINT_ENTRY = 8 };

#define ERRNO_MAX 4095 /* as the kernel has it */

static void put_digest(uint8_t *out, const op_digest *digest)
{
    put_be64(out, digest->high);
    put_be64(out + 8, digest->low);
}

static op_digest get_digest(const uint8_t *in)
{
    return (op_digest){.high = get_be64(in), .low = get_be64(in + 8)};
}

uint32_t op_put(uint8_t *out, const op *message)
{
    memset(out, 0, OP_HEADER);
    out[0] = (uint8_t)message->type;
    switch (message->type) {
    case OP_OPEN:
        put_be16(out + 2, (uint16_t)message->body_length);
        put_be64(out + 8, message->length);
        return OPEN_HEADER;
    case OP_DATA:
        out[1] = (uint8_t)message->form;
        put_be32(out + 4, message->id);
        put_be32(out + 8, (uint32_t)message->length);
        put_be64(out + 16, message->offset);
        put_digest(out + 24, &message->digest);
        return OP_HEADER;
    case OP_ZERO:
        out[1] = message->unmap ? 1 : 0;
        put_be32(out + 4, message->id);
        put_be64(out + 16, message->offset);
        put_be64(out + 24, message->length);
        return ZERO_HEADER;
    case OP_FLUSH:
        put_be32(out + 4, message->id);
        put_digest(out + 8, &message->digest);
        return FLUSH_HEADER;
    case OP_DONE:
    case OP_NEED:
        put_be16(out + 2, (uint16_t)message->count);
        return DONE_HEADER;
    case OP_HINTS:
        out[1] = message->last ? 1 : 0;
        put_be16(out + 2, (uint16_t)message->count);
        return HINTS_HEADER;
    }
    g_assert_not_reached();
}

G_GNUC_PRINTF(2, 3) static gboolean invalid(GError **error, const char *format, ...)
{
    g_autofree char *why = NULL;
    va_list list;

    va_start(list, format);
    why = g_strdup_vprintf(format, list);
    va_end(list);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "disk message %s", why);
    return FALSE;
}

static gboolean has_header(uint32_t length, uint32_t header, GError **error)
{
    return length >= header || invalid(error, "of %u bytes, too short for its type", length);
}

static gboolean is_zero(const uint8_t *bytes, uint32_t from, uint32_t to, GError **error)
{
    for (uint32_t i = from; i < to; i++)
        if (bytes[i] != 0)
            return invalid(error, "with byte %u not zero", i);
    return TRUE;
}

static gboolean has_body(uint32_t length, uint32_t wanted, GError **error)
{
    return length == wanted ||
           invalid(error, "with a body of %u bytes in place of %u", length, wanted);
}

static gboolean is_inside(const op *message, uint64_t disk_size, GError **error)
{
    return (message->length > 0 && message->offset <= disk_size &&
            message->length <= disk_size - message->offset) ||
           invalid(error,
                   "with %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
                   " of a disk of %" G_GUINT64_FORMAT,
                   message->length, message->offset, disk_size);
}

static void set_body(op *m, const uint8_t *bytes, uint32_t length, uint32_t header)
{
    m->body = bytes + header;
    m->body_length = length - header;
}

/* What is asked of a name here is only that it can be shown in a message. */
static gboolean is_name(const uint8_t *name, uint32_t length)
{
    if (length == 0 || length > OP_NAME_MAX ||
        !g_utf8_validate_len((const char *)name, length, NULL))
        return FALSE;
    for (uint32_t i = 0; i < length; i++)
        if (g_ascii_iscntrl((char)name[i]))
            return FALSE;
    return TRUE;
}

static gboolean get_open(const uint8_t *bytes, uint32_t length, op *m, GError **error)
{
    if (!has_header(length, OPEN_HEADER, error) || !is_zero(bytes, 1, 2, error) ||
        !is_zero(bytes, 4, 8, error))
        return FALSE;
    set_body(m, bytes, length, OPEN_HEADER);
    m->length = get_be64(bytes + 8);
    if (!has_body(m->body_length, get_be16(bytes + 2), error))
        return FALSE;
    if (!is_name(m->body, m->body_length))
        return invalid(error, "with an impossible export name of %u bytes", m->body_length);
    if (m->length == 0 || m->length > OP_SIZE_MAX)
        return invalid(error, "with a disk of %" G_GUINT64_FORMAT " bytes", m->length);
    return TRUE;
}

static gboolean get_content(op *m, uint64_t disk_size, GError **error)
{
    switch (m->form) {
    case OP_PLAIN:
        return has_body(m->body_length, (uint32_t)m->length, error);
    case OP_ZSTD:
        return (m->body_length > 0 && m->body_length < m->length) ||
               invalid(error, "with %u compressed bytes for %" G_GUINT64_FORMAT, m->body_length,
                       m->length);
    case OP_KNOWN:
        if (m->offset % OP_BLOCK != 0 ||
            (m->length != OP_BLOCK && m->offset + m->length != disk_size))
            return invalid(error, "that knows a part of a block");
        return has_body(m->body_length, OP_SHA256, error);
    }
    return invalid(error, "of unknown form %u", (unsigned)m->form);
}

static gboolean get_data(const uint8_t *bytes, uint32_t length, uint64_t disk_size, op *m,
                         GError **error)
{
    if (!has_header(length, OP_HEADER, error) || !is_zero(bytes, 2, 4, error) ||
        !is_zero(bytes, 12, 16, error))
        return FALSE;
    set_body(m, bytes, length, OP_HEADER);
    m->form = bytes[1];
    m->id = get_be32(bytes + 4);
    m->length = get_be32(bytes + 8);
    m->offset = get_be64(bytes + 16);
    m->digest = get_digest(bytes + 24);
    if (!is_inside(m, disk_size, error))
        return FALSE;
    if (m->offset % OP_BLOCK + m->length > OP_BLOCK)
        return invalid(error, "that crosses the border of a block");
    return get_content(m, disk_size, error);
}

static gboolean get_zero(const uint8_t *bytes, uint32_t length, uint64_t disk_size, op *m,
                         GError **error)
{
    if (!has_header(length, ZERO_HEADER, error) || !is_zero(bytes, 2, 4, error) ||
        !is_zero(bytes, 8, 16, error))
        return FALSE;
    if (bytes[1] > 1)
        return invalid(error, "with unknown flags %u", bytes[1]);
    m->unmap = bytes[1];
    m->id = get_be32(bytes + 4);
    m->offset = get_be64(bytes + 16);
    m->length = get_be64(bytes + 24);
    return has_body(length - ZERO_HEADER, 0, error) && is_inside(m, disk_size, error);
}

static gboolean get_flush(const uint8_t *bytes, uint32_t length, op *m, GError **error)
{
    if (!has_header(length, FLUSH_HEADER, error) || !is_zero(bytes, 1, 4, error))
        return FALSE;
    m->id = get_be32(bytes + 4);
    m->digest = get_digest(bytes + 8);
    return has_body(length - FLUSH_HEADER, 0, error);
}

static gboolean get_entries(const uint8_t *bytes, uint32_t length, uint32_t header, uint32_t entry,
                            unsigned least, unsigned most, op *m, GError **error)
{
    if (!has_header(length, header, error))
        return FALSE;
    set_body(m, bytes, length, header);
    m->count = get_be16(bytes + 2);
    if (m->count < least || m->count > most)
        return invalid(error, "with %u entries", m->count);
    return has_body(m->body_length, m->count * entry, error);
}

static gboolean get_done(const uint8_t *bytes, uint32_t length, op *m, GError **error)
{
    uint32_t errnum;

    if (!get_entries(bytes, length, DONE_HEADER, DONE_ENTRY, 1, OP_IDS_MAX, m, error) ||
        !is_zero(bytes, 1, 2, error))
        return FALSE;
    for (unsigned i = 0; i < m->count; i++) {
        (void)op_done_id(m, i, &errnum);
        if (errnum > ERRNO_MAX)
            return invalid(error, "with error number %u", errnum);
    }
    return TRUE;
}

static gboolean get_hints(const uint8_t *bytes, uint32_t length, op *m, GError **error)
{
    /* The last one may bring nothing but that. */
    if (!has_header(length, HINTS_HEADER, error) || !is_zero(bytes, 4, 8, error))
        return FALSE;
    if (bytes[1] > 1)
        return invalid(error, "with unknown flags %u", bytes[1]);
    m->last = bytes[1];
    return get_entries(bytes, length, HINTS_HEADER, HINT_ENTRY, m->last ? 0 : 1, OP_HINTS_MAX, m,
                       error);
}

static gboolean get_any(const uint8_t *bytes, uint32_t length, uint64_t disk_size, op *m,
                        GError **error)
{
    switch (m->type) {
    case OP_OPEN:
        return get_open(bytes, length, m, error);
    case OP_DATA:
        return get_data(bytes, length, disk_size, m, error);
    case OP_ZERO:
        return get_zero(bytes, length, disk_size, m, error);
    case OP_FLUSH:
        return get_flush(bytes, length, m, error);
    case OP_DONE:
        return get_done(bytes, length, m, error);
    case OP_HINTS:
        return get_hints(bytes, length, m, error);
    case OP_NEED:
        return get_entries(bytes, length, NEED_HEADER, NEED_ENTRY, 1, OP_IDS_MAX, m, error) &&
               is_zero(bytes, 1, 2, error);
    }
    return invalid(error, "of unknown type %u", (unsigned)m->type);
}

gboolean op_get(const uint8_t *bytes, uint32_t length, gboolean from_source, uint64_t disk_size,
                op *message, GError **error)
{
    op m = {0};

    if (length == 0)
        return invalid(error, "without a byte");
    m.type = bytes[0];
    if (m.type < OP_OPEN || m.type > OP_NEED)
        return invalid(error, "of unknown type %u", (unsigned)m.type);
    if ((m.type <= OP_FLUSH) != (from_source != FALSE))
        return invalid(error, "of type %u, which only the other side sends", (unsigned)m.type);
    if ((m.type == OP_OPEN) != (disk_size == 0))
        return invalid(error, "of type %u %s the stream was opened", (unsigned)m.type,
                       disk_size ? "after" : "before");
    if (!get_any(bytes, length, disk_size, &m, error))
        return FALSE;
    *message = m;
    return TRUE;
}

uint32_t op_done_id(const op *message, unsigned i, uint32_t *errnum)
{
    *errnum = get_be32(message->body + i * DONE_ENTRY + 4);
    return get_be32(message->body + i * DONE_ENTRY);
}

uint32_t op_need_id(const op *message, unsigned i)
{
    return get_be32(message->body + i * NEED_ENTRY);
}

uint64_t op_hint(const op *message, unsigned i)
{
    return get_be64(message->body + i * HINT_ENTRY);
}

void op_put_done(uint8_t *body, unsigned i, uint32_t id, uint32_t errnum)
{
    put_be32(body + i * DONE_ENTRY, id);
    put_be32(body + i * DONE_ENTRY + 4, errnum);
}

void op_put_need(uint8_t *body, unsigned i, uint32_t id)
{
    put_be32(body + i * NEED_ENTRY, id);
}

void op_put_hint(uint8_t *body, unsigned i, uint64_t hint)
{
    put_be64(body + i * HINT_ENTRY, hint);
}

op_digest op_digest_of(const void *bytes, size_t length)
{
    XXH128_hash_t hash = XXH3_128bits(bytes, length);

    return (op_digest){.low = hash.low64, .high = hash.high64};
}

gboolean op_digest_equal(const op_digest *a, const op_digest *b)
{
    return a->low == b->low && a->high == b->high;
}

void op_chain(op_digest *running, const op *message)
{
    uint8_t link[16 + 1 + 8 + 8 + 16] = {0};

    put_digest(link, running);
    link[16] = (uint8_t)message->type;
    put_be64(link + 17, message->offset);
    put_be64(link + 25, message->length);
    if (message->type == OP_DATA) /* of zeroes nothing more needs to be said */
        put_digest(link + 33, &message->digest);
    *running = op_digest_of(link, sizeof link);
}
