/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry version: of this program, and of the ferryd it speaks to if there is one. */
#include "cli/cli.h"
#include "cli/report.h"

int version_command(cli *self, GStrv *args)
{
    int status = cli_parse(self, args, NULL, NULL, 0, 0);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) answer = NULL, both = json_object_new();
    JsonArray *left = NULL;
    const char *version = NULL, *name = NULL, *refused = NULL;

    if (status >= 0)
        return status;
    answer = client_call(self->api, "GET", "/v1/host", NULL, CLIENT_TIMEOUT, NULL, &error);
    if (answer && !json_opt_string(answer, "version", &version, NULL, NULL))
        version = NULL;
    if (answer && !json_opt_string(answer, "name", &name, NULL, NULL))
        name = NULL;
    if (answer && !json_opt_string(answer, "settings_error", &refused, NULL, NULL))
        refused = NULL;
    if (answer && !json_get_array(answer, "left_behind", &left, NULL))
        left = NULL;
    json_object_set_string_member(both, "ferry", FERRY_VERSION);
    if (version)
        json_object_set_string_member(both, "ferryd", version);
    else
        json_object_set_null_member(both, "ferryd");
    if (refused)
        json_object_set_string_member(both, "settings_error", refused);
    if (left)
        json_object_set_array_member(both, "left_behind", json_array_ref(left));
    if (cli_print_json(self, both))
        return CLI_OK;
    out_line(self->out, OUT_PLAIN, "ferry %s", FERRY_VERSION);
    if (version)
        out_line(self->out, OUT_PLAIN, "ferryd %s on %s", version, name ? name : "this host");
    else
        out_line(self->out, OUT_PLAIN, "%s",
                 error ? error->message : "ferryd does not tell its version");
    if (refused)
        out_line(self->out, OUT_BAD, "It keeps its old settings: %s", refused);
    if (left && json_array_get_length(left)) {
        out_line(self->out, OUT_PLAIN, "Left behind on this host, and left alone by Ferry:");
        report_findings(left, self->out);
    }
    return CLI_OK;
}
