/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lab guest's TCP service: one request per line, on REPORT_GUEST_PORT, several in a connection. */
#pragma once

#include "dirty.h"
#include "writer.h"

/*
 *   state                              one line of JSON
 *   set [writes=N] [dirty=N] [wset=N]  the same, after the change
 *   sync                               {"ok":true} once every disk is flushed
 *   read                               struct entry, from ENTRY_BEGIN to ENTRY_END (report.h)
 *   poweroff | reboot                  {"ok":true}, then it happens
 *
 * What cannot be done is answered {"ok":false,"error":"…"} and the connection stays open.
 */
struct service {
    struct options options;
    uint64_t boot;
    struct ring *ring;
    struct radio *radio;
    struct writer *writer;
    struct dirty *dirty;
};

/* Serves until the guest ends; returns only with one sentence in ERROR. */
void service_run(struct service *service, char *error, size_t size);
