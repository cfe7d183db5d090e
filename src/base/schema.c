/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON against a JSON schema; see schema.h. */
#include "base/schema.h"

#include "schemas.h" /* made of docs/ by the build */

#include <string.h>

typedef struct {
    JsonObject *schema;
    GPtrArray *problems; /* of char *, owned */
} check;

static void look(check *c, JsonObject *rule, JsonNode *value, const char *place);

JsonObject *schema_compare(void)
{
    static gsize once;

    if (g_once_init_enter(&once)) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) text =
            g_resource_lookup_data(schemas_get_resource(), "/ferry/compare.schema.json",
                                   G_RESOURCE_LOOKUP_FLAGS_NONE, &error);
        JsonObject *object =
            text ? json_parse(g_bytes_get_data(text, NULL), (gssize)g_bytes_get_size(text), &error)
                 : NULL;
        if (!object)
            g_error("compare.schema.json: %s", error->message);
        g_once_init_leave(&once, (gsize)object);
    }
    return (JsonObject *)once;
}

static void problem(check *c, const char *place, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void problem(check *c, const char *place, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (c->problems->len >= SCHEMA_PROBLEMS)
        return;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(c->problems, g_strdup_printf("%s: %s", *place ? place : "/", text));
}

static JsonNode *member(JsonObject *object, const char *name)
{
    return json_object_get_member(object, name);
}

static gboolean is_number(JsonNode *node)
{
    return JSON_NODE_HOLDS_VALUE(node) && (json_node_get_value_type(node) == G_TYPE_INT64 ||
                                           json_node_get_value_type(node) == G_TYPE_DOUBLE);
}

static gboolean is_string(JsonNode *node)
{
    return JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING;
}

static gboolean has_type(JsonNode *node, const char *type)
{
    if (!strcmp(type, "object"))
        return JSON_NODE_HOLDS_OBJECT(node);
    if (!strcmp(type, "array"))
        return JSON_NODE_HOLDS_ARRAY(node);
    if (!strcmp(type, "null"))
        return JSON_NODE_HOLDS_NULL(node);
    if (!strcmp(type, "string"))
        return is_string(node);
    if (!strcmp(type, "number"))
        return is_number(node);
    if (!strcmp(type, "integer")) /* 4.0 is one, too */
        return is_number(node) &&
               (json_node_get_value_type(node) == G_TYPE_INT64 ||
                json_node_get_double(node) == (double)(gint64)json_node_get_double(node));
    if (!strcmp(type, "boolean"))
        return JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_BOOLEAN;
    g_return_val_if_reached(FALSE);
}

/* "type": a name or a list of names. FALSE: nothing else of the rule makes sense. */
static gboolean check_type(check *c, JsonNode *types, JsonNode *value, const char *place)
{
    g_autoptr(GString) names = g_string_new(NULL);
    guint count =
        JSON_NODE_HOLDS_ARRAY(types) ? json_array_get_length(json_node_get_array(types)) : 1;

    for (guint i = 0; i < count; i++) {
        const char *name = JSON_NODE_HOLDS_ARRAY(types)
                               ? json_array_get_string_element(json_node_get_array(types), i)
                               : json_node_get_string(types);
        if (has_type(value, name))
            return TRUE;
        g_string_append_printf(names, "%s%s %s", names->len ? " or " : "",
                               strchr("aio", *name) ? "an" : "a", name);
    }
    problem(c, place, "%s is expected", names->str);
    return FALSE;
}

static gboolean same(JsonNode *a, JsonNode *b)
{
    if (is_string(a) && is_string(b))
        return !strcmp(json_node_get_string(a), json_node_get_string(b));
    return is_number(a) && is_number(b) && json_node_get_double(a) == json_node_get_double(b);
}

static void check_enum(check *c, JsonArray *allowed, JsonNode *value, const char *place)
{
    g_autoptr(GString) names = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(allowed); i++) {
        JsonNode *one = json_array_get_element(allowed, i);
        g_autofree char *text = json_to_string(one, FALSE);
        if (same(one, value))
            return;
        g_string_append_printf(names, "%s%s", i ? ", " : "", text);
    }
    problem(c, place, "one of %s is expected", names->str);
}

static void check_number(check *c, JsonObject *rule, JsonNode *value, const char *place)
{
    JsonNode *minimum = member(rule, "minimum"), *maximum = member(rule, "maximum");
    double number = json_node_get_double(value);

    if (minimum && number < json_node_get_double(minimum))
        problem(c, place, "at least %.15g is expected", json_node_get_double(minimum));
    if (maximum && number > json_node_get_double(maximum))
        problem(c, place, "at most %.15g is expected", json_node_get_double(maximum));
}

