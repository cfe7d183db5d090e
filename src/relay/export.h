/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The source's end of disk streams (docs/protocol.md, "Disk streams"): the NBD server that QEMU's
 * mirror writes to.
 *
 *   QEMU ──NBD──► serve: requests ─► blocks: digest, zeroes?, known?, smaller? ──► stream export.c,
 * export-cut.c QEMU ◄─replies── from_peer: DONE, HINTS, NEED ◄── stream export-back.c └─► a thread
 * that sends blocks once more ──► stream
 *
 * A request is answered when every message it became is DONE (I3); a flush, or a write with FUA,
 * when its FLUSH is. An error the target names becomes the NBD error of the request. Each export is
 * served once.
 *
 * QEMU has at most 16 requests under way. Where a round trip is long a thread reads the image itself and sends its
 * blocks before QEMU writes them; a write of what was sent already is answered when that is DONE (export-ahead.c).
 *
 * Memory for a disk: what the stream's window holds, one block, up to EXPORT_KEPT_MOST blocks
 * that went as KNOWN and are not DONE, 0.7 MiB for zstd.
 */
#pragma once
#include "relay/pump.h"

/* Blocks of 64 KiB, beyond which they go as they are: all that a mirror of QEMU has under way (16
 * requests of 1 MiB). */
#define EXPORT_KEPT_MOST 256
#define EXPORT_FAR_US    5000

/* The exports of a session, and what its target says it holds. Add all before it listens. */
typedef struct export_table export_table;

export_table *export_table_new(void);
/* After the session. NULL is allowed. */
void export_table_free(export_table *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(export_table, export_table_free)
/* `name`: of the export, 1 to 255 bytes; `what`: "vda", for messages; `size`: bytes, 1 to
 * OP_SIZE_MAX. */
void export_table_add(export_table *self, const char *name, const char *what, uint64_t size);
/* The image that the export last added is of, and its format ("raw", "qcow2"; others do not help): where the target is
 * far away its blocks are read and sent before QEMU does it. */
void export_table_set_image(export_table *self, const char *path, const char *format);
/* From how many µs of round trip on the target is far away ; EXPORT_FAR_US at first, 0: always. For tests. */
void export_table_set_far(export_table *self, gint64 round_trip);

/* For how long, in µs, requests have waited without the target having done anything for any of them; 0: none
 * waits. Any thread. */
gint64 export_table_waiting(export_table *self);

/* A pump_codec_new; `table` is an export_table. */
pump_codec *export_codec_new(void *table);
