/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry pair: two hosts learn to trust each other, with a token made on one and typed on the other. */
#include "cli/cli.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_MAX 128 /* characters typed */

static const char about[] =
    "On one host run 'ferry pair --accept': it shows a token, good once and for 10 minutes.\n"
    "On the other run 'ferry pair HOST' and type that token. From then on each trusts the\n"
    "other, and nobody else. The fingerprints both show may be compared.";

static const char *member(JsonObject *object, const char *name)
{
    const char *text;

    return json_opt_string(object, name, &text, NULL, NULL) ? text : NULL;
}

static int accept_peer(cli *self)
{
    int status;
    g_autoptr(JsonObject) answer = cli_call(self, "POST", "/v1/pairing", NULL, &status);
    g_autofree char *until = NULL;

    if (!answer)
        return status;
    if (cli_print_json(self, answer))
        return CLI_OK;
    if (!member(answer, "token") || !member(answer, "name"))
        return cli_fail(self, CLI_FAILED, "internal", NULL, "ferryd's answer holds no token");
    until = text_time(json_object_get_double_member_with_default(answer, "expires", -1));
    out_text(self->out, OUT_PLAIN, "Token:       ");
    out_line(self->out, OUT_BOLD, "%s", member(answer, "token"));
    out_line(self->out, OUT_PLAIN, "Good until:  %s", until);
    out_line(self->out, OUT_PLAIN, "Fingerprint: %s", member(answer, "fingerprint"));
    out_line(self->out, OUT_PLAIN,
             "On the other host run 'ferry pair %s' and type the token there.",
             member(answer, "name"));
    return CLI_OK;
}

/* One line of standard input; NULL: there is none. */
static char *read_token(cli *self, const char *host)
{
    char line[TOKEN_MAX];

    if (isatty(STDIN_FILENO)) {
        out_text(self->err, OUT_PLAIN, "Token ('ferry pair --accept' on %s shows it): ", host);
        (void)out_flush(self->err);
    }
    if (!fgets(line, sizeof line, stdin) || !*g_strstrip(line))
        return NULL;
    return g_strdup(line);
}

static int pair_with(cli *self, const char *host, const char *given, const char *name,
                     gboolean replace)
{
    g_autofree char *token = given ? g_strdup(given) : read_token(self, host);
    g_autoptr(JsonObject) request = json_object_new(), answer = NULL;
    int status;

    if (!token)
        return cli_usage(self, "no token was given: 'ferry pair --accept' on %s makes one", host);
    json_object_set_string_member(request, "host", host);
    json_object_set_string_member(request, "token", token);
    if (name)
        json_object_set_string_member(request, "name", name);
    if (replace)
        json_object_set_boolean_member(request, "replace", TRUE);
    answer = cli_call(self, "POST", "/v1/peers", request, &status);
    if (!answer)
        return status;
    if (cli_print_json(self, answer))
        return CLI_OK;
    out_line(self->out, OUT_GOOD, "Paired with %s at %s.", member(answer, "name"),
             member(answer, "address"));
    out_line(self->out, OUT_PLAIN, "Its fingerprint: %s", member(answer, "fingerprint"));
    return CLI_OK;
}

int pair_command(cli *self, GStrv *args)
{
    gboolean accept = FALSE, replace = FALSE;
    g_autofree char *token = NULL, *name = NULL;
    const GOptionEntry entries[] = {
        {"accept", 0, 0, G_OPTION_ARG_NONE, &accept, "Make a token here, for the other host", NULL},
        {"token", 0, 0, G_OPTION_ARG_FILENAME, &token, "The token; asked for without it", "TOKEN"},
        {"name", 0, 0, G_OPTION_ARG_FILENAME, &name, "Call the other host so, not by its own name",
         "NAME"},
        {"replace", 0, 0, G_OPTION_ARG_NONE, &replace,
         "The host has a new certificate: forget the old one", NULL},
        {NULL}};
    int status = cli_parse(self, args, entries, about, 0, 1);
    const char *host = (*args)[0] ? (*args)[1] : NULL;

    if (status >= 0)
        return status;
    if (accept && (host || token || name || replace))
        return cli_usage(self, "--accept stands alone");
    if (!accept && !host)
        return cli_usage(self, "which host? HOST or --accept is expected");
    return accept ? accept_peer(self) : pair_with(self, host, token, name, replace);
}
