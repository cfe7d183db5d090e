/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's end of disk streams (docs/protocol.md, "Disk streams"): takes the messages of all
 * disks of one landing, checks what they bring, and writes it.
 *
 *   stream ─► codec.from_peer ─► queue ─► hand: inflate, compare digest, write ─► DONE   sink.c: codec
 *   stream ─► codec.from_peer ─►   "      hand: …                                        sink-queue.c
 *                                  ≤ 8 MiB, one queue a hand                             sink-hand.c
 *
 * Hands are threads, shared by all disks. A range of 1 MiB of a disk always goes to the same hand, so
 * messages about one block are done in their order; what concerns more than one range waits for all
 * hands. While the queues are full from_peer blocks: the stream's window then holds the source up.
 *
 * Raw files are written directly, and so are qcow2 files each of whose clusters has its place already; others
 * through the NBD export of the QEMU that the VM arrives in, each hand over connections of its own. Direct
 * writing is safe because nobody else writes there, and nobody remembers what was there (docs/design.md, "Who
 * writes the disks").
 *
 * What ends the move is told once by on_error: an image that cannot be written, or a digest that
 * differs. Then nothing more is written, and no disk is sealed.
 */
#pragma once
#include "block/op.h"
#include "relay/pump.h"

#define SINK_QUEUE_MAX (8 * 1024 * 1024) /* bytes of messages queued, all streams together */

typedef struct sink sink;

typedef struct {
    const char *export; /* as OPEN names it, and QEMU's NBD server */
    const char *what;   /* vda, for messages */
    const char *path;   /* of the image; it was made for this landing, and holds zeroes */
    const char *format; /* raw or qcow2 */
    uint64_t size;
} sink_disk;

/* What this host holds already (block/seeds.h). `read` gives the content with this SHA-256, or FALSE; by
 * any number of threads at once. `wait_hints` gives the next hints from number `from` on, up to `most`,
 * and sets *last when no more will come; waits for them a moment: 0 without *last means that it will
 * be asked again. */
typedef struct {
    gboolean (*read)(void *user, const uint8_t sha[OP_SHA256], uint32_t length, void *out);
    unsigned (*wait_hints)(void *user, uint64_t from, uint64_t *out, unsigned most, gboolean *last);
    void *user;
} sink_seeds;

typedef struct {
    const sink_disk *disks; /* copied */
    unsigned count;
    const char *nbd_socket;       /* of QEMU; for disks that cannot be written directly */
    const char *ledger_directory; /* keeps digests there (block/ledger.h), for sink_read_back; or
                                     NULL */
    const sink_seeds *seeds;      /* copied; or NULL */
    /* Once, from any thread. `verify`: what arrived or was read back is not what was sent. */
    void (*on_error)(gboolean verify, const char *text, void *user);
    void *user;
} sink_setup;

/* Opens the files; refuses what it cannot write safely. */
sink *sink_new(const sink_setup *setup, GError **error);
/* After the session. Waits for wait_hints to return. NULL is allowed. */
void sink_free(sink *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sink, sink_free)

/* A pump_codec_new: one for each stream, `user` is the sink. Hints go out on the first stream only. */
pump_codec *sink_codec_new(void *user);

/* Is the last change of every disk followed by a FLUSH that matched and is on the medium (I4)? Waits
 * for it up to timeout_ms, or until nothing can come any more. The error names the disk. */
gboolean sink_wait_sealed(sink *self, int timeout_ms, GError **error);

/* With ledgers, once every disk is sealed: reads from the medium what was written and not read back
 * since, and compares. While it has not been called, a thread reads back what has been flushed. */
gboolean sink_read_back(sink *self, GError **error);
/* Bytes written so far, and those of them that have been read back and not changed since. */
void sink_progress(sink *self, uint64_t *written, uint64_t *read_back);
