/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One VM on this host; see host.h. */
#include "virt/conn.h"
#include "virt/rewrite.h"

#include <string.h>
#include <sys/stat.h>

static virt_domain *wrap(virDomainPtr domain)
{
    virt_domain *self = g_new0(virt_domain, 1);
    char uuid[VIR_UUID_STRING_BUFLEN] = "";

    virDomainGetUUIDString(domain, uuid);
    self->domain = domain;
    self->name = g_strdup(virDomainGetName(domain));
    self->uuid = g_strdup(uuid);
    return self;
}

virt_domain *virt_domain_find(virt_host *host, const char *name_or_uuid, GError **error)
{
    hook_around("libvirt:find");
    virDomainPtr domain = virDomainLookupByName(host->conn, name_or_uuid);

    if (!domain && conn_error_is(VIR_ERR_NO_DOMAIN) && g_uuid_string_is_valid(name_or_uuid))
        domain = virDomainLookupByUUIDString(host->conn, name_or_uuid);
    if (domain)
        return wrap(domain);
    if (conn_error_is(VIR_ERR_NO_DOMAIN))
        g_set_error(
            error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
            "there is no VM \"%s\" on this host: \"virsh list --all\" shows those there are",
            name_or_uuid);
    else
        conn_error(error, "the VM \"%s\" cannot be looked up", name_or_uuid);
    return NULL;
}

virt_domain *virt_domain_find_uuid(virt_host *host, const char *uuid, GError **error)
{
    hook_around("libvirt:find");
    virDomainPtr domain = virDomainLookupByUUIDString(host->conn, uuid);

    if (domain)
        return wrap(domain);
    if (conn_error_is(VIR_ERR_NO_DOMAIN))
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "there is no VM with UUID %s on this host", uuid);
    else
        conn_error(error, "the VM with UUID %s cannot be looked up", uuid);
    return NULL;
}

void virt_domain_free(virt_domain *self)
{
    if (!self)
        return;
    virDomainFree(self->domain);
    g_free(self->name);
    g_free(self->uuid);
    g_free(self);
}

const char *virt_domain_name(const virt_domain *self)
{
    return self->name;
}

const char *virt_domain_uuid(const virt_domain *self)
{
    return self->uuid;
}

static virt_state state_of(int number)
{
    switch (number) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return VIRT_RUNNING;
    case VIR_DOMAIN_PAUSED:
        return VIRT_PAUSED;
    case VIR_DOMAIN_SHUTOFF:
    case VIR_DOMAIN_CRASHED:
        return VIRT_SHUT_OFF;
    default:
        return VIRT_OTHER;
    }
}

gboolean virt_domain_state(virt_domain *self, virt_state *state, GError **error)
{
    hook_around("libvirt:state");
    int now, reason;

    if (virDomainGetState(self->domain, &now, &reason, 0) < 0)
        return conn_error(error, "the state of VM %s is not known", self->name);
    *state = state_of(now);
    return TRUE;
}

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(virDomainGetName(*(virDomainPtr const *)a),
                  virDomainGetName(*(virDomainPtr const *)b));
}

JsonArray *virt_host_vms(virt_host *self, GError **error)
{
    static const char *const states[] = {[VIRT_RUNNING] = "running", [VIRT_PAUSED] = "paused",
                                         [VIRT_SHUT_OFF] = "shut-off", [VIRT_OTHER] = "other"};
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(self->conn, &domains, 0);
    JsonArray *list;

    if (count < 0) {
        conn_error(error, "libvirt does not tell the VMs of this host");
        return NULL;
    }
    qsort(domains, (size_t)count, sizeof(*domains), by_name);
    list = json_array_new();
    for (int i = 0; i < count; i++) {
        char uuid[VIR_UUID_STRING_BUFLEN] = "";
        int state = VIR_DOMAIN_NOSTATE, reason;
        JsonObject *object = json_object_new();

        virDomainGetUUIDString(domains[i], uuid);
        (void)virDomainGetState(domains[i], &state, &reason, 0); /* gone meanwhile: "other" */
        json_object_set_string_member(object, "name", virDomainGetName(domains[i]));
        json_object_set_string_member(object, "uuid", uuid);
        json_object_set_string_member(object, "state", states[state_of(state)]);
        json_array_add_object_element(list, object);
        virDomainFree(domains[i]);
    }
    free(domains);
    return list;
}

gboolean virt_domain_is_persistent(virt_domain *self, gboolean *persistent, GError **error)
{
    hook_around("libvirt:persistent");
    int answer = virDomainIsPersistent(self->domain);

    *persistent = answer == 1;
    return answer >= 0 || conn_error(error, "VM %s", self->name);
}

gboolean virt_domain_get_autostart(virt_domain *self, gboolean *autostart, GError **error)
{
    hook_around("libvirt:get-autostart");
    gboolean persistent;
    int answer = 0;

    *autostart = FALSE;
    if (!virt_domain_is_persistent(self, &persistent, error))
        return FALSE;
    if (persistent && virDomainGetAutostart(self->domain, &answer) < 0)
        return conn_error(error, "whether VM %s starts by itself is not known", self->name);
    *autostart = answer != 0;
    return TRUE;
}

