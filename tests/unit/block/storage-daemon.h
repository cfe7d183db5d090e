/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's own programs for tests of images: a qemu-storage-daemon that exports one file over NBD, as
 * the QEMU of an arriving VM does, and qemu-img. Whatever fails aborts the test. */
#pragma once
#include <gio/gio.h>
#include <stdint.h>

typedef struct {
    GSubprocess *process; /* NULL: stopped */
    char *socket;
} storage_daemon;

/* Exports `path`, writable; when it returns the socket is listened on. */
storage_daemon *storage_daemon_new(const char *directory, const char *path, const char *format,
                                   const char *export);
/* Kills it and waits. */
void storage_daemon_stop(storage_daemon *self);
/* Ends it in order: the image is closed when this returns. */
void storage_daemon_free(storage_daemon *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(storage_daemon, storage_daemon_free)

/* Runs a program to its successful end. */
void storage_run(const char *const *argv);
/* An empty image. */
/* `format`: raw, qcow2, or "prepared": qcow2 whose clusters have their places already. */
void storage_make(const char *path, const char *format, uint64_t size);
/* Removes a directory with the files in it. */
void storage_remove(const char *directory);
