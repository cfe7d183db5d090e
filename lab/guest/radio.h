/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lab guest's datagrams: reports to the witness, and an answer to each probe by the NIC it came by. */
#pragma once

#include "options.h"

struct radio;

/* Opens one socket per NIC and starts answering probes in a thread of its own. DISKS and SLOTS are the
 * geometry told in every report. NULL with one sentence in ERROR. Lives until the guest ends. */
struct radio *radio_start(const struct options *o, uint64_t boot, uint32_t disks, uint32_t slots,
                          char *error, size_t size);

/* Sends R to the witness after filling in all that is common to every report. Never waits and never
 * fails: a report that does not get through is simply not heard. Any thread. */
void radio_report(struct radio *radio, struct report *r);

/* From now on every report says that one more page of memory held what was never written there. */
void radio_memory_error(struct radio *radio);
uint32_t radio_memory_errors(struct radio *radio);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t radio_now(void);
