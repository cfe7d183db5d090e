/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strict JSON getters; see json.h. */
#include "base/json.h"

static char *object_text(JsonObject *object, gboolean pretty)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);

    json_node_set_object(node, object);
    return json_to_string(node, pretty);
}

JsonObject *json_copy(JsonObject *object)
{
    JsonObject *copy = json_object_new();
    g_autoptr(GList) members = json_object_get_members(object);

    for (GList *m = members; m; m = m->next)
        json_object_set_member(copy, m->data,
                               json_node_copy(json_object_get_member(object, m->data)));
    return copy;
}

char *json_text(JsonObject *object)
{
    return object_text(object, FALSE);
}

char *json_pretty(JsonObject *object)
{
    return object_text(object, TRUE);
}

/* The member's node, or NULL when it is absent or null. */
static JsonNode *present(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);

    return node && !JSON_NODE_HOLDS_NULL(node) ? node : NULL;
}

static gboolean wrong(GError **error, const char *member, const char *expected)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "\"%s\": %s is expected", member,
                expected);
    return FALSE;
}

gboolean json_opt_string(JsonObject *object, const char *member, const char **value,
                         const char *fallback, GError **error)
{
    JsonNode *node = present(object, member);

    *value = fallback;
    if (!node)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
        return wrong(error, member, "a string");
    *value = json_node_get_string(node);
    return TRUE;
}

gboolean json_get_string(JsonObject *object, const char *member, const char **value, GError **error)
{
    return json_opt_string(object, member, value, NULL, error) &&
           (*value || wrong(error, member, "a string"));
}

gboolean json_opt_int(JsonObject *object, const char *member, gint64 minimum, gint64 maximum,
                      gint64 *value, gint64 fallback, GError **error)
{
    JsonNode *node = present(object, member);

    *value = fallback;
    if (!node)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
        return wrong(error, member, "a whole number");
    *value = json_node_get_int(node);
    if (*value < minimum || *value > maximum) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "\"%s\": %" G_GINT64_FORMAT " is outside %" G_GINT64_FORMAT
                    " to %" G_GINT64_FORMAT,
                    member, *value, minimum, maximum);
        return FALSE;
    }
    return TRUE;
}

gboolean json_get_int(JsonObject *object, const char *member, gint64 minimum, gint64 maximum,
                      gint64 *value, GError **error)
{
    if (!present(object, member))
        return wrong(error, member, "a whole number");
    return json_opt_int(object, member, minimum, maximum, value, 0, error);
}

gboolean json_opt_bool(JsonObject *object, const char *member, gboolean *value, gboolean fallback,
                       GError **error)
{
    JsonNode *node = present(object, member);

    *value = fallback;
    if (!node)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_BOOLEAN)
        return wrong(error, member, "true or false");
    *value = json_node_get_boolean(node);
    return TRUE;
}

gboolean json_get_bool(JsonObject *object, const char *member, gboolean *value, GError **error)
{
    if (!present(object, member))
        return wrong(error, member, "true or false");
    return json_opt_bool(object, member, value, FALSE, error);
}

gboolean json_get_object(JsonObject *object, const char *member, JsonObject **value, GError **error)
{
    JsonNode *node = present(object, member);

    if (!node || !JSON_NODE_HOLDS_OBJECT(node))
        return wrong(error, member, "an object");
    *value = json_node_get_object(node);
    return TRUE;
}

gboolean json_get_array(JsonObject *object, const char *member, JsonArray **value, GError **error)
{
    JsonNode *node = present(object, member);

    if (!node || !JSON_NODE_HOLDS_ARRAY(node))
        return wrong(error, member, "an array");
    *value = json_node_get_array(node);
    return TRUE;
}

gboolean json_opt_map(JsonObject *object, const char *member, char ***keys, char ***values,
                      GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    JsonObject *map = NULL;

    if (present(object, member)) {
        if (!json_get_object(object, member, &map, error))
            return FALSE;
        g_autoptr(GList) members = json_object_get_members(map);
        for (GList *m = members; m; m = m->next) {
            const char *text;
            if (!json_get_string(map, m->data, &text, error)) {
                g_prefix_error(error, "\"%s\": ", member);
                return FALSE;
            }
            g_ptr_array_add(names, g_strdup(m->data));
            g_ptr_array_add(texts, g_strdup(text));
        }
    }
    g_ptr_array_add(names, NULL);
    g_ptr_array_add(texts, NULL);
    *keys = (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
    *values = (char **)g_ptr_array_free(g_steal_pointer(&texts), FALSE);
    return TRUE;
}

void json_set_map(JsonObject *object, const char *member, char **keys, char **values)
{
    JsonObject *map = json_object_new();

    for (guint i = 0; keys && keys[i]; i++)
        json_object_set_string_member(map, keys[i], values[i]);
    json_object_set_object_member(object, member, map);
}
