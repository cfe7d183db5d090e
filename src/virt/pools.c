/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Storage pools after Ferry has changed their files; see pools.h. */
#include "virt/pools.h"
#include "base/hook.h"
#include "virt/storage.h"

#include <string.h>

static gboolean holds_any(const char *directory, const char *const *paths)
{
    for (guint i = 0; directory && paths[i]; i++) {
        g_autofree char *parent = g_path_get_dirname(paths[i]);
        g_autofree char *real = storage_resolve(parent), *own = storage_resolve(directory);
        if (!strcmp(real, own))
            return TRUE;
    }
    return FALSE;
}

void pools_refresh(virt_host *host, const char *const *paths)
{
    hook_around("libvirt:refresh-pools");
    virStoragePoolPtr *pools = NULL;
    int count =
        virConnectListAllStoragePools(host->conn, &pools, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);

    for (int i = 0; i < count; i++) {
        g_autofree char *directory = storage_pool_directory(pools[i]);
        if (holds_any(directory, paths))
            (void)virStoragePoolRefresh(pools[i], 0);
        virStoragePoolFree(pools[i]);
    }
    free(pools);
}
