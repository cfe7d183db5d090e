/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private directories of migrations, RUN_DIR/ID: finding them, and removing what a dead worker
 * left in its. */
#pragma once
#include <glib.h>

/* The ids there are directories for. Caller frees. */
GStrv jobdir_list(const char *run_dir);
/* Removes RUN_DIR/ID with all in it (sockets; QEMU's user may have put other things there). Never
 * follows a symbolic link. Gone already is fine. */
void jobdir_remove(const char *run_dir, const char *id);
