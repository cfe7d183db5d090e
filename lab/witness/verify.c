/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The oracle for one VM: compares what is on the disks with what was acknowledged. */
#include "judge_private.h"

#include <string.h>

#define TEXTS 20

struct check {
    struct judge *judge;
    const struct entry *begin, *end;
    const struct entry **at; /* by disk * slots + slot; NULL: blank */
    guint64 *failed;         /* sorted */
    gsize n_failed;
    guint64 known_from; /* every record since then is known to have been acknowledged or not */
    gint64 now_us;
    struct judge_verdict *verdict;
};

static void bad(struct check *c, enum judge_kind kind, char *text)
{
    *(kind == JUDGE_LOST ? &c->verdict->missing : &c->verdict->corrupt) += 1;
    judge_note(c->judge, kind, c->now_us, "%s", text);
    if (c->verdict->texts->len < TEXTS)
        g_ptr_array_add(c->verdict->texts, text);
    else
        g_free(text);
}

static const struct judge_heard *heard(const struct judge *j, guint64 seq)
{
    const struct judge_heard *h = j->heard_room ? &j->heard[seq % j->heard_room] : NULL;
    return h && h->seq == seq ? h : NULL;
}

/* What is where record SEQ belongs. */
static const struct entry *find(const struct check *c, guint64 seq)
{
    guint64 disks = c->begin->disks, slots = c->begin->slots;
    return c->at[seq % disks * slots + seq / disks % slots];
}

static gboolean is_record(const struct check *c, const struct entry *e, guint64 seq)
{
    return e && e->kind == ENTRY_GOOD && e->seq == seq && strcmp(e->vm, c->judge->vm) == 0;
}

static int compare_seq(const void *key, const void *element)
{
    guint64 a = *(const guint64 *)key, b = *(const guint64 *)element;
    return a < b ? -1 : a > b;
}

/*
 * Every record in the window was acknowledged to the guest, heard of or not, unless its write
 * failed; of boots before this one only what was heard is known to have been.
 */
static void check_record(struct check *c, guint64 seq)
{
    const struct judge_heard *h = heard(c->judge, seq);
    const struct entry *e = find(c, seq);
    const char *where = h ? "acknowledged and heard of" : "acknowledged";
    guint64 disk = seq % c->begin->disks;

    if (!h &&
        (seq < c->known_from || bsearch(&seq, c->failed, c->n_failed, sizeof seq, compare_seq)))
        return;
    c->verdict->checked++;
    c->verdict->heard += h != NULL;
    if (!e) {
        bad(c, JUDGE_LOST,
            g_strdup_printf("record %" G_GUINT64_FORMAT ", %s, is missing: disk %" G_GUINT64_FORMAT
                            " is blank there",
                            seq, where, disk));
    } else if (e->kind == ENTRY_BAD) {
        bad(c, JUDGE_CORRUPT,
            g_strdup_printf(
                "record %" G_GUINT64_FORMAT ", %s, is damaged on disk %" G_GUINT64_FORMAT "%s%s",
                seq, where, disk, e->error ? ": " : "", e->error ? g_strerror(e->error) : ""));
    } else if (strcmp(e->vm, c->judge->vm) != 0) {
        bad(c, JUDGE_CORRUPT,
            g_strdup_printf("record %" G_GUINT64_FORMAT ", %s, is missing: disk %" G_GUINT64_FORMAT
                            " holds a record of %s there",
                            seq, where, disk, e->vm));
    } else if (e->seq != seq) {
        bad(c, JUDGE_LOST,
            g_strdup_printf("record %" G_GUINT64_FORMAT ", %s, is missing: disk %" G_GUINT64_FORMAT
                            " still holds record %" G_GUINT64_FORMAT " there",
                            seq, where, disk, e->seq));
    } else if (h && (h->sum != e->record_sum || h->boot != e->boot)) {
        bad(c, JUDGE_CORRUPT,
            g_strdup_printf("record %" G_GUINT64_FORMAT " on disk %" G_GUINT64_FORMAT
                            " is whole, but not the one that was acknowledged",
                            seq, disk));
    } else if (is_record(c, find(c, seq - 1), seq - 1) &&
               find(c, seq - 1)->record_sum != e->previous) {
        bad(c, JUDGE_CORRUPT,
            g_strdup_printf("record %" G_GUINT64_FORMAT " does not follow the "
                            "record %" G_GUINT64_FORMAT " that is on the disk",
                            seq, seq - 1));
    }
}

/* Heard of, but past what the guest itself knows: the disks, or the guest, are from an earlier
 * time. */
static void check_future(struct check *c, guint64 last_seq)
{
    for (guint64 seq =
             MAX(c->end->seq + 1,
                 last_seq > c->judge->heard_room ? last_seq - c->judge->heard_room + 1 : 1);
         seq <= last_seq; seq++) {
        if (!heard(c->judge, seq))
            continue;
        c->verdict->checked++;
        c->verdict->heard++;
        bad(c, JUDGE_LOST,
            g_strdup_printf("record %" G_GUINT64_FORMAT ", acknowledged and heard of, "
                            "is missing: the last one there is %" G_GUINT64_FORMAT,
                            seq, c->end->seq));
    }
}

void judge_verify(struct judge *j, const struct entry *entries, gsize n, guint64 last_seq,
                  gint64 now_us, struct judge_verdict *verdict)
{
    const struct entry *begin = &entries[0], *end = &entries[n - 1];
    guint64 room = (guint64)begin->disks * begin->slots;
    guint64 low = end->seq > room ? end->seq - room + 1 : 1;
    g_autofree const struct entry **at = g_new0(const struct entry *, room);
    g_autofree guint64 *failed = g_new(guint64, REPORT_FAILURES);
    struct check c = {.judge = j,
                      .begin = begin,
                      .end = end,
                      .at = at,
                      .failed = failed,
                      .now_us = now_us,
                      .verdict = verdict};

    memset(verdict, 0, sizeof *verdict);
    verdict->texts = g_ptr_array_new_with_free_func(g_free);
    for (gsize i = 1; i + 1 < n; i++) {
        const struct entry *e = &entries[i];
        if (e->kind == ENTRY_FAILED && c.n_failed < REPORT_FAILURES)
            failed[c.n_failed++] = e->seq;
        else if (e->kind == ENTRY_GOOD || e->kind == ENTRY_BAD)
            at[(guint64)e->disk * begin->slots + e->slot] = e;
    }
    qsort(failed, c.n_failed, sizeof *failed, compare_seq);
    c.known_from =
        end->first > c.n_failed && c.n_failed ? MAX(begin->first, failed[0]) : begin->first;
    for (gsize i = 0; i < j->heard_room; i++)
        verdict->overwritten += j->heard[i].seq && j->heard[i].seq < low;
    for (guint64 seq = low; room && seq <= begin->seq; seq++)
        check_record(&c, seq);
    check_future(&c, last_seq);
}

void judge_verdict_clear(struct judge_verdict *verdict)
{
    g_clear_pointer(&verdict->texts, g_ptr_array_unref);
}
