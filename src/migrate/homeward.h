/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way back of a VM: what it was like where it came from, turned into the rules that put each of its
 * disks and NICs back there. */
#pragma once
#include "journal/journal.h"
#include "migrate/landing.h"

/* Pure. `came` is how the VM was described when it came here; `home` is how it is described now, and gets its
 * rules for switches, storage, formats and file names (old ones go). What the VM does not have any more gets none;
 * what it has got since goes by the target's own rules. Error: a NIC cannot be put back; it says which. */
gboolean homeward_rules(const landing_request *came, landing_request *home, GError **error);

/* The same from this host's journal: `id` must be the move that brought the VM of `home` here from `peer`, and the
 * last that changed whose it is. */
gboolean homeward_recall(journal *book, const char *id, const char *peer, landing_request *home,
                         GError **error);
