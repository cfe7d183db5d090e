/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This host's storage pools, whose lists of volumes are as old as libvirt's last look. */
#pragma once
#include "virt/host.h"

/* After files were made, renamed or removed: the active pools in whose directories these paths are (or
 * were) look again. NULL-terminated. What libvirt thinks of it is of no interest. May block; any
 * thread. */
void pools_refresh(virt_host *host, const char *const *paths);
