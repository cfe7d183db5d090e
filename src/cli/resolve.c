/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry resolve: somebody decides whose a VM is, because the other host does not say. */
#include "cli/cli.h"
#include "cli/question.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 512
#define ANSWER_S       100 /* the other host is asked once more, and may be silent */

static const char about[] =
    "ID is a move's ID, the first 4 or more digits of it, or the name of a VM (its latest move).\n"
    "For a move whose VM was given up here, and whose target does not answer any more. The target\n"
    "is asked one last time: if it answers, its word counts. Only if you are certain that the VM\n"
    "does not run at the target, and that it cannot be started there, say --run-here: two running\n"
    "copies destroy each other's work. Also takes back a VM that died at its target right after\n"
    "it had been moved. The VM's name has to be typed, or given with --vm-name.\n"
    "\n"
    "Example:\n"
    "  ferry resolve web01 --run-here";

static gboolean get_order(JsonObject *move, const char **state, const char **why, double *at)
{
    JsonObject *order;

    if (!json_get_object(move, "order", &order, NULL) ||
        !json_get_string(order, "state", state, NULL) ||
        !json_opt_string(order, "why", why, NULL, NULL))
        return FALSE;
    *at = json_object_get_double_member_with_default(order, "at", 0);
    return TRUE;
}

/* What came of it: until it is carried out or overruled. Caller unrefs; NULL: *status says why. */
static JsonObject *wait_for_end(cli *self, JsonObject *move, double began, int *status)
{
    gint64 deadline = g_get_monotonic_time() + ANSWER_S * G_TIME_SPAN_SECOND;
    const char *id = json_object_get_string_member(move, "id");
    g_autofree char *wanted = g_strdup(id);
    JsonObject *now = json_object_ref(move);

    for (;;) {
        g_autofree char *after = NULL, *path = NULL;
        const char *state, *why, *phase;
        gint64 version = 0;
        double at;

        if (get_order(now, &state, &why, &at) && at >= began && strcmp(state, "asked") &&
            strcmp(state, "forced"))
            return now;
        if (g_get_monotonic_time() > deadline ||
            (json_opt_string(now, "phase", &phase, "", NULL) &&
             (!strcmp(phase, "completed") || !strcmp(phase, "failed"))))
            return now;
        (void)json_opt_int(now, "version", 0, G_MAXINT64, &version, 0, NULL);
        json_object_unref(now);
        after = g_strdup_printf("?after=%" G_GINT64_FORMAT, version);
        path = cli_path("/v1/migrations/", wanted, after);
        now = cli_call(self, "GET", path, NULL, status);
        if (!now)
            return NULL;
    }
}

/* The name, as it was typed; NULL: nothing. */
static char *typed_name(cli *self, const char *vm, const char *what)
{
    char line[NAME_MAX_BYTES];

    out_text(self->err, OUT_BOLD,
             "%s will be %s. If that is right, type its name: ", vm, what);
    (void)out_flush(self->err);
    if (!fgets(line, sizeof line, stdin))
        return NULL;
    return g_strdup(g_strstrip(line));
}

static int report(cli *self, JsonObject *move)
{
    const char *state = "asked", *why = NULL;
    double at;

    if (!get_order(move, &state, &why, &at))
        state = "asked";
    if (!strcmp(state, "overruled"))
        return cli_fail(self, CLI_FAILED, "conflict", NULL, "not done: %s", why ? why : "?");
    if (cli_print_json(self, move))
        return CLI_OK;
    if (!strcmp(state, "done"))
        out_line(self->out, OUT_GOOD, "It is done: %s", why ? why : "'ferry status' shows the move");
    else
        out_line(self->out, OUT_PLAIN,
                 "The other host is being asked one last time; 'ferry status' shows what comes of it.");
    return CLI_OK;
}

int resolve_command(cli *self, GStrv *args)
{
    gboolean run_here = FALSE, give_up = FALSE;
    g_autofree char *given = NULL;
    const GOptionEntry entries[] = {
        {"run-here", 0, 0, G_OPTION_ARG_NONE, &run_here,
         "The VM does not run at its target, and must not: run it here", NULL},
        {"give-up", 0, 0, G_OPTION_ARG_NONE, &give_up,
         "The VM runs at its target: what is here of it becomes the way back", NULL},
        {"vm-name", 0, 0, G_OPTION_ARG_FILENAME, &given, "The VM's name, instead of typing it",
         "NAME"},
        {NULL}};
    int status = cli_parse(self, args, entries, about, 1, 1);
    g_autoptr(JsonObject) found = NULL, body = NULL, answer = NULL, last = NULL;
    g_autofree char *path = NULL, *order = NULL;
    const char *vm = "?";
    double began;

    if (status >= 0)
        return status;
    if (run_here == give_up)
        return cli_usage(self, "say --run-here or --give-up");
    if (!given && !question_possible())
        return cli_usage(self, "there is nobody to type the VM's name: give it with --vm-name");
    path = cli_path("/v1/migrations/", (*args)[1], "");
    found = cli_call(self, "GET", path, NULL, &status);
    if (!found)
        return status;
    (void)json_opt_string(found, "vm", &vm, "?", NULL);
    if (!given)
        given = typed_name(self, vm, run_here ? "run on this host" : "left to the other host");
    if (g_strcmp0(given, vm))
        return cli_fail(self, CLI_CANCELLED, "cancelled", NULL,
                        "that is not the name of the VM; nothing was done");
    body = json_object_new();
    json_object_set_string_member(body, "order", run_here ? "run-here" : "give-up");
    json_object_set_string_member(body, "vm", given);
    order = cli_path("/v1/migrations/", json_object_get_string_member(found, "id"), "/resolve");
    began = (double)g_get_real_time() / G_USEC_PER_SEC;
    answer = cli_call(self, "POST", order, body, &status);
    if (!answer)
        return status;
    last = wait_for_end(self, answer, began, &status);
    return last ? report(self, last) : status;
}
