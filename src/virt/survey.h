/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts plan_make is put together from; only inside src/virt. Each looks at one thing, adds
 * findings, and fails only when libvirt does not answer. */
#pragma once
#include "virt/plan.h"

typedef struct {
    virt_host *host;
    const vm *machine;
    const plan_rules *rules;
    findings *found;
    const char *here; /* this host's name, for sentences */
} survey;

/* suit.c: CPU, machine type, emulator, memory, security; of the stored definition (NULL: none),
 * which names the same machine and emulator, CPU and memory where it says otherwise than the live
 * one. *emulator: what the XML must name instead, or NULL; *security: models of <seclabel> to drop.
 * Caller frees both. */
gboolean suit_check(const survey *s, const vm *stored, char **emulator, GStrv *security,
                    GError **error);
/* readable.c: may files of this host be given to an arriving VM to read? */
typedef struct readable readable;
/* `pools`: directories of active pools. Both borrowed. */
readable *readable_new(const survey *s, const char *const *pools);
void readable_free(readable *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(readable, readable_free)
/* *why: NULL when it may; else what is wrong, a verb with what follows. `format`: of a disk or
 * medium, which must lie where disks of VMs may; NULL: of another file. FALSE: libvirt does not
 * answer. */
gboolean readable_look(readable *self, const char *path, const char *format, const char **why,
                       GError **error);
/* devices.c: host devices, what is not known, and other files of the host, in the live and the
 * stored definition (NULL: none); name and UUID free here. */
gboolean devices_check(const survey *s, const vm *stored, GError **error);
/* nics.c: a plan_nic for every NIC of `machine` (the survey's, or that of the stored definition).
 * NICs that are in `known` (of plan_nic; NULL: none) by MAC are not looked at again. */
struct switches;
void nics_plan(const survey *s, const struct switches *here, const vm *machine, GPtrArray *known);
/* disks.c: plan_disks of what is copied into `disks`, of media to be found elsewhere into `media`,
 * and the targets of drives that must be emptied in the stored definition into `ejected`. `stored`
 * may be NULL. */
gboolean disks_plan(const survey *s, const vm *stored, GPtrArray *disks, GPtrArray *media,
                    GPtrArray *ejected, GError **error);

/* plan.c */
plan_nic *plan_nic_new(const char *mac);
void plan_nic_free(gpointer nic);
plan_disk *plan_disk_new(const char *target, const char *old_path, const char *old_format);
void plan_disk_free(gpointer disk);
plan *plan_new(void);
