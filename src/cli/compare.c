/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry compare: would a move work, what would it change, and if not, why. Nothing is touched. */
#include "cli/ask.h"
#include "cli/report.h"

static const char about[] =
    "Takes the options of 'ferry migrate' and answers for exactly that move. The exit status\n"
    "is 0 if it is possible and 3 if not.";

static int print_report(cli *self, JsonObject *answer, const char *vm, const char *target)
{
    JsonObject *changes = NULL;
    JsonArray *found = NULL;
    gboolean possible;
    guint count = 0;
    g_autoptr(GError) error = NULL;

    if (!json_opt_bool(answer, "possible", &possible, FALSE, &error))
        return cli_fail(self, CLI_FAILED, "internal", NULL, "ferryd's answer: %s", error->message);
    if (cli_print_json(self, answer))
        return possible ? CLI_OK : CLI_BLOCKED;
    if (json_get_array(answer, "findings", &found, NULL)) {
        count = json_array_get_length(found);
        report_findings(found, self->out);
    }
    if (json_get_object(answer, "changes", &changes, NULL)) {
        report_changes(changes, self->out);
        count += json_object_get_size(changes);
    }
    if (count)
        out_line(self->out, OUT_PLAIN, "%s", "");
    if (possible)
        out_line(self->out, OUT_GOOD, "%s can move to %s.", vm, target);
    else
        out_line(self->out, OUT_BAD, CLI_BLOCKED_TEXT, vm, target);
    return possible ? CLI_OK : CLI_BLOCKED;
}

int compare_command(cli *self, GStrv *args)
{
    g_auto(ask) wanted = {0};
    GOptionEntry entries[ASK_OPTIONS + 1] = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) request = NULL, answer = NULL;
    int status;

    ask_options(&wanted, entries);
    status = cli_parse(self, args, entries, about, 2, 2);
    if (status >= 0)
        return status;
    request = ask_request(&wanted, (*args)[1], (*args)[2], &error);
    if (!request)
        return cli_usage(self, "%s", error->message);
    answer = cli_call(self, "POST", "/v1/compare", request, &status);
    return answer ? print_report(self, answer, (*args)[1], (*args)[2]) : status;
}
