/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of this host that may be read for a move: where a setting says they are, and which ones
 * are disks of VMs. May block on libvirt; any thread. */
#pragma once
#include "virt/host.h"

/* The directory that "/…" or "pool:NAME" means, without symbolic links; caller frees. */
char *images_directory(virt_host *host, const char *place, GError **error);
/* What VMs of this host, running or not, have as a disk to write to, or as what such a disk is
 * written to besides (a mirror, an external data file), or only below such a disk. */
typedef enum { IMAGES_NONE, IMAGES_BELOW, IMAGES_DISK } images_use;
/* From paths (owned strings, without symbolic links) to images_use; caller unrefs. */
GHashTable *images_of_vms(virt_host *host, GError **error);
/* The same of one definition, added to `set`, which begins as g_hash_table_new_full(g_str_hash,
 * g_str_equal, g_free, NULL). `host` NULL: volumes of pools are left out. */
gboolean images_of_definition(GHashTable *set, virt_host *host, const char *text, GError **error);
/* "qcow2" or "raw", by its first bytes: for images of the administrator only, whose content no
 * guest wrote. NULL: not a regular file, or it cannot be read. */
const char *images_format(const char *path);
