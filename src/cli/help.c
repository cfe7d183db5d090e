/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry help: the commands, or one of them. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static void list_commands(cli *self)
{
    g_autoptr(table) rows = table_new((const char *[]){"", "", NULL});

    out_line(self->out, OUT_PLAIN, "Usage: ferry COMMAND [ARGUMENT…] [OPTION…]");
    out_line(self->out, OUT_PLAIN,
             "Moves running virtual machines, with their disks, between hosts that share "
             "nothing.");
    out_line(self->out, OUT_PLAIN, "%s", "");
    for (const cli_command *c = self->commands; c->name; c++) {
        g_autofree char *usage = g_strconcat(c->name, *c->arguments ? " " : "", c->arguments, NULL);
        table_row(rows, (const char *[]){usage, c->help}, 0, OUT_BOLD);
    }
    table_print(rows, self->out, 2);
    out_line(self->out, OUT_PLAIN, "%s", "");
    out_line(self->out, OUT_PLAIN, "'ferry COMMAND --help' explains one of them, ferry(1) all.");
}

int help_command(cli *self, GStrv *args)
{
    int status = cli_parse(self, args, NULL, NULL, 0, 1);
    const char *about = (*args)[0] ? (*args)[1] : NULL;

    if (status >= 0)
        return status;
    if (!about) {
        list_commands(self);
        return CLI_OK;
    }
    for (const cli_command *c = self->commands; c->name; c++)
        if (!strcmp(c->name, about)) {
            GStrv wanted = g_strdupv((char *[]){(char *)c->name, (char *)"--help", NULL});
            self->command = c;
            g_clear_pointer(&self->api, client_free);
            status = c->run(self, &wanted);
            g_strfreev(wanted);
            return status;
        }
    return cli_usage(self, "'%s' is no command", about);
}
