/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a report to requests; see reported.h. */
#include "cli/reported.h"

#include "base/schema.h"
#include "cli/report.h"

#include <string.h>

static void problem(GPtrArray *list, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void problem(GPtrArray *list, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(list, g_strdup_vprintf(format, args));
    va_end(args);
}

static int explain(cli *self, const char *path, const GPtrArray *problems)
{
    g_autoptr(GString) all = g_string_new(NULL);

    for (guint i = 0; i < problems->len; i++)
        g_string_append_printf(all, "%s%s", i ? "; " : "", (const char *)problems->pdata[i]);
    if (self->json || problems->len == 1)
        return cli_fail(self, CLI_USAGE, "bad-report", NULL, "--report %s: %s", path, all->str);
    (void)cli_fail(self, CLI_USAGE, "bad-report", NULL, "--report %s:", path);
    for (guint i = 0; i < problems->len; i++)
        out_line(self->err, OUT_PLAIN, "  %s", (const char *)problems->pdata[i]);
    return CLI_USAGE;
}

static JsonObject *load(const char *path, GPtrArray *problems)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) report = NULL;
    g_autofree char *text = NULL;
    gint64 version;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, &error) ||
        !(report = json_parse(text, (gssize)length, &error)))
        problem(problems, "%s", error->message);
    else if (json_get_int(report, "ferry_report", REPORT_VERSION + 1, G_MAXINT64, &version, NULL))
        problem(problems,
                "/ferry_report: version %" G_GINT64_FORMAT " is newer than this ferry knows (%d): "
                "compare again, or use the ferry that made it",
                version, REPORT_VERSION);
    return problems->len ? NULL : g_steal_pointer(&report);
}

/* The form, as the published schema has it. */
static void check_form(JsonObject *report, GPtrArray *problems)
{
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), report);
    g_auto(GStrv) wrong = schema_check(schema_compare(), NULL, node, "");

    for (char **w = wrong; *w; w++)
        g_ptr_array_add(problems, g_strdup(*w));
}

/* A comparison of which the sense can be looked at. */
static gboolean has_form(JsonNode *node)
{
    g_auto(GStrv) wrong = schema_check(schema_compare(), "comparison", node, "");

    return !*wrong;
}

static void check_same(GPtrArray *problems, guint index, const char *member, const char *is,
                       const char *wanted)
{
    if (wanted && strcmp(is, wanted))
        problem(problems, "/comparisons/%u/%s: it is of %s, and %s is asked for", index, member, is,
                wanted);
}

/* What the schema cannot say, of a comparison of good form. */
static void check_sense(JsonObject *one, guint index, const char *vm, const char *target,
                        GHashTable *seen, GPtrArray *problems)
{
    static const char *const needed[] = {"vm_uuid", "source", "target_uuid", "machine", "changes"};
    JsonObject *request = json_object_get_object_member(one, "request");
    const char *of = json_object_get_string_member(one, "vm");
    const char *to = json_object_get_string_member(one, "target");

    check_same(problems, index, "vm", of, vm);
    check_same(problems, index, "target", to, target);
    check_same(problems, index, "request/vm", json_object_get_string_member(request, "vm"), of);
    check_same(problems, index, "request/target", json_object_get_string_member(request, "target"),
               to);
    if (!g_hash_table_add(seen, (gpointer)of))
        problem(problems, "/comparisons/%u/vm: %s is in the report twice", index, of);
    if (!json_object_get_boolean_member(one, "possible")) {
        problem(problems,
                "/comparisons/%u/possible: this move was not possible; mend what blocked it and "
                "compare again",
                index);
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(needed); i++)
        if (!json_object_has_member(one, needed[i]))
            problem(problems, "/comparisons/%u: \"%s\" is missing", index, needed[i]);
}

/* What was asked for then, and what it must still mean. Notes are for reading: they would only be
 * carried along. */
static JsonObject *request_of(JsonObject *one)
{
    JsonObject *request = json_copy(json_object_get_object_member(one, "request"));
    JsonObject *expected = json_copy(one);
    JsonArray *found = json_object_get_array_member(one, "findings"), *kept = json_array_new();

    for (guint i = 0; i < json_array_get_length(found); i++) {
        JsonObject *finding = json_array_get_object_element(found, i);
        if (strcmp(json_object_get_string_member(finding, "severity"), "note"))
            json_array_add_object_element(kept, json_object_ref(finding));
    }
    json_object_set_array_member(expected, "findings", kept);
    json_object_set_object_member(request, "report", expected);
    return request;
}

GPtrArray *reported_load(cli *self, const char *path, const char *vm, const char *target,
                         int *status)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) requests =
        g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(JsonObject) report = load(path, problems);
    JsonArray *list;

    if (report)
        check_form(report, problems);
    for (guint i = 0; report && json_get_array(report, "comparisons", &list, NULL) &&
                      i < json_array_get_length(list);
         i++)
        if (has_form(json_array_get_element(list, i)))
            check_sense(json_array_get_object_element(list, i), i, vm, target, seen, problems);
    if (problems->len) {
        *status = explain(self, path, problems);
        return NULL;
    }
    list = json_object_get_array_member(report, "comparisons");
    for (guint i = 0; i < json_array_get_length(list); i++)
        g_ptr_array_add(requests, request_of(json_array_get_object_element(list, i)));
    return g_steal_pointer(&requests);
}
