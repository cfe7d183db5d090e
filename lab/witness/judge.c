/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The oracle for one VM: what is heard. The read-back is judged in verify.c. */
#include "judge_private.h"

#include <string.h>

static const char *const kind_names[] = {"two-copies", "conflict", "clock",
                                         "lost",       "corrupt",  "memory"};
G_STATIC_ASSERT(G_N_ELEMENTS(kind_names) == JUDGE_KINDS);

const char *judge_kind_name(enum judge_kind kind)
{
    return kind_names[kind];
}

static void violation_free(gpointer data)
{
    struct judge_violation *v = data;
    g_free(v->text);
    g_free(v);
}

struct judge *judge_new(const char *vm)
{
    struct judge *j = g_new0(struct judge, 1);
    g_strlcpy(j->vm, vm, sizeof j->vm);
    j->epochs = g_array_new(FALSE, FALSE, sizeof(struct judge_epoch));
    j->violations = g_ptr_array_new_with_free_func(violation_free);
    return j;
}

void judge_free(struct judge *j)
{
    g_array_unref(j->epochs);
    g_ptr_array_unref(j->violations);
    g_free(j->heard);
    g_free(j);
}

void judge_note(struct judge *j, enum judge_kind kind, gint64 now_us, const char *format, ...)
{
    j->summary.violations[kind]++;
    j->summary.violations_all++;
    if (j->violations->len >= JUDGE_VIOLATIONS)
        return;
    struct judge_violation *v = g_new0(struct judge_violation, 1);
    va_list args;
    va_start(args, format);
    v->kind = kind;
    v->at_us = now_us;
    v->text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(j->violations, v);
}

static struct judge_epoch *current_epoch(struct judge *j)
{
    return j->epochs->len ? &g_array_index(j->epochs, struct judge_epoch, j->epochs->len - 1)
                          : NULL;
}

static void begin_epoch(struct judge *j, const struct report *r, const char *host, gint64 now_us)
{
    struct judge_epoch e = {.host = host,
                            .boot = r->boot,
                            .first_us = now_us,
                            .last_us = now_us,
                            .first_ns = r->mono_ns,
                            .last_ns = r->mono_ns,
                            .reports = 1};
    struct judge_epoch *last = current_epoch(j);
    /* Hosts that take turns in no time do not earn a new allowance each time. */
    if (last && last->last_ns - last->first_ns > JUDGE_BACK_NS)
        j->queued = 0;
    if (j->epochs->len == JUDGE_EPOCHS)
        g_array_remove_index(j->epochs, 1);
    g_array_append_val(j->epochs, e);
}

/* FALSE: a boot that a later one had replaced. */
static gboolean judge_boot(struct judge *j, const struct report *r, const char *host, gint64 now_us)
{
    if (j->boot == r->boot && j->booted)
        return TRUE;
    for (guint i = 0; i < j->past_boots; i++)
        if (j->past_boot[i] == r->boot) {
            judge_note(j, JUDGE_TWO_COPIES, now_us,
                       "boot %016" G_GINT64_MODIFIER
                       "x is heard from %s although boot %016" G_GINT64_MODIFIER "x came after it",
                       r->boot, host, j->boot);
            return FALSE;
        }
    if (j->booted) {
        if (j->past_boots == G_N_ELEMENTS(j->past_boot))
            memmove(j->past_boot, j->past_boot + 1, sizeof *j->past_boot * --j->past_boots);
        j->past_boot[j->past_boots++] = j->boot;
    }
    j->booted = TRUE;
    j->boot = r->boot;
    j->memory_errors = 0;
    memset(j->stream, 0, sizeof j->stream);
    return TRUE;
}

enum sighting { FRESH, OLD, DUPLICATE, REFUSED };

/* The first rule: packet numbers of one NIC. */
static enum sighting judge_stream(struct judge *j, const struct report *r, const char *host,
                                  gint64 now_us)
{
    struct judge_stream *s = &j->stream[r->nic];
    struct judge_packet *p = &s->recent[r->count % JUDGE_RECENT];

    if (p->count == r->count && p->host && p->sum == r->sum && p->host == host)
        return DUPLICATE;
    if (p->count == r->count && p->host) {
        judge_note(j, JUDGE_TWO_COPIES, now_us,
                   "packet %" G_GUINT64_FORMAT " of NIC %u is heard from %s and, %s, from %s",
                   r->count, r->nic, p->host, p->sum == r->sum ? "the same" : "with other content",
                   host);
        return REFUSED;
    }
    if (r->count <= s->last && s->host) {
        if (s->last - r->count >= JUDGE_RECENT) {
            judge_note(j, JUDGE_TWO_COPIES, now_us,
                       "NIC %u counts packet %" G_GUINT64_FORMAT
                       " from %s after packet %" G_GUINT64_FORMAT ": an older copy",
                       r->nic, r->count, host, s->last);
            return REFUSED;
        }
        if (host != s->host && (host != s->before || r->count >= s->first)) {
            judge_note(j, JUDGE_TWO_COPIES, now_us,
                       "packet %" G_GUINT64_FORMAT
                       " of NIC %u is heard from %s although %s has sent "
                       "up to %" G_GUINT64_FORMAT,
                       r->count, r->nic, host, s->host, s->last);
            return REFUSED;
        }
    }
    *p = (struct judge_packet){.count = r->count, .sum = r->sum, .host = host};
    if (r->count <= s->last && s->host)
        return OLD;
    if (r->mono_ns < s->last_ns)
        judge_note(j, JUDGE_CLOCK, now_us,
                   "the clock runs backwards by %" G_GUINT64_FORMAT " ns on %s",
                   s->last_ns - r->mono_ns, host);
    if (s->host != host) {
        s->before = s->host;
        s->host = host;
        s->first = r->count;
    }
    s->last = r->count;
    s->last_ns = r->mono_ns;
    return FRESH;
}

