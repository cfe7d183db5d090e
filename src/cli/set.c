/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry set: other limits for a move that is queued or under way. */
#include "base/rate.h"
#include "cli/cli.h"

#include <string.h>

#define OPERANDS_MAX 3 /* ID and each setting once */

static const char about[] =
    "ID is a move's ID, the first 4 or more digits of it, or the name of a VM (its latest move).\n"
    "Settings, for the rest of this move:\n"
    "  bandwidth=RATE        at most so much a second: 100MiB/s or 100M, 800Mbit/s; none\n"
    "  latency-guard=FACTOR  slow the copy down where the guest's disks take that many times as\n"
    "                        long as before: 1.5; off\n"
    "\n"
    "Example:\n"
    "  ferry set web01 bandwidth=50MiB/s";

/* One "KEY=VALUE" into the body of the call. */
static gboolean add(JsonObject *body, const char *setting, GError **error)
{
    const char *equals = strchr(setting, '='), *value = equals ? equals + 1 : NULL;
    g_autofree char *key = g_strndup(setting, equals ? (gsize)(equals - setting) : 0);
    gboolean rate = !strcmp(key, "bandwidth");
    const char *member = rate ? "bandwidth" : "latency_guard";
    guint64 bytes;
    double factor;

    if (!rate && strcmp(key, "latency-guard")) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'%s': bandwidth=RATE or latency-guard=FACTOR is expected", setting);
        return FALSE;
    }
    if (json_object_has_member(body, member)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s is set twice", key);
        return FALSE;
    }
    if (rate ? !rate_parse(value, &bytes, error) : !rate_parse_factor(value, &factor, error)) {
        g_prefix_error(error, "%s=", key);
        return FALSE;
    }
    if (rate)
        json_object_set_int_member(body, member, (gint64)bytes);
    else
        json_object_set_double_member(body, member, factor);
    return TRUE;
}

int set_command(cli *self, GStrv *args)
{
    int status = cli_parse(self, args, NULL, about, 2, OPERANDS_MAX);
    g_autoptr(JsonObject) body = json_object_new(), answer = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;

    if (status >= 0)
        return status;
    for (char **setting = *args + 2; *setting; setting++)
        if (!add(body, *setting, &error))
            return cli_usage(self, "%s", error->message);
    path = cli_path("/v1/migrations/", (*args)[1], "");
    answer = cli_call(self, "PATCH", path, body, &status);
    if (!answer)
        return status;
    if (!cli_print_json(self, answer))
        out_line(self->out, OUT_PLAIN, "The move has been told; 'ferry status' shows what it keeps to.");
    return CLI_OK;
}
