/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a scan of an image has found, as a file: so that the next move need not read it first. One
 * for each image, DIR/<SHA-256 of its path>.index, written atomically. It counts only while the
 * image is the same file with the same size and times; and even then only as a guess, like
 * everything about seeds. All block; any thread. */
#pragma once
#include "block/seeds-scan.h"

/* Hands out what the index has. FALSE: there is none that fits the image as it is now. */
gboolean seeds_index_load(const char *dir, const char *path, const char *format, seeds_take take,
                          void *user);
/* Makes the index, unless there is one that fits. *stop: see seeds_scan; nothing is written then.
 * *made: FALSE if there was nothing to do. */
gboolean seeds_index_make(const char *dir, const char *path, const char *format, const gint *stop,
                          gboolean *made, GError **error);
/* Removes the indexes of all images but these. */
void seeds_index_keep_only(const char *dir, const char *const *paths);
