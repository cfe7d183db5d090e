/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which other files an image in qcow2 is made of, by its header. Nothing but regular files is opened,
 * and 64 KiB and two names of it are read; what is there is taken as hostile. Any thread. */
#pragma once
#include <gio/gio.h>

typedef struct {
    /* Paths, absolute where the image's is; NULL: none, or not a file of this host. */
    char *backing, *data;
    gboolean backing_is_raw; /* said to be, so that nothing is below it */
} qcow2_names;
void qcow2_names_clear(qcow2_names *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(qcow2_names, qcow2_names_clear)

/* All absent if it is no regular file or not qcow2. FALSE: it is there and cannot be read. */
gboolean qcow2_read_names(const char *path, qcow2_names *names, GError **error);
/* Is it an image in qcow2 that names no other file? Whoever wrote it, a guest even, could have put any file of this
 * host there. FALSE if it cannot be read. */
gboolean qcow2_stands_alone(const char *path);