static gboolean clock_violation(struct judge *j, const struct report *r, const char *host,
                                const struct judge_epoch *e, gint64 now_us)
{
    judge_note(j, JUDGE_TWO_COPIES, now_us,
               "the guest runs on %s at %.3f s of its clock and on %s from %.3f to %.3f s", host,
               (double)r->mono_ns / 1e9, e->host, (double)e->first_ns / 1e9,
               (double)e->last_ns / 1e9);
    return FALSE;
}

/* The second rule: the guest's clock over all NICs. FALSE: a violation. */
static gboolean judge_clock(struct judge *j, const struct report *r, const char *host,
                            gint64 now_us)
{
    struct judge_epoch *e = current_epoch(j);
    const struct judge_epoch *before = NULL;

    if (!e || e->boot != r->boot) {
        begin_epoch(j, r, host, now_us);
        return TRUE;
    }
    if (j->epochs->len > 1 && e[-1].boot == r->boot)
        before = &e[-1];
    if (e->host == host) {
        if (before && r->mono_ns + JUDGE_SLACK_NS < before->last_ns)
            return clock_violation(j, r, host, before, now_us);
        e->last_ns = MAX(e->last_ns, r->mono_ns);
        e->last_us = now_us;
        e->reports++;
        return TRUE;
    }
    if (before && before->host == host && r->mono_ns < e->first_ns + JUDGE_BACK_NS) {
        /* Late from where the guest was. When it looks newer than all that came from where the
         * guest is now, that was only the little a hypervisor had still in its queues. */
        if (r->mono_ns > e->last_ns && ++j->queued > JUDGE_QUEUED)
            return clock_violation(j, r, host, e, now_us);
        j->summary.late++;
        return TRUE;
    }
    if (r->mono_ns + JUDGE_SLACK_NS < e->last_ns)
        return clock_violation(j, r, host, e, now_us);
    begin_epoch(j, r, host, now_us);
    return TRUE;
}

/* Room for every record that can be on the disks at once, within JUDGE_HEARD. */
static void make_room(struct judge *j, const struct report *r)
{
    guint64 want = (guint64)r->disks * r->slots;
    gsize room = 1u << 16;

    while (room < want && room < JUDGE_HEARD)
        room *= 2;
    if (room <= j->heard_room)
        return;
    struct judge_heard *bigger = g_new0(struct judge_heard, room);
    for (gsize i = 0; i < j->heard_room; i++)
        if (j->heard[i].seq)
            bigger[j->heard[i].seq % room] = j->heard[i];
    g_free(j->heard);
    j->heard = bigger;
    j->heard_room = room;
}

static void hear_record(struct judge *j, const struct report *r, const char *host, gint64 now_us)
{
    make_room(j, r);
    struct judge_heard *h = &j->heard[r->seq % j->heard_room];

    if (h->seq == r->seq && (h->sum != r->record_sum || h->boot != r->boot))
        judge_note(j, JUDGE_CONFLICT, now_us,
                   "record %" G_GUINT64_FORMAT " is reported from %s with another content than it "
                   "was acknowledged with before",
                   r->seq, host);
    if (h->seq >= r->seq)
        return;
    *h = (struct judge_heard){.seq = r->seq, .boot = r->boot, .sum = r->record_sum};
    j->summary.records++;
    j->summary.last_seq = MAX(j->summary.last_seq, r->seq);
    struct judge_epoch *e = current_epoch(j);
    if (e->host == host && e->boot == r->boot) {
        e->last_seq = MAX(e->last_seq, r->seq);
        e->first_seq = e->first_seq ? MIN(e->first_seq, r->seq) : r->seq;
    }
}

gboolean judge_hear(struct judge *j, const struct report *r, const char *host, gint64 now_us)
{
    if (!judge_boot(j, r, host, now_us))
        return FALSE;
    enum sighting s = judge_stream(j, r, host, now_us);
    if (s == DUPLICATE) {
        j->summary.duplicates++;
        return FALSE;
    }
    gboolean good = s != REFUSED && judge_clock(j, r, host, now_us);
    /* What a second copy says of records and memory is evidence all the same. */
    if (r->memory_errors > j->memory_errors) {
        judge_note(j, JUDGE_MEMORY, now_us,
                   "the guest on %s found %u pages of memory that are not "
                   "what it had written",
                   host, r->memory_errors - j->memory_errors);
        j->summary.memory_errors += r->memory_errors - j->memory_errors;
        j->memory_errors = r->memory_errors;
    }
    if (r->kind == REPORT_RECORD)
        hear_record(j, r, host, now_us);
    else if (r->kind == REPORT_FAILED)
        j->summary.failed++;
    return good;
}

void judge_get_summary(const struct judge *j, struct judge_summary *summary)
{
    *summary = j->summary;
}

const struct judge_epoch *judge_epoch(const struct judge *j, guint i)
{
    return i < j->epochs->len ? &g_array_index(j->epochs, struct judge_epoch, i) : NULL;
}

const struct judge_violation *judge_violation(const struct judge *j, guint i)
{
    return i < j->violations->len ? g_ptr_array_index(j->violations, i) : NULL;
}
