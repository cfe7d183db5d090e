/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparing comparisons; see expected.h. */
#include "migrate/expected.h"

#include <string.h>

/* Objects in a list that are told apart by one member. */
typedef struct {
    const char *list, *what, *key;
    const char *const *members;
} kind;

static const char *const of_both[] = {"vm_uuid", "source", "target", "target_uuid", NULL};
static const char *const of_machine[] = {"type", "arch", "memory", "vcpus", NULL};
static const char *const of_nic[] = {"old_switch", "new_switch", "vlans", NULL};
static const char *const of_disk[] = {"old_path",   "new_path", "old_format",
                                      "new_format", "capacity", NULL};
static const kind nics = {"nics", "NIC", "mac", of_nic},
                  disks = {"disks", "disk", "target", of_disk};

static void differ(GPtrArray *list, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void differ(GPtrArray *list, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(list, g_strdup_vprintf(format, args));
    va_end(args);
}

/* For comparing and for people; what is not there is "nothing". */
static char *text_of(JsonObject *object, const char *member)
{
    JsonNode *node = object ? json_object_get_member(object, member) : NULL;

    if (!node || JSON_NODE_HOLDS_NULL(node))
        return g_strdup("nothing");
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
        return json_node_dup_string(node);
    return json_to_string(node, FALSE);
}

static void compare(GPtrArray *list, const char *what, const char *const *members,
                    JsonObject *reported, JsonObject *now)
{
    for (; *members; members++) {
        g_autofree char *before = text_of(reported, *members), *after = text_of(now, *members);
        if (strcmp(before, after))
            differ(list, "%s: %s was %s and is %s now", what, *members, before, after);
    }
}

static JsonObject *child(JsonObject *object, const char *member)
{
    JsonObject *value;

    return object && json_get_object(object, member, &value, NULL) ? value : NULL;
}

/* The elements that are objects; an absent list has none. Borrowed; caller frees the array. */
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

static JsonObject *find(const GPtrArray *list, const char *key, const char *value)
{
    for (guint i = 0; i < list->len; i++) {
        g_autofree char *other = text_of(list->pdata[i], key);
        if (!strcmp(value, other))
            return list->pdata[i];
    }
    return NULL;
}

static void compare_list(GPtrArray *list, const kind *k, JsonObject *reported, JsonObject *now)
{
    g_autoptr(GPtrArray) before = objects(reported, k->list), after = objects(now, k->list);

    for (guint i = 0; i < before->len; i++) {
        g_autofree char *name = text_of(before->pdata[i], k->key);
        g_autofree char *what = g_strdup_printf("%s %s", k->what, name);
        JsonObject *same = find(after, k->key, name);
        if (same)
            compare(list, what, k->members, before->pdata[i], same);
        else
            differ(list, "%s was there and is not any more", what);
    }
    for (guint i = 0; i < after->len; i++) {
        g_autofree char *name = text_of(after->pdata[i], k->key);
        if (!find(before, k->key, name))
            differ(list, "%s %s was not there", k->what, name);
    }
}

static gboolean has_finding(const GPtrArray *list, const char *code, const char *subject)
{
    for (guint i = 0; i < list->len; i++) {
        g_autofree char *c = text_of(list->pdata[i], "code"),
                        *s = text_of(list->pdata[i], "subject");
        if (!strcmp(c, code) && !strcmp(s, subject))
            return TRUE;
    }
    return FALSE;
}

/* Findings of `some` that say what is changed and that `others` does not have. */
static void compare_findings(GPtrArray *list, JsonObject *some, JsonObject *others, const char *how)
{
    g_autoptr(GPtrArray) here = objects(some, "findings"), there = objects(others, "findings");

    for (guint i = 0; i < here->len; i++) {
        g_autofree char *severity = text_of(here->pdata[i], "severity");
        g_autofree char *code = text_of(here->pdata[i], "code"),
                        *text = text_of(here->pdata[i], "text");
        g_autofree char *subject = text_of(here->pdata[i], "subject");
        if (!strcmp(severity, "changed") && !has_finding(there, code, subject))
            differ(list, "%s: %s (%s)", how, text, code);
    }
}

GStrv expected_differences(JsonObject *reported, JsonObject *now)
{
    GPtrArray *list = g_ptr_array_new();
    JsonObject *before = child(reported, "changes"), *after = child(now, "changes");

    compare(list, "the move", of_both, reported, now);
    compare(list, "the VM", of_machine, child(reported, "machine"), child(now, "machine"));
    compare_list(list, &nics, before, after);
    compare_list(list, &disks, before, after);
    compare_findings(list, reported, now, "not so any more");
    compare_findings(list, now, reported, "new");
    g_ptr_array_add(list, NULL);
    return (GStrv)g_ptr_array_free(list, FALSE);
}
