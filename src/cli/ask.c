/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From options to a request; see ask.h. */
#include "cli/ask.h"

#include "base/rate.h"
#include "cli/when.h"
#include "migrate/request.h"

#include <string.h>

#define WAY_BACK_MAX 8760 /* hours: a year */

void ask_options(ask *self, GOptionEntry entries[ASK_OPTIONS])
{
    const GOptionEntry own[ASK_OPTIONS] = {
        {"switch", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &self->switches,
         "NICs on switch OLD (or with that MAC) go to NEW", "OLD=NEW[:VLAN[,VLAN]]"},
        {"storage", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &self->storage,
         "Disks below directory FROM (or disk vda) go to TO", "FROM=TO|pool:NAME"},
        {"format", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &self->formats,
         "Disk vda (or * for all) becomes qcow2 or raw", "DISK=FORMAT"},
        {"way-back", 0, 0, G_OPTION_ARG_FILENAME, &self->way_back,
         "Keep the disks here for so long; 0: delete them", "HOURS"},
        {"mirror", 0, 0, G_OPTION_ARG_STRING, &self->mirror,
         "background: the guest never waits for the target; synchronous: it does",
         "background|synchronous"},
        {"verify", 0, 0, G_OPTION_ARG_STRING, &self->verify,
         "transfer: what arrives is compared; readback: what was written, too",
         "transfer|readback"},
        {"bandwidth", 0, 0, G_OPTION_ARG_STRING, &self->bandwidth,
         "At most so much a second: 100MiB/s or 100M, 800Mbit/s; none", "RATE"},
        {"latency-guard", 0, 0, G_OPTION_ARG_STRING, &self->latency_guard,
         "How many times as long as before the guest's disks may take; off", "FACTOR"}};

    memcpy(entries, own, sizeof own);
}

void ask_hold_options(ask *self, GOptionEntry entries[ASK_HOLD_OPTIONS])
{
    const GOptionEntry own[ASK_HOLD_OPTIONS] = {
        {"hold", 0, 0, G_OPTION_ARG_NONE, &self->hold,
         "Copy everything, then wait for 'ferry cutover'", NULL},
        {"cutover-at", 0, 0, G_OPTION_ARG_STRING, &self->cutover_at,
         "The same, and switch over at this (local) time", "TIME"}};

    memcpy(entries, own, sizeof own);
}

void ask_clear(ask *self)
{
    g_clear_pointer(&self->cutover_at, g_free);
    g_clear_pointer(&self->switches, g_strfreev);
    g_clear_pointer(&self->storage, g_strfreev);
    g_clear_pointer(&self->formats, g_strfreev);
    g_clear_pointer(&self->way_back, g_free);
    g_clear_pointer(&self->mirror, g_free);
    g_clear_pointer(&self->verify, g_free);
    g_clear_pointer(&self->bandwidth, g_free);
    g_clear_pointer(&self->latency_guard, g_free);
}

gboolean ask_is_empty(const ask *self)
{
    return !self->switches && !self->storage && !self->formats && !self->way_back && !self->mirror &&
           !self->verify && !self->bandwidth && !self->latency_guard && !self->hold &&
           !self->cutover_at;
}

/* A path may hold a '=': then the one in front of "/" or "pool:" divides. */
static const char *divider(const char *rule)
{
    const char *before_path = strstr(rule, "=/"), *before_pool = strstr(rule, "=pool:");

    if (*rule == '/' && (before_path || before_pool))
        return before_path && (!before_pool || before_path < before_pool) ? before_path
                                                                          : before_pool;
    return strchr(rule, '=');
}

