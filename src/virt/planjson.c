/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans as JSON; see plan.h. What comes in is a peer's or a journal's: bounded and validated. */
#include "virt/survey.h"
#include "virt/vmparts.h"

#include <string.h>

static void set_text(JsonObject *object, const char *member, const char *text)
{
    if (text)
        json_object_set_string_member(object, member, text);
}

static JsonObject *disk_to_json(const plan_disk *disk)
{
    JsonObject *object = json_object_new();

    set_text(object, "target", disk->target);
    set_text(object, "old_path", disk->old_path);
    set_text(object, "old_format", disk->old_format);
    set_text(object, "new_path", disk->new_path);
    set_text(object, "new_format", disk->new_format);
    set_text(object, "pool", disk->pool);
    set_text(object, "export", disk->export);
    json_object_set_int_member(object, "capacity", (gint64)disk->capacity);
    if (disk->inode) /* unsigned and maybe above what JSON's integers hold */
        json_object_set_int_member(object, "inode", (gint64)disk->inode);
    return object;
}

static JsonObject *nic_to_json(const plan_nic *nic)
{
    JsonObject *object = json_object_new();
    JsonArray *vlans = json_array_new();

    set_text(object, "mac", nic->mac);
    set_text(object, "old_switch", nic->old_switch);
    set_text(object, "new_switch", nic->new_switch);
    json_object_set_boolean_member(object, "network", nic->network);
    json_object_set_boolean_member(object, "openvswitch", nic->openvswitch);
    for (guint i = 0; i < nic->vlans->len; i++)
        json_array_add_int_element(vlans, g_array_index(nic->vlans, guint16, i));
    json_object_set_array_member(object, "vlans", vlans);
    return object;
}

JsonObject *plan_to_json(const plan *self)
{
    JsonObject *object = json_object_new();
    JsonArray *disks = json_array_new(), *nics = json_array_new();

    for (guint i = 0; i < self->disks->len; i++)
        json_array_add_object_element(disks, disk_to_json(self->disks->pdata[i]));
    for (guint i = 0; i < self->nics->len; i++)
        json_array_add_object_element(nics, nic_to_json(self->nics->pdata[i]));
    json_object_set_array_member(object, "disks", disks);
    json_object_set_array_member(object, "nics", nics);
    set_text(object, "mark", self->mark);
    set_text(object, "live_xml", self->live_xml);
    set_text(object, "persistent_xml", self->persistent_xml);
    return object;
}

/* An optional string member that must be sane where it is there. */
static gboolean get(JsonObject *object, const char *member, gboolean (*sane)(const char *),
                    char **value, GError **error)
{
    const char *text;

    if (!json_opt_string(object, member, &text, NULL, error))
        return FALSE;
    if (text && !sane(text))
        return vm_invalid(error, "\"%s\" is not what it must be", member);
    *value = g_strdup(text);
    return TRUE;
}

/* A path, or the "POOL/VOLUME" of a disk that is one. */
static gboolean is_source(const char *text)
{
    g_auto(GStrv) parts = NULL;

    if (text[0] == '/')
        return vm_path_is_sane(text);
    parts = g_strsplit(text, "/", 3);
    return g_strv_length(parts) == 2 && vm_name_is_sane(parts[0]) && vm_name_is_sane(parts[1]);
}

static gboolean is_made_format(const char *text)
{
    return !strcmp(text, "qcow2") || !strcmp(text, "raw");
}

static gboolean is_target(const char *text)
{
    return g_regex_match_simple("^[a-z0-9]{2,15}$", text, G_REGEX_DOLLAR_ENDONLY, 0);
}

static gboolean is_export(const char *text)
{
    return g_regex_match_simple("^drive-[A-Za-z0-9_-]{1,200}$", text, G_REGEX_DOLLAR_ENDONLY, 0);
}

static gboolean is_mac(const char *text)
{
    return g_regex_match_simple("^[0-9a-f]{2}(:[0-9a-f]{2}){5}$", text, G_REGEX_DOLLAR_ENDONLY, 0);
}

static gboolean is_mark(const char *text)
{
    return g_regex_match_simple("^[0-9a-f]{32}$", text, G_REGEX_DOLLAR_ENDONLY, 0);
}

