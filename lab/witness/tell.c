/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a witness knows, as JSON. */
#include "tell.h"

static void number(JsonBuilder *b, const char *name, gint64 value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_int_value(b, value);
}

static void text(JsonBuilder *b, const char *name, const char *value)
{
    json_builder_set_member_name(b, name);
    if (value)
        json_builder_add_string_value(b, value);
    else
        json_builder_add_null_value(b);
}

/* Microseconds on the witness's clock as milliseconds; null when there is nothing to tell. */
static void milliseconds(JsonBuilder *b, const char *name, gboolean known, gint64 us)
{
    json_builder_set_member_name(b, name);
    if (known)
        json_builder_add_double_value(b, (double)us / 1000);
    else
        json_builder_add_null_value(b);
}

static void boot_id(JsonBuilder *b, guint64 boot)
{
    g_autofree char *id = g_strdup_printf("%016" G_GINT64_MODIFIER "x", boot);
    text(b, "boot", id);
}

static void tell_series(JsonBuilder *b, const struct watch *w, const struct watch_series *s,
                        const struct figures_series *f)
{
    json_builder_begin_object(b);
    text(b, "address", s->address);
    number(b, "interval_ms", s->interval_ms);
    number(b, "sent", (gint64)f->sent);
    number(b, "answered", (gint64)f->answered);
    number(b, "lost", (gint64)f->lost);
    milliseconds(b, "silence_ms", s->answered_us != 0, f->silence.longest_us);
    milliseconds(b, "silence_at_ms", f->silence.longest_us != 0, f->silence.at_us - w->start_us);
    milliseconds(b, "send_gap_ms", f->sent > 1, f->send_gap_us);
    json_builder_end_object(b);
}

static void tell_figures(JsonBuilder *b, const struct watch *w, const struct watch_vm *vm,
                         const struct figures *f)
{
    gint64 until = f->end_us ? f->end_us : w->now_us, blackout = 0;
    guint64 lost_fast = 0, lost_slow = 0;
    gboolean answered = FALSE;

    json_builder_begin_object(b);
    milliseconds(b, "begin_ms", TRUE, f->begin_us - w->start_us);
    milliseconds(b, "length_ms", TRUE, until - f->begin_us);
    json_builder_set_member_name(b, "open");
    json_builder_add_boolean_value(b, f->end_us == 0);
    number(b, "writes", (gint64)f->writes);
    number(b, "failed", (gint64)f->failed);
    json_builder_set_member_name(b, "latency_us");
    json_builder_begin_object(b);
    number(b, "p50", (gint64)figures_latency(f, 0.5));
    number(b, "p99", (gint64)figures_latency(f, 0.99));
    number(b, "max", (gint64)f->latency_max_us);
    json_builder_end_object(b);
    milliseconds(b, "write_silence_ms", vm->record_us != 0, f->reports.longest_us);
    json_builder_set_member_name(b, "probes");
    json_builder_begin_array(b);
    for (guint i = 0; i < vm->n_series; i++) {
        const struct figures_series *s = &f->series[i];
        gboolean fast = vm->series[i].interval_ms == WATCH_FAST_MS;
        *(fast ? &lost_fast : &lost_slow) += s->lost;
        if (fast && vm->series[i].answered_us) {
            blackout = MAX(blackout, s->silence.longest_us);
            answered = TRUE;
        }
        tell_series(b, w, &vm->series[i], s);
    }
    json_builder_end_array(b);
    milliseconds(b, "blackout_ms", answered, blackout);
    number(b, "pings_lost_10ms", (gint64)lost_fast);
    number(b, "pings_lost_1s", (gint64)lost_slow);
    json_builder_end_object(b);
}

