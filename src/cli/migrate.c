/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry migrate and ferry return: start a move and watch it, or leave it to ferryd. */
#include "cli/ask.h"
#include "cli/watch.h"

static const char about_migrate[] =
    "Only --switch, --storage and --format may be given several times. While the move is watched,\n"
    "Ctrl-C asks what to do with it. The end of this program never ends a move.\n"
    "\n"
    "Example:\n"
    "  ferry migrate web01 zulu --switch vSwitch-VLAN500=Converged:500 \\\n"
    "                           --storage /var/lib/libvirt/images=/srv/ssd";

static const char about_return[] =
    "Run it where the VM is now. It goes back onto the switches, into the VLANs, directories and\n"
    "pools, and into the formats it had on the host it came from, as long as that host keeps its\n"
    "disks ('ferry status VM' tells until when): of them only what has changed crosses the\n"
    "network. It is a move like any other: 'ferry status' shows it, 'ferry cancel' cancels it.\n"
    "\n"
    "Example:\n"
    "  ferry return web01";

/* A return knows the target, and where things go there. */
static int start(cli *self, GStrv *args, const char *about, gboolean back)
{
    g_auto(ask) wanted = {0};
    gboolean detach = FALSE;
    GOptionEntry entries[ASK_OPTIONS + ASK_HOLD_OPTIONS + 2] = {
        [ASK_OPTIONS + ASK_HOLD_OPTIONS] = {"detach", 0, 0, G_OPTION_ARG_NONE, &detach,
                         "Print the move's ID and do not watch it", NULL}};
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) request = NULL;
    guint operands = back ? 1 : 2;
    int status;

    ask_options(&wanted, entries);
    ask_hold_options(&wanted, entries + ASK_OPTIONS);
    status = cli_parse(self, args, entries + (back ? ASK_PLACES : 0), about, operands, operands);
    if (status >= 0)
        return status;
    request = ask_request(&wanted, (*args)[1], back ? NULL : (*args)[2], &error);
    if (!request)
        return cli_usage(self, "%s", error->message);
    return watch_start(self, back ? "/v1/returns" : "/v1/migrations", request, detach);
}

int migrate_command(cli *self, GStrv *args)
{
    return start(self, args, about_migrate, FALSE);
}

int return_command(cli *self, GStrv *args)
{
    return start(self, args, about_return, TRUE);
}
