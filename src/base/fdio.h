/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File descriptors: whole reads and writes, UNIX sockets, passing descriptors, durable files.
 *
 * All functions return FALSE (or -1) with a G_IO_ERROR set; messages name the path or the
 * operation. All descriptors made here are close-on-exec. Thread-safe.
 */
#pragma once
#include <gio/gio.h>

/* Closes *fd if it is open and sets it to -1; for `fdio_auto`. */
void fdio_clear(int *fd);
#define fdio_auto __attribute__((cleanup(fdio_clear))) int

/* Blocking: exactly `length` bytes or an error (end of file is G_IO_ERROR_CONNECTION_CLOSED). */
gboolean fdio_read_full(int fd, void *buffer, size_t length, GError **error);
gboolean fdio_write_full(int fd, const void *buffer, size_t length, GError **error);

gboolean fdio_set_nonblocking(int fd, gboolean nonblocking, GError **error);

/* A listening UNIX socket of SOCK_STREAM or SOCK_SEQPACKET at `path`, with exactly `mode` from the
 * moment it exists; a stale socket there is replaced, anything else spared (G_IO_ERROR_EXISTS).
 * Caller owns the descriptor. */
int fdio_unix_listen(const char *path, int type, mode_t mode, GError **error);
/* Connects to it, blocking. */
int fdio_unix_connect(const char *path, int type, GError **error);

/* One message on a SOCK_SEQPACKET socket, at most FDIO_MESSAGE_MAX bytes, with an optional
 * descriptor (-1: none). fdio_recv_message returns NULL with no error set when the peer closed. The
 * bytes are followed by a NUL that is not counted; *passed_fd is always set, -1 without a descriptor,
 * and the caller's. A message with more than one is G_IO_ERROR_INVALID_DATA, and none is kept. */
#define FDIO_MESSAGE_MAX (512 * 1024)
gboolean fdio_send_message(int fd, const void *data, size_t length, int pass_fd, GError **error);
GBytes *fdio_recv_message(int fd, int *passed_fd, GError **error);

/* Creates or replaces `path` so that after a power cut either the old or the new content is there:
 * written beside it, fsynced, renamed, directory fsynced. */
gboolean fdio_replace_file(const char *path, const void *data, size_t length, mode_t mode,
                           GError **error);
/* Makes a rename or unlink in the directory of `path` durable. */
gboolean fdio_sync_parent(const char *path, GError **error);

/* Sets *error from errno: "PREFIX: strerror". Returns FALSE for use in `return`. */
gboolean fdio_error(GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF(3, 4);
