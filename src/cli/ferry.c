/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry(1): the table of subcommands, and finding the one that is meant. */
#include "cli/cli.h"

#include <locale.h>
#include <signal.h>
#include <string.h>

static const cli_command commands[] = {
    {"compare", compare_command, "VM... TARGET",
     "tell whether VMs could move to a host, and what would change"},
    {"explain", explain_command, "[CODE...]", "tell what the code of a finding means"},
    {"migrate", migrate_command, "VM TARGET", "move a running VM, with its disks, to another host"},
    {"return", return_command, "VM", "move a VM back to where it came from"},
    {"commit", commit_command, "VM", "end the way back of a VM early, and delete its old disks"},
    {"status", status_command, "[ID]", "show one move, or all that are under way"},
    {"list", list_command, "", "list moves from and to this host"},
    {"set", set_command, "ID SETTING=VALUE...", "change the limits of a move while it runs"},
    {"cutover", cutover_command, "ID", "switch a move over that is held"},
    {"cancel", cancel_command, "ID", "cancel a move; the VM goes on where it is"},
    {"pair", pair_command, "HOST | --accept", "make this host and another trust each other"},
    {"peers", peers_command, "", "list the hosts this one trusts"},
    {"unpair", unpair_command, "NAME", "forget a host"},
    {"version", version_command, "", "show the versions of ferry and ferryd (also: --version)"},
    {"help", help_command, "[COMMAND]", "list the commands, or explain one"},
    {NULL}};

/* Options every command has may stand before its name: the index of the name. */
static guint skip_options(GStrv args)
{
    guint i = 1;

    while (args[i] && *args[i] == '-')
        i += (!strcmp(args[i], "--socket") || !strcmp(args[i], "--color")) && args[i + 1] ? 2 : 1;
    return i;
}

static const cli_command *find(const char *name)
{
    for (const cli_command *c = commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

/* Without a command, what an option asks for. */
static const char *implied(const char *option)
{
    if (!strcmp(option, "--version"))
        return "version";
    return !strcmp(option, "--help") || !strcmp(option, "-h") ? "help" : NULL;
}

/* Known before the rest of the command line is understood, because it may not be. */
static gboolean wants_json(GStrv args)
{
    for (guint i = 1; args[i] && strcmp(args[i], "--"); i++)
        if (!strcmp(args[i], "--json"))
            return TRUE;
    return FALSE;
}

static int run(cli *self, GStrv given)
{
    guint at = skip_options(given);
    const char *name = given[at];
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    g_auto(GStrv) args = NULL;

    g_ptr_array_add(list, NULL); /* the name's place */
    for (guint i = 1; given[i]; i++) {
        const char *meant = given[at] ? NULL : implied(given[i]);
        if (meant)
            name = meant;
        else if (i != at)
            g_ptr_array_add(list, given[i]);
    }
    if (!name)
        return cli_usage(self, "a command is missing");
    self->command = find(name);
    if (!self->command)
        return cli_usage(self, "'%s' is no command", name);
    list->pdata[0] = (char *)self->command->name;
    g_ptr_array_add(list, NULL);
    args = g_strdupv((GStrv)list->pdata);
    return self->command->run(self, &args);
}

int main(int argc, char **argv)
{
    cli self = {.commands = commands};
    int status;

    /* Times are local; texts are English, numbers have points. */
    setlocale(LC_CTYPE, "");
    /* In "ferry migrate … | tee", Ctrl-C ends tee too: that must not end us before we asked. */
    signal(SIGPIPE, SIG_IGN);
    cli_open(&self, NULL);
    self.json = wants_json(argv);
    status = run(&self, argv);
    if (!out_flush(self.out) && !out_abandoned(self.out) && status == CLI_OK) {
        out_line(self.err, OUT_PLAIN, "ferry: not all output could be written");
        status = CLI_FAILED;
    }
    cli_close(&self);
    return status;
}
