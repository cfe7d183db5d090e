/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Landing requests and answers; see landing.h. */
#include "migrate/landing.h"

#include <string.h>

#define ADDRESSES_MAX 32
#define UNIX_PATH_MAX 100
#define WAY_BACK_MAX  8760 /* hours */

char *landing_memory_socket(const char *directory)
{
    return g_build_filename(directory, "memory.sock", NULL);
}

char *landing_disk_socket(const char *directory)
{
    return g_build_filename(directory, "disk.sock", NULL);
}

static gboolean invalid(GError **error, const char *text)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, text);
    return FALSE;
}

static gboolean take_sizes(landing_request *self, JsonObject *object, GError **error)
{
    JsonArray *disks;

    if (!json_get_array(object, "disks", &disks, error))
        return FALSE;
    if (json_array_get_length(disks) > VM_DISKS_MAX)
        return invalid(error, "\"disks\": too many");
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonNode *node = json_array_get_element(disks, i);
        gint64 capacity, allocation;
        const char *target;
        vm_disk *disk;

        if (!JSON_NODE_HOLDS_OBJECT(node))
            return invalid(error, "\"disks\": objects are expected");
        if (!json_get_string(json_node_get_object(node), "target", &target, error) ||
            !json_get_int(json_node_get_object(node), "capacity", 1, G_MAXINT64 / 2, &capacity,
                          error) ||
            !json_get_int(json_node_get_object(node), "allocation", 0, G_MAXINT64 / 2, &allocation,
                          error))
            return FALSE;
        disk = vm_find_disk(self->machine, target);
        if (!disk)
            return invalid(error, "\"disks\" names one that the VM does not have");
        disk->capacity = (guint64)capacity;
        disk->allocation = (guint64)allocation;
    }
    for (guint i = 0; i < self->machine->disks->len; i++) {
        const vm_disk *disk = self->machine->disks->pdata[i];
        if (vm_disk_is_copied(disk) && !disk->capacity)
            return invalid(error, "\"disks\": a disk's size is missing");
    }
    return TRUE;
}

/* The stored definition must be the same VM: what Ferry defines later is not shown to libvirt's checks. */
static gboolean same_vm(const vm *machine, const char *stored_xml, GError **error)
{
    g_autoptr(vm) stored = vm_parse(stored_xml, error);

    if (!stored)
        return FALSE;
    if (strcmp(stored->name, machine->name) || strcmp(stored->uuid, machine->uuid))
        return invalid(error, "\"stored_xml\" describes another VM than \"live_xml\"");
    return TRUE;
}

landing_request *landing_request_from_json(JsonObject *object, GError **error)
{
    g_autoptr(landing_request) self = g_new0(landing_request, 1);
    const char *id, *host_uuid, *live, *stored;

    if (!json_get_string(object, "id", &id, error) ||
        !json_opt_bool(object, "dry_run", &self->dry_run, FALSE, error) ||
        !json_get_string(object, "host_uuid", &host_uuid, error) ||
        !json_get_string(object, "live_xml", &live, error) ||
        !json_opt_string(object, "stored_xml", &stored, NULL, error) ||
        !json_opt_bool(object, "autostart", &self->autostart, FALSE, error) ||
        !json_opt_bool(object, "read_back", &self->read_back, FALSE, error) ||
        !json_opt_int(object, "way_back", 0, WAY_BACK_MAX, &self->way_back, 0, error) ||
        !json_opt_map(object, "names", &self->name_keys, &self->name_values, error) ||
        !json_opt_map(object, "switches", &self->switch_keys, &self->switch_values, error) ||
        !json_opt_map(object, "storage", &self->storage_keys, &self->storage_values, error) ||
        !json_opt_map(object, "formats", &self->format_keys, &self->format_values, error))
        return NULL;
    if (!g_uuid_string_is_valid(id) || !g_uuid_string_is_valid(host_uuid)) {
        invalid(error, "\"id\" and \"host_uuid\" must be UUIDs");
        return NULL;
    }
    self->id = g_ascii_strdown(id, -1);
    self->host_uuid = g_ascii_strdown(host_uuid, -1);
    self->live_xml = g_strdup(live);
    self->stored_xml = g_strdup(stored);
    self->machine = vm_parse(live, error);
    if (!self->machine || (stored && !same_vm(self->machine, stored, error)) ||
        !take_sizes(self, object, error))
        return NULL;
    return g_steal_pointer(&self);
}

