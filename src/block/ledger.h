/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was written into an image, block by block: the digest of each, and which have not been read
 * back since. So that what is on the medium can be compared with what was sent.
 *
 * 16 bytes a block, in a sparse file that has no name and goes with the handle or the process; one
 * bit a block in memory. Any thread; has its own lock.
 */
#pragma once
#include "block/op.h"

typedef struct ledger ledger;

/* Errors name the directory or the disk. */
ledger *ledger_new(const char *directory, uint64_t disk_size, GError **error);
/* NULL is allowed. */
void ledger_free(ledger *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ledger, ledger_free)

/* Block `number` (offset / OP_BLOCK) now has content of this digest, and was not read back. */
gboolean ledger_put(ledger *self, uint64_t number, const op_digest *digest, GError **error);
/* *known: it was ever put. */
gboolean ledger_get(ledger *self, uint64_t number, op_digest *digest, gboolean *known,
                    GError **error);
/* The first block at `from` or behind it that was not read back; counts as read back from now on.
 * *found FALSE: there is none. */
gboolean ledger_take(ledger *self, uint64_t from, uint64_t *number, op_digest *digest,
                     gboolean *found, GError **error);
/* It was not, after all. */
void ledger_give_back(ledger *self, uint64_t number);
/* How many blocks were ever put, and how many of them have not been read back. */
void ledger_count(ledger *self, uint64_t *written, uint64_t *left);
