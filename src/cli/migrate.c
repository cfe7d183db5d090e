/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry migrate: starts a move and watches it, or leaves it to ferryd. */
#include "cli/ask.h"
#include "cli/watch.h"

static const char about[] =
    "Only --switch, --storage and --format may be given several times. While the move is watched,\n"
    "Ctrl-C asks what to do with it. The end of this program never ends a move.\n"
    "\n"
    "Example:\n"
    "  ferry migrate web01 zulu --switch vSwitch-VLAN500=Converged:500 \\\n"
    "                           --storage /var/lib/libvirt/images=/srv/ssd";

int migrate_command(cli *self, GStrv *args)
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
    status = cli_parse(self, args, entries, about, 2, 2);
    if (status >= 0)
        return status;
    request = ask_request(&wanted, (*args)[1], (*args)[2], &error);
    if (!request)
        return cli_usage(self, "%s", error->message);
    return watch_start(self, "/v1/migrations", request, detach);
}