JsonObject *landing_request_to_json(const landing_request *self)
{
    JsonObject *object = json_object_new();
    JsonArray *disks = json_array_new();

    json_object_set_string_member(object, "id", self->id);
    json_object_set_boolean_member(object, "dry_run", self->dry_run);
    json_object_set_string_member(object, "host_uuid", self->host_uuid);
    json_object_set_string_member(object, "live_xml", self->live_xml);
    if (self->stored_xml)
        json_object_set_string_member(object, "stored_xml", self->stored_xml);
    json_object_set_boolean_member(object, "autostart", self->autostart);
    json_object_set_boolean_member(object, "read_back", self->read_back);
    json_object_set_int_member(object, "way_back", self->way_back);
    for (guint i = 0; i < self->machine->disks->len; i++) {
        const vm_disk *disk = self->machine->disks->pdata[i];
        JsonObject *sizes;

        if (!vm_disk_is_copied(disk))
            continue;
        sizes = json_object_new();
        json_object_set_string_member(sizes, "target", disk->target);
        json_object_set_int_member(sizes, "capacity", (gint64)disk->capacity);
        json_object_set_int_member(sizes, "allocation", (gint64)disk->allocation);
        json_array_add_object_element(disks, sizes);
    }
    json_object_set_array_member(object, "disks", disks);
    json_set_map(object, "switches", self->switch_keys, self->switch_values);
    json_set_map(object, "storage", self->storage_keys, self->storage_values);
    json_set_map(object, "formats", self->format_keys, self->format_values);
    if (self->name_keys && *self->name_keys)
        json_set_map(object, "names", self->name_keys, self->name_values);
    return object;
}

void landing_request_free(landing_request *self)
{
    if (!self)
        return;
    g_free(self->id);
    g_free(self->host_uuid);
    g_free(self->live_xml);
    g_free(self->stored_xml);
    vm_free(self->machine);
    g_strfreev(self->switch_keys);
    g_strfreev(self->switch_values);
    g_strfreev(self->storage_keys);
    g_strfreev(self->storage_values);
    g_strfreev(self->format_keys);
    g_strfreev(self->format_values);
    g_strfreev(self->name_keys);
    g_strfreev(self->name_values);
    g_free(self);
}

static gboolean take_where(landing_answer *self, JsonObject *object, GError **error)
{
    const char *directory;
    JsonArray *addresses;
    gint64 port;

    if (!json_opt_string(object, "directory", &directory, NULL, error))
        return FALSE;
    if (!directory)
        return TRUE;
    if (!json_get_array(object, "addresses", &addresses, error) ||
        !json_get_int(object, "port", 1, 65535, &port, error))
        return FALSE;
    if (json_array_get_length(addresses) > ADDRESSES_MAX)
        return invalid(error, "\"addresses\": too many");
    for (guint i = 0; i < json_array_get_length(addresses); i++) {
        JsonNode *node = json_array_get_element(addresses, i);
        GInetAddress *address = NULL;

        if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_string(node))
            address = g_inet_address_new_from_string(json_node_get_string(node));
        if (!address)
            return invalid(error, "\"addresses\": numeric addresses are expected");
        g_ptr_array_add(self->addresses, address);
    }
    if (!g_path_is_absolute(directory) || strlen(directory) > UNIX_PATH_MAX)
        return invalid(error, "\"directory\": a short absolute path is expected");
    self->port = (guint16)port;
    self->directory = g_strdup(directory);
    return TRUE;
}

landing_answer *landing_answer_from_json(JsonObject *object, GError **error)
{
    g_autoptr(landing_answer) self = g_new0(landing_answer, 1);
    const char *host_uuid;
    JsonArray *found;
    JsonObject *made;

    self->addresses = g_ptr_array_new_with_free_func(g_object_unref);
    if (!json_get_array(object, "findings", &found, error) ||
        !json_get_string(object, "host_uuid", &host_uuid, error))
        return NULL;
    self->host_uuid = g_strdup(host_uuid);
    self->found = findings_from_json(found, error);
    if (!self->found)
        return NULL;
    if (json_object_has_member(object, "plan") && !json_object_get_null_member(object, "plan")) {
        if (!json_get_object(object, "plan", &made, error))
            return NULL;
        self->made = plan_from_json(made, error);
        if (!self->made)
            return NULL;
    }
    if (!take_where(self, object, error))
        return NULL;
    return g_steal_pointer(&self);
}

JsonObject *landing_answer_to_json(const landing_answer *self)
{
    JsonObject *object = json_object_new();

    json_object_set_array_member(object, "findings", findings_to_json(self->found));
    json_object_set_string_member(object, "host_uuid", self->host_uuid);
    if (self->made)
        json_object_set_object_member(object, "plan", plan_to_json(self->made));
    if (self->directory) {
        JsonArray *addresses = json_array_new();

        for (guint i = 0; i < self->addresses->len; i++) {
            g_autofree char *text = g_inet_address_to_string(self->addresses->pdata[i]);
            json_array_add_string_element(addresses, text);
        }
        json_object_set_array_member(object, "addresses", addresses);
        json_object_set_int_member(object, "port", self->port);
        json_object_set_string_member(object, "directory", self->directory);
    }
    return object;
}

void landing_answer_free(landing_answer *self)
{
    if (!self)
        return;
    g_clear_pointer(&self->found, findings_free);
    plan_free(self->made);
    g_free(self->host_uuid);
    g_clear_pointer(&self->addresses, g_ptr_array_unref);
    g_free(self->directory);
    g_free(self);
}