static char *get_xml(virt_domain *self, unsigned flags, GError **error)
{
    hook_around("libvirt:xml");
    char *text = virDomainGetXMLDesc(self->domain, flags);
    char *copy;

    if (!text) {
        conn_error(error, "the definition of VM %s cannot be read", self->name);
        return NULL;
    }
    copy = g_strdup(text);
    free(text);
    return copy;
}

char *virt_domain_live_xml(virt_domain *self, GError **error)
{
    g_autofree char *text = get_xml(self, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE, error);
    g_autofree char *plain = text ? get_xml(self, VIR_DOMAIN_XML_SECURE, error) : NULL;

    return plain ? rewrite_with_live(text, plain, error) : NULL;
}

char *virt_domain_stored_xml(virt_domain *self, GError **error)
{
    return get_xml(
        self, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_MIGRATABLE, error);
}

/* The path of "POOL/VOLUME"; the pool's own name of it is what the disk has. */
static gboolean resolve_volume(virConnectPtr conn, vm_disk *disk, GError **error)
{
    g_auto(GStrv) names = g_strsplit(disk->source, "/", 2);
    g_autoptr(virStoragePool) pool = virStoragePoolLookupByName(conn, names[0]);
    g_autoptr(virStorageVol) volume = pool ? virStorageVolLookupByName(pool, names[1]) : NULL;
    char *path = volume ? virStorageVolGetPath(volume) : NULL;

    if (!path)
        return conn_error(error, "disk %s: volume %s of pool %s", disk->target, names[1], names[0]);
    g_free(disk->source);
    disk->source = g_strdup(path);
    free(path);
    return TRUE;
}

/* What the images of a disk take together, bytes: all of the chain is copied.
 * (virDomainGetBlockInfo shows the highest offset written instead, once a guest has written: the
 * whole size of many a sparse disk.) 0: not known. */
static guint64 bytes_taken(virDomainPtr domain, const vm_disk *disk)
{
    virDomainPtr list[] = {domain, NULL};
    virDomainStatsRecordPtr *records = NULL;
    guint64 sum = 0;
    unsigned count = 0;

    if (virDomainListGetStats(list, VIR_DOMAIN_STATS_BLOCK, &records,
                              VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING) != 1)
        return 0;
    (void)virTypedParamsGetUInt(records[0]->params, records[0]->nparams, "block.count", &count);
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("block.%u.name", i);
        g_autofree char *size = g_strdup_printf("block.%u.physical", i);
        const char *target = NULL;
        unsigned long long bytes = 0;
        (void)virTypedParamsGetString(records[0]->params, records[0]->nparams, name, &target);
        (void)virTypedParamsGetULLong(records[0]->params, records[0]->nparams, size, &bytes);
        if (!g_strcmp0(target, disk->target))
            sum += bytes;
    }
    virDomainStatsRecordListFree(records);
    return MIN(sum, disk->capacity);
}

gboolean virt_domain_measure(virt_domain *self, vm *machine, GError **error)
{
    hook_around("libvirt:measure");
    virConnectPtr conn = virDomainGetConnect(self->domain);

    for (guint i = 0; i < machine->disks->len; i++) {
        vm_disk *disk = machine->disks->pdata[i];
        virDomainBlockInfo info;
        guint64 taken;
        if (!disk->source)
            continue;
        if (virDomainGetBlockInfo(self->domain, disk->target, &info, 0) < 0)
            return conn_error(error, "the size of disk %s of VM %s is not known", disk->target,
                              self->name);
        disk->capacity = info.capacity;
        disk->allocation = info.allocation;
        taken = bytes_taken(self->domain, disk);
        if (taken)
            disk->allocation = taken;
        if (!strcmp(disk->type, "volume") && disk->source[0] != '/' &&
            !resolve_volume(conn, disk, error))
            return FALSE;
    }
    return TRUE;
}

static guint64 counter(virTypedParameterPtr params, int count, const char *name)
{
    long long value = 0;

    (void)virTypedParamsGetLLong(params, count, name, &value);
    return value > 0 ? (guint64)value : 0;
}

static gboolean add_block_times(virt_domain *self, const char *disk, virt_block_times *sum,
                                GError **error)
{
    virTypedParameterPtr params = NULL;
    int count = 0;

    if (virDomainBlockStatsFlags(self->domain, disk, NULL, &count, 0) < 0)
        return conn_error(error, "the block statistics of VM %s cannot be read", self->name);
    params = g_new0(virTypedParameter, (gsize)count);
    if (virDomainBlockStatsFlags(self->domain, disk, params, &count, 0) < 0) {
        g_free(params);
        return conn_error(error, "the block statistics of VM %s cannot be read", self->name);
    }
    sum->requests += counter(params, count, VIR_DOMAIN_BLOCK_STATS_READ_REQ) +
                     counter(params, count, VIR_DOMAIN_BLOCK_STATS_WRITE_REQ) +
                     counter(params, count, VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ);
    sum->nanoseconds += counter(params, count, VIR_DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES) +
                        counter(params, count, VIR_DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES) +
                        counter(params, count, VIR_DOMAIN_BLOCK_STATS_FLUSH_TOTAL_TIMES);
    sum->written += counter(params, count, VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES);
    virTypedParamsClear(params, count);
    g_free(params);
    return TRUE;
}

