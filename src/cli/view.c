/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A move as it is watched; see view.h. */
#include "cli/view.h"

#include "cli/progress.h"
#include "cli/report.h"
#include "cli/summary.h"

#include <string.h>

#define LINE_EVERY_US (5 * G_USEC_PER_SEC) /* in a pipe, within a phase */

struct view {
    cli *owner;
    migration *latest;
    gint64 line_at; /* monotonic µs of the last line in a pipe */
    char *line;     /* that line */
    gboolean held;
    GPtrArray *later; /* of held_line, while held */
};

typedef struct {
    out *to;
    char *text;
} held_line;

static void held_line_free(gpointer data)
{
    held_line *self = data;

    g_free(self->text);
    g_free(self);
}

static double now(void)
{
    return (double)g_get_real_time() / G_USEC_PER_SEC;
}

view *view_new(cli *owner)
{
    view *self = g_new0(view, 1);

    self->owner = owner;
    self->later = g_ptr_array_new_with_free_func(held_line_free);
    return self;
}

void view_free(view *self)
{
    if (!self)
        return;
    migration_free(self->latest);
    g_free(self->line);
    g_ptr_array_unref(self->later);
    g_free(self);
}

const migration *view_latest(const view *self)
{
    return self->latest;
}

void view_redraw(view *self)
{
    out *to = self->owner->out;
    g_autofree char *bar = NULL;

    if (!self->latest || self->held || self->owner->json || !out_is_terminal(to) ||
        migration_has_ended(self->latest))
        return;
    bar = progress_bar(self->latest, out_width(to) - 1, now());
    out_live(to, bar);
}

/* Takes `text`. */
static void say_line(view *self, out *to, char *text)
{
    held_line *line = g_new0(held_line, 1);

    line->to = to;
    line->text = text;
    g_ptr_array_add(self->later, line);
    if (!self->held)
        view_hold(self, FALSE);
}

/* The line that stays of a phase when the next one has begun. */
static void leave_phase(view *self, double ended)
{
    say_line(self, self->owner->out, progress_done(self->latest, ended));
}

static void show_on_terminal(view *self, const migration *m)
{
    gboolean stopped = !strcmp(m->phase, "failed") || !strcmp(m->phase, "cancelled");

    if (self->latest && strcmp(self->latest->phase, m->phase) != 0 && !stopped)
        leave_phase(self, migration_has_ended(m) ? m->ended : m->phase_began);
}

static void show_in_pipe(view *self, const migration *m)
{
    gboolean other = !self->latest || strcmp(self->latest->phase, m->phase) != 0 ||
                     g_strcmp0(self->latest->waiting, m->waiting) != 0;
    gint64 time = g_get_monotonic_time();
    g_autofree char *line = NULL;

    if (migration_has_ended(m) || (!other && time - self->line_at < LINE_EVERY_US))
        return;
    line = progress_text(m);
    if (!g_strcmp0(line, self->line))
        return;
    out_line(self->owner->out, OUT_PLAIN, "%s -> %s: %s", m->vm, m->peer, line);
    self->line_at = time;
    g_free(self->line);
    self->line = g_steal_pointer(&line);
}

void view_show(view *self, migration *m)
{
    if (self->latest && self->latest->version == m->version &&
        !strcmp(self->latest->phase, m->phase)) {
        migration_free(m);
        return;
    }
    if (!cli_print_json(self->owner, m->json)) {
        if (out_is_terminal(self->owner->out))
            show_on_terminal(self, m);
        else
            show_in_pipe(self, m);
    }
    migration_free(self->latest);
    self->latest = m;
    view_redraw(self);
}

void view_say(view *self, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    say_line(self, self->owner->err, g_strconcat("ferry: ", text, NULL));
}

void view_hold(view *self, gboolean hold)
{
    self->held = hold;
    (void)out_flush(self->owner->out);
    if (hold)
        return;
    for (guint i = 0; i < self->later->len; i++) {
        const held_line *line = self->later->pdata[i];
        out_line(line->to, OUT_PLAIN, "%s", line->text);
    }
    g_ptr_array_set_size(self->later, 0);
    view_redraw(self);
}

void view_end(view *self)
{
    const migration *m = self->latest;
    cli *owner = self->owner;

    (void)out_flush(owner->out);
    if (owner->json)
        return;
    if (migration_exit_status(m) == CLI_OK) {
        summary_print(m, owner->out, now());
        return;
    }
    if (m->findings)
        report_findings(m->findings, owner->err);
    out_text(owner->err, OUT_BAD, "ferry: ");
    if (m->blocked_by) /* the findings have said it */
        out_line(owner->err, OUT_PLAIN, CLI_BLOCKED_TEXT, m->vm, m->peer);
    else
        out_line(owner->err, OUT_PLAIN, "the move of %s to %s %s: %s", m->vm, m->peer,
                 !strcmp(m->phase, "cancelled") ? "was cancelled" : "failed",
                 m->error_text ? m->error_text : "ferryd gives no reason");
}
