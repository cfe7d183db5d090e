/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry list: moves as a table. */
#include "cli/cli.h"
#include "cli/migration.h"
#include "cli/table.h"
#include "cli/text.h"

#include <string.h>

static const char about[] =
    "Moves under way come first, then the latest. Without --all, those that ended more than an\n"
    "hour ago are left out.";

static out_style style_of(const migration *m)
{
    if (!migration_has_ended(m))
        return OUT_BOLD;
    return migration_exit_status(m) ? OUT_BAD : OUT_GOOD;
}

static void add(table *rows, const migration *m)
{
    double now = (double)g_get_real_time() / G_USEC_PER_SEC;
    g_autofree char *id = migration_short_id(m), *peer = migration_direction(m);
    g_autofree char *began = text_time(m->began), *progress = NULL;
    g_autofree char *took = text_duration(m->total_seconds >= 0 ? m->total_seconds
                                          : m->began >= 0       ? MAX(0, now - m->began)
                                                                : -1);
    g_autofree char *blocked = m->blocked_by ? g_strconcat("blocked by ", m->blocked_by, NULL) : NULL;
    const char *says = blocked ? blocked : m->error_text ? m->error_text : m->waiting;

    if (!says && !migration_has_ended(m) && m->total > 0) {
        g_autofree char *rate = text_rate(m->rate);
        progress = g_strdup_printf("%u %%, %s", text_percent(m->done, m->total), rate);
        says = progress;
    }
    if (!says && m->way_back_open && m->way_back_until > now && !strcmp(m->phase, "completed")) {
        g_autofree char *until = text_time(m->way_back_until);
        progress = g_strdup_printf("way back until %s", until);
        says = progress;
    }
    table_row(rows, (const char *[]){id, m->vm, peer, m->phase, began, took, says}, 3, style_of(m));
}

static int print_list(cli *self, JsonObject *answer)
{
    g_autoptr(table) rows =
        table_new((const char *[]){"ID", "VM", "PEER", "PHASE", "BEGAN", ">TOOK", "", NULL});
    g_autoptr(GError) error = NULL;
    JsonArray *array;

    if (cli_print_json(self, answer))
        return CLI_OK;
    if (!json_get_array(answer, "migrations", &array, &error))
        return cli_fail(self, CLI_FAILED, "internal", NULL, "ferryd's answer: %s", error->message);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        g_autoptr(migration) m = JSON_NODE_HOLDS_OBJECT(node)
                                     ? migration_from_json(json_node_get_object(node), NULL)
                                     : NULL;
        if (m)
            add(rows, m);
    }
    table_print(rows, self->out, 0);
    return CLI_OK;
}

int list_command(cli *self, GStrv *args)
{
    gboolean all = FALSE;
    const GOptionEntry entries[] = {
        {"all", 0, 0, G_OPTION_ARG_NONE, &all, "Also moves that ended more than an hour ago", NULL},
        {NULL}};
    int status = cli_parse(self, args, entries, about, 0, 0);
    g_autoptr(JsonObject) answer = NULL;

    if (status >= 0)
        return status;
    answer = cli_call(self, "GET", all ? "/v1/migrations?all=1" : "/v1/migrations", NULL, &status);
    return answer ? print_list(self, answer) : status;
}
