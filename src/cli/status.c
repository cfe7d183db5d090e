/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry status: one move in full, or each that is under way. */
#include "cli/cli.h"
#include "cli/summary.h"
#include "cli/watch.h"

static const char about[] =
    "ID is a move's ID, the first 4 or more digits of it, or the name of a VM (its latest move).\n"
    "With one, the exit status tells how that move ended: 0 also while it is under way.";

static double now(void)
{
    return (double)g_get_real_time() / G_USEC_PER_SEC;
}

static int show_one(cli *self, const char *id)
{
    g_autofree char *path = cli_path("/v1/migrations/", id, "");
    int status;
    g_autoptr(JsonObject) answer = cli_call(self, "GET", path, NULL, &status);
    g_autoptr(GError) error = NULL;
    g_autoptr(migration) m = NULL;

    if (!answer)
        return status;
    m = migration_from_json(answer, &error);
    if (!m)
        return cli_fail(self, CLI_FAILED, "internal", NULL, "%s", error->message);
    if (!cli_print_json(self, answer))
        summary_print(m, self->out, now());
    return migration_has_ended(m) ? migration_exit_status(m) : CLI_OK;
}

static int show_running(cli *self)
{
    int status;
    g_autoptr(JsonObject) answer = cli_call(self, "GET", "/v1/migrations", NULL, &status);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) running = json_object_new();
    JsonArray *array, *under_way = json_array_new();
    guint shown = 0;

    json_object_set_array_member(running, "migrations", under_way);
    if (!answer)
        return status;
    if (!json_get_array(answer, "migrations", &array, &error))
        return cli_fail(self, CLI_FAILED, "internal", NULL, "ferryd's answer: %s", error->message);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        g_autoptr(migration) m = JSON_NODE_HOLDS_OBJECT(node)
                                     ? migration_from_json(json_node_get_object(node), NULL)
                                     : NULL;
        if (!m || migration_has_ended(m))
            continue;
        json_array_add_object_element(under_way, json_object_ref(m->json));
        if (self->json)
            continue;
        if (shown++)
            out_line(self->out, OUT_PLAIN, "%s", "");
        summary_print(m, self->out, now());
    }
    if (!cli_print_json(self, running) && !shown)
        out_line(self->out, OUT_PLAIN,
                 "No move is under way; 'ferry list --all' shows those that were.");
    return CLI_OK;
}

int status_command(cli *self, GStrv *args)
{
    gboolean watch = FALSE;
    const GOptionEntry entries[] = {{"watch", 0, 0, G_OPTION_ARG_NONE, &watch,
                                     "Watch the move to its end, as 'ferry migrate' does", NULL},
                                    {NULL}};
    int status = cli_parse(self, args, entries, about, 0, 1);

    if (status >= 0)
        return status;
    if (!(*args)[1])
        return watch ? cli_usage(self, "--watch needs the ID of a move") : show_running(self);
    return watch ? watch_other(self, (*args)[1]) : show_one(self, (*args)[1]);
}
