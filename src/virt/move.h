/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The migration itself: one virDomainMigrate3 through the relay's sockets, and what can be seen of
 * it from outside. (libvirt-domain.h, virDomainMigrate3; "managed" migration, not peer-to-peer.)
 */
#pragma once
#include "virt/host.h"

typedef struct {
    const char *rpc_socket;   /* destination connection: qemu+unix:///system?socket=… */
    const char *uri;          /* unix:///…/memory.sock */
    const char *disks_uri;    /* unix:///…/disk.sock */
    const char *const *disks; /* targets to copy; empty: none */
    const char *live_xml;     /* the target's */
    gboolean synchronous;     /* a guest's write waits for the target */
} move_terms;

/* virDomainMigrateFlags of every move: LIVE, PAUSED, and NON_SHARED_DISK with disks. Allowed are
 * NON_SHARED_SYNCHRONOUS_WRITES as well, which concerns the source alone, and CHANGE_PROTECTION,
 * which libvirt adds itself. The permit on the target is built from these. */
guint64 move_flags(gboolean with_disks);
guint64 move_flags_allowed(gboolean with_disks);

/* Blocks until the move has ended. TRUE: libvirt confirmed it and the source's QEMU is gone. FALSE:
 * it has not happened as far as libvirt knows (the caller's journal knows better). Any thread but
 * libvirt's. */
gboolean move_run(virt_domain *domain, const move_terms *terms, GError **error);
/* virDomainAbortJob, again every second until move_run has returned: libvirt (9.0) may miss the end
 * of one of several mirrors it is cancelling and then waits for ever, unless it is asked again.
 * Before move_run it makes that fail. With nothing under way it is no error. Safe from any thread
 * while move_run runs. */
gboolean move_abort(virt_domain *domain, GError **error);

/* While it runs: how long QEMU may stop the guest for what remains, in milliseconds. */
gboolean move_get_downtime(virt_domain *domain, guint64 *milliseconds, GError **error);
gboolean move_set_downtime(virt_domain *domain, guint64 milliseconds, GError **error);

typedef struct {
    gboolean active;
    guint64 disk_total, disk_done;                       /* bytes, all copied disks together */
    guint64 memory_total, memory_done, memory_remaining; /* bytes */
    guint64 page;                                        /* bytes, 0: unknown */
    guint64 dirty_rate;                                  /* bytes/s, 0: unknown */
    guint iteration;
    gboolean disks_ready; /* every mirror is in sync */
} move_progress;
/* virDomainGetJobStats (and block job info for the disks). A domain without a job gives active =
 * FALSE. */
gboolean move_get_progress(virt_domain *domain, const char *const *disks, move_progress *progress,
                           GError **error);

/* Calls `changed` whenever the guest has stopped (lifecycle event SUSPENDED: for the switchover, or
 * because somebody or a full disk has paused it) or runs again (RESUMED), with
 * g_get_monotonic_time() at that moment; in libvirt's event thread. Until move_unwatch. */
typedef struct move_watch move_watch;
move_watch *move_watch_suspend(virt_domain *domain,
                               void (*changed)(gboolean stopped, gint64 when, void *user),
                               void *user, GError **error);
void move_unwatch(move_watch *watch);
