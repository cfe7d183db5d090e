/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON objects as Ferry uses them everywhere (API, control messages, journal): strict getters over
 * json-glib that name the member in their errors, and bounded parsing.
 *
 * Getters return FALSE with G_IO_ERROR_INVALID_DATA when a member is missing (unless it is said to
 * be optional), has another type or is out of range. Strings handed out belong to the object.
 */
#pragma once
#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* Parses one object (RFC 8259, and no member twice, no NUL); at most JSON_MAX bytes, nesting at most 32,
 * and JSON_PARTS_MAX commas and opening brackets, because a value of two bytes becomes hundreds in memory:
 * what comes of a text takes less than 48 MiB. Whole numbers are 64 bits or refused. The result cannot be
 * changed; caller unrefs it. */
#define JSON_MAX       (4 * 1024 * 1024)
#define JSON_PARTS_MAX (128 * 1024)
JsonObject *json_parse(const char *text, gssize length, GError **error);
/* Compact text, one line. Caller frees. */
char *json_text(JsonObject *object);
/* Indented text, for people and files. */
char *json_pretty(JsonObject *object);

/* The same members in a new object: what was parsed cannot be changed. Caller unrefs. */
JsonObject *json_copy(JsonObject *object);

gboolean json_get_string(JsonObject *object, const char *member, const char **value,
                         GError **error);
gboolean json_get_int(JsonObject *object, const char *member, gint64 minimum, gint64 maximum,
                      gint64 *value, GError **error);
gboolean json_get_bool(JsonObject *object, const char *member, gboolean *value, GError **error);
gboolean json_get_object(JsonObject *object, const char *member, JsonObject **value,
                         GError **error);
gboolean json_get_array(JsonObject *object, const char *member, JsonArray **value, GError **error);

/* The same, but an absent or null member gives the fallback and succeeds; another type still fails. */
gboolean json_opt_string(JsonObject *object, const char *member, const char **value,
                         const char *fallback, GError **error);
gboolean json_opt_int(JsonObject *object, const char *member, gint64 minimum, gint64 maximum,
                      gint64 *value, gint64 fallback, GError **error);
gboolean json_opt_bool(JsonObject *object, const char *member, gboolean *value, gboolean fallback,
                       GError **error);

/* {"k": "v", …} with string values only, as an ordered list of pairs: keys and values of equal
 * length, NULL-terminated, caller frees with g_strfreev. An absent member gives two empty lists. */
gboolean json_opt_map(JsonObject *object, const char *member, char ***keys, char ***values,
                      GError **error);
/* The way back: sets the member to such an object; NULL keys give an empty one. */
void json_set_map(JsonObject *object, const char *member, char **keys, char **values);
