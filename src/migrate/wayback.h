/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A way back and its end, at the host that has kept the disks. (Its beginning is the end of a move: wayback_clean.) */
#pragma once
#include "migrate/job.h"
#include "virt/plan.h"

/* The VM is back from `peer` and proven to run here: what this host kept of it when it went there is of no use any
 * more. It has expired from now on; ferryd deletes it when the landing has ended. */
void wayback_supersede(const job *work, const char *vm_uuid, const char *peer);
/* Disks just made for a VM that comes back from `peer` may be read and written by those who may the kept ones: they
 * get their permissions. Whose they are libvirt decides. */
void wayback_permit(const job *work, const plan *made, const char *vm_uuid, const char *peer);
