/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files of this host may be seeds (block/seeds.h) of a landing, the likeliest first:
 *
 *   landed      what arrived of this VM, from this peer, in earlier tries
 *   way back    the disks this VM left here when it moved to this peer
 *   same name   [seeds] same-name: images called like one of its disks
 *   template    [seeds] templates: all images there
 *
 * A seed tells the peer whether a block it knows is in it. So of what VMs have here only that
 * counts which this peer has sent or been sent: both by the VM's UUID and by the peer of the
 * migration that the journal has for the file. And the disk of a VM of this host, or of another
 * landing, is none, wherever it lies; nor is an image below one, except among the templates. Formats come from the journal; only in the administrator's
 * directories from the content. All block; any thread; what cannot be used is logged and left out.
 */
#pragma once
#include "block/seeds.h"
#include "migrate/settings.h"
#include "virt/plan.h"

/* A store for this landing, its scan begun; caller frees. */
seeds *seeding_start(const settings *conf, virt_host *host, const char *peer, const char *vm_uuid,
                     const plan *made);

/* What has landed of this VM, from this peer, in earlier tries. Caller frees with g_strfreev. */
GStrv seeding_landed(const settings *conf, const char *peer, const char *vm_uuid);
/* Keeps them `hours` from now; 0: ferryd deletes them soon. */
void seeding_keep_landed(const settings *conf, const char *peer, const char *vm_uuid, guint hours);

/* Makes an index (block/seeds-index.h) of everything but ways back that could be a seed and has none
 * that fits; removes those of other images. *stop (atomic): no more. `host` NULL: landed data only. */
void seeding_index(const settings *conf, virt_host *host, const gint *stop);