static void check_string(check *c, JsonObject *rule, const char *text, const char *place)
{
    JsonNode *length = member(rule, "maxLength"), *pattern = member(rule, "pattern");

    if (length && g_utf8_strlen(text, -1) > json_node_get_int(length))
        problem(c, place, "it is longer than %" G_GINT64_FORMAT " characters",
                json_node_get_int(length));
    else if (pattern &&
             !g_regex_match_simple(json_node_get_string(pattern), text, G_REGEX_DOLLAR_ENDONLY, 0))
        problem(c, place, "it does not look as expected (%s)", json_node_get_string(pattern));
}

static void check_array(check *c, JsonObject *rule, JsonArray *array, const char *place)
{
    JsonNode *items = member(rule, "items"), *least = member(rule, "minItems"),
             *most = member(rule, "maxItems");
    guint count = json_array_get_length(array);

    if (least && count < json_node_get_int(least))
        problem(c, place, "at least %" G_GINT64_FORMAT " are expected", json_node_get_int(least));
    if (most && count > json_node_get_int(most)) {
        problem(c, place, "at most %" G_GINT64_FORMAT " are expected", json_node_get_int(most));
        return;
    }
    for (guint i = 0; items && i < count; i++) {
        g_autofree char *below = g_strdup_printf("%s/%u", place, i);
        look(c, json_node_get_object(items), json_array_get_element(array, i), below);
    }
}

/* A JSON pointer's way to write a member's name (RFC 6901). */
static char *step(const char *place, const char *name)
{
    g_autoptr(GString) text = g_string_new(name);

    g_string_replace(text, "~", "~0", 0);
    g_string_replace(text, "/", "~1", 0);
    return g_strdup_printf("%s/%s", place, text->str);
}

static void check_object(check *c, JsonObject *rule, JsonObject *object, const char *place)
{
    JsonNode *known = member(rule, "properties"), *others = member(rule, "additionalProperties");
    JsonNode *required = member(rule, "required");
    g_autoptr(GList) names = json_object_get_members(object);

    for (guint i = 0; required && i < json_array_get_length(json_node_get_array(required)); i++) {
        const char *name = json_array_get_string_element(json_node_get_array(required), i);
        if (!json_object_has_member(object, name))
            problem(c, place, "\"%s\" is missing", name);
    }
    for (const GList *n = names; n; n = n->next) {
        g_autofree char *below = step(place, n->data);
        JsonNode *own = known ? member(json_node_get_object(known), n->data) : NULL;
        if (own)
            look(c, json_node_get_object(own), member(object, n->data), below);
        else if (others && JSON_NODE_HOLDS_OBJECT(others))
            look(c, json_node_get_object(others), member(object, n->data), below);
        else if (others && !json_node_get_boolean(others))
            problem(c, below, "it is not known here");
    }
}

/* "#/$defs/NAME" */
static JsonObject *definition_of(JsonObject *schema, const char *name)
{
    return json_object_get_object_member(json_object_get_object_member(schema, "$defs"), name);
}

static void look(check *c, JsonObject *rule, JsonNode *value, const char *place)
{
    JsonNode *reference = member(rule, "$ref"), *type = member(rule, "type");
    JsonNode *fixed = member(rule, "const"), *allowed = member(rule, "enum");

    if (reference) {
        const char *name = json_node_get_string(reference) + strlen("#/$defs/");
        look(c, definition_of(c->schema, name), value, place);
        return;
    }
    if (type && !check_type(c, type, value, place))
        return;
    if (fixed && !same(fixed, value)) {
        g_autofree char *text = json_to_string(fixed, FALSE);
        problem(c, place, "%s is expected", text);
    }
    if (allowed)
        check_enum(c, json_node_get_array(allowed), value, place);
    if (JSON_NODE_HOLDS_OBJECT(value))
        check_object(c, rule, json_node_get_object(value), place);
    else if (JSON_NODE_HOLDS_ARRAY(value))
        check_array(c, rule, json_node_get_array(value), place);
    else if (is_number(value))
        check_number(c, rule, value, place);
    else if (is_string(value))
        check_string(c, rule, json_node_get_string(value), place);
}

GStrv schema_check(JsonObject *schema, const char *definition, JsonNode *value, const char *place)
{
    check c = {schema, g_ptr_array_new()};

    look(&c, definition ? definition_of(schema, definition) : schema, value, place);
    g_ptr_array_add(c.problems, NULL);
    return (GStrv)g_ptr_array_free(c.problems, FALSE);
}