static gboolean read_disk(plan *self, JsonObject *object, GError **error)
{
    plan_disk *disk = plan_disk_new(NULL, NULL, NULL);
    gint64 capacity, inode;

    g_ptr_array_add(self->disks, disk);
    if (!get(object, "target", is_target, &disk->target, error) ||
        !get(object, "old_path", is_source, &disk->old_path, error) ||
        !get(object, "old_format", vm_name_is_sane, &disk->old_format, error) ||
        !get(object, "new_path", vm_path_is_sane, &disk->new_path, error) ||
        !get(object, "new_format", is_made_format, &disk->new_format, error) ||
        !get(object, "pool", vm_name_is_sane, &disk->pool, error) ||
        !get(object, "export", is_export, &disk->export, error) ||
        !json_get_int(object, "capacity", 0, G_MAXINT64, &capacity, error) ||
        !json_opt_int(object, "inode", G_MININT64, G_MAXINT64, &inode, 0, error))
        return FALSE;
    disk->capacity = (guint64)capacity;
    disk->inode = (guint64)inode;
    if (!disk->target || !disk->old_path || !disk->old_format)
        return vm_invalid(error, "a disk lacks its target, path or format");
    for (guint i = 0; i + 1 < self->disks->len; i++) {
        const plan_disk *other = self->disks->pdata[i];
        if (!strcmp(other->target, disk->target))
            return vm_invalid(error, "disk %s is there twice", disk->target);
        if (disk->export && !g_strcmp0(other->export, disk->export))
            return vm_invalid(error, "disks %s and %s have the same export", other->target,
                              disk->target);
    }
    return TRUE;
}

static gboolean read_vlans(plan_nic *nic, JsonArray *vlans, GError **error)
{
    if (json_array_get_length(vlans) > 4096)
        return vm_invalid(error, "a NIC with too many VLANs");
    for (guint i = 0; i < json_array_get_length(vlans); i++) {
        JsonNode *node = json_array_get_element(vlans, i);
        gint64 id = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64
                        ? json_node_get_int(node)
                        : -1;
        guint16 value = (guint16)id;
        if (id < 0 || id > 4095)
            return vm_invalid(error, "\"vlans\": not VLAN IDs");
        g_array_append_val(nic->vlans, value);
    }
    return TRUE;
}

static gboolean read_nic(plan *self, JsonObject *object, GError **error)
{
    plan_nic *nic = plan_nic_new(NULL);
    JsonArray *vlans;

    g_ptr_array_add(self->nics, nic);
    if (!get(object, "mac", is_mac, &nic->mac, error) ||
        !get(object, "old_switch", vm_name_is_sane, &nic->old_switch, error) ||
        !get(object, "new_switch", vm_name_is_sane, &nic->new_switch, error) ||
        !json_opt_bool(object, "network", &nic->network, FALSE, error) ||
        !json_opt_bool(object, "openvswitch", &nic->openvswitch, FALSE, error) ||
        !json_get_array(object, "vlans", &vlans, error))
        return FALSE;
    if (!nic->mac)
        return vm_invalid(error, "a NIC lacks its MAC address");
    return read_vlans(nic, vlans, error);
}

static gboolean read_all(plan *self, JsonObject *object, const char *member, guint most,
                         gboolean (*read)(plan *, JsonObject *, GError **), GError **error)
{
    JsonArray *array;

    if (!json_get_array(object, member, &array, error))
        return FALSE;
    if (json_array_get_length(array) > most)
        return vm_invalid(error, "\"%s\": more than %u", member, most);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        if (!JSON_NODE_HOLDS_OBJECT(node))
            return vm_invalid(error, "\"%s\": objects are expected", member);
        if (!read(self, json_node_get_object(node), error)) {
            g_prefix_error(error, "\"%s\", number %u: ", member, i);
            return FALSE;
        }
    }
    return TRUE;
}

/* An XML that libvirt will be given: a domain, and the same one in both. */
static gboolean read_xml(JsonObject *object, const char *member, char **xml, vm **machine,
                         GError **error)
{
    const char *text;

    if (!json_opt_string(object, member, &text, NULL, error))
        return FALSE;
    if (!text)
        return TRUE;
    *machine = vm_parse(text, error);
    if (!*machine) {
        g_prefix_error(error, "\"%s\": ", member);
        return FALSE;
    }
    *xml = g_strdup(text);
    return TRUE;
}

plan *plan_from_json(JsonObject *object, GError **error)
{
    g_autoptr(plan) self = plan_new();
    g_autoptr(vm) live = NULL;
    g_autoptr(vm) stored = NULL;

    if (!read_all(self, object, "disks", VM_DISKS_MAX, read_disk, error) ||
        !read_all(self, object, "nics", VM_NICS_MAX, read_nic, error) ||
        !get(object, "mark", is_mark, &self->mark, error) ||
        !read_xml(object, "live_xml", &self->live_xml, &live, error) ||
        !read_xml(object, "persistent_xml", &self->persistent_xml, &stored, error))
        return NULL;
    if (!self->mark) {
        vm_invalid(error, "the plan has no mark");
        return NULL;
    }
    if (stored && (!live || strcmp(live->uuid, stored->uuid) || strcmp(live->name, stored->name))) {
        vm_invalid(error, "\"persistent_xml\" is of another VM than \"live_xml\"");
        return NULL;
    }
    return g_steal_pointer(&self);
}
