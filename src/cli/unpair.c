/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry unpair: this host no longer trusts another one. */
#include "cli/cli.h"

static const char about[] = "The other host is not told: run 'ferry unpair' there as well.";

int unpair_command(cli *self, GStrv *args)
{
    int status = cli_parse(self, args, NULL, about, 1, 1);
    g_autofree char *path = NULL;
    g_autoptr(JsonObject) answer = NULL;

    if (status >= 0)
        return status;
    path = cli_path("/v1/peers/", (*args)[1], "");
    answer = cli_call(self, "DELETE", path, NULL, &status);
    if (!answer)
        return status;
    if (!cli_print_json(self, answer))
        out_line(self->out, OUT_PLAIN, "%s is forgotten; it may still trust this host.",
                 (*args)[1]);
    return CLI_OK;
}
