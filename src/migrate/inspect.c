/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Phase comparing, this host's part: is there such a VM, can it move, and what is it like? Changes nothing. */
#include "migrate/source-inside.h"

#include "migrate/homeward.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* A blocking finding about the request or the VM as it is here. */
gboolean source_refuse(source *self, int code, const char *error_code, const char *fix,
                       const char *text)
{
    g_autoptr(findings) found = findings_new();

    findings_add(found, code, self->asked->vm, fix, "%s", text);
    status_take_findings(self->status, found);
    status_set_error(self->status, error_code, "%s%s%s", text, fix ? " " : "", fix ? fix : "");
    return FALSE;
}

gboolean source_fail(source *self, const GError *error)
{
    status_set_error(self->status, "internal", "%s", error->message);
    return FALSE;
}

static gboolean find_vm(source *self)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    self->domain = virt_domain_find(self->host, self->asked->vm, &error);
    if (self->domain)
        return TRUE;
    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
        return source_fail(self, error);
    text = g_strdup_printf("There is no VM \"%s\" on %s.", self->asked->vm, self->work->conf->name);
    return source_refuse(self, 1001, "unknown-vm", "'virsh list --all' shows those there are.", text);
}

static gboolean check_running(source *self)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_autofree char *fix = NULL;
    virt_state state;
    gboolean busy;

    if (!virt_domain_state(self->domain, &state, &error) ||
        !virt_domain_has_job(self->domain, &busy, &error))
        return source_fail(self, error);
    if (state != VIRT_RUNNING) {
        text = g_strdup_printf("%s is %s; only a running VM can be moved.",
                               virt_domain_name(self->domain),
                               state == VIRT_PAUSED ? "paused" : "not running");
        fix = g_strdup_printf("Run 'virsh %s %s' first.", state == VIRT_PAUSED ? "resume" : "start",
                              virt_domain_name(self->domain));
        return source_refuse(self, 1002, "not-running", fix, text);
    }
    if (busy) {
        text = g_strdup_printf("%s is busy with another job of libvirt's.",
                               virt_domain_name(self->domain));
        fix = g_strdup_printf("Wait for it, or end it with 'virsh domjobabort %s'.",
                              virt_domain_name(self->domain));
        return source_refuse(self, 1003, "conflict", fix, text);
    }
    return TRUE;
}

/* The disks will be renamed at the end: better to know now that they can be. */
static gboolean check_disks_writable(source *self)
{
    for (guint i = 0; i < self->landing->machine->disks->len; i++) {
        const vm_disk *disk = self->landing->machine->disks->pdata[i];
        g_autofree char *parent = NULL;
        g_autofree char *text = NULL;

        /* Files only, of a pool or not; others are the target's to refuse. */
        if (!vm_disk_is_copied(disk) || (strcmp(disk->type, "file") && strcmp(disk->type, "volume")))
            continue;
        parent = g_path_get_dirname(disk->source);
        if (access(parent, W_OK) == 0)
            continue;
        text = g_strdup_printf("Disk %s lies in %s, which cannot be written to on %s: %s.",
                               disk->target, parent, self->work->conf->name, g_strerror(errno));
        return source_refuse(self, 1004, "blocked",
                      "Make the directory writable: the disk is renamed when it has moved.", text);
    }
    return TRUE;
}

static gboolean describe_vm(source *self, GError **error)
{
    landing_request *landing = self->landing = g_new0(landing_request, 1);
    gboolean persistent;

    landing->id = g_strdup(self->work->id);
    landing->dry_run = self->compare;
    landing->read_back = self->asked->read_back;
    landing->way_back = self->asked->way_back >= 0 ? self->asked->way_back : self->work->conf->way_back;
    landing->switch_keys = g_strdupv(self->asked->switch_keys);
    landing->switch_values = g_strdupv(self->asked->switch_values);
    landing->storage_keys = g_strdupv(self->asked->storage_keys);
    landing->storage_values = g_strdupv(self->asked->storage_values);
    landing->format_keys = g_strdupv(self->asked->format_keys);
    landing->format_values = g_strdupv(self->asked->format_values);
    landing->host_uuid = virt_host_uuid(self->host, error);
    if (!landing->host_uuid)
        return FALSE;
    landing->live_xml = virt_domain_live_xml(self->domain, error);
    if (!landing->live_xml || !virt_domain_is_persistent(self->domain, &persistent, error))
        return FALSE;
    if (persistent) {
        landing->stored_xml = virt_domain_stored_xml(self->domain, error);
        if (!landing->stored_xml ||
            !virt_domain_get_autostart(self->domain, &landing->autostart, error))
            return FALSE;
    }
    landing->machine = vm_parse(landing->live_xml, error);
    return landing->machine && virt_domain_measure(self->domain, landing->machine, error);
}

