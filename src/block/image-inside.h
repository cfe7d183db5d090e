/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kinds of images share; for image*.c only. */
#pragma once
#include "block/image.h"

typedef struct {
    /* At least one byte, within the image. Reading and writing may do less than asked; both return
     * how much, never 0; -1 with *error. */
    ssize_t (*read)(image *self, uint64_t offset, void *out, size_t length, GError **error);
    ssize_t (*write)(image *self, uint64_t offset, const void *bytes, size_t length,
                     GError **error);
    gboolean (*zero)(image *self, uint64_t offset, uint64_t length, gboolean may_unmap,
                     GError **error);
    gboolean (*flush)(image *self, GError **error);
    gboolean (*next_data)(image *self, uint64_t offset, uint64_t *start, uint64_t *length,
                          GError **error);
    void (*close)(image *self);
} image_kind;

struct image {
    const image_kind *kind;
    char *name; /* path or export, for messages */
    uint64_t size;
    gboolean shared; /* any number of threads may use it at once */
};

/* image-file.c: the descriptor of a raw file's image. */
int image_file_fd(const image *self);
/* image-nbd.c: the qcow2 file in `fd` (borrowed) behind a qemu-nbd of its own; NAME for messages. */
image *image_nbd_serve(const char *name, int fd, GError **error);

/* "NAME: cannot WHAT at OFFSET: why"; returns FALSE. errnum 0 is EIO. */
gboolean image_fail(const image *self, GError **error, int errnum, const char *what,
                    uint64_t offset, const char *why);
