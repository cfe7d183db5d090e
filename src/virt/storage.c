/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools and directories of this host; see storage.h. */
#include "virt/storage.h"
#include "virt/vmparts.h"

#include <string.h>

void storage_place_clear(storage_place *place)
{
    g_clear_pointer(&place->directory, g_free);
    g_clear_pointer(&place->pool, g_free);
}

char *storage_pool_directory(virStoragePoolPtr pool)
{
    static const char *const kinds[] = {"dir", "fs", "netfs", NULL};
    char *text = virStoragePoolGetXMLDesc(pool, 0);
    g_autoptr(xmlDoc) doc = text ? xml_parse(text, XML_OWN_MAX, "pool", NULL) : NULL;
    g_autofree char *kind = NULL, *path = NULL;

    free(text);
    if (!doc)
        return NULL;
    kind = xml_attr(xmlDocGetRootElement(doc), "type");
    path = xml_text(xml_descend(xmlDocGetRootElement(doc), "target/path"));
    if (!kind || !g_strv_contains(kinds, kind) || !path || !vm_path_is_sane(path))
        return NULL;
    return g_steal_pointer(&path);
}

storage_answer storage_find_pool(virConnectPtr conn, const char *name, storage_place *place,
                                 GError **error)
{
    g_autoptr(virStoragePool) pool = virStoragePoolLookupByName(conn, name);
    int active;

    if (!pool) {
        if (conn_error_is(VIR_ERR_NO_STORAGE_POOL))
            return STORAGE_NO_POOL;
        conn_error(error, "pool %s cannot be looked up", name);
        return STORAGE_FAILED;
    }
    active = virStoragePoolIsActive(pool);
    if (active < 0) {
        conn_error(error, "pool %s", name);
        return STORAGE_FAILED;
    }
    if (!active)
        return STORAGE_POOL_INACTIVE;
    place->directory = storage_pool_directory(pool);
    if (!place->directory)
        return STORAGE_POOL_KIND;
    place->pool = g_strdup(name);
    return STORAGE_GOOD;
}

GStrv storage_pool_directories(virConnectPtr conn, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    virStoragePoolPtr *pools = NULL;
    int count = virConnectListAllStoragePools(conn, &pools, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);

    if (count < 0 && !conn_error_no_driver()) {
        conn_error(error, "libvirt does not tell the storage pools of this host");
        return NULL;
    }
    for (int i = 0; i < count; i++) {
        char *path = storage_pool_directory(pools[i]);
        if (path)
            g_ptr_array_add(list, path);
        virStoragePoolFree(pools[i]);
    }
    free(pools);
    g_ptr_array_add(list, NULL);
    return (GStrv)g_ptr_array_free(g_steal_pointer(&list), FALSE);
}
