/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Room for disks, added up by file system. Only inside src/virt; one thread. */
#pragma once
#include "base/finding.h"
#include "virt/vm.h"

typedef struct space space;
space *space_new(void);
void space_free(space *self);
/* A disk that goes to an existing directory. */
void space_add(space *self, const char *directory, const vm_disk *disk, const char *format);
/* What will not fit blocks; what would not if guests filled their disks is a note. Where it fits only
 * without the files `landed` (may be NULL), those are added to `give_up` (may be NULL). */
void space_check(const space *self, const char *const *landed, GPtrArray *give_up, findings *found,
                 const char *here);
/* "1.5 GiB"; caller frees. */
char *space_text(guint64 bytes);
