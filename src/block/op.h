/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a disk stream carries (docs/protocol.md, "Disk streams"): one message in each frame. Pure
 * functions over bytes: no I/O, no allocation; everything is validated before it is handed on.
 * Numbers are big-endian.
 *
 *   source                                    target
 *   OPEN(export, size) ─────────────────────►            the first frame of the stream
 *   DATA, ZERO, FLUSH … ────────────────────►            in any number, each with an id
 *   ◄──────────────────────────── DONE(id, error) …      when the image has taken it, any order
 *   ◄──────────────────────────── HINTS                  what the target holds already
 *   ◄──────────────────────────── NEED(id)               not so: send that block itself
 *
 * The disk is cut into blocks of OP_BLOCK bytes, counted from its start; DATA never crosses the
 * border of one. The content of a DATA message is the block itself, its zstd form, or only its
 * SHA-256 (OP_KNOWN), because a hint says that the target holds it. Whatever form, XXH3-128 of the
 * content itself stands in the header, made from the bytes QEMU gave and compared before the
 * target's image gets them (I4).
 *
 * An id is the sender's, unique among its messages without a DONE. NEED asks for a block that came
 * as KNOWN: it comes again, as PLAIN or ZSTD and under the same id, which the DONE is for then.
 *
 * The running digest: both sides feed op_chain with every message that changes the disk, in the
 * order of the frames. FLUSH brings the source's value; the target compares, and says DONE only
 * when all messages before it are done and the image has been flushed.
 */
#pragma once
#include <gio/gio.h>
#include <stdint.h>

#define OP_BLOCK         (64 * 1024)
#define OP_HEADER        40             /* of DATA */
#define OP_NAME_MAX      255
#define OP_SIZE_MAX      (1ULL << 50)   /* of a disk */
#define OP_HINTS_MAX     8192           /* in one message */
#define OP_IDS_MAX       1024           /* in one message */
#define OP_SHA256        32

typedef enum {
    OP_OPEN = 1,
    OP_DATA = 2,
    OP_ZERO = 3,
    OP_FLUSH = 4,
    OP_DONE = 5,
    OP_HINTS = 6,
    OP_NEED = 7
} op_type;

typedef enum {
    OP_PLAIN = 0, /* the bytes */
    OP_ZSTD = 1,  /* one zstd frame, shorter than the `length` bytes it gives */
    OP_KNOWN = 2  /* their SHA-256; whole blocks only (or the disk's shorter last one) */
} op_form;

typedef struct {
    uint64_t low, high;
} op_digest;

/* DATA:  1 type, 1 form, 2 zero, 4 id, 4 length, 4 zero, 8 offset, 16 digest, then the content
 * ZERO:  1 type, 1 flags (1: may be unmapped), 2 zero, 4 id, 8 zero, 8 offset, 8 length
 * FLUSH: 1 type, 3 zero, 4 id, 16 running digest
 * OPEN:  1 type, 1 zero, 2 length of the name, 4 zero, 8 size of the disk, then the name
 * DONE:  1 type, 1 zero, 2 count, then count times: 4 id, 4 error (0, or a Linux errno)
 * NEED:  1 type, 1 zero, 2 count, then count times: 4 id
 * HINTS: 1 type, 1 flags (1: the last), 2 count, 4 zero, then count times: 8, the first bytes of
 *        a block's SHA-256
 */
typedef struct {
    op_type type;
    op_form form;          /* DATA */
    gboolean unmap;        /* ZERO */
    gboolean last;         /* HINTS */
    uint32_t id;           /* DATA, ZERO, FLUSH */
    uint64_t offset;       /* DATA, ZERO */
    uint64_t length;       /* DATA: 1 to OP_BLOCK; ZERO; OPEN: the disk's size */
    op_digest digest;      /* DATA: of the content; FLUSH: the running one */
    unsigned count;        /* DONE, NEED, HINTS */
    const uint8_t *body;   /* content, name, or the entries; points into the message */
    uint32_t body_length;
} op;

/* Both return the length of the message; `out` has room for OP_HEADER bytes and the body, which
 * they leave to the caller: it follows behind the returned header length. */
uint32_t op_put(uint8_t *out, const op *message);

/* Understands a message that travels in this direction; `disk_size` is what OPEN said (0: only OPEN
 * is right). Refuses what is not exactly as above: unknown types, forms and flags, bytes that are
 * not zero, a body too short or too long, ranges that are empty, cross a block's border or reach
 * beyond the disk. Errors: G_IO_ERROR_INVALID_DATA. */
gboolean op_get(const uint8_t *bytes, uint32_t length, gboolean from_source, uint64_t disk_size,
                op *message, GError **error);

/* Entry i of DONE, NEED and HINTS. */
uint32_t op_done_id(const op *message, unsigned i, uint32_t *errnum);
uint32_t op_need_id(const op *message, unsigned i);
uint64_t op_hint(const op *message, unsigned i);
/* Writes entry i behind a header made by op_put. */
void op_put_done(uint8_t *body, unsigned i, uint32_t id, uint32_t errnum);
void op_put_need(uint8_t *body, unsigned i, uint32_t id);
void op_put_hint(uint8_t *body, unsigned i, uint64_t hint);

/* XXH3-128 of content. */
op_digest op_digest_of(const void *bytes, size_t length);
gboolean op_digest_equal(const op_digest *a, const op_digest *b);
/* Adds a DATA message (of any form) or a ZERO to a running digest, by type, offset, length and digest
 * of the content. */
void op_chain(op_digest *running, const op *message);
