/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dirties the lab guest's memory at a given rate, and finds pages that came back different. */
#pragma once

#include "radio.h"

struct dirty;

struct dirty_state {
    unsigned rate; /* MiB per second asked for */
    unsigned wset; /* MiB */
    uint64_t pages; /* pages dirtied since boot: what was really reached */
};

/* Starts dirtying, in a thread of its own. NULL with one sentence in ERROR. Lives until the guest ends. */
struct dirty *dirty_start(const struct options *o, struct radio *radio, char *error, size_t size);

/* RATE in MiB per second (0 pauses) over WSET MiB. Any thread. */
void dirty_set(struct dirty *dirty, unsigned rate, unsigned wset);

void dirty_get_state(struct dirty *dirty, struct dirty_state *state);
