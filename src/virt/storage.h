/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where disks can land on this host: directories and libvirt pools that are directories. Only
 * inside src/virt. */
#pragma once
#include "virt/conn.h"

typedef struct {
    char *directory; /* absolute, without symbolic links once it was found to exist */
    char *pool;      /* its name, or NULL */
} storage_place;

void storage_place_clear(storage_place *place);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(storage_place, storage_place_clear)

typedef enum {
    STORAGE_GOOD,
    STORAGE_NO_POOL, /* unknown here */
    STORAGE_POOL_INACTIVE,
    STORAGE_POOL_KIND, /* not one of files in a directory */
    STORAGE_FAILED     /* libvirt does not answer: *error */
} storage_answer;

/* The directory of a pool. */
storage_answer storage_find_pool(virConnectPtr conn, const char *name, storage_place *place,
                                 GError **error);

typedef enum {
    DIRECTORY_GOOD,
    DIRECTORY_MISSING,
    DIRECTORY_NOT_WRITABLE, /* really tried; *why says the system's reason */
    DIRECTORY_NOT_REACHED,  /* the user QEMU runs as may not go there */
    DIRECTORY_NOT_DIRECT    /* its file system refuses O_DIRECT */
} directory_answer;

/* Tries it, leaving nothing behind. `direct`: O_DIRECT is wanted. owner, group: QEMU's. *why:
 * caller frees, may be NULL. */
directory_answer storage_try(const char *directory, gboolean direct, uid_t owner, gid_t group,
                             char **why);

/* May files that a peer names be made in this directory? See plan_rules.storage_roots; `pools`:
 * directories of active pools. */
gboolean storage_may_land(const char *directory, const char *const *roots,
                          const char *const *pools);
/* The path without symbolic links as far as it exists; caller frees. */
char *storage_resolve(const char *path);
/* May a file that a peer names be given to a guest to read? Not /etc, /dev, /proc, libvirt's
 * secrets, …: what is there is the host's own. */
gboolean storage_may_read(const char *path);
/* The target directory of a pool whose volumes are files in it; NULL for other kinds. Caller frees.
 */
char *storage_pool_directory(virStoragePoolPtr pool);
/* Directories of all active pools; caller frees with g_strfreev. NULL: *error. */
GStrv storage_pool_directories(virConnectPtr conn, GError **error);
