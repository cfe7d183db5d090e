/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The progress of a phase as one line; see progress.h. */
#include "cli/progress.h"

#include "cli/text.h"

#include <string.h>

#define NAME_WIDTH 14 /* of "synchronizing", and one */
#define BAR_MIN    10
#define BAR_MAX    40
#define GAP        "  "

static char *bytes_of(const migration *m)
{
    g_autofree char *done = text_size(m->done), *total = text_size(m->total);

    return g_strdup_printf("%s of %s", done, total);
}

static char *time_left(const migration *m)
{
    g_autofree char *time = text_duration((double)m->eta);

    return g_strconcat(time, " left", NULL);
}

static gboolean measured(const migration *m)
{
    return m->total > 0 && m->done >= 0;
}

/* What there is to say, the most important first; the list owns it. */
static GPtrArray *facts(const migration *m)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(list, bytes_of(m));
    if (m->rate > 0)
        g_ptr_array_add(list, text_rate(m->rate));
    if (m->eta >= 0)
        g_ptr_array_add(list, time_left(m));
    if (m->channels_wanted > 0 && m->channels_alive >= 0 && m->channels_alive < m->channels_wanted)
        g_ptr_array_add(list, g_strdup_printf("%d of %d channels", (int)m->channels_alive,
                                              (int)m->channels_wanted));
    if (m->spared > 0) {
        g_autofree char *rate = text_rate(m->spared);
        g_ptr_array_add(list, g_strdup_printf("slowed down to spare the guest: %s", rate));
    }
    return list;
}

/* A phase that counts no bytes shows what it waits for, or its age. */
static char *unmeasured(const migration *m, const char *name, double now)
{
    g_autofree char *age = NULL;

    if (m->waiting)
        return g_strconcat(name, m->waiting, NULL);
    if (m->phase_began < 0 || now < m->phase_began)
        return g_strdup(name);
    age = text_duration(now - m->phase_began);
    return g_strconcat(name, age, NULL);
}

static void append_bar(GString *line, guint columns, guint percent)
{
    guint full = columns * percent / 100;

    g_string_append_c(line, '[');
    for (guint i = 0; i < columns; i++)
        g_string_append_c(line, i < full ? '#' : '-');
    g_string_append(line, "]" GAP);
}

char *progress_bar(const migration *m, guint columns, double now)
{
    g_autofree char *phase = text_safe(m->phase), *name = text_pad(phase, NAME_WIDTH, FALSE);
    g_autofree char *line = NULL;

    if (measured(m) && !m->waiting) {
        g_autoptr(GPtrArray) all = facts(m);
        g_autoptr(GString) text = g_string_new(name), tail = g_string_new(NULL);
        guint percent = text_percent(m->done, m->total);
        guint room;

        g_string_append_printf(tail, "%3u %%", percent);
        for (guint i = 0; i < all->len; i++) {
            const char *fact = all->pdata[i];
            /* Behind the bytes, a bar says more than another number. */
            guint bar = i ? BAR_MIN + 4 : 0;
            if (text_width(name) + bar + tail->len + strlen(GAP) + strlen(fact) > columns)
                break;
            g_string_append_printf(tail, GAP "%s", fact);
        }
        room = (guint)(text_width(name) + tail->len + 4);
        if (columns >= room + BAR_MIN)
            append_bar(text, MIN(columns - room, BAR_MAX), percent);
        g_string_append(text, tail->str);
        line = g_string_free(g_steal_pointer(&text), FALSE);
    } else {
        g_autofree char *full = unmeasured(m, name, now);
        line = text_safe(full);
    }
    return text_cut(line, columns);
}

char *progress_text(const migration *m)
{
    g_autoptr(GPtrArray) all = NULL;
    g_autoptr(GString) text = g_string_new(m->phase);

    if (m->waiting) {
        g_string_append_printf(text, ": %s", m->waiting);
    } else if (measured(m)) {
        all = facts(m);
        g_string_append_printf(text, ": %s (%u %%)", (char *)all->pdata[0],
                               text_percent(m->done, m->total));
        for (guint i = 1; i < all->len; i++)
            g_string_append_printf(text, ", %s", (char *)all->pdata[i]);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

char *progress_done(const migration *m, double ended)
{
    double seconds = m->phase_began >= 0 && ended >= m->phase_began ? ended - m->phase_began : -1;
    g_autofree char *name = text_pad(m->phase, NAME_WIDTH, FALSE), *time = text_duration(seconds);
    g_autofree char *size = NULL, *rate = NULL;

    if (!measured(m))
        return g_strconcat(name, time, NULL);
    /* The phase was left behind, so all of it was done, whatever was seen last. */
    size = text_size(m->total);
    if (seconds < 0.1)
        return g_strdup_printf("%s%s in %s", name, size, time);
    rate = text_rate((gint64)((double)m->total / seconds));
    return g_strdup_printf("%s%s in %s (%s)", name, size, time, rate);
}
