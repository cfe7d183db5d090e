/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan of a landing, put together; see plan.h. */
#include "virt/plan.h"
#include "virt/rewrite.h"
#include "virt/survey.h"
#include "virt/switches.h"

#include <string.h>

plan_nic *plan_nic_new(const char *mac)
{
    plan_nic *nic = g_new0(plan_nic, 1);

    nic->mac = g_strdup(mac);
    nic->vlans = g_array_new(FALSE, FALSE, sizeof(guint16));
    return nic;
}

void plan_nic_free(gpointer data)
{
    plan_nic *nic = data;

    g_free(nic->mac);
    g_free(nic->old_switch);
    g_free(nic->new_switch);
    g_free(nic->portgroup);
    g_array_unref(nic->vlans);
    g_free(nic);
}

plan_disk *plan_disk_new(const char *target, const char *old_path, const char *old_format)
{
    plan_disk *disk = g_new0(plan_disk, 1);

    disk->target = g_strdup(target);
    disk->old_path = g_strdup(old_path);
    disk->old_format = g_strdup(old_format);
    return disk;
}

void plan_disk_free(gpointer data)
{
    plan_disk *disk = data;

    g_free(disk->target);
    g_free(disk->old_path);
    g_free(disk->old_format);
    g_free(disk->new_path);
    g_free(disk->new_format);
    g_free(disk->pool);
    g_free(disk->export);
    g_free(disk);
}

plan *plan_new(void)
{
    plan *self = g_new0(plan, 1);

    self->disks = g_ptr_array_new_with_free_func(plan_disk_free);
    self->nics = g_ptr_array_new_with_free_func(plan_nic_free);
    self->give_up = g_ptr_array_new_with_free_func(g_free);
    return self;
}

GStrv plan_disk_targets(const plan *self)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();

    for (guint i = 0; i < self->disks->len; i++)
        g_strv_builder_add(names, ((const plan_disk *)self->disks->pdata[i])->target);
    return g_strv_builder_end(names);
}

void plan_free(plan *self)
{
    if (!self)
        return;
    g_ptr_array_unref(self->disks);
    g_ptr_array_unref(self->nics);
    g_ptr_array_unref(self->give_up);
    g_free(self->mark);
    g_free(self->live_xml);
    g_free(self->persistent_xml);
    g_free(self);
}

static char *new_mark(void)
{
    g_autofree char *uuid = g_uuid_string_random();
    g_auto(GStrv) parts = g_strsplit(uuid, "-", -1);

    return g_strjoinv(NULL, parts);
}

/* The same VM in both: a stored definition of another one would be defined here after the commit.
 */
static gboolean same_vm(const vm *machine, const vm *stored, GError **error)
{
    if (!strcmp(machine->uuid, stored->uuid) && !strcmp(machine->name, stored->name))
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "the stored definition is of another VM (%s) than the running one (%s)",
                stored->name, machine->name);
    return FALSE;
}

/* Every disk that will be rewritten: copied ones and media found elsewhere. Borrowed. */
static GPtrArray *all_disks(const GPtrArray *copied, const GPtrArray *media)
{
    GPtrArray *all = g_ptr_array_new();

    for (guint i = 0; i < copied->len; i++)
        g_ptr_array_add(all, copied->pdata[i]);
    for (guint i = 0; i < media->len; i++)
        g_ptr_array_add(all, media->pdata[i]);
    return all;
}

static gboolean write_xml(plan *self, const char *live_xml, const char *persistent_xml,
                          rewrite_rules *rules, const GPtrArray *all_nics, GPtrArray *ejected,
                          GError **error)
{
    rules->nics = self->nics;
    self->live_xml = rewrite_domain(live_xml, rules, error);
    if (!self->live_xml || !persistent_xml)
        return self->live_xml != NULL;
    g_ptr_array_add(ejected, NULL);
    rules->ejected = (const char *const *)ejected->pdata;
    rules->nics = all_nics;
    self->persistent_xml = rewrite_domain(persistent_xml, rules, error);
    return self->persistent_xml != NULL;
}

/* NICs of both XMLs; those of the stored definition alone get an entry in `extra`, which borrows
 * the others. */
static gboolean plan_nics(const survey *s, const vm *stored, plan *self, GPtrArray *own,
                          GPtrArray *all, GError **error)
{
    g_autoptr(switches) here = switches_list(s->host->conn, error);

    if (!here)
        return FALSE;
    nics_plan(s, here, s->machine, self->nics);
    for (guint i = 0; i < self->nics->len; i++)
        g_ptr_array_add(all, self->nics->pdata[i]);
    if (stored)
        nics_plan(s, here, stored, all);
    for (guint i = self->nics->len; i < all->len; i++)
        g_ptr_array_add(own, all->pdata[i]);
    return TRUE;
}

plan *plan_make(virt_host *host, const vm *machine, const char *live_xml,
                const char *persistent_xml, const plan_rules *rules, findings *found,
                GError **error)
{
    g_autoptr(plan) self = plan_new();
    plan_rules all = *rules;
    survey s = {host, machine, &all, found, g_get_host_name()};
    g_autoptr(vm) stored = persistent_xml ? vm_parse(persistent_xml, error) : NULL;
    g_autoptr(GPtrArray) media = g_ptr_array_new_with_free_func(plan_disk_free);
    g_autoptr(GPtrArray) ejected = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) stored_nics = g_ptr_array_new_with_free_func(plan_nic_free);
    g_autoptr(GPtrArray) all_nics = g_ptr_array_new();
    g_autoptr(GPtrArray) disks = NULL;
    g_autofree char *emulator = NULL;
    g_auto(GStrv) security = NULL;
    rewrite_rules rewriting = {0};

    all.give_up = self->give_up;
    self->mark = new_mark();
    if (persistent_xml && (!stored || !same_vm(machine, stored, error)))
        return NULL;
    if (!devices_check(&s, stored, error) ||
        !plan_nics(&s, stored, self, stored_nics, all_nics, error) ||
        !disks_plan(&s, stored, self->disks, media, ejected, error) ||
        !suit_check(&s, stored, &emulator, &security, error))
        return NULL;
    if (findings_block(found))
        return g_steal_pointer(&self);
    disks = all_disks(self->disks, media);
    rewriting.disks = disks;
    rewriting.emulator = emulator;
    rewriting.security = (const char *const *)security;
    if (!write_xml(self, live_xml, persistent_xml, &rewriting, all_nics, ejected, error))
        return NULL;
    return g_steal_pointer(&self);
}
