/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The phases of a migration, the same in code, journal, API and documentation.
 *
 *   queued ─► comparing ─► landing ─► mirroring ─► synchronizing ─► switching ─► committing ─► cleaning ─► completed
 *     │  ▲______│____________│ (target busy)│             │              │            │
 *     └─────────┴────────────┴──────────────┴─────────────┴──────────────┴────────────┴─► failed, cancelled
 *
 * At the target mirroring leads back to landing when its libvirt has refused to prepare: nothing is there yet.
 * committing leads to failed only when the target has durably refused, cleaning only when the guest has died at the
 * target before it was seen running for long enough.
 */
#pragma once
#include <glib.h>

typedef enum {
    PHASE_QUEUED,        /* waits for a free slot, here or at the target */
    PHASE_COMPARING,     /* source asks, both check; nothing has been changed anywhere */
    PHASE_LANDING,       /* target makes disks, sockets, permit */
    PHASE_MIRRORING,     /* disks copied, new guest writes go to both sides */
    PHASE_SYNCHRONIZING, /* memory copied, mirror held */
    PHASE_SWITCHING,     /* guest stopped at the source, last state sent; loaded and paused at the target */
    PHASE_COMMITTING,    /* durable give-up, token, durable accept, guest starts */
    PHASE_CLEANING,      /* definition removed, disks kept or deleted; never touches a running guest */
    PHASE_COMPLETED,
    PHASE_FAILED,
    PHASE_CANCELLED
} phase;
#define PHASES (PHASE_CANCELLED + 1)

const char *phase_name(phase p);
gboolean phase_from_name(const char *name, phase *p);
/* Is FROM -> TO in the diagram above? */
gboolean phase_may_follow(phase from, phase to);
gboolean phase_is_final(phase p);
/* May the move still be cancelled with the VM going on at the source? */
gboolean phase_may_cancel(phase p);
