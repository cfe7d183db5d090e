/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry peers: whom this host trusts. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/text.h"

static const char *member(JsonObject *object, const char *name)
{
    const char *text;

    return json_opt_string(object, name, &text, NULL, NULL) ? text : NULL;
}

int peers_command(cli *self, GStrv *args)
{
    int status = cli_parse(self, args, NULL, NULL, 0, 0);
    g_autoptr(table) rows =
        table_new((const char *[]){"NAME", "ADDRESS", "EXPIRES", "FINGERPRINT", NULL});
    g_autoptr(JsonObject) answer = NULL;
    g_autoptr(GError) error = NULL;
    JsonArray *array;

    if (status >= 0)
        return status;
    answer = cli_call(self, "GET", "/v1/peers", NULL, &status);
    if (!answer)
        return status;
    if (cli_print_json(self, answer))
        return CLI_OK;
    if (!json_get_array(answer, "peers", &array, &error))
        return cli_fail(self, CLI_FAILED, "internal", NULL, "ferryd's answer: %s", error->message);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        JsonObject *peer = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        g_autofree char *expires = NULL;
        if (!peer)
            continue;
        expires = text_time(json_object_get_double_member_with_default(peer, "expires", -1));
        table_row(rows,
                  (const char *[]){member(peer, "name"), member(peer, "address"), expires,
                                   member(peer, "fingerprint")},
                  0, OUT_BOLD);
    }
    table_print(rows, self->out, 0);
    return CLI_OK;
}
