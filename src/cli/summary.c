/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A move in a few lines; see summary.h. */
#include "cli/summary.h"

#include "cli/progress.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

#include <string.h>

static void fact(table *facts, const char *name, const char *text)
{
    table_row(facts, (const char *[]){name, text}, -1, OUT_PLAIN);
}

char *summary_verdict(const migration *m)
{
    if (!strcmp(m->phase, "completed"))
        return m->source ? g_strdup_printf("%s runs on %s now", m->vm, m->peer)
                         : g_strdup_printf("%s came from %s and runs here now", m->vm, m->peer);
    return g_strdup_printf("%s %s %s: %s", m->vm, m->source ? "->" : "<-", m->peer, m->phase);
}

static void add_times(const migration *m, table *facts, double now)
{
    g_autofree char *began = text_time(m->began), *text = NULL;
    double took = m->total_seconds >= 0 ? m->total_seconds : m->began >= 0 ? now - m->began : -1;
    g_autofree char *time = text_duration(took);

    if (migration_has_ended(m))
        text = g_strdup_printf("%s, began %s", time, began);
    else
        text = g_strdup_printf("%s so far, began %s", time, began);
    fact(facts, "total time", text);
    if (m->blackout_ms >= 0) {
        g_autofree char *blackout = m->blackout_ms < 9950
                                        ? g_strdup_printf("%.0f ms", m->blackout_ms)
                                        : text_duration(m->blackout_ms / 1000);
        fact(facts, "blackout", blackout);
    }
}

static void add_bytes(const migration *m, table *facts)
{
    g_autofree char *logical = NULL, *wire = NULL, *text = NULL;

    if (m->logical_bytes <= 0 || m->wire_bytes < 0)
        return;
    logical = text_size(m->logical_bytes);
    wire = text_size(m->wire_bytes);
    text = g_strdup_printf("%s of disks and memory, %s on the wire (%.0f %%)", logical, wire,
                           100.0 * (double)m->wire_bytes / (double)m->logical_bytes);
    fact(facts, "moved", text);
    if (m->found_bytes > 0) {
        g_autofree char *found = text_size(m->found_bytes), *line = NULL;
        line = g_strdup_printf("%s of that %s already, and did not cross", found,
                               m->source ? "the target had" : "was here");
        fact(facts, "found", line);
    }
}

static void add_limit(GString *text, const char *whose, gint64 bytes)
{
    g_autofree char *rate = text_rate(bytes);

    if (bytes > 0)
        g_string_append_printf(text, "%s%s: %s", text->len ? ", " : "", whose, rate);
}

/* What a move that goes on is held to. */
static void add_limits(const migration *m, table *facts)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *theirs = g_strconcat("share at ", m->peer, NULL);
    g_autofree char *spared = text_rate(m->spared);

    if (migration_has_ended(m))
        return;
    add_limit(text, m->source ? "this move" : "as its source has it", m->bandwidth);
    add_limit(text, "share here", m->share);
    add_limit(text, theirs, m->peer_share);
    if (text->len)
        fact(facts, "bandwidth", text->str);
    g_string_truncate(text, 0);
    if (m->latency_guard > 0)
        g_string_append_printf(text, "%g times the guest's usual disk latency", m->latency_guard);
    if (m->spared > 0)
        g_string_append_printf(text, "; slowed down to spare the guest: %s for its disks", spared);
    if (text->len)
        fact(facts, "latency guard", text->str);
}

/* What a move that is held waits for; once it is ready, "waiting" says so. */
static void add_hold(const migration *m, table *facts)
{
    g_autofree char *at = text_time(m->cutover_at), *text = NULL;

    if (!m->hold || !strcmp(m->hold, "over") || migration_has_ended(m))
        return;
    text = m->group ? g_strdup_printf("%s, switches over by 'ferry cutover --group %s'", m->hold, m->group)
           : m->cutover_at >= 0 ? g_strdup_printf("%s, switches over at %s", m->hold, at)
                              : g_strdup_printf("%s, switches over by 'ferry cutover %s'", m->hold, m->vm);
    fact(facts, "hold", text);
}

/* What somebody has ordered, and what came of it. */
static void add_order(const migration *m, table *facts)
{
    const char *what, *state, *why;
    g_autofree char *text = NULL;
    JsonObject *order;

    if (!json_get_object(m->json, "order", &order, NULL) ||
        !json_get_string(order, "what", &what, NULL) ||
        !json_get_string(order, "state", &state, NULL) ||
        !json_opt_string(order, "why", &why, NULL, NULL))
        return;
    text = g_strdup_printf("%s, %s%s%s", what, state, why ? ": " : "", why ? why : "");
    fact(facts, "order", text);
}

/* The disks that are kept here, one a line. */
static void add_paths(GString *text, JsonArray *paths)
{
    for (guint i = 0; i < json_array_get_length(paths); i++) {
        JsonNode *path = json_array_get_element(paths, i);
        if (JSON_NODE_HOLDS_VALUE(path) && json_node_get_value_type(path) == G_TYPE_STRING)
            g_string_append_printf(text, "\n%s", json_node_get_string(path));
    }
}

static void add_way_back(const migration *m, table *facts, double now)
{
    guint count = m->way_back_disks ? json_array_get_length(m->way_back_disks) : 0;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *until = text_time(m->way_back_until);
    g_autofree char *left = text_duration(MAX(0, m->way_back_until - now));

    if (strcmp(m->phase, "completed") != 0)
        return;
    if (m->source && (m->way_back_until < 0 || count == 0)) {
        fact(facts, "way back", "none: the disks here were deleted");
        return;
    }
    if (m->way_back_until < 0)
        return;
    if (!m->way_back_open) {
        fact(facts, "way back", m->source ? "ended: the disks here were deleted" : "ended");
        return;
    }
    g_string_append_printf(text, "until %s (%s): ", until, left);
    if (m->source)
        g_string_append_printf(text, "'ferry return %s' on %s brings it back", m->vm, m->peer);
    else
        g_string_append_printf(text, "'ferry return %s' brings it back to %s", m->vm, m->peer);
    g_string_append_printf(text, ", 'ferry commit %s' deletes the disks kept %s%s now%s", m->vm,
                           m->source ? "here" : "on ", m->source ? "" : m->peer, count ? ":" : "");
    if (count)
        add_paths(text, m->way_back_disks);
    fact(facts, "way back", text->str);
}

void summary_print(const migration *m, out *to, double now)
{
    g_autoptr(table) facts = table_new((const char *[]){"", "", NULL});
    g_autofree char *verdict = summary_verdict(m);
    gboolean ended = migration_has_ended(m), good = !strcmp(m->phase, "completed");

    out_line(to, !ended ? OUT_BOLD : good ? OUT_GOOD : OUT_BAD, "%s", verdict);
    fact(facts, "id", m->id);
    if (!ended) {
        g_autofree char *progress = progress_text(m);
        fact(facts, "phase", progress);
    }
    if (m->error_text && !m->blocked_by) /* else the findings below say it */
        fact(facts, m->error_code ? m->error_code : "error", m->error_text);
    add_order(m, facts);
    add_times(m, facts, now);
    add_bytes(m, facts);
    add_limits(m, facts);
    add_hold(m, facts);
    add_way_back(m, facts, now);
    table_print(facts, to, 2);
    if (m->changes)
        report_changes(m->changes, to);
    if (m->findings)
        report_findings(m->findings, to);
}
