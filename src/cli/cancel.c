/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry cancel: the VM goes on at the source. */
#include "cli/cli.h"

static const char about[] =
    "ID is a move's ID, the first 4 or more digits of it, or the name of a VM (its latest move).\n"
    "A move can be cancelled until it is committed. This command does not wait for the end:\n"
    "'ferry status ID --watch' does. A move that Ferry cannot go on with (its status says so) is\n"
    "closed instead: nothing is done to the VM.";

/* The end of a move that was stuck: nobody cancels anything. */
static gboolean was_closed(JsonObject *answer)
{
    const char *phase;

    return json_opt_string(answer, "phase", &phase, NULL, NULL) && !g_strcmp0(phase, "failed");
}

int cancel_command(cli *self, GStrv *args)
{
    int status = cli_parse(self, args, NULL, about, 1, 1);
    g_autofree char *path = NULL;
    g_autoptr(JsonObject) answer = NULL;

    if (status >= 0)
        return status;
    path = cli_path("/v1/migrations/", (*args)[1], "/cancel");
    answer = cli_call(self, "POST", path, NULL, &status);
    if (!answer)
        return status;
    if (!cli_print_json(self, answer))
        out_line(self->out, OUT_PLAIN, "%s",
                 was_closed(answer) ? "The move is closed; the VM and its disks are as they were."
                                    : "The move is being cancelled; the VM goes on where it is.");
    return CLI_OK;
}
