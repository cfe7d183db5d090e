/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a way back, at the host that has kept the disks. (Its beginning is the end of a move: wayback_clean.) */
#pragma once
#include "migrate/job.h"

/* The VM is back from `peer` and proven to run here: what this host kept of it when it went there is of no use any
 * more. It has expired from now on; ferryd deletes it when the landing has ended. */
void wayback_supersede(const job *work, const char *vm_uuid, const char *peer);