static void tell_epochs(JsonBuilder *b, const struct watch *w, const struct judge *judge)
{
    const struct judge_epoch *e;

    json_builder_begin_array(b);
    for (guint i = 0; (e = judge_epoch(judge, i)); i++) {
        json_builder_begin_object(b);
        text(b, "host", e->host);
        boot_id(b, e->boot);
        milliseconds(b, "first_ms", TRUE, e->first_us - w->start_us);
        milliseconds(b, "last_ms", TRUE, e->last_us - w->start_us);
        number(b, "first_seq", (gint64)e->first_seq);
        number(b, "last_seq", (gint64)e->last_seq);
        number(b, "reports", (gint64)e->reports);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}

static void tell_violations(JsonBuilder *b, const struct watch *w, const struct judge *judge)
{
    const struct judge_violation *v;

    json_builder_begin_array(b);
    for (guint i = 0; (v = judge_violation(judge, i)); i++) {
        json_builder_begin_object(b);
        text(b, "kind", judge_kind_name(v->kind));
        milliseconds(b, "at_ms", TRUE, v->at_us - w->start_us);
        text(b, "text", v->text);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}

static void tell_vm(JsonBuilder *b, const struct watch *w, const struct watch_vm *vm)
{
    struct judge_summary s;

    judge_get_summary(vm->judge, &s);
    json_builder_begin_object(b);
    text(b, "verdict", s.violations_all ? "bad" : "good");
    text(b, "host", vm->host);
    boot_id(b, vm->boot);
    number(b, "seq", (gint64)vm->seq);
    number(b, "records", (gint64)s.records);
    number(b, "last_record", (gint64)s.last_seq);
    number(b, "failed", (gint64)s.failed);
    number(b, "memory_errors", (gint64)s.memory_errors);
    number(b, "duplicates", (gint64)s.duplicates);
    number(b, "late", (gint64)s.late);
    number(b, "busy_us", (gint64)vm->busy_us);
    milliseconds(b, "heard_ms_ago", vm->heard_us != 0, w->now_us - vm->heard_us);
    json_builder_set_member_name(b, "epochs");
    tell_epochs(b, w, vm->judge);
    json_builder_set_member_name(b, "violation_counts");
    json_builder_begin_object(b);
    for (guint k = 0; k < JUDGE_KINDS; k++)
        number(b, judge_kind_name(k), (gint64)s.violations[k]);
    json_builder_end_object(b);
    json_builder_set_member_name(b, "violations");
    tell_violations(b, w, vm->judge);
    json_builder_set_member_name(b, "windows");
    json_builder_begin_object(b);
    for (guint i = 0; i < w->n_windows; i++) {
        json_builder_set_member_name(b, w->windows[i]);
        tell_figures(b, w, vm, &vm->figures[i]);
    }
    json_builder_end_object(b);
    json_builder_end_object(b);
}

JsonNode *tell_stats(struct watch *w, const char *only)
{
    g_autoptr(JsonBuilder) b = json_builder_new();

    if (only && !watch_find(w, only))
        return NULL;
    watch_settle(w);
    json_builder_begin_object(b);
    json_builder_set_member_name(b, "ok");
    json_builder_add_boolean_value(b, TRUE);
    milliseconds(b, "now_ms", TRUE, w->now_us - w->start_us);
    number(b, "refused", (gint64)w->refused);
    json_builder_set_member_name(b, "vms");
    json_builder_begin_object(b);
    for (guint i = 0; i < w->vms->len; i++) {
        const struct watch_vm *vm = g_ptr_array_index(w->vms, i);
        if (only && g_strcmp0(only, vm->name) != 0)
            continue;
        json_builder_set_member_name(b, vm->name);
        tell_vm(b, w, vm);
    }
    json_builder_end_object(b);
    json_builder_end_object(b);
    return json_builder_get_root(b);
}

void tell_verdict(JsonBuilder *b, const struct judge_verdict *v)
{
    text(b, "verdict", v->missing || v->corrupt ? "bad" : "good");
    number(b, "checked", (gint64)v->checked);
    number(b, "heard", (gint64)v->heard);
    number(b, "missing", (gint64)v->missing);
    number(b, "corrupt", (gint64)v->corrupt);
    number(b, "overwritten", (gint64)v->overwritten);
    json_builder_set_member_name(b, "findings");
    json_builder_begin_array(b);
    for (guint i = 0; i < v->texts->len; i++)
        json_builder_add_string_value(b, g_ptr_array_index(v->texts, i));
    json_builder_end_array(b);
}
