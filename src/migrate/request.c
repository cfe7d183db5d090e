/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests: parsing and checking; see request.h. */
#include "migrate/request.h"

#include "base/rate.h"
#include "base/schema.h"
#include "net/pki.h"

#include <limits.h>
#include <string.h>

#define RULES_MAX    256 /* in each map */
#define NAME_MAX_VM  255
#define WAY_BACK_MAX 8760
#define TIME_MAX     99999999999 /* Unix seconds: the year 5138 */
#define REPORT_MAX   (256 * 1024) /* bytes: a packet between ferryd and worker has twice that */

static const char *const members[] = {"id",       "vm",      "target",   "switches",
                                      "storage",  "formats", "way_back", "mirror", "verify",
                                      "bandwidth", "latency_guard", "return_of",
                                      "hold",     "cutover_at", "report", NULL};

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error)
        *error = g_error_new_valist(G_IO_ERROR, G_IO_ERROR_INVALID_DATA, format, args);
    va_end(args);
    return FALSE;
}

/* Text that may be logged and put into XML: UTF-8 without control characters. */
static gboolean plain(const char *text, gsize most)
{
    if (!*text || strlen(text) > most || !g_utf8_validate(text, -1, NULL))
        return FALSE;
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return FALSE;
    return TRUE;
}

static gboolean directory(const char *path)
{
    g_auto(GStrv) parts = NULL;

    if (*path != '/' || !plain(path, PATH_MAX - 1))
        return FALSE;
    parts = g_strsplit(path, "/", -1);
    for (char **part = parts; *part; part++)
        if (!strcmp(*part, ".") || !strcmp(*part, ".."))
            return FALSE;
    return TRUE;
}

/* A disk's name in the guest: vda, sdb, hdc. */
static gboolean device(const char *name)
{
    return *name && strlen(name) <= 32 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(name);
}

static gboolean vlans(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    for (char **part = parts; *part; part++) {
        guint64 vlan;
        if (!g_ascii_string_to_unsigned(*part, 10, 1, 4094, &vlan, NULL))
            return FALSE;
    }
    return *parts != NULL; /* nothing splits into nothing */
}

gboolean request_check_vm(const char *vm, GError **error)
{
    return (plain(vm, NAME_MAX_VM) && !strchr(vm, '/')) ||
           refuse(error, "'%s' is neither a VM's name nor a UUID", vm);
}

gboolean request_check_target(const char *target, GError **error)
{
    return pki_name_ok(target) ||
           refuse(error, "'%s' is not the name of a paired host ('ferry peers' lists them)", target);
}

gboolean request_check_switch(const char *from, const char *to, GError **error)
{
    /* "network:lan" has no VLANs. */
    const char *bare = to + (g_str_has_prefix(to, "network:") ? strlen("network:")
                             : g_str_has_prefix(to, "bridge:") ? strlen("bridge:") : 0);
    const char *colon = strrchr(bare, ':');
    g_autofree char *name = colon ? g_strndup(bare, (gsize)(colon - bare)) : g_strdup(bare);

    if (!plain(from, 255))
        return refuse(error, "'%s' is neither a switch nor a MAC address", from);
    if (!plain(name, 255) || strchr(name, '/'))
        return refuse(error, "'%s' names no switch: SWITCH or SWITCH:VLAN[,VLAN] is expected", to);
    if (colon && strcmp(colon + 1, "untagged") && !vlans(colon + 1))
        return refuse(error, "'%s': behind the colon VLAN numbers from 1 to 4094, or \"untagged\", "
                      "are expected", to);
    return TRUE;
}

gboolean request_check_storage(const char *from, const char *to, GError **error)
{
    if (!directory(from) && !device(from))
        return refuse(error, "'%s' is neither an absolute directory nor a disk's name such as vda",
                      from);
    if (g_str_has_prefix(to, "pool:") ? !plain(to + 5, 255) || strchr(to + 5, '/') : !directory(to))
        return refuse(error, "'%s' is neither an absolute directory nor pool:NAME", to);
    return TRUE;
}

gboolean request_check_format(const char *from, const char *to, GError **error)
{
    if (strcmp(from, "*") && !device(from))
        return refuse(error, "'%s' is neither a disk's name such as vda nor *", from);
    if (strcmp(to, "qcow2") && strcmp(to, "raw"))
        return refuse(error, "'%s' is no format: qcow2 or raw is expected", to);
    return TRUE;
}

