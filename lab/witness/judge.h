/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The oracle for one VM: from what was heard and what is read back it finds every broken promise. */
#pragma once

#include "guest/report.h"

#include <glib.h>

/*
 * Two copies. Hosts are told apart by where a report comes from, copies by what it says; three rules,
 * each enough by itself:
 *   - a NIC's packet number (report.count) is used once. Heard again with other content, or from a
 *     host that this NIC had left before that number: two copies. The same holds for a record number.
 *   - the guest's clock orders all it sends. A host heard at a moment of that clock at which another
 *     host already ran the guest: two copies. The clock running backwards: an older copy.
 *   - a boot of the guest is never heard again once a later boot was.
 * Packets may have been on their way, or in a queue of the hypervisor, when the guest moved: hosts may
 * overlap by JUDGE_SLACK_NS of the guest's clock, and within JUDGE_BACK_NS of a move, which is less than
 * any move takes, the old host may still be heard of what came before it.
 *
 * Pure: no I/O, no clock of its own, so that all of this is tested with synthetic reports.
 * Not thread-safe.
 */
#define JUDGE_SLACK_NS 50000000u
#define JUDGE_BACK_NS 250000000u
#define JUDGE_EPOCHS 256     /* remembered: the first, and the latest of the others */
#define JUDGE_VIOLATIONS 100 /* remembered: the first; all are counted */
#define JUDGE_HEARD (1u << 18) /* acknowledged records remembered: the latest */

enum judge_kind {
    JUDGE_TWO_COPIES, /* two running copies, or a copy older than what was heard already */
    JUDGE_CONFLICT,   /* one record number, two contents */
    JUDGE_CLOCK,      /* the guest's clock ran backwards */
    JUDGE_LOST,       /* an acknowledged record is not on its disk */
    JUDGE_CORRUPT,    /* it is, but not as it was written */
    JUDGE_MEMORY,     /* the guest found memory other than it had written */
    JUDGE_KINDS
};

struct judge_violation {
    enum judge_kind kind;
    gint64 at_us; /* when it was found, on the caller's clock */
    char *text;   /* one sentence */
};

/* A stretch of time in which one boot of the guest was heard from one host. */
struct judge_epoch {
    const char *host; /* interned */
    guint64 boot;
    gint64 first_us, last_us;    /* when it was heard, on the caller's clock */
    guint64 first_ns, last_ns;   /* the guest's clock */
    guint64 first_seq, last_seq; /* records acknowledged, 0: none */
    guint64 reports;
};

struct judge_summary {
    guint64 records;    /* acknowledged and heard */
    guint64 failed;     /* failed writes heard */
    guint64 duplicates; /* the very same packet heard twice: the network's doing */
    guint64 late;       /* heard from a host the guest had just left */
    guint64 last_seq;   /* highest record acknowledged and heard */
    guint64 memory_errors;
    guint64 violations[JUDGE_KINDS];
    guint64 violations_all;
};

/* What a read-back came to. */
struct judge_verdict {
    guint64 checked;     /* records that had to be there */
    guint64 heard;       /* of these, acknowledged and heard */
    guint64 missing;     /* not there */
    guint64 corrupt;     /* there, but different */
    guint64 overwritten; /* heard once, written over since as planned */
    GPtrArray *texts;    /* sentences about the first few, char * */
};

struct judge;

struct judge *judge_new(const char *vm);
void judge_free(struct judge *judge);

/* R has passed report_valid() and is this VM's; HOST is interned; NOW_US never runs backwards. FALSE when
 * it was known already or is not to be believed, and so nothing new was learnt. */
gboolean judge_hear(struct judge *judge, const struct report *r, const char *host, gint64 now_us);

/* ENTRIES are a whole read-back, BEGIN to END, that passed readback's checks, and were asked for when
 * judge_last_seq() was LAST_SEQ. Violations are noted. The caller calls judge_verdict_clear(). */
void judge_verify(struct judge *judge, const struct entry *entries, gsize n, guint64 last_seq,
                  gint64 now_us, struct judge_verdict *verdict);
void judge_verdict_clear(struct judge_verdict *verdict);

void judge_get_summary(const struct judge *judge, struct judge_summary *summary);
const struct judge_epoch *judge_epoch(const struct judge *judge, guint i); /* NULL: no more */
const struct judge_violation *judge_violation(const struct judge *judge, guint i); /* NULL: no more */
const char *judge_kind_name(enum judge_kind kind);
