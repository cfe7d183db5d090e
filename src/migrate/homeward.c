/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From where a VM was to how it gets there again; see homeward.h. */
#include "migrate/homeward.h"

#include <string.h>

/* An ordered map in the making. */
typedef struct {
    GPtrArray *keys, *values; /* of strings, owned */
} rules;

static rules rules_new(void)
{
    return (rules){g_ptr_array_new_with_free_func(g_free), g_ptr_array_new_with_free_func(g_free)};
}

static void rules_add(rules *self, const char *key, char *value)
{
    g_ptr_array_add(self->keys, g_strdup(key));
    g_ptr_array_add(self->values, value);
}

static const char *rules_find(const rules *self, const char *key)
{
    for (guint i = 0; i < self->keys->len; i++)
        if (!strcmp(self->keys->pdata[i], key))
            return self->values->pdata[i];
    return NULL;
}

static void rules_clear(rules *self)
{
    g_ptr_array_unref(self->keys);
    g_ptr_array_unref(self->values);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(rules, rules_clear)

static void rules_give(rules *self, GStrv *keys, GStrv *values)
{
    g_strfreev(*keys);
    g_strfreev(*values);
    g_ptr_array_add(self->keys, NULL);
    g_ptr_array_add(self->values, NULL);
    *keys = g_strdupv((GStrv)self->keys->pdata);
    *values = g_strdupv((GStrv)self->values->pdata);
}

static const vm_nic *find_nic(const vm *machine, const char *mac)
{
    for (guint i = 0; machine && i < machine->nics->len; i++) {
        const vm_nic *nic = machine->nics->pdata[i];
        if (!g_ascii_strcasecmp(nic->mac, mac))
            return nic;
    }
    return NULL;
}

/* "bridge:Converged:500,600", "network:default:untagged" */
static char *place_of(const vm_nic *nic)
{
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_printf(text, "%s:%s", strcmp(nic->type, "network") ? "bridge" : "network",
                    nic->switch_name);
    for (guint i = 0; i < nic->vlans->len; i++)
        g_string_append_printf(text, "%c%u", i ? ',' : ':', g_array_index(nic->vlans, guint16, i));
    if (!nic->vlans->len)
        g_string_append(text, ":untagged");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean cannot(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean cannot(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error)
        *error = g_error_new_valist(G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, format, args);
    va_end(args);
    return FALSE;
}

/* `live`: the rules are those of the running VM so far; a NIC that the stored definition has elsewhere goes with
 * the running one, as it did on the way here. */
static gboolean add_nics(const vm *then, const vm *now, const vm *now_stored, gboolean live,
                         rules *switches, GError **error)
{
    for (guint i = 0; then && i < then->nics->len; i++) {
        const vm_nic *old = then->nics->pdata[i], *nic = find_nic(now, old->mac);
        g_autofree char *place = NULL;
        const char *known = rules_find(switches, old->mac);

        if (!nic)
            nic = find_nic(now_stored, old->mac);
        if (!nic || (!old->switch_name && !strcmp(old->type, nic->type)))
            continue;
        if (!old->switch_name)
            return cannot(error, "NIC %s was of type %s there and is on a switch here", old->mac,
                          old->type);
        place = place_of(old);
        if (known && live && strcmp(known, place))
            return cannot(error, "two NICs were on different switches there with one MAC address, %s",
                          old->mac);
        if (!known)
            rules_add(switches, old->mac, g_steal_pointer(&place));
    }
    return TRUE;
}

static const char *file_of(const char *source)
{
    return strrchr(source, '/') + 1;
}

/* The pool of "POOL/VOLUME", or the directory of a path. */
static char *directory_of(const vm_disk *disk)
{
    g_autofree char *parent = g_path_get_dirname(disk->source);

    return *disk->source == '/' ? g_steal_pointer(&parent) : g_strconcat("pool:", parent, NULL);
}

static void add_disk(const vm_disk *old, const vm_disk *disk, rules *storage, rules *names,
                     rules *formats)
{
    if (!old->source || !strchr(old->source, '/') || !disk->source || !strchr(disk->source, '/'))
        return;
    if (vm_disk_is_copied(old) && vm_disk_is_copied(disk)) {
        rules_add(storage, disk->target, directory_of(old));
        rules_add(names, disk->target, g_strdup(file_of(old->source)));
        if (!strcmp(old->format, "qcow2") || !strcmp(old->format, "raw"))
            rules_add(formats, disk->target, g_strdup(old->format));
    } else if (old->readonly && disk->readonly && *old->source == '/' &&
               !strcmp(file_of(old->source), file_of(disk->source))) {
        /* The medium it had there; another one has been put in since. */
        rules_add(storage, disk->target, directory_of(old));
    }
}

gboolean homeward_rules(const landing_request *came, landing_request *home, GError **error)
{
    g_auto(rules) switches = rules_new(), storage = rules_new(), names = rules_new(),
                  formats = rules_new();
    g_autoptr(vm) then_stored = NULL;
    g_autoptr(vm) now_stored = NULL;

    if (came->stored_xml && !(then_stored = vm_parse(came->stored_xml, error)))
        return FALSE;
    if (home->stored_xml && !(now_stored = vm_parse(home->stored_xml, error)))
        return FALSE;
    if (!add_nics(came->machine, home->machine, now_stored, TRUE, &switches, error) ||
        !add_nics(then_stored, home->machine, now_stored, FALSE, &switches, error))
        return FALSE;
    for (guint i = 0; i < came->machine->disks->len; i++) {
        const vm_disk *old = came->machine->disks->pdata[i];
        const vm_disk *disk = vm_find_disk(home->machine, old->target);
        if (disk)
            add_disk(old, disk, &storage, &names, &formats);
    }
    rules_give(&switches, &home->switch_keys, &home->switch_values);
    rules_give(&storage, &home->storage_keys, &home->storage_values);
    rules_give(&names, &home->name_keys, &home->name_values);
    rules_give(&formats, &home->format_keys, &home->format_values);
    return TRUE;
}

gboolean homeward_recall(journal *book, const char *id, const char *peer, landing_request *home,
                         GError **error)
{
    g_autoptr(journal_entry) last = journal_last_handover(book, home->machine->uuid, error);
    g_autoptr(JsonObject) details = NULL;
    g_autoptr(landing_request) came = NULL;
    JsonObject *landing;

    if (error && *error)
        return FALSE;
    if (!last || strcmp(last->id, id) || strcmp(last->role, "target") ||
        g_ascii_strcasecmp(last->peer, peer))
        return cannot(error, "the move %.8s is not the one that brought %s here from %s", id,
                      home->machine->name, peer);
    details = json_parse(last->details ? last->details : "{}", -1, error);
    if (details && json_get_object(details, "landing", &landing, error))
        came = landing_request_from_json(landing, error);
    if (!came) {
        g_prefix_error(error, "what the journal has of the move %.8s cannot be read: ", id);
        return FALSE;
    }
    return homeward_rules(came, home, error);
}
