/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings and changes as tables; see report.h. */
#include "cli/report.h"

#include "cli/table.h"
#include "cli/text.h"

#include <string.h>

static const struct {
    const char *severity;
    out_style style;
} ranks[] = {{"blocks", OUT_BAD}, {"changed", OUT_CHANGE}, {"note", OUT_DIM}};

static const char *string(JsonObject *object, const char *member)
{
    const char *text;

    return json_opt_string(object, member, &text, NULL, NULL) ? text : NULL;
}

static gint64 number(JsonObject *object, const char *member)
{
    gint64 value;

    return json_opt_int(object, member, 0, G_MAXINT64, &value, -1, NULL) ? value : -1;
}

/* The elements of an array that are objects; an absent array has none. */
static GPtrArray *objects(JsonObject *parent, const char *member)
{
    GPtrArray *list = g_ptr_array_new();
    JsonArray *array;

    if (!parent || !json_get_array(parent, member, &array, NULL))
        return list;
    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        if (JSON_NODE_HOLDS_OBJECT(node))
            g_ptr_array_add(list, json_node_get_object(node));
    }
    return list;
}

static void finding_row(table *rows, JsonObject *finding, out_style style)
{
    const char *text = string(finding, "text"), *fix = string(finding, "fix");
    g_autofree char *says =
        fix ? g_strdup_printf("%s\nFix: %s", text ? text : "", fix) : g_strdup(text);

    table_row(rows,
              (const char *[]){string(finding, "code"), string(finding, "severity"),
                               string(finding, "subject"), says},
              1, style);
}

void report_findings(JsonArray *found, out *to)
{
    g_autoptr(table) rows = table_new((const char *[]){"", "", "", "", NULL});

    for (guint rank = 0; rank <= G_N_ELEMENTS(ranks); rank++)
        for (guint i = 0; i < json_array_get_length(found); i++) {
            JsonNode *node = json_array_get_element(found, i);
            JsonObject *finding = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
            const char *severity = finding ? string(finding, "severity") : NULL;
            guint own = 0;
            while (own < G_N_ELEMENTS(ranks) && g_strcmp0(severity, ranks[own].severity))
                own++;
            if (finding && own == rank)
                finding_row(rows, finding,
                            own < G_N_ELEMENTS(ranks) ? ranks[own].style : OUT_PLAIN);
        }
    table_print(rows, to, 0);
}

char *report_blocking(JsonArray *found)
{
    g_autoptr(GPtrArray) codes = g_ptr_array_new();

    for (guint i = 0; found && i < json_array_get_length(found); i++) {
        JsonNode *node = json_array_get_element(found, i);
        JsonObject *finding = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        const char *code = finding ? string(finding, "code") : NULL;

        if (code && !g_strcmp0(string(finding, "severity"), "blocks") &&
            !g_ptr_array_find_with_equal_func(codes, code, g_str_equal, NULL))
            g_ptr_array_add(codes, (char *)code);
    }
    g_ptr_array_add(codes, NULL);
    return codes->len > 1 ? g_strjoinv(", ", (char **)codes->pdata) : NULL;
}

/* "Converged, VLAN 500", "Converged, VLANs 500, 600" */
static char *landing_switch(JsonObject *nic)
{
    const char *name = string(nic, "new_switch");
    g_autoptr(GString) text = g_string_new(name ? name : "no switch");
    JsonArray *vlans;
    guint count;

    if (!json_get_array(nic, "vlans", &vlans, NULL))
        return g_string_free(g_steal_pointer(&text), FALSE);
    count = json_array_get_length(vlans);
    for (guint i = 0; i < count; i++) {
        JsonNode *vlan = json_array_get_element(vlans, i);
        g_string_append(text, i ? ", " : count == 1 ? ", VLAN " : ", VLANs ");
        if (JSON_NODE_HOLDS_VALUE(vlan) && json_node_get_value_type(vlan) == G_TYPE_INT64)
            g_string_append_printf(text, "%" G_GINT64_FORMAT, json_node_get_int(vlan));
        else
            g_string_append(text, "?");
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static char *format_change(JsonObject *disk)
{
    const char *old = string(disk, "old_format"), *new = string(disk, "new_format");
    gint64 capacity = number(disk, "capacity");
    g_autofree char *size = capacity < 0 ? g_strdup("size not known") : text_size(capacity);

    return g_strcmp0(old, new)
               ? g_strdup_printf("%s -> %s, %s", old ? old : "?", new ? new : "?", size)
               : g_strdup_printf("%s, %s", new ? new : "?", size);
}

void report_changes(JsonObject *changes, out *to)
{
    g_autoptr(GPtrArray) nics = objects(changes, "nics"), disks = objects(changes, "disks");
    g_autoptr(table) rows = table_new((const char *[]){"", "", "", NULL});

    for (guint i = 0; i < nics->len; i++) {
        JsonObject *nic = nics->pdata[i];
        const char *old = string(nic, "old_switch");
        g_autofree char *landing = landing_switch(nic);
        g_autofree char *change = g_strdup_printf("%s -> %s", old ? old : "no switch", landing);
        table_row(rows, (const char *[]){"NIC", string(nic, "mac"), change}, -1, OUT_PLAIN);
    }
    for (guint i = 0; i < disks->len; i++) {
        JsonObject *disk = disks->pdata[i];
        const char *old = string(disk, "old_path"), *new = string(disk, "new_path");
        g_autofree char *format = format_change(disk);
        g_autofree char *change =
            g_strdup_printf("%s -> %s\n%s", old ? old : "?", new ? new : "?", format);
        table_row(rows, (const char *[]){"disk", string(disk, "target"), change}, -1, OUT_PLAIN);
    }
    table_print(rows, to, 2);
}
