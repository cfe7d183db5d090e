/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NBD, the server's part; see nbd.h. */
#include "block/nbd.h"
#include "base/bytes.h"

#include <errno.h>
#include <string.h>

static const uint64_t magic_greeting = 0x4e42444d41474943; /* NBDMAGIC */
static const uint64_t magic_option = 0x49484156454f5054;   /* IHAVEOPT */
static const uint64_t magic_option_reply = 0x3e889045565a9;
static const uint32_t magic_request = 0x25609513;
static const uint32_t magic_reply = 0x67446698;

/* Of the handshake, the same bits in both directions. */
enum { FIXED_NEWSTYLE = 1, NO_ZEROES = 2 };
/* Of an export: it may be written, flushed, and so on. Not: CAN_MULTI_CONN, READ_ONLY, SEND_CACHE.
 */
enum { HAS_FLAGS = 1, SEND_FLUSH = 4, SEND_FUA = 8, SEND_TRIM = 32, SEND_WRITE_ZEROES = 64 };
#define EXPORT_FLAGS (HAS_FLAGS | SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES)
/* Of a request. */
enum { FLAG_FUA = 1, FLAG_NO_HOLE = 2 };

enum { OPT_EXPORT_NAME = 1, OPT_ABORT = 2, OPT_LIST = 3, OPT_INFO = 6, OPT_GO = 7 };
enum { REP_ACK = 1, REP_SERVER = 2, REP_INFO = 3 };
static const uint32_t rep_err_unsup = 1U << 31 | 1;
static const uint32_t rep_err_invalid = 1U << 31 | 3;
static const uint32_t rep_err_unknown = 1U << 31 | 6;
enum { INFO_EXPORT = 0, INFO_NAME = 1, INFO_BLOCK_SIZE = 3 };

/* Any alignment is right; whole blocks of the relay's are best. */
enum { BLOCK_LEAST = 1, BLOCK_BEST = 64 * 1024 };
#define EXPORT_NAME_PADDING 124

static gboolean invalid(GError **error, const char *what)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "NBD: %s", what);
    return FALSE;
}

void nbd_put_greeting(uint8_t out[NBD_GREETING])
{
    put_be64(out, magic_greeting);
    put_be64(out + 8, magic_option);
    put_be16(out + 16, FIXED_NEWSTYLE | NO_ZEROES);
}

gboolean nbd_get_client_flags(const uint8_t in[NBD_CLIENT_FLAGS], gboolean *no_zeroes,
                              GError **error)
{
    uint32_t flags = get_be32(in);

    if (flags & ~(uint32_t)(FIXED_NEWSTYLE | NO_ZEROES))
        return invalid(error, "the client has flags that it was not offered");
    if (!(flags & FIXED_NEWSTYLE))
        return invalid(error, "the client does not speak the fixed newstyle handshake");
    *no_zeroes = (flags & NO_ZEROES) != 0;
    return TRUE;
}

gboolean nbd_get_option(const uint8_t in[NBD_OPTION_HEADER], uint32_t *option, uint32_t *length,
                        GError **error)
{
    if (get_be64(in) != magic_option)
        return invalid(error, "an option without its magic");
    *option = get_be32(in + 8);
    *length = get_be32(in + 12);
    if (*length > NBD_OPTION_MAX)
        return invalid(error, "an option that is too long");
    return TRUE;
}

static void append16(GByteArray *to, uint16_t value)
{
    uint8_t bytes[2];

    put_be16(bytes, value);
    g_byte_array_append(to, bytes, sizeof bytes);
}

static void append32(GByteArray *to, uint32_t value)
{
    uint8_t bytes[4];

    put_be32(bytes, value);
    g_byte_array_append(to, bytes, sizeof bytes);
}

static void append64(GByteArray *to, uint64_t value)
{
    uint8_t bytes[8];

    put_be64(bytes, value);
    g_byte_array_append(to, bytes, sizeof bytes);
}

/* The head of a reply to an option; `length` bytes are to follow. */
static void append_reply(GByteArray *answer, uint32_t option, uint32_t type, size_t length)
{
    append64(answer, magic_option_reply);
    append32(answer, option);
    append32(answer, type);
    append32(answer, (uint32_t)length);
}

static nbd_verdict say(GByteArray *answer, uint32_t option, uint32_t type)
{
    append_reply(answer, option, type, 0);
    return NBD_GO_ON;
}

static gboolean find(const nbd_export *exports, unsigned count, const uint8_t *name,
                     uint32_t length, unsigned *found)
{
    for (unsigned i = 0; i < count; i++)
        if (strlen(exports[i].name) == length && memcmp(exports[i].name, name, length) == 0) {
            *found = i;
            return TRUE;
        }
    return FALSE;
}

static nbd_verdict answer_export_name(const uint8_t *name, uint32_t length,
                                      const nbd_export *exports, unsigned count, gboolean no_zeroes,
                                      GByteArray *answer, unsigned *chosen)
{
    static const uint8_t padding[EXPORT_NAME_PADDING];

    if (!find(exports, count, name, length, chosen))
        return NBD_LEAVE;
    append64(answer, exports[*chosen].size);
    append16(answer, EXPORT_FLAGS);
    if (!no_zeroes)
        g_byte_array_append(answer, padding, sizeof padding);
    return NBD_CHOSEN;
}

