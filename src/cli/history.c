/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry history: every move of this host, from its journal itself: ferryd need not run. */
#include "cli/cli.h"
#include "cli/migration.h"
#include "cli/moment.h"
#include "cli/summary.h"
#include "cli/table.h"
#include "cli/text.h"
#include "journal/journal.h"
#include "migrate/record.h"
#include "migrate/settings.h"

#include <pwd.h>
#include <string.h>

#define MOST 10000

static const char about[] =
    "VM is a name or UUID: all its moves. ID is a move's, or its first 4 or more digits: that move\n"
    "with each step it took. This reads the journal on disk, so ferryd need not run; be root.\n"
    "\n"
    "Examples:\n"
    "  ferry history --since 7d\n"
    "  ferry history web01";

/* The user who asked for it, or NULL. Caller frees. */
static char *asked_by(JsonObject *shown)
{
    struct passwd entry, *found = NULL;
    char room[4096];
    gint64 uid;

    if (!json_opt_int(shown, "asked_by", 0, G_MAXUINT32, &uid, -1, NULL) || uid < 0)
        return NULL;
    if (getpwuid_r((uid_t)uid, &entry, room, sizeof room, &found) == 0 && found)
        return g_strdup(found->pw_name);
    return g_strdup_printf("uid %" G_GINT64_FORMAT, uid);
}

/* What the request in an entry's details says. */
static void add_asked_by(JsonObject *shown, const journal_entry *entry)
{
    g_autoptr(JsonObject) details = entry->details ? json_parse(entry->details, -1, NULL) : NULL;
    JsonObject *asked;
    gint64 uid = -1;

    if (details && json_get_object(details, "request", &asked, NULL))
        (void)json_opt_int(asked, "asked_by", 0, G_MAXUINT32, &uid, -1, NULL);
    if (uid >= 0)
        json_object_set_int_member(shown, "asked_by", uid);
    else
        json_object_set_null_member(shown, "asked_by");
}

/* A migration object with what only the journal has. */
static JsonObject *full(journal *book, const journal_entry *entry, GError **error)
{
    g_autoptr(GPtrArray) steps = journal_steps(book, entry->id, error);
    JsonObject *shown;
    JsonArray *list;

    if (!steps)
        return NULL;
    shown = record_json(entry);
    list = json_array_new();
    for (guint i = 0; i < steps->len; i++) {
        const journal_step *step = steps->pdata[i];
        JsonObject *one = json_object_new();
        json_object_set_double_member(one, "at", (double)step->at / G_USEC_PER_SEC);
        json_object_set_string_member(one, "step", step->step);
        json_array_add_object_element(list, one);
    }
    json_object_set_array_member(shown, "steps", list);
    json_object_set_string_member(shown, "decision", journal_decision_name(entry->decision));
    add_asked_by(shown, entry);
    return shown;
}

static out_style style_of(const migration *m)
{
    return !migration_has_ended(m) ? OUT_BOLD : migration_exit_status(m) ? OUT_BAD : OUT_GOOD;
}

static void add_row(table *rows, const migration *m)
{
    g_autofree char *id = migration_short_id(m), *peer = migration_direction(m);
    g_autofree char *began = text_time(m->began), *took = text_duration(m->total_seconds);
    g_autofree char *sent = text_size(m->wire_bytes), *who = asked_by(m->json);
    g_autofree char *blackout =
        m->blackout_ms >= 0 ? g_strdup_printf("%.0f ms", m->blackout_ms) : NULL;
    const char *says = m->error_text ? m->error_text : m->waiting;

    table_row(rows,
              (const char *[]){began, m->vm, peer, m->phase, took, blackout, sent, who, id, says}, 3,
              style_of(m));
}