static gboolean names_disk(const vm *machine, const char *key)
{
    return !strcmp(key, "*") || vm_find_disk(machine, key);
}

static gboolean holds_disk(const vm *machine, const char *key)
{
    size_t length = strlen(key);

    while (length > 1 && key[length - 1] == '/')
        length--;
    for (guint i = 0; i < machine->disks->len; i++) {
        const char *path = ((const vm_disk *)machine->disks->pdata[i])->source;
        if (path && !strncmp(path, key, length) && (path[length] == '/' || length == 1))
            return TRUE;
    }
    return vm_find_disk(machine, key) != NULL;
}

static gboolean names_nic(const vm *machine, const char *key)
{
    const char *bare = g_str_has_prefix(key, "bridge:")    ? key + strlen("bridge:")
                       : g_str_has_prefix(key, "network:") ? key + strlen("network:")
                                                           : key;

    for (guint i = 0; i < machine->nics->len; i++) {
        const vm_nic *nic = machine->nics->pdata[i];
        if (!g_ascii_strcasecmp(nic->mac, key) || !g_strcmp0(nic->switch_name, bare) ||
            !g_strcmp0(nic->device, bare))
            return TRUE;
    }
    return FALSE;
}

/* What was asked for something the VM does not have was meant for something else. */
static gboolean check_map(source *self, GStrv keys, gboolean (*known)(const vm *, const char *),
                          int code, const char *what, const char *option)
{
    for (guint i = 0; keys && keys[i]; i++) {
        g_autofree char *text = NULL;

        if (known(self->landing->machine, keys[i]))
            continue;
        text = g_strdup_printf("%s has no %s \"%s\" (%s).", self->landing->machine->name, what,
                               keys[i], option);
        return source_refuse(self, code, "blocked",
                             "Look at 'virsh domblklist' and 'virsh domiflist'.", text);
    }
    return TRUE;
}

static gboolean check_maps(source *self)
{
    return check_map(self, self->asked->switch_keys, names_nic, 1007, "NIC on",
                     "--switch") &&
           check_map(self, self->asked->storage_keys, holds_disk, 1008, "disk in",
                     "--storage") &&
           check_map(self, self->asked->format_keys, names_disk, 1009, "disk",
                     "--format");
}

/* A return: every disk and NIC goes to where it was. */
static gboolean take_places(source *self)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = settings_journal(self->work->conf), *text = NULL, *fix = NULL;
    g_autoptr(journal) book = NULL;

    if (!self->asked->return_of)
        return TRUE;
    book = journal_open(path, TRUE, &error);
    if (book && homeward_recall(book, self->asked->return_of, self->asked->target, self->landing,
                                &error))
        return TRUE;
    text = g_strdup_printf("%s cannot go back to its places on %s: %s.", self->landing->machine->name,
                           self->asked->target, error->message);
    fix = g_strdup_printf("Say where it goes: 'ferry migrate %s %s' with --switch and --storage.",
                          self->landing->machine->name, self->asked->target);
    return source_refuse(self, 1010, "blocked", fix, text);
}

/* Phase comparing: this host's part. */
gboolean source_look(source *self)
{
    g_autoptr(GError) error = NULL;

    if (!strcmp(self->asked->target, self->work->conf->name))
        return source_refuse(self, 1005, "blocked", "Name another host.", "The target is this host.");
    if (networks_empty(self->work->conf->migration))
        return source_refuse(self, 1006, "blocked",
                             "Set 'migration' in [networks] of /etc/ferry/ferryd.conf and reload ferryd.",
                             "This host has no network that may carry migrations.");
    self->host = virt_host_open(self->work->conf->libvirt_socket, &error);
    if (!self->host)
        return source_fail(self, error);
    if (!find_vm(self))
        return FALSE;
    status_set_vm(self->status, virt_domain_name(self->domain), virt_domain_uuid(self->domain));
    if (!check_running(self))
        return FALSE;
    if (!describe_vm(self, &error))
        return source_fail(self, error);
    return check_maps(self) && take_places(self) && check_disks_writable(self);
}
