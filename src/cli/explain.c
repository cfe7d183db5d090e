/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry explain: what the code of a finding means. Asks nobody: the catalog is in the program. */
#include "base/catalog.h"
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static const char about[] =
    "Without a CODE all there are are listed. 'FERRY-2003' may be written as '2003'.\n"
    "\n"
    "A finding that blocks has to be mended before the VM can move; one that says 'changed' is\n"
    "what Ferry changes on the way by itself; a note is to know.";

static const catalog_entry *find(const char *text)
{
    const char *digits = g_ascii_strncasecmp(text, "ferry-", 6) ? text : text + 6;
    guint64 code;

    return strlen(digits) == 4 && g_ascii_string_to_unsigned(digits, 10, 0, 9999, &code, NULL)
               ? catalog_find((int)code)
               : NULL;
}

/* The catalog quotes as Markdown does. */
static char *plain(const char *text)
{
    return text ? g_strdelimit(g_strdup(text), "`", '\'') : NULL;
}

static JsonObject *as_json(const catalog_entry *entry)
{
    JsonObject *object = json_object_new();
    g_autofree char *code = g_strdup_printf("FERRY-%04d", entry->code);

    json_object_set_string_member(object, "code", code);
    json_object_set_string_member(object, "severity", finding_severity_name(entry->severity));
    json_object_set_string_member(object, "group", catalog_group(entry->code));
    json_object_set_string_member(object, "title", entry->title);
    json_object_set_string_member(object, "meaning", entry->meaning);
    if (entry->fix)
        json_object_set_string_member(object, "fix", entry->fix);
    return object;
}

static gboolean print_json(cli *self, const catalog_entry *entry)
{
    g_autoptr(JsonObject) object = self->json ? as_json(entry) : NULL;

    return object && cli_print_json(self, object);
}

static void print_one(cli *self, const catalog_entry *entry)
{
    g_autofree char *code = g_strdup_printf("FERRY-%04d", entry->code);
    g_autofree char *meaning = plain(entry->meaning), *fix = plain(entry->fix);
    g_autoptr(table) rows = table_new((const char *[]){"", "", NULL});

    out_line(self->out, OUT_BOLD, "%s: %s", code, entry->title);
    table_row(rows, (const char *[]){"Severity", finding_severity_name(entry->severity)}, -1,
              OUT_PLAIN);
    table_row(rows, (const char *[]){"About", catalog_group(entry->code)}, -1, OUT_PLAIN);
    table_row(rows, (const char *[]){"Meaning", meaning}, -1, OUT_PLAIN);
    if (fix)
        table_row(rows, (const char *[]){"Fix", fix}, -1, OUT_PLAIN);
    table_print(rows, self->out, 2);
}

static void list_all(cli *self)
{
    g_autoptr(table) rows = table_new((const char *[]){"CODE", "SEVERITY", "TITLE", NULL});

    for (const catalog_entry *e = catalog_next(NULL); e; e = catalog_next(e)) {
        g_autofree char *code = g_strdup_printf("FERRY-%04d", e->code);
        if (!print_json(self, e))
            table_row(rows, (const char *[]){code, finding_severity_name(e->severity), e->title},
                      -1, OUT_PLAIN);
    }
    if (!self->json)
        table_print(rows, self->out, 0);
}

int explain_command(cli *self, GStrv *args)
{
    int status = cli_parse(self, args, NULL, about, 0, G_MAXUINT);
    GStrv codes = *args + 1;

    if (status >= 0)
        return status;
    for (guint i = 0; codes[i]; i++)
        if (!find(codes[i]))
            return cli_usage(self, "'%s' is no code of a finding such as FERRY-2003", codes[i]);
    if (!*codes)
        list_all(self);
    for (guint i = 0; codes[i]; i++) {
        const catalog_entry *entry = find(codes[i]);
        if (print_json(self, entry))
            continue;
        if (i)
            out_line(self->out, OUT_PLAIN, "%s", "");
        print_one(self, entry);
    }
    return CLI_OK;
}
