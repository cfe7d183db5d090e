/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This host's libvirt: the connection, what the host has, and the VMs on it. src/virt is the only
 * code that includes libvirt's headers. Works with libvirtd and with the modular virtqemud.
 *
 * All functions may block on libvirt; any thread; libvirt's errors become G_IO_ERROR_FAILED with
 * its message, G_IO_ERROR_NOT_FOUND where the VM does not exist.
 */
#pragma once
#include "virt/vm.h"

typedef struct virt_host
    virt_host; /* reference-counted inside by libvirt; one per process is enough */
typedef struct virt_domain virt_domain;

/* Connects to qemu:///system through `socket`, or the one found (/run/libvirt/virtqemud-sock, then
 * /run/libvirt/libvirt-sock) when NULL. Starts libvirt's event loop in a thread of its own (once a
 * process), so that keepalives are answered and events arrive. The error says how to start the
 * daemon. */
virt_host *virt_host_open(const char *socket, GError **error);
void virt_host_close(virt_host *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virt_host, virt_host_close)
/* Ends libvirt's event loop, after the last connection was closed and before the process ends: its thread must not
 * outlive what it uses. Main thread. */
void virt_stop(void);
const char *virt_host_socket(const virt_host *self);
/* The host UUID libvirt goes by, "…-…"; caller frees. */
char *virt_host_uuid(virt_host *self, GError **error);
/* Who runs QEMU here (DAC base label in the capabilities): the private directory of a landing must
 * be its. Root where libvirt says nothing. */
gboolean virt_host_qemu_owner(virt_host *self, uid_t *uid, gid_t *gid, GError **error);
/* "9.0.0", of libvirt and QEMU; callers free. */
gboolean virt_host_versions(virt_host *self, char **libvirt, char **qemu, GError **error);

virt_domain *virt_domain_find(virt_host *host, const char *name_or_uuid, GError **error);
/* Never by name: a VM whose name looks like another's UUID is not found. */
virt_domain *virt_domain_find_uuid(virt_host *host, const char *uuid, GError **error);
void virt_domain_free(virt_domain *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virt_domain, virt_domain_free)
const char *virt_domain_name(const virt_domain *self);
const char *virt_domain_uuid(const virt_domain *self);

/* All VMs of this host, running or not: [{"name", "uuid", "state"}], by name. */
JsonArray *virt_host_vms(virt_host *self, GError **error);

typedef enum { VIRT_RUNNING, VIRT_PAUSED, VIRT_SHUT_OFF, VIRT_OTHER } virt_state;
gboolean virt_domain_state(virt_domain *self, virt_state *state, GError **error);
gboolean virt_domain_is_persistent(virt_domain *self, gboolean *persistent, GError **error);
gboolean virt_domain_get_autostart(virt_domain *self, gboolean *autostart, GError **error);
gboolean virt_domain_set_autostart(virt_domain *self, gboolean autostart, GError **error);
/* A job (migration, backup, …) is under way on it. */
gboolean virt_domain_has_job(virt_domain *self, gboolean *job, GError **error);
/* Live, migratable, with secrets (what virDomainMigrate3 wants as destination XML); and the stored
 * definition. */
char *virt_domain_live_xml(virt_domain *self, GError **error);
char *virt_domain_stored_xml(virt_domain *self, GError **error);
/* Fills in capacity and allocation of every disk (virDomainGetBlockInfo). */
gboolean virt_domain_measure(virt_domain *self, vm *machine, GError **error);
/* What the guest has asked of its disks since it began to run, and how long it waited for that:
 * reads, writes and flushes together. */
typedef struct {
    guint64 requests, nanoseconds;
    guint64 written; /* bytes */
} virt_block_times;
/* The sum over these disks (targets, NULL-terminated). */
gboolean virt_domain_block_times(virt_domain *self, const char *const *disks,
                                 virt_block_times *times, GError **error);
/* vCPU time used so far, nanoseconds: it advancing is proof of life. */
gboolean virt_domain_cpu_time(virt_domain *self, guint64 *nanoseconds, GError **error);

/* What can be seen of a guest that should run. */
typedef struct {
    virt_state state;
    gboolean dead;   /* shut off, crashed or panicked */
    const char *how; /* of one that is dead or paused: "crashed", a verb with what follows; static */
    guint64 cpu;     /* nanoseconds, as above */
    guint64 requests, packets; /* asked of its disks, sent to its networks; 0: not known */
} virt_life;
gboolean virt_domain_life(virt_domain *self, virt_life *life, GError **error);
/* TRUE: its guest agent is connected, and has answered a ping within so many seconds. */
gboolean virt_domain_answers(virt_domain *self, int seconds);

gboolean virt_domain_resume(virt_domain *self, GError **error);
/* Kills the guest at once; a guest that is gone already is no error. */
gboolean virt_domain_destroy(virt_domain *self, GError **error);
/* Makes `xml` the stored definition (of a running transient VM too); with autostart as said. */
gboolean virt_host_define(virt_host *self, const char *xml, gboolean autostart, GError **error);
/* Removes the stored definition only: NVRAM, TPM state, saved images, snapshots' metadata and
 * checkpoints as said there are kept or dropped so that undefining succeeds; the guest, if running,
 * is not touched. Gone already: no error. */
gboolean virt_domain_undefine(virt_domain *self, GError **error);