static gboolean take_map(JsonObject *object, const char *member, GStrv *keys, GStrv *values,
                         gboolean (*check)(const char *, const char *, GError **), GError **error)
{
    if (!json_opt_map(object, member, keys, values, error))
        return FALSE;
    if (g_strv_length(*keys) > RULES_MAX)
        return refuse(error, "\"%s\": at most %d rules are possible", member, RULES_MAX);
    for (guint i = 0; (*keys)[i]; i++)
        if (!check((*keys)[i], (*values)[i], error)) {
            g_prefix_error(error, "\"%s\": ", member);
            return FALSE;
        }
    return TRUE;
}

static gboolean known_members(JsonObject *object, GError **error)
{
    g_autoptr(GList) given = json_object_get_members(object);

    for (GList *m = given; m; m = m->next)
        if (!g_strv_contains(members, m->data)) {
            g_autofree char *known = g_strjoinv(", ", (char **)members);
            return refuse(error, "\"%.64s\" is not known here; known are: %s", (char *)m->data,
                          known);
        }
    return TRUE;
}

/* One of two words; absent is the first. */
static gboolean take_choice(JsonObject *object, const char *member, const char *usual,
                            const char *other, gboolean *is_other, GError **error)
{
    const char *word;

    if (!json_opt_string(object, member, &word, usual, error))
        return FALSE;
    *is_other = !strcmp(word, other);
    return *is_other || !strcmp(word, usual) ||
           refuse(error, "\"%s\": \"%s\" or \"%s\" is expected", member, usual, other);
}

static gboolean take_factor(JsonObject *object, const char *member, double *factor, GError **error)
{
    JsonNode *node = json_object_get_member(object, member);
    GType type;

    *factor = -1;
    if (!node || JSON_NODE_HOLDS_NULL(node))
        return TRUE;
    type = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;
    if (type == G_TYPE_INT64 || type == G_TYPE_DOUBLE)
        *factor = json_node_get_double(node);
    return *factor == 0 || (*factor >= RATE_FACTOR_MIN && *factor <= RATE_FACTOR_MAX) ||
           refuse(error, "\"%s\": a number from 1.1 to 100, or 0 for none, is expected", member);
}

gboolean request_limits_from_json(JsonObject *object, request_limits *limits, GError **error)
{
    if (!json_opt_int(object, "bandwidth", 0, (gint64)RATE_MAX, &limits->bandwidth, -1, error) ||
        !take_factor(object, "latency_guard", &limits->latency_guard, error))
        return FALSE;
    return limits->bandwidth <= 0 || limits->bandwidth >= (gint64)RATE_MIN ||
           refuse(error, "\"bandwidth\": bytes per second from %" G_GUINT64_FORMAT
                  ", or 0 for no limit, are expected", RATE_MIN);
}

gboolean request_time_from_json(JsonObject *object, const char *member, gint64 *at, GError **error)
{
    return json_opt_int(object, member, 1, TIME_MAX, at, 0, error);
}

JsonObject *request_hold_json(const char *state, gint64 cutover_at)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "state", state);
    if (cutover_at)
        json_object_set_int_member(object, "cutover_at", cutover_at);
    else
        json_object_set_null_member(object, "cutover_at");
    return object;
}

void request_limits_to_json(const request_limits *limits, JsonObject *object)
{
    if (limits->bandwidth >= 0)
        json_object_set_int_member(object, "bandwidth", limits->bandwidth);
    if (limits->latency_guard >= 0)
        json_object_set_double_member(object, "latency_guard", limits->latency_guard);
}

static gboolean take_report(JsonObject *object, JsonObject **report, GError **error)
{
    JsonNode *node = json_object_get_member(object, "report");
    g_auto(GStrv) wrong = NULL;
    g_autofree char *text = NULL;

    if (!node || JSON_NODE_HOLDS_NULL(node))
        return TRUE;
    wrong = schema_check(schema_compare(), "comparison", node, "/report");
    if (*wrong)
        return refuse(error, "%s", *wrong);
    text = json_text(json_node_get_object(node));
    if (strlen(text) > REPORT_MAX)
        return refuse(error, "\"report\": more than %d KiB", REPORT_MAX / 1024);
    *report = json_object_ref(json_node_get_object(node));
    return TRUE;
}

