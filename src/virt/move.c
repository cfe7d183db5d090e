/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One migration through the relay's sockets; see move.h. */
#include "virt/move.h"
#include "virt/conn.h"

#include <string.h>

guint64 move_flags(gboolean with_disks)
{
    guint64 flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PAUSED;

    if (with_disks)
        flags |= VIR_MIGRATE_NON_SHARED_DISK;
    return flags;
}

guint64 move_flags_allowed(gboolean with_disks)
{
    guint64 flags = move_flags(with_disks) | VIR_MIGRATE_CHANGE_PROTECTION;

    if (with_disks)
        flags |= VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES;
    return flags;
}

static gboolean add_string(virTypedParameterPtr *params, int *count, int *max, const char *name,
                           const char *value)
{
    return virTypedParamsAddString(params, count, max, name, value) == 0;
}

static gboolean build(const move_terms *terms, virTypedParameterPtr *params, int *count)
{
    int max = 0;

    if (!add_string(params, count, &max, VIR_MIGRATE_PARAM_URI, terms->uri) ||
        !add_string(params, count, &max, VIR_MIGRATE_PARAM_DEST_XML, terms->live_xml))
        return FALSE;
    if (!terms->disks || !terms->disks[0])
        return TRUE;
    for (guint i = 0; terms->disks[i]; i++)
        if (!add_string(params, count, &max, VIR_MIGRATE_PARAM_MIGRATE_DISKS, terms->disks[i]))
            return FALSE;
    return add_string(params, count, &max, VIR_MIGRATE_PARAM_DISKS_URI, terms->disks_uri);
}

/* Asks again while an abort is wanted and the migration goes on. */
typedef struct {
    virt_domain *domain;
    GMutex lock;
    GCond changed;
    gboolean over; /* under lock */
} nagger;

static gpointer nag(gpointer data)
{
    nagger *n = data;

    g_mutex_lock(&n->lock);
    while (!n->over) {
        gint64 until = g_get_monotonic_time() + G_TIME_SPAN_SECOND;
        if (g_cond_wait_until(&n->changed, &n->lock, until) ||
            !g_atomic_int_get(&n->domain->aborting))
            continue;
        g_mutex_unlock(&n->lock);
        (void)virDomainAbortJob(n->domain->domain);
        g_mutex_lock(&n->lock);
    }
    g_mutex_unlock(&n->lock);
    return NULL;
}

static virDomainPtr migrate(virt_domain *domain, virConnectPtr target, virTypedParameterPtr params,
                            int count, guint64 flags)
{
    hook_around("libvirt:migrate");
    nagger n = {.domain = domain};
    GThread *thread;
    virDomainPtr landed;

    g_mutex_init(&n.lock);
    g_cond_init(&n.changed);
    thread = g_thread_new("move-abort", nag, &n);
    landed = virDomainMigrate3(domain->domain, target, params, (unsigned)count, (unsigned)flags);
    g_mutex_lock(&n.lock);
    n.over = TRUE;
    g_cond_signal(&n.changed);
    g_mutex_unlock(&n.lock);
    g_thread_join(thread);
    g_cond_clear(&n.changed);
    g_mutex_clear(&n.lock);
    return landed;
}

gboolean move_run(virt_domain *domain, const move_terms *terms, GError **error)
{
    g_autoptr(virConnect) target = NULL;
    g_autoptr(virDomain) landed = NULL;
    virTypedParameterPtr params = NULL;
    gboolean with_disks = terms->disks && terms->disks[0];
    guint64 flags = move_flags(with_disks);
    int count = 0;

    if (with_disks && terms->synchronous)
        flags |= VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES;
    if (g_atomic_int_get(&domain->aborting)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                    "the migration of VM %s was cancelled before it began", domain->name);
        return FALSE;
    }
    target = conn_open(terms->rpc_socket, error);
    if (!target)
        return FALSE;
    if (build(terms, &params, &count))
        landed = migrate(domain, target, params, count, flags);
    if (!landed)
        conn_error(error, "the migration of VM %s failed", domain->name);
    virTypedParamsFree(params, count);
    return landed != NULL;
}

gboolean move_abort(virt_domain *domain, GError **error)
{
    hook_around("libvirt:abort");
    g_atomic_int_set(&domain->aborting, 1);
    return virDomainAbortJob(domain->domain) == 0 || conn_error_is(VIR_ERR_OPERATION_INVALID) ||
           conn_error_is(VIR_ERR_NO_DOMAIN) ||
           conn_error(error, "the migration of VM %s cannot be stopped", domain->name);
}

gboolean move_get_downtime(virt_domain *domain, guint64 *milliseconds, GError **error)
{
    unsigned long long limit = 0;

    if (virDomainMigrateGetMaxDowntime(domain->domain, &limit, 0) < 0)
        return conn_error(error, "the downtime limit of VM %s is not known", domain->name);
    *milliseconds = limit;
    return TRUE;
}

gboolean move_set_downtime(virt_domain *domain, guint64 milliseconds, GError **error)
{
    return virDomainMigrateSetMaxDowntime(domain->domain, milliseconds, 0) == 0 ||
           conn_error(error, "the downtime limit of VM %s cannot be set", domain->name);
}

