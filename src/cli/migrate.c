/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry migrate and ferry return: start a move and watch it, or leave it to ferryd. */
#include "cli/ask.h"
#include "cli/reported.h"
#include "cli/watch.h"

static const char about_migrate[] =
    "Only --switch, --storage and --format may be given several times. While the move is watched,\n"
    "Ctrl-C asks what to do with it. The end of this program never ends a move.\n"
    "\n"
    "With --report the moves are those that 'ferry compare --output' has written down, exactly; VM\n"
    "and TARGET need not be said. If anything has changed since, it is said and nothing is done.\n"
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

/* One move is watched; several are left to ferryd, which has its limits. */
static int migrate_reported(cli *self, GStrv args, const char *path, gboolean detach)
{
    int status, worst = CLI_OK;
    guint operands = g_strv_length(args) - 1;
    g_autoptr(GPtrArray) requests = reported_load(self, path, operands ? args[1] : NULL,
                                                  operands == 2 ? args[2] : NULL, &status);

    if (!requests)
        return status;
    for (guint i = 0; i < requests->len; i++) {
        status =
            watch_start(self, "/v1/migrations", requests->pdata[i], detach || requests->len > 1);
        if (worst == CLI_OK)
            worst = status;
    }
    return worst;
}

/* A return knows the target, and where things go there. */
static int start(cli *self, GStrv *args, const char *about, gboolean back)
{
    g_auto(ask) wanted = {0};
    gboolean detach = FALSE;
    g_autofree char *report = NULL;
    GOptionEntry entries[ASK_OPTIONS + ASK_HOLD_OPTIONS + 3] = {
        [ASK_OPTIONS + ASK_HOLD_OPTIONS] = {"detach", 0, 0, G_OPTION_ARG_NONE, &detach,
                                            "Print the move's ID and do not watch it", NULL},
        {"report", 0, 0, G_OPTION_ARG_FILENAME, &report, "Execute a report, exactly", "FILE"}};
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) request = NULL;
    guint operands = back ? 1 : 2, given;
    int status;

    ask_options(&wanted, entries);
    ask_hold_options(&wanted, entries + ASK_OPTIONS);
    if (back)
        entries[ASK_OPTIONS + ASK_HOLD_OPTIONS + 1] = (GOptionEntry){0};
    status = cli_parse(self, args, entries + (back ? ASK_PLACES : 0), about, back ? operands : 0,
                       operands);
    if (status >= 0)
        return status;
    if (report && !ask_is_empty(&wanted))
        return cli_usage(
            self, "--report has all that is asked for: no other option but --detach goes with it");
    if (report)
        return migrate_reported(self, *args, report, detach);
    given = g_strv_length(*args) - 1;
    if (given < operands)
        return cli_usage(self,
                         "'migrate' takes VM TARGET, but was given %u argument%s (or --report FILE)",
                         given, given == 1 ? "" : "s");
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