request *request_from_json(JsonObject *object, GError **error)
{
    g_autoptr(request) self = g_new0(request, 1);
    const char *id, *vm, *target, *return_of;

    if (!known_members(object, error) || !json_opt_string(object, "id", &id, NULL, error) ||
        !json_get_string(object, "vm", &vm, error) ||
        !json_get_string(object, "target", &target, error) ||
        !json_opt_string(object, "return_of", &return_of, NULL, error) ||
        !json_opt_int(object, "way_back", 0, WAY_BACK_MAX, &self->way_back, -1, error) ||
        !take_choice(object, "mirror", "background", "synchronous", &self->synchronous, error) ||
        !take_choice(object, "verify", "transfer", "readback", &self->read_back, error) ||
        !request_limits_from_json(object, &self->limits, error) ||
        !json_opt_bool(object, "hold", &self->hold, FALSE, error) ||
        !request_time_from_json(object, "cutover_at", &self->cutover_at, error) ||
        !take_report(object, &self->report, error) ||
        !take_map(object, "switches", &self->switch_keys, &self->switch_values,
                  request_check_switch, error) ||
        !take_map(object, "storage", &self->storage_keys, &self->storage_values,
                  request_check_storage, error) ||
        !take_map(object, "formats", &self->format_keys, &self->format_values, request_check_format,
                  error))
        return NULL;
    if (self->synchronous && self->limits.latency_guard > 0) {
        refuse(error, "\"latency_guard\": with a synchronous mirror there is none; leave one of them out");
        return NULL;
    }
    if (self->hold && self->synchronous) {
        refuse(error, "\"hold\": with a synchronous mirror every write of the guest would wait for the target "
                      "all the time; leave one of them out");
        return NULL;
    }
    if (self->cutover_at && !self->hold) {
        refuse(error, "\"cutover_at\": only a move with \"hold\" waits for a time");
        return NULL;
    }
    if (id && !g_uuid_string_is_valid(id)) {
        refuse(error, "\"id\": a UUID is expected");
        return NULL;
    }
    if (!request_check_vm(vm, error)) {
        g_prefix_error(error, "\"vm\": ");
        return NULL;
    }
    if (!request_check_target(target, error)) {
        g_prefix_error(error, "\"target\": ");
        return NULL;
    }
    if (return_of && !g_uuid_string_is_valid(return_of)) {
        refuse(error, "\"return_of\": the id of a move is expected");
        return NULL;
    }
    if (return_of && (*self->switch_keys || *self->storage_keys || *self->format_keys)) {
        refuse(error, "a return goes to the places the VM had: leave out \"switches\", \"storage\" and "
                      "\"formats\", or move it without \"return_of\"");
        return NULL;
    }
    self->return_of = return_of ? g_ascii_strdown(return_of, -1) : NULL;
    self->id = id ? g_ascii_strdown(id, -1) : NULL;
    self->vm = g_strdup(vm);
    self->target = g_strdup(target);
    return g_steal_pointer(&self);
}

JsonObject *request_to_json(const request *self)
{
    JsonObject *object = json_object_new();

    if (self->id)
        json_object_set_string_member(object, "id", self->id);
    json_object_set_string_member(object, "vm", self->vm);
    json_object_set_string_member(object, "target", self->target);
    json_set_map(object, "switches", self->switch_keys, self->switch_values);
    json_set_map(object, "storage", self->storage_keys, self->storage_values);
    json_set_map(object, "formats", self->format_keys, self->format_values);
    if (self->return_of)
        json_object_set_string_member(object, "return_of", self->return_of);
    if (self->way_back >= 0)
        json_object_set_int_member(object, "way_back", self->way_back);
    if (self->synchronous)
        json_object_set_string_member(object, "mirror", "synchronous");
    if (self->read_back)
        json_object_set_string_member(object, "verify", "readback");
    if (self->hold)
        json_object_set_boolean_member(object, "hold", TRUE);
    if (self->cutover_at)
        json_object_set_int_member(object, "cutover_at", self->cutover_at);
    if (self->report)
        json_object_set_object_member(object, "report", json_object_ref(self->report));
    request_limits_to_json(&self->limits, object);
    return object;
}

void request_free(request *self)
{
    if (!self)
        return;
    g_free(self->id);
    g_free(self->vm);
    g_free(self->target);
    g_free(self->return_of);
    g_clear_pointer(&self->report, json_object_unref);
    g_strfreev(self->switch_keys);
    g_strfreev(self->switch_values);
    g_strfreev(self->storage_keys);
    g_strfreev(self->storage_values);
    g_strfreev(self->format_keys);
    g_strfreev(self->format_values);
    g_free(self);
}
