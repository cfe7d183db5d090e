/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of this host; see images.h. */
#include "virt/images.h"

#include "base/fdio.h"
#include "virt/conn.h"
#include "virt/qcow2.h"
#include "virt/storage.h"
#include "virt/xml.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAIN_MAX 256 /* images one below the other; libvirt takes 200 */

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

/* What is a disk anywhere is one, whatever else it is below. */
static void add(GHashTable *set, const char *path, images_use use)
{
    char *real = realpath(path, NULL);
    char *key = g_strdup(real ? real : path);

    free(real);
    use = MAX(use, (images_use)GPOINTER_TO_INT(g_hash_table_lookup(set, key)));
    g_hash_table_replace(set, key, GINT_TO_POINTER(use));
}

/* What is below a disk: a stored definition does not tell. */
static gboolean add_below(GHashTable *set, const char *path, GError **error)
{
    g_autofree char *at = g_strdup(path);

    for (guint depth = 0; at && depth < CHAIN_MAX; depth++) {
        g_auto(qcow2_names) names = {0};

        if (!qcow2_read_names(at, &names, error))
            return FALSE;
        if (names.data)
            add(set, names.data, depth ? IMAGES_BELOW : IMAGES_DISK);
        if (names.backing)
            add(set, names.backing, IMAGES_BELOW);
        g_free(at);
        at = names.backing_is_raw ? NULL : g_steal_pointer(&names.backing);
    }
    return TRUE;
}

static char *volume_path(virConnectPtr conn, const char *pool_name, const char *name)
{
    g_autoptr(virStoragePool) pool = conn ? virStoragePoolLookupByName(conn, pool_name) : NULL;
    g_autoptr(virStorageVol) volume = pool ? virStorageVolLookupByName(pool, name) : NULL;
    char *path = volume ? virStorageVolGetPath(volume) : NULL, *result = g_strdup(path);

    free(path);
    return result;
}

/* What a <disk>, or what is below it or mirrors it, names: libvirt nests all that, 200 levels of a
 * chain at most, and xml_parse takes no more than 256. */
static gboolean add_sources(GHashTable *set, virConnectPtr conn, const xmlNode *node,
                            images_use use, gboolean follow, GError **error)
{
    for (xmlNode *child = node->children; child; child = child->next) {
        gboolean below = xml_is(child, "backingStore"), source = xml_is(child, "source");
        g_autofree char *file = source ? xml_attr(child, "file") : NULL;
        g_autofree char *pool = source ? xml_attr(child, "pool") : NULL;
        g_autofree char *volume = source ? xml_attr(child, "volume") : NULL;

        if (!file && pool && volume)
            file = volume_path(conn, pool, volume);
        if (file)
            add(set, file, use);
        if (file && follow && !add_below(set, file, error))
            return FALSE;
        if ((below || source || xml_is(child, "mirror") || xml_is(child, "dataStore")) &&
            !add_sources(set, conn, child, below ? IMAGES_BELOW : use, FALSE, error))
            return FALSE;
    }
    return TRUE;
}

gboolean images_of_definition(GHashTable *set, virt_host *host, const char *text, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(text, XML_OWN_MAX, "domain", error);

    if (!doc)
        return FALSE;
    for (xmlNode *disk = xml_descend(xmlDocGetRootElement(doc), "devices/disk"); disk;
         disk = xml_next(disk)) {
        const xmlNode *driver = xml_child(disk, "driver");
        g_autofree char *format = driver ? xml_attr(driver, "type") : NULL;
        /* What a raw disk begins with, its guest wrote. The format of a volume may not be told. */
        gboolean follow = !format || !strcmp(format, "qcow2");

        if (!xml_child(disk, "readonly") &&
            !add_sources(set, host ? host->conn : NULL, disk, IMAGES_DISK, follow, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean add_disks(GHashTable *set, virt_host *host, virDomainPtr domain, unsigned flags,
                          GError **error)
{
    char *text = virDomainGetXMLDesc(domain, flags);
    gboolean ok;

    if (!text) /* gone since it was listed, or not one with a definition */
        return conn_error_is(VIR_ERR_NO_DOMAIN) || conn_error_is(VIR_ERR_OPERATION_INVALID) ||
               conn_error(error, "libvirt does not tell the disks of a VM");
    ok = images_of_definition(set, host, text, error);
    free(text);
    return ok;
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
        ok = ok && add_disks(set, host, domains[i], 0, error) &&
             add_disks(set, host, domains[i], VIR_DOMAIN_XML_INACTIVE, error);
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
