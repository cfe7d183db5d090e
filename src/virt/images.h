/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of this host that may be read for a move: where a setting says they are, and which ones
 * are disks of VMs. May block on libvirt; any thread. */
#pragma once
#include "virt/host.h"

/* The directory that "/…" or "pool:NAME" means, without symbolic links; caller frees. */
char *images_directory(virt_host *host, const char *place, GError **error);
/* Paths, without symbolic links, of what VMs of this host have as a disk to write to, running or
 * not; images below those are not among them. A set of owned strings; caller unrefs. */
GHashTable *images_of_vms(virt_host *host, GError **error);
/* "qcow2" or "raw", by its first bytes: for images of the administrator only, whose content no
 * guest wrote. NULL: not a regular file, or it cannot be read. */
const char *images_format(const char *path);