static void append_info(GByteArray *answer, uint32_t option, const nbd_export *export,
                        gboolean name)
{
    append_reply(answer, option, REP_INFO, 12);
    append16(answer, INFO_EXPORT);
    append64(answer, export->size);
    append16(answer, EXPORT_FLAGS);
    append_reply(answer, option, REP_INFO, 14);
    append16(answer, INFO_BLOCK_SIZE);
    append32(answer, BLOCK_LEAST);
    append32(answer, BLOCK_BEST);
    append32(answer, NBD_LENGTH_MAX);
    if (!name)
        return;
    append_reply(answer, option, REP_INFO, 2 + strlen(export->name));
    append16(answer, INFO_NAME);
    g_byte_array_append(answer, (const uint8_t *)export->name, (guint)strlen(export->name));
}

/* 4 bytes length of the name, the name, 2 bytes count, then as often 2 bytes: what it wants to
 * know. */
static nbd_verdict answer_info(uint32_t option, const uint8_t *data, uint32_t length,
                               const nbd_export *exports, unsigned count, GByteArray *answer,
                               unsigned *chosen)
{
    gboolean wants_name = FALSE;
    uint32_t name, asked;
    unsigned found;

    if (length < 6 || get_be32(data) > length - 6)
        return say(answer, option, rep_err_invalid);
    name = get_be32(data);
    asked = get_be16(data + 4 + name);
    if (length != 6 + name + 2 * asked)
        return say(answer, option, rep_err_invalid);
    if (!find(exports, count, data + 4, name, &found))
        return say(answer, option, rep_err_unknown);
    for (uint32_t i = 0; i < asked; i++)
        wants_name |= get_be16(data + 6 + name + 2 * i) == INFO_NAME;
    append_info(answer, option, &exports[found], wants_name);
    say(answer, option, REP_ACK);
    if (option == OPT_INFO)
        return NBD_GO_ON;
    *chosen = found;
    return NBD_CHOSEN;
}

static nbd_verdict answer_list(const nbd_export *exports, unsigned count, GByteArray *answer)
{
    for (unsigned i = 0; i < count; i++) {
        size_t length = strlen(exports[i].name);
        append_reply(answer, OPT_LIST, REP_SERVER, 4 + length);
        append32(answer, (uint32_t)length);
        g_byte_array_append(answer, (const uint8_t *)exports[i].name, (guint)length);
    }
    return say(answer, OPT_LIST, REP_ACK);
}

nbd_verdict nbd_answer(uint32_t option, const uint8_t *data, uint32_t length,
                       const nbd_export *exports, unsigned count, gboolean no_zeroes,
                       GByteArray *answer, unsigned *chosen)
{
    switch (option) {
    case OPT_EXPORT_NAME:
        return answer_export_name(data, length, exports, count, no_zeroes, answer, chosen);
    case OPT_ABORT:
        say(answer, option, REP_ACK);
        return NBD_LEAVE;
    case OPT_LIST:
        return length ? say(answer, option, rep_err_invalid) : answer_list(exports, count, answer);
    case OPT_INFO:
    case OPT_GO:
        return answer_info(option, data, length, exports, count, answer, chosen);
    default: /* STARTTLS, structured replies, meta contexts, and what there is not yet */
        return say(answer, option, rep_err_unsup);
    }
}

static gboolean is_odd(nbd_command command, uint16_t flags)
{
    return flags & ~(FLAG_FUA | (command == NBD_WRITE_ZEROES ? FLAG_NO_HOLE : 0));
}

gboolean nbd_get_request(const uint8_t in[NBD_REQUEST], nbd_request *request, GError **error)
{
    uint16_t flags = get_be16(in + 4);

    if (get_be32(in) != magic_request)
        return invalid(error, "a request without its magic");
    *request = (nbd_request){.command = get_be16(in + 6),
                             .fua = flags & FLAG_FUA,
                             .cookie = get_be64(in + 8),
                             .offset = get_be64(in + 16),
                             .length = get_be32(in + 24)};
    request->odd = is_odd(request->command, flags);
    request->unmap = request->command == NBD_TRIM ||
                     (request->command == NBD_WRITE_ZEROES && !(flags & FLAG_NO_HOLE));
    if (request->command == NBD_WRITE && request->length > NBD_LENGTH_MAX)
        return invalid(error, "a write that is too long");
    return TRUE;
}

uint32_t nbd_refuse(const nbd_request *request, uint64_t size)
{
    switch (request->command) {
    case NBD_WRITE:
    case NBD_WRITE_ZEROES:
    case NBD_TRIM:
        if (request->odd || request->length == 0)
            return NBD_EINVAL;
        if (request->offset > size || request->length > size - request->offset)
            return request->command == NBD_TRIM ? NBD_EINVAL : NBD_ENOSPC;
        return 0;
    case NBD_FLUSH:
        return request->odd || request->offset || request->length ? NBD_EINVAL : 0;
    case NBD_DISC:
        return 0;
    case NBD_READ:
        return NBD_EPERM; /* what is here is on its way, not kept */
    default:              /* CACHE too, which was not offered */
        return NBD_EINVAL;
    }
}

void nbd_put_reply(uint8_t out[NBD_REPLY], uint64_t cookie, uint32_t error)
{
    put_be32(out, magic_reply);
    put_be32(out + 4, error);
    put_be64(out + 8, cookie);
}

uint32_t nbd_error(uint32_t errnum)
{
    switch (errnum) {
    case 0:
        return 0;
    case EPERM:
    case EACCES:
    case EROFS:
        return NBD_EPERM;
    case ENOMEM:
        return NBD_ENOMEM;
    case EINVAL:
        return NBD_EINVAL;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NBD_ENOSPC;
    case EOPNOTSUPP:
        return NBD_ENOTSUP;
    case ESHUTDOWN:
        return NBD_ESHUTDOWN;
    default:
        return NBD_EIO;
    }
}
