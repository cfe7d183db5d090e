/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks a guest for all it has written, or reads it from images of its disks. */
#pragma once

#include "guest/report.h"

#include <gio/gio.h>

/* A guest that says nothing for so long does not answer. */
#define READBACK_STALL_S 30

/* More entries than this are refused: what a guest can make us hold is bounded (about 110 MB). */
#define READBACK_ENTRIES (1u << 20)

/*
 * Both return a read-back of VM as report.h describes it, as a GArray of struct entry, each entry checked:
 * BEGIN first, END last, disks and slots as in BEGIN, every number within its bounds. Both block.
 *
 * Of images nobody knows what was acknowledged: BEGIN.first is END.seq + 1, so that only what was heard
 * has to be there. IMAGES are raw, in the order of the guest's disks.
 */
GArray *readback_from_guest(const char *address, const char *vm, GError **error);
GArray *readback_from_images(const char *const *images, const char *vm, GError **error);

/* Sends the request LINE to the guest's service and returns its answer, one line of JSON. Blocks. */
char *readback_ask(const char *address, const char *line, GError **error);
