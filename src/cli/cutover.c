/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry cutover: a move that is held switches over. */
#include "cli/cli.h"
#include "cli/text.h"
#include "cli/when.h"

static const char about[] =
    "ID is a move's ID, the first 4 or more digits of it, or the name of a VM (its latest move).\n"
    "A move that 'ferry migrate --hold' began switches over, at once or at a time. One that is not\n"
    "ready yet goes on as if it had never been held. This command does not wait for the end:\n"
    "'ferry status ID --watch' does.\n"
    "\n"
    "Examples:\n"
    "  ferry cutover web01\n"
    "  ferry cutover web01 --at '2026-12-01 02:00'";

int cutover_command(cli *self, GStrv *args)
{
    g_autofree char *at = NULL, *path = NULL, *time = NULL;
    const GOptionEntry entries[] = {
        {"at", 0, 0, G_OPTION_ARG_STRING, &at, "Not now, but at this (local) time", "TIME"}, {NULL}};
    int status = cli_parse(self, args, entries, about, 1, 1);
    g_autoptr(JsonObject) body = json_object_new(), answer = NULL;
    g_autoptr(GError) error = NULL;
    gint64 seconds;

    if (status >= 0)
        return status;
    if (at && !when_parse(at, &seconds, &error))
        return cli_usage(self, "--at %s", error->message);
    if (at) {
        json_object_set_int_member(body, "at", seconds);
        time = text_time((double)seconds);
    }
    path = cli_path("/v1/migrations/", (*args)[1], "/cutover");
    answer = cli_call(self, "POST", path, body, &status);
    if (!answer)
        return status;
    if (!cli_print_json(self, answer))
        out_line(self->out, OUT_PLAIN,
                 at ? "The move switches over at %s; 'ferry cutover' without a time does it at once."
                    : "The move switches over%s; 'ferry status' shows how far it is.",
                 at ? time : "");
    return CLI_OK;
}
