/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The NBD protocol as a server needs it that is only written to: the fixed newstyle handshake
 * without TLS, simple replies, one connection for an export
 * (https://github.com/NetworkBlockDevice/nbd, proto.md). Pure functions over bytes: the caller does
 * the I/O, with the lengths given here.
 *
 *   server                              client
 *   greeting ──────────────────────────►
 *   ◄───────────────────── client flags
 *   ◄────────────── option header, data      any number; each is answered, until one chooses
 *   answer ────────────────────────────►
 *   ◄─────────────────── request, data …     data with WRITE only
 *   reply … ───────────────────────────►     in any order; none for DISC
 *
 * Errors, all G_IO_ERROR_INVALID_DATA, are for what a client must never do: the connection cannot
 * go on. Everything else gets the answer the protocol has for it. */
#pragma once
#include <gio/gio.h>
#include <stdint.h>

#define NBD_GREETING      18
#define NBD_CLIENT_FLAGS  4
#define NBD_OPTION_HEADER 16
#define NBD_OPTION_MAX    8192 /* data of one option; a name has at most 4096 */
#define NBD_REQUEST       28
#define NBD_REPLY         16
#define NBD_LENGTH_MAX    (32 * 1024 * 1024) /* data of one WRITE; clients assume it */

/* Both numbers are the protocol's. */
typedef enum {
    NBD_READ = 0,
    NBD_WRITE = 1,
    NBD_DISC = 2,
    NBD_FLUSH = 3,
    NBD_TRIM = 4,
    NBD_CACHE = 5,
    NBD_WRITE_ZEROES = 6
} nbd_command;
enum {
    NBD_EPERM = 1,
    NBD_EIO = 5,
    NBD_ENOMEM = 12,
    NBD_EINVAL = 22,
    NBD_ENOSPC = 28,
    NBD_ENOTSUP = 95,
    NBD_ESHUTDOWN = 108
};

typedef struct {
    const char *name; /* at most 255 bytes */
    uint64_t size;    /* bytes */
} nbd_export;

void nbd_put_greeting(uint8_t out[NBD_GREETING]);
/* *no_zeroes: the answer to EXPORT_NAME goes without its padding. */
gboolean nbd_get_client_flags(const uint8_t in[NBD_CLIENT_FLAGS], gboolean *no_zeroes,
                              GError **error);

/* *length bytes of data follow, at most NBD_OPTION_MAX. */
gboolean nbd_get_option(const uint8_t in[NBD_OPTION_HEADER], uint32_t *option, uint32_t *length,
                        GError **error);

typedef enum {
    NBD_GO_ON,  /* one more option */
    NBD_CHOSEN, /* *chosen is the export; requests follow */
    NBD_LEAVE   /* the connection ends: the client wants it, or there is no other way to say no */
} nbd_verdict;
/* Appends the answer to one option. */
nbd_verdict nbd_answer(uint32_t option, const uint8_t *data, uint32_t length,
                       const nbd_export *exports, unsigned count, gboolean no_zeroes,
                       GByteArray *answer, unsigned *chosen);

typedef struct {
    nbd_command command; /* perhaps an unknown one: nbd_refuse knows */
    gboolean fua;        /* the reply only when it is on the medium */
    gboolean unmap;      /* WRITE_ZEROES: without NO_HOLE; TRIM */
    gboolean odd;        /* it has a flag that does not go with the command */
    uint64_t cookie, offset;
    uint32_t length;
} nbd_request;
/* A WRITE is followed by `length` bytes, at most NBD_LENGTH_MAX, to be read in any case. */
gboolean nbd_get_request(const uint8_t in[NBD_REQUEST], nbd_request *request, GError **error);
/* Whether a request may be done to an export of this size: 0, or the NBD error it is answered with.
 * 0 means: WRITE, WRITE_ZEROES or TRIM of at least one byte within the export; FLUSH; DISC. */
uint32_t nbd_refuse(const nbd_request *request, uint64_t size);

void nbd_put_reply(uint8_t out[NBD_REPLY], uint64_t cookie, uint32_t error);
/* The NBD error for a Linux errno (0: 0). */
uint32_t nbd_error(uint32_t errnum);
