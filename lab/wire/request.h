/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be asked of a running wire. */
#pragma once

#include "common/control.h"
#include "port.h"

/* Direction d comes in at port[d] and goes out at port[!d]. */
struct wire {
    GMutex lock; /* guards the links and ports: the data path holds it except while it waits */
    struct port *port[2];
    struct link *link[2];
};

gboolean request_settings_valid(const struct link_settings *s, GError **error);

/*
 * A control_handler; WIRE is the struct wire. Requests:
 *   {"op":"set", "direction":"ab"|"ba"|"both", "delay_ms":…, "loss":…, "rate_mbit":…, "queue":…,
 *    "blackhole":true|false}   what is not named stays as it is; direction is "both" if not named
 *   {"op":"stats"}             settings and counters of "ab" and "ba"; "set" answers the same
 */
void request_run(gpointer wire, const char *line, control_done done, gpointer to);
