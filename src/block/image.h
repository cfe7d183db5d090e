/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One image opened for block access: a raw file, an NBD export on a UNIX socket, or a qcow2 file.
 *
 *   image.c        what all have in common: bounds, pieces of a request
 *   image-file.c   raw files
 *   image-nbd.c    NBD (libnbd), and qcow2 by a private qemu-nbd
 *   image-qcow2.c  qcow2: where its clusters lie is asked of qemu-img once, and then it is a raw file in pieces
 *
 * All block. A raw file, and a qcow2 file in pieces, may be used by any number of threads at once; the others by one
 * thread at a time (image_is_shared). Ranges are bytes, of any alignment, and must lie within the image.
 *
 * Errors are of domain IMAGE_ERROR, and their code is a Linux errno (ENOSPC, EIO; EIO for what has
 * none); messages name the path or export, and the offset where there is one.
 */
#pragma once
#include <gio/gio.h>
#include <stdint.h>

/* Memory, offsets and lengths that are multiples of this let a file be written past the page cache. */
#define IMAGE_ALIGNED 4096

#define IMAGE_ERROR image_error_quark()
GQuark image_error_quark(void);

typedef struct image image;

/* A regular file, taken for raw; no symbolic link. Its size stays what it is. */
image *image_open_file(const char *path, gboolean writable, GError **error);
/* Connects to the export of that name; waits for a server that is busy, not for one that is not
 * there. */
image *image_open_nbd(const char *unix_socket, const char *export, GError **error);
/* Read-only, a file that nobody writes meanwhile; whoever has it open is not disturbed. What it does not hold itself
 * reads as zeroes: no backing file is followed, and an image whose data is in another file is refused. One that is too
 * scattered for a map of IMAGE_PIECES_MAX pieces, or compressed, is read through a qemu-nbd, which ends with the
 * handle, or with this process. */
#define IMAGE_PIECES_MAX (256 * 1024) /* 24 bytes each */
image *image_open_qcow2(const char *path, GError **error);
/* For writing: a qcow2 file each of whose clusters has its place already (preallocation=metadata), so that writing
 * changes no table of it; whoever has it open may keep it open, but must not write it. Zeroes are written or punched in
 * place. FALSE *error of G_IO_ERROR_NOT_SUPPORTED: it is not like that. */
image *image_open_qcow2_prepared(const char *path, uint64_t size, GError **error);
gboolean image_is_shared(const image *self);
/* NULL is allowed. */
void image_free(image *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(image, image_free)

uint64_t image_size(const image *self);
/* The whole range, or an error. */
gboolean image_read(image *self, uint64_t offset, void *out, size_t length, GError **error);
gboolean image_write(image *self, uint64_t offset, const void *bytes, size_t length,
                     GError **error);
/* The range reads as zeroes. `may_unmap`: its room may be given back. */
gboolean image_zero(image *self, uint64_t offset, uint64_t length, gboolean may_unmap,
                    GError **error);
/* All writes that have returned are on the medium. */
gboolean image_flush(image *self, GError **error);
/* Where data begins, at `offset` or behind it, and how long it goes on without a gap (at least so
 * long: more may follow); *length 0: only zeroes follow. Where holes are not told, all is data. */
gboolean image_next_data(image *self, uint64_t offset, uint64_t *start, uint64_t *length,
                         GError **error);
