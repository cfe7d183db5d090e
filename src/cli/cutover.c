/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry cutover: a move that is held switches over, or all of a group. */
#include "cli/cli.h"
#include "cli/text.h"
#include "cli/when.h"

static const char about[] =
    "ID is a move's ID, the first 4 or more digits of it, or the name of a VM (its latest move).\n"
    "A move that 'ferry migrate --hold' began switches over, at once or at a time. One that is not\n"
    "ready yet goes on as if it had never been held. The moves of a group, begun with --group, switch\n"
    "over together as soon as this is asked for and all of them are ready: all of them, or none.\n"
    "This command does not wait for the end: 'ferry status ID --watch' does.\n"
    "\n"
    "Examples:\n"
    "  ferry cutover web01\n"
    "  ferry cutover web01 --at '2026-12-01 02:00'\n"
    "  ferry cutover --group shop";

typedef struct {
    char *at, *group;
    GStrv without;
} wish;

static void wish_clear(wish *self)
{
    g_free(self->at);
    g_free(self->group);
    g_strfreev(self->without);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(wish, wish_clear)

static int cut_one_over(cli *self, const char *id, const wish *wanted)
{
    g_autoptr(JsonObject) body = json_object_new(), answer = NULL;
    g_autofree char *path = cli_path("/v1/migrations/", id, "/cutover"), *time = NULL;
    g_autoptr(GError) error = NULL;
    gint64 seconds = 0;
    int status;

    if (wanted->at && !when_parse(wanted->at, &seconds, &error))
        return cli_usage(self, "--at %s", error->message);
    if (wanted->at)
        json_object_set_int_member(body, "at", seconds);
    answer = cli_call(self, "POST", path, body, &status);
    if (!answer)
        return status;
    time = text_time((double)seconds);
    if (cli_print_json(self, answer))
        return CLI_OK;
    if (wanted->at)
        out_line(self->out, OUT_PLAIN,
                 "The move switches over at %s; 'ferry cutover' without a time does it at once.", time);
    else
        out_line(self->out, OUT_PLAIN, "The move switches over; 'ferry status' shows how far it is.");
    return CLI_OK;
}

static int cut_group_over(cli *self, const wish *wanted)
{
    g_autoptr(JsonObject) body = json_object_new(), answer = NULL;
    g_autofree char *path = cli_path("/v1/groups/", wanted->group, "/cutover");
    JsonArray *list = json_array_new();
    int status;

    for (char **vm = wanted->without; vm && *vm; vm++)
        json_array_add_string_element(list, *vm);
    json_object_set_array_member(body, "without", list);
    answer = cli_call(self, "POST", path, body, &status);
    if (!answer)
        return status;
    if (!cli_print_json(self, answer))
        out_line(self->out, OUT_PLAIN, "The group switches over; 'ferry list' shows how far its moves are.");
    return CLI_OK;
}

int cutover_command(cli *self, GStrv *args)
{
    g_auto(wish) wanted = {0};
    const GOptionEntry entries[] = {
        {"at", 0, 0, G_OPTION_ARG_STRING, &wanted.at, "Not now, but at this (local) time", "TIME"},
        {"group", 0, 0, G_OPTION_ARG_STRING, &wanted.group, "All moves of this group, instead of one",
         "NAME"},
        {"without", 0, 0, G_OPTION_ARG_STRING_ARRAY, &wanted.without,
         "But for this VM (of the group), which does not move", "VM"},
        {NULL}};
    int status = cli_parse(self, args, entries, about, 0, 1);
    const char *id;

    if (status >= 0)
        return status;
    id = (*args)[1];
    if (!id == !wanted.group)
        return cli_usage(self, "either the ID of a move or --group is needed");
    if (wanted.group && wanted.at)
        return cli_usage(self, "--at: a group switches over at once");
    if (!wanted.group && wanted.without)
        return cli_usage(self, "--without goes with --group");
    return wanted.group ? cut_group_over(self, &wanted) : cut_one_over(self, id, &wanted);
}