static gboolean add_map(JsonObject *body, const char *member, const char *option, GStrv rules,
                        const char *form,
                        gboolean (*check)(const char *from, const char *to, GError **error),
                        GError **error)
{
    g_autoptr(JsonObject) map = json_object_new();

    for (char **rule = rules; rule && *rule; rule++) {
        const char *equals = divider(*rule);
        g_autofree char *from = equals ? g_strndup(*rule, (gsize)(equals - *rule)) : NULL;

        if (!equals || equals == *rule || !equals[1]) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "--%s '%s': %s is expected",
                        option, *rule, form);
            return FALSE;
        }
        if (json_object_has_member(map, from)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "--%s says twice where '%s' goes", option, from);
            return FALSE;
        }
        if (!check(from, equals + 1, error)) {
            g_prefix_error(error, "--%s: ", option);
            return FALSE;
        }
        json_object_set_string_member(map, from, equals + 1);
    }
    if (rules)
        json_object_set_object_member(body, member, g_steal_pointer(&map));
    return TRUE;
}

static gboolean add_limits(JsonObject *body, const ask *self, GError **error)
{
    guint64 bytes;
    double factor;

    if (self->bandwidth) {
        if (!rate_parse(self->bandwidth, &bytes, error)) {
            g_prefix_error(error, "--bandwidth ");
            return FALSE;
        }
        json_object_set_int_member(body, "bandwidth", (gint64)bytes);
    }
    if (self->latency_guard) {
        if (!rate_parse_factor(self->latency_guard, &factor, error)) {
            g_prefix_error(error, "--latency-guard ");
            return FALSE;
        }
        if (factor > 0 && !g_strcmp0(self->mirror, "synchronous")) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "--latency-guard: with --mirror synchronous there is none; leave one of "
                        "them out");
            return FALSE;
        }
        json_object_set_double_member(body, "latency_guard", factor);
    }
    return TRUE;
}

static gboolean add_hold(JsonObject *body, const ask *self, GError **error)
{
    gint64 at;

    if ((self->hold || self->cutover_at) && !g_strcmp0(self->mirror, "synchronous")) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "--hold: with --mirror synchronous every write of the guest would wait for the target all "
                    "the time; leave one of them out");
        return FALSE;
    }
    if (self->hold || self->cutover_at)
        json_object_set_boolean_member(body, "hold", TRUE);
    if (!self->cutover_at)
        return TRUE;
    if (!when_parse(self->cutover_at, &at, error)) {
        g_prefix_error(error, "--cutover-at ");
        return FALSE;
    }
    json_object_set_int_member(body, "cutover_at", at);
    return TRUE;
}

static gboolean add_choice(JsonObject *body, const char *option, const char *given,
                           const char *one, const char *other, GError **error)
{
    if (!given)
        return TRUE;
    if (strcmp(given, one) && strcmp(given, other)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "--%s '%s': %s or %s is expected", option, given, one, other);
        return FALSE;
    }
    json_object_set_string_member(body, option, given);
    return TRUE;
}

JsonObject *ask_request(const ask *self, const char *vm, const char *target, GError **error)
{
    g_autoptr(JsonObject) body = json_object_new();
    guint64 hours;

    if (!request_check_vm(vm, error) || (target && !request_check_target(target, error)))
        return NULL;
    json_object_set_string_member(body, "vm", vm);
    if (target)
        json_object_set_string_member(body, "target", target);
    if (!add_map(body, "switches", "switch", self->switches, "OLD=NEW or OLD=NEW:VLAN",
                 request_check_switch, error) ||
        !add_map(body, "storage", "storage", self->storage, "FROM=TO or FROM=pool:NAME",
                 request_check_storage, error) ||
        !add_map(body, "formats", "format", self->formats, "DISK=qcow2 or DISK=raw",
                 request_check_format, error))
        return NULL;
    if (self->way_back) {
        if (!g_ascii_string_to_unsigned(self->way_back, 10, 0, WAY_BACK_MAX, &hours, NULL)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "--way-back '%s': hours from 0 to %d are expected", self->way_back,
                        WAY_BACK_MAX);
            return NULL;
        }
        json_object_set_int_member(body, "way_back", (gint64)hours);
    }
    if (!add_choice(body, "mirror", self->mirror, "background", "synchronous", error) ||
        !add_choice(body, "verify", self->verify, "transfer", "readback", error))
        return NULL;
    return add_limits(body, self, error) && add_hold(body, self, error) ? g_steal_pointer(&body) : NULL;
}
