/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What status.c and status-json.c share. */
#pragma once
#include "migrate/status.h"

struct status {
    GMutex lock; /* guards all below, and the journal handle */
    status_setup setup;
    char *id, *role, *vm, *vm_uuid, *peer;
    phase now;
    gboolean cancelled, given_up;
    journal_decision decision;
    gint64 version;
    gint64 began, phase_began, ended; /* Unix µs; 0: not yet */
    char *waiting, *no_link; /* what for; NULL: nothing */
    guint64 done, total; /* of this phase */
    double rate;         /* bytes/s, 0: not known */
    gint64 rate_at;      /* monotonic µs of the last sample */
    session_stats stats;
    status_limits limits;
    gint64 blackout; /* µs, -1: not known */
    status_settled settled;
    JsonObject *changes, *way_back, *hold, *order;
    findings *found;
    char *error_code, *error_text;
};

/* The object of docs/api.md, and its "error" alone. Lock held. */
JsonObject *status_render(const status *self);
JsonObject *status_render_error(const status *self);
