/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of this host; see images.h. */
#include "virt/images.h"

#include "base/fdio.h"
#include "virt/conn.h"
#include "virt/storage.h"
#include "virt/xml.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean find_pool(virt_host *host, const char *name, storage_place *place, GError **error)
{
    switch (storage_find_pool(host->conn, name, place, error)) {
    case STORAGE_GOOD:
        return TRUE;
    case STORAGE_FAILED:
        return FALSE;
    case STORAGE_NO_POOL:
    case STORAGE_POOL_INACTIVE:
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no active pool %s here",
                    name);
        return FALSE;
    case STORAGE_POOL_KIND:
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "pool %s is not one of files in a directory", name);
        return FALSE;
    }
    g_assert_not_reached();
}

char *images_directory(virt_host *host, const char *place, GError **error)
{
    g_auto(storage_place) found = {0};
    g_autofree char *real = NULL;

    if (!g_str_has_prefix(place, "pool:"))
        found.directory = g_strdup(place);
    else if (!find_pool(host, place + strlen("pool:"), &found, error))
        return NULL;
    real = realpath(found.directory, NULL);
    if (!real)
        fdio_error(error, errno, "%s", found.directory);
    return g_strdup(real);
}

static void add_file(GHashTable *set, const char *path)
{
    g_autofree char *real = realpath(path, NULL);

    g_hash_table_add(set, g_strdup(real ? real : path));
}

static void add_volume(GHashTable *set, virConnectPtr conn, const char *pool_name, const char *name)
{
    g_autoptr(virStoragePool) pool = virStoragePoolLookupByName(conn, pool_name);
    g_autoptr(virStorageVol) volume = pool ? virStorageVolLookupByName(pool, name) : NULL;
    char *path = volume ? virStorageVolGetPath(volume) : NULL;

    if (path)
        add_file(set, path);
    free(path);
}

static gboolean add_disks(GHashTable *set, virDomainPtr domain, unsigned flags, GError **error)
{
    char *text = virDomainGetXMLDesc(domain, flags);
    g_autoptr(xmlDoc) doc = NULL;

    if (!text) /* gone since it was listed, or not one with a definition */
        return conn_error_is(VIR_ERR_NO_DOMAIN) || conn_error_is(VIR_ERR_OPERATION_INVALID) ||
               conn_error(error, "libvirt does not tell the disks of a VM");
    doc = xml_parse(text, XML_OWN_MAX, "domain", error);
    free(text);
    if (!doc)
        return FALSE;
    for (xmlNode *disk = xml_descend(xmlDocGetRootElement(doc), "devices/disk"); disk;
         disk = xml_next(disk)) {
        const xmlNode *source = xml_child(disk, "source");
        g_autofree char *file = source ? xml_attr(source, "file") : NULL;
        g_autofree char *pool = source ? xml_attr(source, "pool") : NULL;
        g_autofree char *volume = source ? xml_attr(source, "volume") : NULL;
        if (xml_child(disk, "readonly"))
            continue;
        if (file)
            add_file(set, file);
        else if (pool && volume)
            add_volume(set, virDomainGetConnect(domain), pool, volume);
    }
    return TRUE;
}

GHashTable *images_of_vms(virt_host *host, GError **error)
{
    g_autoptr(GHashTable) set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(host->conn, &domains, 0);
    gboolean ok = count >= 0;

    if (!ok)
        conn_error(error, "libvirt does not tell the VMs of this host");
    for (int i = 0; i < count; i++) {
        ok = ok && add_disks(set, domains[i], 0, error) &&
             add_disks(set, domains[i], VIR_DOMAIN_XML_INACTIVE, error);
        virDomainFree(domains[i]);
    }
    free(domains);
    return ok ? g_steal_pointer(&set) : NULL;
}

const char *images_format(const char *path)
{
    fdio_auto fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    char start[4] = {0};

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        pread(fd, start, sizeof start, 0) < 0)
        return NULL;
    return !memcmp(start, "QFI\xfb", sizeof start) ? "qcow2" : "raw";
}
