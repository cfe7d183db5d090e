/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record slots on the lab guest's disks: opened, written and walked, always past the page cache. */
#pragma once

#include "options.h"

struct ring;

/* Opens the disks O names (O_DIRECT, O_DSYNC). NULL with one sentence in ERROR. Lives until the guest
 * ends. Without disks it is a ring of none: writing is not possible then, walking finds nothing. */
struct ring *ring_open(const struct options *o, char *error, size_t size);

uint32_t ring_disks(const struct ring *ring);
uint32_t ring_slots(const struct ring *ring); /* of each disk: the same number on all */

/* Puts RECORD where its disk and slot say. Returns 0 once it is durable, or errno. Any thread. */
int ring_write(struct ring *ring, const struct record *record);

int ring_sync(struct ring *ring); /* 0 or errno */

/* Called for each slot that is not blank: RECORD is what a whole slot holds, and NULL when it holds no
 * valid record, with ERROR set when it could not be read at all. Return false to stop the walk. */
typedef bool (*ring_found)(void *user, uint32_t disk, uint32_t slot, const struct record *record,
                           int error);

/* Reads every slot of every disk from the disk itself. Any thread, also while records are written.
 * False when out of memory or FOUND stopped it. */
bool ring_walk(struct ring *ring, const char *vm, ring_found found, void *user);
