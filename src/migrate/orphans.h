/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What moves have left on this host that nobody looks after any more (docs/design.md, "Orphans").
 *
 * A file that the journal's own migrations explain is adopted: it gets a row, and with it an end. Everything else becomes a
 * finding and is not touched: neither files nor VMs, running or not, are ever removed from here.
 */
#pragma once
#include "base/finding.h"
#include "journal/journal.h"
#include "migrate/settings.h"
#include "virt/host.h"

/* Blocks. NULL: the journal or libvirt cannot be asked. */
findings *orphans_look(const settings *conf, virt_host *host, GError **error);

/* The two halves of it, each adding to `found`. `book` writes. */
gboolean orphans_files(const settings *conf, journal *book, findings *found, GError **error);
/* Of one VM, as libvirt has it. A guest that runs is nobody's leftover. */
gboolean orphans_vm(journal *book, const char *name, const char *uuid, virt_state state,
                    gboolean persistent, findings *found, GError **error);

/* STATE_DIR/orphans.json: what the last look has found, for ferryd. Caller frees. */
char *orphans_file(const settings *conf);
