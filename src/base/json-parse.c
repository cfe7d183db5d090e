/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON texts (RFC 8259, to the letter) into json-glib's objects; see json.h.
 *
 * Not json-glib's own parser: version 1.6 recurses without a limit, loses what it has made of a
 * text that it then refuses, takes comments and more than JSON, and makes of "\ud800x" a string
 * that is not UTF-8. */
#include "base/json.h"

#include <math.h>
#include <string.h>

#define DEPTH_MAX  32
#define NUMBER_MAX 64 /* characters */

typedef struct {
    const char *at, *end;
    unsigned depth, parts; /* parts: commas and opening brackets */
    const char *wrong;     /* what is, at `at` */
} reader;

static JsonNode *read_value(reader *r);

static gboolean wrong(reader *r, const char *what)
{
    r->wrong = what;
    return FALSE;
}

static void *none(reader *r, const char *what)
{
    r->wrong = what;
    return NULL;
}

static gboolean is_at(const reader *r, const char *any)
{
    return r->at < r->end && *r->at && strchr(any, *r->at);
}

static void skip_space(reader *r)
{
    while (is_at(r, " \t\r\n"))
        r->at++;
}

/* Is that the next sign? Then it is taken. */
static gboolean take(reader *r, char sign)
{
    skip_space(r);
    if (r->at == r->end || *r->at != sign)
        return FALSE;
    r->at++;
    r->parts += sign == ',' || sign == '{' || sign == '[';
    return TRUE;
}

/* Four hexadecimal digits. */
static gboolean read_unit(reader *r, gunichar *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        if (r->at == r->end || !g_ascii_isxdigit(*r->at))
            return wrong(r, "four hexadecimal digits are expected");
        *unit = *unit << 4 | (gunichar)g_ascii_xdigit_value(*r->at);
    }
    return TRUE;
}

/* Behind \u: a character, which may be a pair of them. None that a C string or UTF-8 cannot hold.
 */
static gboolean read_unicode(reader *r, GString *text)
{
    gunichar first, second = 0;

    if (!read_unit(r, &first))
        return FALSE;
    if (first >= 0xd800 && first < 0xdc00) {
        if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
            return wrong(r, "the second half of a character is missing");
        r->at += 2;
        if (!read_unit(r, &second))
            return FALSE;
        if (second < 0xdc00 || second >= 0xe000)
            return wrong(r, "the second half of a character is missing");
        first = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    }
    if (first == 0 || (first >= 0xdc00 && first < 0xe000))
        return wrong(r, "this is no character of a text");
    g_string_append_unichar(text, first);
    return TRUE;
}

/* At a backslash. */
static gboolean read_escape(reader *r, GString *text)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";

    r->at++;
    if (is_at(r, names)) {
        g_string_append_c(text, meant[strchr(names, *r->at++) - names]);
        return TRUE;
    }
    if (!is_at(r, "u"))
        return wrong(r, "an escape is unknown");
    r->at++;
    return read_unicode(r, text);
}

/* Behind the opening quotation mark, to behind the closing one. Caller frees. */
static char *read_string(reader *r)
{
    g_autoptr(GString) text = g_string_new(NULL);

    while (r->at < r->end && *r->at != '"') {
        const char *from = r->at;
        while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (guchar)*r->at >= ' ')
            r->at++;
        g_string_append_len(text, from, r->at - from);
        if (is_at(r, "\\")) {
            if (!read_escape(r, text))
                return NULL;
        } else if (r->at < r->end && *r->at != '"') {
            return none(r, "a control character stands in a string");
        }
    }
    if (r->at == r->end)
        return none(r, "a string does not end");
    r->at++;
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean take_digits(reader *r)
{
    const char *from = r->at;

    while (is_at(r, "0123456789"))
        r->at++;
    return r->at > from;
}

static JsonNode *read_number(reader *r)
{
    const char *from = r->at;
    char text[NUMBER_MAX + 1];
    gboolean whole = TRUE, ok;
    gint64 integer;
    double real;

    if (is_at(r, "-"))
        r->at++;
    ok = is_at(r, "0") ? r->at++ != NULL : take_digits(r);
    if (ok && is_at(r, ".")) {
        whole = FALSE;
        r->at++;
        ok = take_digits(r);
    }
    if (ok && is_at(r, "eE")) {
        whole = FALSE;
        r->at++;
        if (is_at(r, "+-"))
            r->at++;
        ok = take_digits(r);
    }
    if (!ok)
        return none(r, "a digit is expected");
    if (r->at - from > NUMBER_MAX)
        return none(r, "a number is too long");
    memcpy(text, from, (size_t)(r->at - from));
    text[r->at - from] = 0;
    if (whole)
        return g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &integer, NULL)
                   ? json_node_init_int(json_node_alloc(), integer)
                   : none(r, "a number is too large");
    real = g_ascii_strtod(text, NULL);
    return isfinite(real) ? json_node_init_double(json_node_alloc(), real)
                          : none(r, "a number is too large");
}

