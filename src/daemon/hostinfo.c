/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This host, described; see hostinfo.h. */
#include "daemon/hostinfo.h"

#include "base/fdio.h"

#include <string.h>

char *hostinfo_uuid(const settings *conf, GError **error)
{
    g_autofree char *file = g_build_filename(conf->state_dir, "host-uuid", NULL);
    g_autofree char *text = NULL, *line = NULL;

    if (g_file_get_contents(file, &text, NULL, NULL) && g_uuid_string_is_valid(g_strstrip(text)))
        return g_steal_pointer(&text);
    g_free(text);
    text = g_uuid_string_random();
    line = g_strconcat(text, "\n", NULL);
    return fdio_replace_file(file, line, strlen(line), 0644, error) ? g_steal_pointer(&text) : NULL;
}

/* Addresses on allowed networks, as they are right now. */
static JsonArray *addresses(const settings *conf)
{
    JsonArray *array = json_array_new();
    g_autoptr(GPtrArray) local = networks_local_addresses(conf->migration, NULL);

    for (guint i = 0; local && i < local->len; i++) {
        const networks_local *l = local->pdata[i];
        g_autofree char *text = g_inet_address_to_string(l->address);
        JsonObject *one = json_object_new();
        json_object_set_string_member(one, "interface", l->interface);
        json_object_set_string_member(one, "address", text);
        json_object_set_int_member(one, "prefix", l->prefix);
        json_array_add_object_element(array, one);
    }
    return array;
}

static JsonObject *direction(gboolean allowed, guint most, guint running, guint waiting)
{
    JsonObject *one = json_object_new();

    json_object_set_boolean_member(one, "allowed", allowed);
    json_object_set_int_member(one, "max", most);
    json_object_set_int_member(one, "running", running);
    json_object_set_int_member(one, "waiting", waiting);
    return one;
}

JsonObject *hostinfo_json(ferryd *self, gboolean local)
{
    const settings *conf = self->conf;
    gint64 now = g_get_monotonic_time();
    JsonObject *host = json_object_new();

    json_object_set_string_member(host, "name", conf->name);
    json_object_set_string_member(host, "version", FERRY_VERSION);
    json_object_set_string_member(host, "host_uuid", self->host_uuid);
    if (!local)
        return host;
    json_object_set_int_member(host, "control_port", server_port(self->served));
    json_object_set_int_member(host, "data_port", dataport_number(self->data));
    if (self->refused)
        json_object_set_string_member(host, "settings_error", self->refused);
    else
        json_object_set_null_member(host, "settings_error");
    json_object_set_array_member(host, "left_behind",
                                 tidy_found(self->orphans) ? json_array_ref(tidy_found(self->orphans))
                                                           : json_array_new());
    json_object_set_array_member(host, "networks", addresses(conf));
    json_object_set_object_member(host, "incoming",
                                  direction(conf->incoming, conf->max_incoming,
                                            admission_held(self->arriving),
                                            admission_waiting(self->arriving, now)));
    json_object_set_object_member(host, "outgoing",
                                  direction(conf->outgoing, conf->max_outgoing,
                                            admission_held(self->leaving),
                                            admission_waiting(self->leaving, now)));
    return host;
}