gboolean virt_domain_block_times(virt_domain *self, const char *const *disks,
                                 virt_block_times *times, GError **error)
{
    virt_block_times sum = {0};

    for (guint i = 0; disks[i]; i++)
        if (!add_block_times(self, disks[i], &sum, error))
            return FALSE;
    *times = sum;
    return TRUE;
}

gboolean virt_domain_cpu_time(virt_domain *self, guint64 *nanoseconds, GError **error)
{
    hook_around("libvirt:cpu-time");
    virDomainInfo info;

    if (virDomainGetInfo(self->domain, &info) < 0)
        return conn_error(error, "VM %s", self->name);
    *nanoseconds = info.cpuTime;
    return TRUE;
}

/* A copy or commit of one disk is a job too, but not one that virDomainGetJobStats shows. */
static gboolean has_block_job(virt_domain *self, gboolean *job, GError **error)
{
    g_autofree char *text = get_xml(self, 0, error);
    g_autoptr(vm) machine = text ? vm_parse(text, error) : NULL;

    if (!machine)
        return FALSE;
    for (guint i = 0; i < machine->disks->len && !*job; i++) {
        const vm_disk *disk = machine->disks->pdata[i];
        virDomainBlockJobInfo info;
        *job = disk->source && virDomainGetBlockJobInfo(self->domain, disk->target, &info, 0) > 0;
    }
    return TRUE;
}

gboolean virt_domain_has_job(virt_domain *self, gboolean *job, GError **error)
{
    hook_around("libvirt:job");
    virDomainJobInfo info;

    *job = FALSE;
    if (virDomainGetJobInfo(self->domain, &info) < 0)
        return conn_error_is(VIR_ERR_OPERATION_INVALID) || /* not running */
               conn_error(error, "what VM %s is busy with is not known", self->name);
    *job = info.type != VIR_DOMAIN_JOB_NONE;
    return *job || has_block_job(self, job, error);
}

gboolean virt_domain_set_autostart(virt_domain *self, gboolean autostart, GError **error)
{
    hook_around("libvirt:autostart");
    return virDomainSetAutostart(self->domain, autostart) == 0 ||
           conn_error(error, "whether VM %s starts by itself cannot be set", self->name);
}

gboolean virt_domain_resume(virt_domain *self, GError **error)
{
    hook_around("libvirt:resume");
    return virDomainResume(self->domain) == 0 ||
           conn_error(error, "VM %s does not go on", self->name);
}

gboolean virt_domain_destroy(virt_domain *self, GError **error)
{
    hook_around("libvirt:destroy");
    return virDomainDestroy(self->domain) == 0 || conn_error_is(VIR_ERR_OPERATION_INVALID) ||
           conn_error_is(VIR_ERR_NO_DOMAIN) ||
           conn_error(error, "VM %s cannot be stopped", self->name);
}

gboolean virt_host_define(virt_host *host, const char *xml, gboolean autostart, GError **error)
{
    hook_around("libvirt:define");
    g_autoptr(virDomain) domain = virDomainDefineXMLFlags(host->conn, xml, 0);

    if (!domain)
        return conn_error(error, "the VM cannot be defined");
    if (virDomainSetAutostart(domain, autostart) < 0)
        return conn_error(error, "VM %s is defined, but whether it starts by itself is not set",
                          virDomainGetName(domain));
    return TRUE;
}

gboolean virt_domain_undefine(virt_domain *self, GError **error)
{
    hook_around("libvirt:undefine");
    const unsigned base = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                          VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                          VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_KEEP_NVRAM;
    gboolean persistent;
    int rc;

    if (!virt_domain_is_persistent(self, &persistent, NULL))
        return conn_error_is(VIR_ERR_NO_DOMAIN) || conn_error(error, "VM %s", self->name);
    if (!persistent)
        return TRUE;
    rc = -1;
#if LIBVIR_CHECK_VERSION(8, 9, 0)
    rc = virDomainUndefineFlags(self->domain, base | VIR_DOMAIN_UNDEFINE_KEEP_TPM);
#endif
    /* A daemon older than this build's header does not know the flag (and keeps the TPM's state).
     */
    if (rc < 0 && !conn_error_is(VIR_ERR_NO_DOMAIN))
        rc = virDomainUndefineFlags(self->domain, base);
    return rc == 0 || conn_error_is(VIR_ERR_NO_DOMAIN) ||
           conn_error(error, "the definition of VM %s cannot be removed", self->name);
}
