/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry return: a VM that came here goes back to where it came from. */
#include "cli/ask.h"
#include "cli/watch.h"

static const char about[] =
    "Run it where the VM is now. It goes back onto the switches, into the VLANs, directories and\n"
    "pools, and into the formats it had on the host it came from, as long as that host keeps its\n"
    "disks ('ferry status VM' tells until when): of them only what has changed crosses the\n"
    "network. It is a move like any other: 'ferry status' shows it, 'ferry cancel' cancels it.\n"
    "\n"
    "Example:\n"
    "  ferry return web01";

int return_command(cli *self, GStrv *args)
{
    g_auto(ask) wanted = {0};
    gboolean detach = FALSE;
    GOptionEntry entries[ASK_OPTIONS + 2] = {
        [ASK_OPTIONS] = {"detach", 0, 0, G_OPTION_ARG_NONE, &detach,
                         "Print the move's ID and do not watch it", NULL}};
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) request = NULL;
    int status;

    ask_options(&wanted, entries);
    status = cli_parse(self, args, entries + ASK_PLACES, about, 1, 1);
    if (status >= 0)
        return status;
    request = ask_request(&wanted, (*args)[1], NULL, &error);
    if (!request)
        return cli_usage(self, "%s", error->message);
    return watch_start(self, "/v1/returns", request, detach);
}