static gboolean read_member(reader *r, JsonObject *object)
{
    g_autofree char *name = NULL;
    JsonNode *value;

    if (!take(r, '"'))
        return wrong(r, "the name of a member is expected, in quotation marks");
    name = read_string(r);
    if (!name)
        return FALSE;
    if (json_object_has_member(object, name))
        return wrong(r, "a member is there twice");
    if (!take(r, ':'))
        return wrong(r, "a colon is expected");
    value = read_value(r);
    if (value)
        json_object_set_member(object, name, value);
    return value != NULL;
}

/* Behind the opening bracket, as the next. */
static JsonObject *read_object(reader *r)
{
    g_autoptr(JsonObject) object = json_object_new();

    if (take(r, '}'))
        return g_steal_pointer(&object);
    do
        if (!read_member(r, object))
            return NULL;
    while (take(r, ','));
    return take(r, '}') ? g_steal_pointer(&object) : none(r, "a comma or } is expected");
}

static JsonArray *read_array(reader *r)
{
    g_autoptr(JsonArray) array = json_array_new();

    if (take(r, ']'))
        return g_steal_pointer(&array);
    do {
        JsonNode *value = read_value(r);
        if (!value)
            return NULL;
        json_array_add_element(array, value);
    } while (take(r, ','));
    return take(r, ']') ? g_steal_pointer(&array) : none(r, "a comma or ] is expected");
}

static JsonNode *read_nested(reader *r)
{
    JsonNode *node = NULL;

    if (++r->depth > DEPTH_MAX)
        return none(r, "it is nested too deeply");
    if (take(r, '{')) {
        g_autoptr(JsonObject) object = read_object(r);
        node = object ? json_node_init_object(json_node_alloc(), object) : NULL;
    } else if (take(r, '[')) {
        g_autoptr(JsonArray) array = read_array(r);
        node = array ? json_node_init_array(json_node_alloc(), array) : NULL;
    }
    r->depth--;
    return node;
}

static JsonNode *read_word(reader *r)
{
    static const struct {
        const char *text;
        JsonNodeType type;
        gboolean is;
    } words[] = {{"true", JSON_NODE_VALUE, TRUE},
                 {"false", JSON_NODE_VALUE, FALSE},
                 {"null", JSON_NODE_NULL, FALSE}};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        size_t length = strlen(words[i].text);
        if ((size_t)(r->end - r->at) < length || memcmp(r->at, words[i].text, length))
            continue;
        r->at += length;
        return words[i].type == JSON_NODE_NULL
                   ? json_node_init_null(json_node_alloc())
                   : json_node_init_boolean(json_node_alloc(), words[i].is);
    }
    return none(r, "a value is expected");
}

/* NULL: it is none, and *r says why. */
static JsonNode *read_value(reader *r)
{
    skip_space(r);
    if (r->parts > JSON_PARTS_MAX)
        return none(r, "there are too many parts");
    if (is_at(r, "{["))
        return read_nested(r);
    if (take(r, '"')) {
        g_autofree char *text = read_string(r);
        return text ? json_node_init_string(json_node_alloc(), text) : NULL;
    }
    return is_at(r, "-0123456789") ? read_number(r) : read_word(r);
}

JsonObject *json_parse(const char *text, gssize length, GError **error)
{
    gsize size = length < 0 ? strlen(text) : (gsize)length;
    reader r = {.at = text, .end = text + size};
    g_autoptr(JsonNode) root = NULL;

    if (size > JSON_MAX) {
        wrong(&r, "it is too large");
    } else if (!g_utf8_validate(text, (gssize)size, &r.at)) {
        wrong(&r, "it is not UTF-8");
    } else {
        r.at = text;
        root = read_value(&r);
    }
    skip_space(&r);
    if (root && r.at < r.end)
        wrong(&r, "something follows");
    else if (root && !JSON_NODE_HOLDS_OBJECT(root))
        wrong(&r, "an object is expected");
    if (r.wrong) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "not JSON that can be used: %s, at byte %" G_GSIZE_FORMAT, r.wrong,
                    (gsize)(r.at - text));
        return NULL;
    }
    json_node_seal(root);
    return json_node_dup_object(root);
}
