/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry compare: would a move work, what would it change, and if not, why. Nothing is touched. */
#include "cli/ask.h"
#include "cli/report.h"

static const char about[] =
    "Takes the options of 'ferry migrate' and answers for exactly that move, or for several. The\n"
    "exit status is 0 if all are possible and 3 if not. What --output writes is for 'ferry migrate\n"
    "--report'.";

typedef struct {
    const char *target;
    gboolean several;
    JsonArray *answers; /* of all that could be compared */
    guint possible;
    int status; /* of the first that could not */
} comparing;

static int print_answer(cli *self, comparing *c, JsonObject *answer, const char *vm)
{
    JsonObject *changes = NULL;
    JsonArray *found = NULL;
    gboolean possible;
    guint count = 0;
    g_autoptr(GError) error = NULL;

    if (!json_opt_bool(answer, "possible", &possible, FALSE, &error))
        return cli_fail(self, CLI_FAILED, "internal", NULL, "ferryd's answer: %s", error->message);
    c->possible += possible;
    if (cli_print_json(self, answer))
        return CLI_OK;
    if (c->several) {
        if (json_array_get_length(c->answers))
            out_line(self->out, OUT_PLAIN, "%s", "");
        out_line(self->out, OUT_BOLD, "%s", vm);
    }
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
        out_line(self->out, OUT_GOOD, "%s can move to %s.", vm, c->target);
    else
        out_line(self->out, OUT_BAD, CLI_BLOCKED_TEXT, vm, c->target);
    return CLI_OK;
}

/* One VM that cannot be compared is no reason not to compare the others. */
static void compare_one(cli *self, comparing *c, const ask *wanted, const char *vm)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) request = ask_request(wanted, vm, c->target, &error), answer = NULL;
    int status = CLI_OK;

    if (request)
        answer = cli_call(self, "POST", "/v1/compare", request, &status);
    else
        status = cli_usage(self, "%s", error->message);
    if (answer)
        status = print_answer(self, c, answer, vm);
    if (status == CLI_OK)
        json_array_add_object_element(c->answers, g_steal_pointer(&answer));
    else if (c->status == CLI_OK)
        c->status = status;
}

/* The names of all VMs of this host; NULL: why was explained. */
static GStrv all_vms(cli *self, int *status)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    g_autoptr(JsonObject) answer = cli_call(self, "GET", "/v1/vms", NULL, status);
    g_autoptr(GError) error = NULL;
    JsonArray *vms;

    if (!answer)
        return NULL;
    if (!json_get_array(answer, "vms", &vms, &error)) {
        *status =
            cli_fail(self, CLI_FAILED, "internal", NULL, "ferryd's answer: %s", error->message);
        return NULL;
    }
    for (guint i = 0; i < json_array_get_length(vms); i++) {
        JsonNode *node = json_array_get_element(vms, i);
        const char *name;
        if (JSON_NODE_HOLDS_OBJECT(node) &&
            json_get_string(json_node_get_object(node), "name", &name, NULL))
            g_strv_builder_add(names, name);
    }
    return g_strv_builder_end(names);
}

/* A report that lacks a VM would be executed without it: then there is none. */
static int write_report(cli *self, const comparing *c, const char *path)
{
    g_autoptr(JsonObject) report = json_object_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    if (c->status != CLI_OK)
        return cli_fail(self, c->status, "no-report", NULL,
                        "%s is not written: not every VM could be compared", path);
    json_object_set_int_member(report, "ferry_report", REPORT_VERSION);
    json_object_set_int_member(report, "made", g_get_real_time() / G_USEC_PER_SEC);
    json_object_set_string_member(report, "ferry", FERRY_VERSION);
    json_object_set_array_member(report, "comparisons", json_array_ref(c->answers));
    text = json_pretty(report);
    if (!g_file_set_contents(path, text, -1, &error))
        return cli_fail(self, CLI_FAILED, "no-report", NULL, "%s", error->message);
    return CLI_OK;
}

static int conclude(cli *self, const comparing *c, const char *output)
{
    guint count = json_array_get_length(c->answers);
    int status = output && count ? write_report(self, c, output) : c->status;

    if (c->several && !self->json) {
        out_line(self->out, OUT_PLAIN, "%s", "");
        out_line(self->out, c->possible == count ? OUT_GOOD : OUT_BAD,
                 "%u of %u VMs can move to %s.", c->possible, count, c->target);
    }
    if (status != CLI_OK)
        return status;
    return c->possible == count ? CLI_OK : CLI_BLOCKED;
}

int compare_command(cli *self, GStrv *args)
{
    g_auto(ask) wanted = {0};
    gboolean all = FALSE;
    g_autofree char *output = NULL;
    GOptionEntry entries[ASK_OPTIONS + 3] = {
        [ASK_OPTIONS] = {"all", 0, 0, G_OPTION_ARG_NONE, &all, "Compare all VMs of this host",
                         NULL},
        {"output", 0, 0, G_OPTION_ARG_FILENAME, &output, "Write the report to FILE", "FILE"}};
    g_auto(GStrv) found = NULL;
    comparing c = {0};
    GStrv vms;
    guint count;
    int status;

    ask_options(&wanted, entries);
    status = cli_parse(self, args, entries, about, 1, G_MAXUINT);
    if (status >= 0)
        return status;
    count = g_strv_length(*args) - 2;
    if (all ? count > 0 : !count)
        return cli_usage(self, all ? "--all takes TARGET alone" : "a VM and TARGET are expected");
    c.target = (*args)[count + 1];
    if (all && !(found = all_vms(self, &status)))
        return status;
    vms = all ? found : *args + 1;
    count = all ? g_strv_length(found) : count;
    c.several = all || count > 1;
    c.answers = json_array_new();
    for (guint i = 0; i < count && c.status != CLI_UNREACHABLE && c.status != CLI_USAGE; i++)
        compare_one(self, &c, &wanted, vms[i]);
    status = conclude(self, &c, output);
    json_array_unref(c.answers);
    return status;
}
