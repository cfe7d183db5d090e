/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings; see finding.h. */
#include "base/finding.h"

#include "base/catalog.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 1000
#define TEXT_MAX  4096

static const char *const severities[] = {
    [FINDING_BLOCKS] = "blocks", [FINDING_CHANGED] = "changed", [FINDING_NOTE] = "note"};
G_STATIC_ASSERT(G_N_ELEMENTS(severities) == FINDING_NOTE + 1);

static void finding_free(gpointer data)
{
    finding *f = data;

    g_free(f->subject);
    g_free(f->text);
    g_free(f->fix);
    g_free(f);
}

findings *findings_new(void)
{
    return g_ptr_array_new_with_free_func(finding_free);
}

void findings_free(findings *self)
{
    g_ptr_array_unref(self);
}

const char *finding_severity_name(finding_severity severity)
{
    return severities[severity];
}

/* Takes `text`. */
static void add(findings *self, int code, finding_severity severity, const char *subject,
                const char *fix, char *text)
{
    finding *f = g_new0(finding, 1);

    f->code = code;
    f->severity = severity;
    f->subject = g_strdup(subject);
    f->fix = g_strdup(fix);
    f->text = text;
    g_ptr_array_add(self, f);
}

void findings_add(findings *self, int code, const char *subject, const char *fix,
                  const char *format, ...)
{
    const catalog_entry *entry = catalog_find(code);
    va_list args;

    if (!entry)
        g_error("FERRY-%04d is not in the catalog", code);
    va_start(args, format);
    add(self, code, entry->severity, subject, fix, g_strdup_vprintf(format, args));
    va_end(args);
}

gboolean findings_block(const findings *self)
{
    for (guint i = 0; i < self->len; i++)
        if (((const finding *)self->pdata[i])->severity == FINDING_BLOCKS)
            return TRUE;
    return FALSE;
}

void findings_take(findings *self, findings *more)
{
    g_ptr_array_extend_and_steal(self, g_ptr_array_ref(more));
}

JsonArray *findings_to_json(const findings *self)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < self->len; i++) {
        const finding *f = self->pdata[i];
        JsonObject *object = json_object_new();
        g_autofree char *code = g_strdup_printf("FERRY-%04d", f->code);

        json_object_set_string_member(object, "code", code);
        json_object_set_string_member(object, "severity", severities[f->severity]);
        json_object_set_string_member(object, "subject", f->subject);
        json_object_set_string_member(object, "text", f->text);
        if (f->fix)
            json_object_set_string_member(object, "fix", f->fix);
        json_array_add_object_element(array, object);
    }
    return array;
}

static gboolean add_from_json(findings *self, JsonNode *node, GError **error)
{
    const char *code, *severity, *subject, *text, *fix;
    JsonObject *object;
    int level = -1;

    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "an object is expected");
        return FALSE;
    }
    object = json_node_get_object(node);
    if (!json_get_string(object, "code", &code, error) ||
        !json_get_string(object, "severity", &severity, error) ||
        !json_get_string(object, "subject", &subject, error) ||
        !json_get_string(object, "text", &text, error) ||
        !json_opt_string(object, "fix", &fix, NULL, error))
        return FALSE;
    for (int i = 0; i < (int)G_N_ELEMENTS(severities); i++)
        if (!strcmp(severity, severities[i]))
            level = i;
    if (level < 0 || strlen(code) != 10 || !g_str_has_prefix(code, "FERRY-") ||
        strspn(code + 6, "0123456789") != 4 || strlen(subject) > TEXT_MAX ||
        strlen(text) > TEXT_MAX || (fix && strlen(fix) > TEXT_MAX)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "not a finding");
        return FALSE;
    }
    /* A newer version may know more codes, so what it says of the severity counts. */
    add(self, atoi(code + 6), (finding_severity)level, subject, fix, g_strdup(text));
    return TRUE;
}

findings *findings_from_json(JsonArray *array, GError **error)
{
    g_autoptr(findings) self = findings_new();
    guint length = json_array_get_length(array);

    if (length > COUNT_MAX) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%u findings are too many", length);
        return NULL;
    }
    for (guint i = 0; i < length; i++)
        if (!add_from_json(self, json_array_get_element(array, i), error)) {
            g_prefix_error(error, "finding %u: ", i);
            return NULL;
        }
    return g_steal_pointer(&self);
}

char *findings_summary(const findings *self)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < self->len; i++) {
        const finding *f = self->pdata[i];
        if (f->severity != FINDING_BLOCKS)
            continue;
        g_string_append_printf(text, "%s%s%s%s", text->len ? " " : "", f->text,
                               f->fix ? " " : "", f->fix ? f->fix : "");
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}
