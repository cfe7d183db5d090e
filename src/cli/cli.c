/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the subcommands share: options, calls of the API, errors; see cli.h. */
#include "cli/cli.h"

#include "cli/report.h"

#include <string.h>

gboolean cli_open(cli *self, const char *color)
{
    static const char *const names[] = {
        [OUT_COLOR_AUTO] = "auto", [OUT_COLOR_ALWAYS] = "always", [OUT_COLOR_NEVER] = "never"};
    out_color chosen = OUT_COLOR_AUTO;
    gboolean known = !color;

    for (guint i = 0; color && i < G_N_ELEMENTS(names); i++)
        if (!strcmp(color, names[i])) {
            chosen = (out_color)i;
            known = TRUE;
        }
    g_clear_pointer(&self->out, out_free);
    g_clear_pointer(&self->err, out_free);
    self->out = out_new(stdout, chosen);
    self->err = out_new(stderr, chosen);
    return known;
}

void cli_close(cli *self)
{
    g_clear_pointer(&self->api, client_free);
    g_clear_pointer(&self->out, out_free);
    g_clear_pointer(&self->err, out_free);
    g_clear_pointer(&self->socket, g_free);
    g_clear_pointer(&self->color, g_free);
}

static GOptionContext *options(cli *self, const GOptionEntry *own, const char *about,
                               gboolean *help)
{
    const GOptionEntry common[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &self->json, "Print JSON, one object a line", NULL},
        {"socket", 0, 0, G_OPTION_ARG_FILENAME, &self->socket, "ferryd's API (" CLI_SOCKET ")",
         "PATH"},
        {"color", 0, 0, G_OPTION_ARG_FILENAME, &self->color, "Colour: auto, always or never",
         "WHEN"},
        {"help", 'h', 0, G_OPTION_ARG_NONE, help, "Show this help", NULL},
        {NULL}};
    g_autofree char *program = g_strconcat("ferry ", self->command->name, NULL);
    g_autofree char *summary =
        g_strdup_printf("%c%s.", g_ascii_toupper(*self->command->help), self->command->help + 1);
    GOptionContext *context = g_option_context_new(self->command->arguments);

    g_set_prgname(program);
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_set_summary(context, summary);
    if (about)
        g_option_context_set_description(context, about);
    if (own)
        g_option_context_add_main_entries(context, own, NULL);
    g_option_context_add_main_entries(context, common, NULL);
    return context;
}

/* GOption leaves a "--" behind an operand where it was. */
static void drop_separator(GStrv args)
{
    guint from = 1;

    while (args[from] && strcmp(args[from], "--"))
        from++;
    if (!args[from])
        return;
    g_free(args[from]);
    for (; args[from]; from++)
        args[from] = args[from + 1];
}

int cli_parse(cli *self, GStrv *args, const GOptionEntry *own, const char *about, guint minimum,
              guint maximum)
{
    gboolean help = FALSE;
    g_autoptr(GOptionContext) context = options(self, own, about, &help);
    g_autoptr(GError) error = NULL;
    guint operands;

    for (char **arg = *args; *arg; arg++)
        if (!g_utf8_validate(*arg, -1, NULL))
            return cli_usage(self, "an argument is not UTF-8: '%s'", *arg);
    if (!g_option_context_parse_strv(context, args, &error))
        return cli_usage(self, "%s", error->message);
    if (!cli_open(self, self->color))
        return cli_usage(self, "'%s' is no answer to --color: auto, always or never is",
                         self->color);
    if (help) {
        g_autofree char *text = g_option_context_get_help(context, TRUE, NULL);
        g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
        for (char **line = lines; *line; line++)
            out_line(self->out, OUT_PLAIN, "%s", *line);
        return CLI_OK;
    }
    drop_separator(*args);
    operands = g_strv_length(*args) - 1;
    if (operands < minimum || operands > maximum)
        return cli_usage(self, "'%s' takes %s, but was given %u argument%s", self->command->name,
                         *self->command->arguments ? self->command->arguments : "no arguments",
                         operands, operands == 1 ? "" : "s");
    self->api = client_local(self->socket ? self->socket : CLI_SOCKET);
    return -1;
}

static JsonObject *error_object(const char *code, const char *text, JsonArray *found)
{
    JsonObject *outer = json_object_new(), *inner = json_object_new();

    json_object_set_string_member(inner, "code", code);
    json_object_set_string_member(inner, "text", text);
    json_object_set_array_member(inner, "findings",
                                 found ? json_array_ref(found) : json_array_new());
    json_object_set_object_member(outer, "error", inner);
    return outer;
}

int cli_fail(cli *self, int status, const char *code, JsonArray *found, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (self->json) {
        g_autoptr(JsonObject) object = error_object(code, text, found);
        cli_print_json(self, object);
        return status;
    }
    out_wipe(self->out);
    if (found && json_array_get_length(found) > 0)
        report_findings(found, self->err);
    out_text(self->err, OUT_BAD, "ferry: ");
    out_line(self->err, OUT_PLAIN, "%s", text);
    return status;
}

int cli_usage(cli *self, const char *format, ...)
{
    g_autofree char *text = NULL, *valid = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    valid = g_utf8_make_valid(text, -1); /* it may show an argument that is not */
    if (self->command)
        return cli_fail(self, CLI_USAGE, "usage", NULL, "%s; see 'ferry %s --help'", valid,
                        self->command->name);
    return cli_fail(self, CLI_USAGE, "usage", NULL, "%s; see 'ferry help'", valid);
}

int cli_explain(cli *self, const client *api, const GError *error)
{
    const char *code = client_code(api);
    g_autofree char *blocking = NULL;
    int status = CLI_FAILED;

    if (g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_ANSWER)) {
        blocking = report_blocking(client_findings(api));
        if (blocking || !g_strcmp0(code, "blocked"))
            status = CLI_BLOCKED;
        else if (!g_strcmp0(code, "bad-request"))
            status = CLI_USAGE;
        return cli_fail(self, status, code, client_findings(api), "%s",
                        blocking && !self->json ? "not possible as asked: fix what blocks it"
                                                : error->message);
    }
    return cli_fail(self, CLI_UNREACHABLE, "no-ferryd", NULL, "%s", error->message);
}

JsonObject *cli_call(cli *self, const char *method, const char *path, JsonObject *body, int *status)
{
    g_autoptr(GError) error = NULL;
    JsonObject *answer =
        client_call(self->api, method, path, body, CLIENT_TIMEOUT_LONG, NULL, &error);

    if (!answer)
        *status = cli_explain(self, self->api, error);
    return answer;
}

char *cli_path(const char *prefix, const char *part, const char *suffix)
{
    g_autofree char *escaped = g_uri_escape_string(part, NULL, FALSE);

    return g_strconcat(prefix, escaped, suffix, NULL);
}

gboolean cli_print_json(cli *self, JsonObject *object)
{
    g_autofree char *text = NULL;

    if (!self->json)
        return FALSE;
    text = json_text(object);
    out_json(self->out, text);
    return TRUE;
}