static void print_steps(const cli *self, JsonObject *shown)
{
    g_autofree char *who = asked_by(shown);
    JsonArray *steps = json_object_get_array_member(shown, "steps");
    double before = -1;

    if (who)
        out_line(self->out, OUT_PLAIN, "  asked for by %s", who);
    for (guint i = 0; i < json_array_get_length(steps); i++) {
        JsonObject *step = json_array_get_object_element(steps, i);
        double at = json_object_get_double_member(step, "at");
        g_autoptr(GDateTime) when = g_date_time_new_from_unix_local((gint64)at);
        g_autofree char *clock = when ? g_date_time_format(when, "%Y-%m-%d %H:%M:%S") : NULL;
        g_autofree char *since = before >= 0 ? text_duration(MAX(0, at - before)) : g_strdup("");

        out_line(self->out, OUT_PLAIN, "  %s  %-14s %s", clock,
                 json_object_get_string_member(step, "step"), since);
        before = at;
    }
}

static int print_all(cli *self, journal *book, const GPtrArray *entries, gboolean one)
{
    g_autoptr(table) rows =
        table_new((const char *[]){"BEGAN", "VM", "PEER", "PHASE", ">TOOK", ">BLACKOUT", ">SENT",
                                   "ASKED BY", "ID", "", NULL});

    for (guint i = 0; i < entries->len; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonObject) shown = full(book, entries->pdata[i], &error);
        g_autoptr(migration) m = shown ? migration_from_json(shown, &error) : NULL;

        if (!m)
            return cli_fail(self, CLI_FAILED, "internal", NULL, "%s", error->message);
        if (cli_print_json(self, shown))
            continue;
        if (one) {
            summary_print(m, self->out, (double)g_get_real_time() / G_USEC_PER_SEC);
            print_steps(self, shown);
        } else {
            add_row(rows, m);
        }
    }
    if (!self->json && !one)
        table_print(rows, self->out, 0);
    return CLI_OK;
}

static int show(cli *self, journal *book, const char *what, gint64 since)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) found = journal_history(book, what, since, MOST, &error);
    const journal_entry *first = found && found->len ? found->pdata[0] : NULL;
    g_autofree char *lower = what ? g_ascii_strdown(what, -1) : NULL;

    if (!found)
        return cli_fail(self, CLI_FAILED, "internal", NULL, "%s", error->message);
    if (!first && what)
        return cli_fail(self, CLI_FAILED, "unknown-migration", NULL,
                        "the journal has no move of or by '%s'%s", what,
                        since ? " since then" : "");
    if (!first && !self->json)
        out_line(self->out, OUT_PLAIN, "No move from or to this host%s.", since ? " since then" : "");
    if (!first)
        return CLI_OK;
    return print_all(self, book, found,
                     lower && found->len == 1 && g_str_has_prefix(first->id, lower));
}

int history_command(cli *self, GStrv *args)
{
    g_autofree char *since_text = NULL, *config = NULL, *path = NULL;
    const GOptionEntry entries[] = {
        {"since", 0, 0, G_OPTION_ARG_STRING, &since_text,
         "Only moves that began then or later: '2026-11-21 20:41', 12h, 7d", "TIME"},
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &config,
         "ferryd's settings, which say where the journal is (" SETTINGS_FILE ")", "FILE"},
        {NULL}};
    int status = cli_parse(self, args, entries, about, 0, 1);
    g_autoptr(settings) conf = NULL;
    g_autoptr(journal) book = NULL;
    g_autoptr(GError) error = NULL;
    gint64 since = 0;

    if (status >= 0)
        return status;
    if (since_text && !moment_parse(since_text, g_get_real_time(), &since, &error))
        return cli_usage(self, "--since %s", error->message);
    conf = settings_load(config, &error);
    if (!conf)
        return cli_fail(self, CLI_FAILED, "internal", NULL, "%s", error->message);
    path = settings_journal(conf);
    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return cli_fail(self, CLI_FAILED, "no-journal", NULL,
                        "there is no journal %s that you may read: be root; ferryd makes it when it "
                        "first starts",
                        path);
    book = journal_open(path, TRUE, &error);
    if (!book)
        return cli_fail(self, CLI_FAILED, "no-journal", NULL, "%s", error->message);
    return show(self, book, (*args)[1], since);
}
