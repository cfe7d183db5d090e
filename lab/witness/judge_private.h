/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What judge.c (reports) and verify.c (read-back) share of the oracle; nobody else includes it. */
#pragma once

#include "judge.h"

#define JUDGE_RECENT 1024 /* packets of each NIC whose content is remembered */
#define JUDGE_QUEUED 8    /* packets that a hypervisor may send on for the guest after its move */

struct judge_packet {
    guint64 count;
    guint32 sum;
    const char *host; /* NULL: nothing here */
};

/* What one NIC has sent since boot. */
struct judge_stream {
    const char *host;   /* that sends now; NULL: nothing heard yet */
    const char *before; /* that sent before FIRST */
    guint64 first;      /* first packet heard from HOST */
    guint64 last;       /* highest packet heard */
    guint64 last_ns;    /* the guest's clock in it */
    struct judge_packet recent[JUDGE_RECENT];
};

struct judge_heard {
    guint64 seq; /* 0: nothing here */
    guint64 boot;
    guint32 sum;
};

struct judge {
    char vm[REPORT_NAME];
    gboolean booted;
    guint64 boot;
    guint64 past_boot[16];
    guint past_boots;
    guint32 memory_errors; /* of this boot */
    struct judge_stream stream[REPORT_NICS];
    guint queued; /* of JUDGE_QUEUED, lately */
    GArray *epochs;        /* struct judge_epoch */
    GPtrArray *violations; /* struct judge_violation */
    struct judge_heard *heard; /* record seq is at seq % heard_room */
    gsize heard_room;
    struct judge_summary summary;
};

void judge_note(struct judge *j, enum judge_kind kind, gint64 now_us, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
