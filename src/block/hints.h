/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the target says it holds, at the source: a set of hints (sha.h) for all disks of a session.
 * Bounded, as a peer fills it: HINTS_MOST hints in up to 200 MiB, what is more is dropped. Any
 * thread. */
#pragma once
#include "block/op.h"

#define HINTS_MOST (4 * 1024 * 1024) /* of 64 KiB blocks: 256 GiB */

typedef struct hints hints;

hints *hints_new(void);
void hints_free(hints *self); /* NULL is allowed */
/* All of a HINTS message. */
void hints_add(hints *self, const op *message);
/* Is there any? Without, no SHA-256 needs to be made. Cheap. */
gboolean hints_any(hints *self);
gboolean hints_has(hints *self, uint64_t hint);
