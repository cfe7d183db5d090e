/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host holds already of the disks that are about to arrive: images (seeds) whose 64 KiB
 * blocks (OP_BLOCK, at multiples of it; an image's shorter last one counts) are found by SHA-256.
 *
 *   seeds.c         the store: who may be asked what
 *   seeds-table.c   digest -> place, 24 bytes a block
 *   seeds-scan.c    reading an image block by block, at low priority
 *   seeds-index.c   what was read before, as a file
 *
 * Scanner threads read the seeds in the order they were added and fill a table; that is only a
 * guess. Nothing is trusted without being read and digested again: seeds_read does both. Blocks of
 * zeroes are left out. Bounded: SEEDS_MAX images, SEEDS_BLOCKS_MAX blocks.
 *
 * Any thread, except where said otherwise. */
#pragma once
#include "block/op.h"

#define SEEDS_MAX        512
#define SEEDS_BLOCKS_MAX (4 * 1024 * 1024) /* 256 GiB of them */

typedef struct seeds seeds;

/* `index_dir`: where seeds-index.h keeps its files, or NULL. */
seeds *seeds_new(const char *index_dir);
/* The likeliest first; all before seeds_start, in its thread. `format`: "raw" or "qcow2", as it is
 * known to be, never as the content says it is. `what` is for the log: "landed", "template", …
 * A file that cannot be read is logged and left out. */
void seeds_add(seeds *self, const char *path, const char *format, const char *what);
/* Starts the scanners; once. Without it, or with no seeds, there are no hints. */
void seeds_start(seeds *self);
/* Ends the scanners and everybody's waiting, without waiting for it: a scanner may hang in a file
 * system. May be repeated. seeds_read goes on giving what was found. */
void seeds_stop(seeds *self);
/* Does that, and waits for the scanners. Nobody else may use it any more. NULL is allowed. */
void seeds_free(seeds *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(seeds, seeds_free)

/* The block of this SHA-256 and length (1 to OP_BLOCK), read now and compared by all 32 bytes.
 * FALSE: not held, or not any more. Blocks on the disk. */
gboolean seeds_read(seeds *self, const uint8_t sha[OP_SHA256], uint32_t length, void *out);

/* Hints (the first 8 bytes of a SHA-256 as a number, sha_hint) in the order they were found; the
 * caller counts how many it has taken: `from`. Waits until there are more than that, the scan has
 * ended, seeds_stop, or for SEEDS_WAIT. Returns how many were put to `out`, at most `most`; *last:
 * none will follow these. 0 without *last: look whether you still want them, and ask again. */
#define SEEDS_WAIT G_TIME_SPAN_SECOND
unsigned seeds_wait_hints(seeds *self, uint64_t from, uint64_t *out, unsigned most, gboolean *last);
/* Whoever waits for hints now returns. (One who is only about to wait may miss it, for SEEDS_WAIT.)
 */
void seeds_wake(seeds *self);
