/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry commit: the way back of a VM ends now, and the room its old disks take is free. */
#include "cli/cli.h"
#include "cli/question.h"
#include "cli/text.h"

#include <string.h>

static const char about[] =
    "Run it on either host: where the VM is now, or where its old disks are kept. They are\n"
    "deleted, and 'ferry return' is not possible any more. On a terminal it asks first. Nothing\n"
    "is deleted while the VM is on its way back.\n"
    "\n"
    "Example:\n"
    "  ferry commit web01";

typedef struct {
    GMainLoop *loop;
    char letter;
} asking;

static void on_answer(char letter, void *user)
{
    ((asking *)user)->letter = letter;
    g_main_loop_quit(((asking *)user)->loop);
}

static const char *member(JsonObject *object, const char *name)
{
    const char *text;

    return json_opt_string(object, name, &text, NULL, NULL) && text ? text : "?";
}

static gint64 number(JsonObject *object, const char *name)
{
    gint64 value;

    return json_opt_int(object, name, 0, G_MAXINT64, &value, 0, NULL) ? value : 0;
}

static gboolean agreed(cli *self, JsonObject *way)
{
    g_autofree char *size = text_size(number(way, "bytes"));
    g_autofree char *until = text_time((double)number(way, "until"));
    g_autofree char *text = g_strdup_printf(
        "Delete the disks that %s keeps of %s until %s (%s)? It cannot return there any more. "
        "[y/n]",
        member(way, "host"), member(way, "vm"), until, size);
    asking state = {.loop = g_main_loop_new(NULL, FALSE)};
    question *asked = question_new(self->err, text, "yn", on_answer, &state);

    g_main_loop_run(state.loop);
    question_free(asked);
    g_main_loop_unref(state.loop);
    return state.letter == 'y';
}

/* TRUE: go on. *status is set if not. */
static gboolean confirm(cli *self, const char *path, int *status)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) way =
        client_call(self->api, "GET", path, NULL, CLIENT_TIMEOUT_LONG, NULL, &error);

    /* Nothing is kept, or nothing is known: ending it says which. */
    if (!way && g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_ANSWER) &&
        !strcmp(client_code(self->api), "no-way-back"))
        return TRUE;
    if (!way) {
        *status = cli_explain(self, self->api, error);
        return FALSE;
    }
    if (!question_possible()) {
        *status = cli_usage(self, "there is nobody to ask whether disks may be deleted: say --yes");
        return FALSE;
    }
    if (agreed(self, way))
        return TRUE;
    *status = cli_fail(self, CLI_CANCELLED, "cancelled", NULL, "nothing was deleted");
    return FALSE;
}

static void print_end(cli *self, JsonObject *answer)
{
    g_autofree char *size = text_size(number(answer, "freed"));
    const char *vm = member(answer, "vm"), *host = member(answer, "host");
    JsonArray *disks;
    guint count = json_get_array(answer, "disks", &disks, NULL) ? json_array_get_length(disks) : 0;

    if (!count)
        out_line(self->out, OUT_PLAIN, "%s kept nothing of %s any more.", host, vm);
    else
        out_line(self->out, OUT_GOOD,
                 "The way back of %s to %s has ended: %u disk%s deleted, %s freed.", vm, host, count,
                 count == 1 ? "" : "s", size);
}

int commit_command(cli *self, GStrv *args)
{
    gboolean yes = FALSE;
    const GOptionEntry entries[] = {
        {"yes", 'y', 0, G_OPTION_ARG_NONE, &yes, "Do not ask", NULL}, {NULL}};
    int status = cli_parse(self, args, entries, about, 1, 1);
    g_autofree char *path = NULL;
    g_autoptr(JsonObject) answer = NULL;

    if (status >= 0)
        return status;
    path = cli_path("/v1/way-backs/", (*args)[1], "");
    if (!yes && !confirm(self, path, &status))
        return status;
    answer = cli_call(self, "DELETE", path, NULL, &status);
    if (!answer)
        return status;
    if (!cli_print_json(self, answer))
        print_end(self, answer);
    return CLI_OK;
}
