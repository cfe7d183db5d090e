/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes the lab guest's records one after the other and reports each one that is durable. */
#pragma once

#include "radio.h"
#include "ring.h"

struct writer;

struct writer_failure {
    uint64_t seq;
    int error;
};

struct writer_state {
    uint64_t first;     /* first record of this boot */
    uint64_t attempted; /* last record sent to its disk */
    uint64_t finished;  /* last record whose write has returned, for better or worse */
    uint64_t failures;  /* writes that failed since boot */
    uint64_t busy_us;   /* age of the write in flight, 0 when there is none */
    unsigned rate;      /* records per second */
};

/* Finds the last record on the disks, goes on after it, in a thread of its own. NULL with one sentence in
 * ERROR. Lives until the guest ends. */
struct writer *writer_start(const struct options *o, uint64_t boot, struct ring *ring,
                            struct radio *radio, char *error, size_t size);

/* RATE in records per second, 0 pauses. Any thread. */
void writer_set_rate(struct writer *writer, unsigned rate);

void writer_get_state(struct writer *writer, struct writer_state *state);

/* The I-th oldest of the last REPORT_FAILURES failures; false when there is none. Any thread. */
bool writer_failure(struct writer *writer, unsigned i, struct writer_failure *failure);