static guint64 number(virTypedParameterPtr params, int count, const char *name)
{
    unsigned long long value = 0;

    (void)virTypedParamsGetULLong(params, count, name, &value);
    return value;
}

/* libvirt never shows a mirror that is not ready as having done everything
 * (qemuDomainGetBlockJobInfo). */
static gboolean mirrors_ready(virt_domain *domain, const char *const *disks)
{
    for (guint i = 0; disks && disks[i]; i++) {
        virDomainBlockJobInfo info;
        if (virDomainGetBlockJobInfo(domain->domain, disks[i], &info, 0) != 1 ||
            info.type != VIR_DOMAIN_BLOCK_JOB_TYPE_COPY || info.cur != info.end)
            return FALSE;
    }
    return TRUE;
}

gboolean move_get_progress(virt_domain *domain, const char *const *disks, move_progress *progress,
                           GError **error)
{
    virTypedParameterPtr params = NULL;
    int type = VIR_DOMAIN_JOB_NONE, count = 0;

    memset(progress, 0, sizeof(*progress));
    if (virDomainGetJobStats(domain->domain, &type, &params, &count, 0) < 0)
        return conn_error_is(VIR_ERR_OPERATION_INVALID) || conn_error_is(VIR_ERR_NO_DOMAIN) ||
               conn_error(error, "the progress of VM %s is not known", domain->name);
    progress->active = type == VIR_DOMAIN_JOB_BOUNDED || type == VIR_DOMAIN_JOB_UNBOUNDED;
    if (progress->active) {
        progress->disk_total = number(params, count, VIR_DOMAIN_JOB_DISK_TOTAL);
        progress->disk_done = number(params, count, VIR_DOMAIN_JOB_DISK_PROCESSED);
        progress->memory_total = number(params, count, VIR_DOMAIN_JOB_MEMORY_TOTAL);
        progress->memory_done = number(params, count, VIR_DOMAIN_JOB_MEMORY_PROCESSED);
        progress->memory_remaining = number(params, count, VIR_DOMAIN_JOB_MEMORY_REMAINING);
        progress->page = number(params, count, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE);
        progress->dirty_rate =
            number(params, count, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE) * progress->page;
        progress->iteration = (guint)number(params, count, VIR_DOMAIN_JOB_MEMORY_ITERATION);
        /* libvirt sends memory once every mirror is ready; at the very end the mirrors are gone. */
        progress->disks_ready = progress->memory_total > 0 || mirrors_ready(domain, disks);
    }
    virTypedParamsFree(params, count);
    return TRUE;
}

struct move_watch {
    virConnectPtr conn;
    int id;
    GMutex
        lock; /* guards changed; held while it runs, so that it never runs after move_unwatch */
    void (*changed)(gboolean stopped, gint64 when, void *user);
    void *user;
    gatomicrefcount references; /* the owner's and libvirt's */
};

static void watch_unref(void *data)
{
    move_watch *watch = data;

    if (!g_atomic_ref_count_dec(&watch->references))
        return;
    g_mutex_clear(&watch->lock);
    g_free(watch);
}

static int lifecycle(virConnectPtr conn, virDomainPtr domain, int event, int detail, void *user)
{
    move_watch *watch = user;
    gint64 now = g_get_monotonic_time();

    if (event != VIR_DOMAIN_EVENT_SUSPENDED && event != VIR_DOMAIN_EVENT_RESUMED)
        return 0;
    g_mutex_lock(&watch->lock);
    if (watch->changed)
        watch->changed(event == VIR_DOMAIN_EVENT_SUSPENDED, now, watch->user);
    g_mutex_unlock(&watch->lock);
    return 0;
}

move_watch *move_watch_suspend(virt_domain *domain,
                               void (*changed)(gboolean stopped, gint64 when, void *user),
                               void *user, GError **error)
{
    hook_around("libvirt:watch");
    move_watch *watch = g_new0(move_watch, 1);

    watch->conn = virDomainGetConnect(domain->domain);
    watch->changed = changed;
    watch->user = user;
    g_mutex_init(&watch->lock);
    g_atomic_ref_count_init(&watch->references);
    g_atomic_ref_count_inc(&watch->references);
    virConnectRef(watch->conn);
    watch->id =
        virConnectDomainEventRegisterAny(watch->conn, domain->domain, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         VIR_DOMAIN_EVENT_CALLBACK(lifecycle), watch, watch_unref);
    if (watch->id >= 0)
        return watch;
    conn_error(error, "VM %s cannot be watched", domain->name);
    virConnectClose(watch->conn);
    watch_unref(watch); /* libvirt's: it keeps no callback it refused */
    watch_unref(watch);
    return NULL;
}

void move_unwatch(move_watch *watch)
{
    g_mutex_lock(&watch->lock);
    watch->changed = NULL;
    g_mutex_unlock(&watch->lock);
    virConnectDomainEventDeregisterAny(watch->conn, watch->id);
    virConnectClose(watch->conn);
    watch_unref(watch);
}
