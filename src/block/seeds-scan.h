/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading an image block by block, in disk order, data only. */
#pragma once
#include "block/image.h"
#include "block/op.h"

typedef struct {
    uint64_t block; /* counted in OP_BLOCK */
    uint64_t hint;
} seeds_block;

/* Some blocks, in order; FALSE: enough. */
typedef gboolean (*seeds_take)(const seeds_block *blocks, unsigned count, void *user);

/* Every block that is not all zeroes. Ends early, with TRUE, when `take` has enough or *stop
 * (atomic) is set. Blocks; any thread, the image is the caller's. */
gboolean seeds_scan(image *from, const gint *stop, seeds_take take, void *user, GError **error);

typedef enum {
    SEEDS_LOW, /* behind what else runs here, but not starved by it: somebody waits for it */
    SEEDS_IDLE /* only what nobody else wants */
} seeds_priority;
/* For processor and disks, of the calling thread and the processes it starts. */
void seeds_scan_priority(seeds_priority priority);
