/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A read-back from images of a guest's disks, for a guest that is not running. */
#include "readback.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int open_image(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot open image %s: %s",
                    path, g_strerror(errno));
    return fd;
}

static void add(GArray *entries, struct entry e, const struct entry *begin)
{
    e.magic = ENTRY_MAGIC;
    e.disks = begin->disks;
    e.slots = begin->slots;
    g_array_append_val(entries, e);
}

static gboolean is_blank(const struct record *r)
{
    const char *p = (const char *)r;
    return p[0] == 0 && memcmp(p, p + 1, sizeof *r - 1) == 0;
}

/* What the first good record says of the geometry holds for all. */
static void learn(struct entry *begin, guint n_images, int fd, guint32 disk)
{
    struct record r;

    for (guint32 slot = 0; begin->slots == 0 && slot < REPORT_SLOTS &&
                           pread(fd, &r, sizeof r, (off_t)slot * RECORD_SIZE) == sizeof r;
         slot++)
        if (report_record_valid(&r, disk, slot, NULL) && r.disks == n_images)
            begin->slots = r.slots;
}

static gboolean scan(GArray *entries, struct entry *begin, int fd, guint32 disk, const char *path,
                     guint64 *last, GError **error)
{
    for (guint32 slot = 0; slot < begin->slots; slot++) {
        struct record r;
        struct entry e = {.kind = ENTRY_BAD, .disk = disk, .slot = slot};
        gssize n = pread(fd, &r, sizeof r, (off_t)slot * RECORD_SIZE);
        if (n >= 0 && n < (gssize)sizeof r) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                        "image %s is shorter than the disk the records were written to", path);
            return FALSE;
        }
        if (n < 0) {
            e.error = errno;
        } else if (is_blank(&r)) {
            continue;
        } else if (report_record_valid(&r, disk, slot, NULL)) {
            e.kind = ENTRY_GOOD;
            e.record_sum = r.sum;
            e.previous = r.previous;
            e.boot = r.boot;
            e.seq = r.seq;
            e.mono_ns = r.mono_ns;
            memcpy(e.vm, r.vm, sizeof e.vm);
            *last = MAX(*last, r.seq);
        }
        if (entries->len == READBACK_ENTRIES) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "there are too many records");
            return FALSE;
        }
        add(entries, e, begin);
    }
    return TRUE;
}

GArray *readback_from_images(const char *const *images, const char *vm, GError **error)
{
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(struct entry));
    struct entry begin = {.kind = ENTRY_BEGIN, .disks = g_strv_length((char **)images)};
    int fds[REPORT_DISKS];
    guint opened = 0;
    guint64 last = 0;
    gboolean good = begin.disks > 0 && begin.disks <= REPORT_DISKS;

    if (!good)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "name the images of all disks of the guest, 1 to %d", REPORT_DISKS);
    for (; good && opened < begin.disks; opened++) {
        fds[opened] = open_image(images[opened], error);
        if (fds[opened] < 0) {
            good = FALSE;
            break;
        }
    }
    for (guint d = 0; good && d < opened; d++)
        learn(&begin, begin.disks, fds[d], d);
    if (good && begin.slots == 0) {
        g_set_error(
            error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
            "there is no record of a guest with %u disks in these images; are they raw, and "
            "in the order of the guest's disks?",
            begin.disks);
        good = FALSE;
    }
    g_strlcpy(begin.vm, vm, sizeof begin.vm);
    add(entries, begin, &begin);
    for (guint d = 0; good && d < opened; d++)
        good = scan(entries, &begin, fds[d], d, images[d], &last, error);
    for (guint d = 0; d < opened; d++)
        close(fds[d]);
    if (!good)
        return NULL;
    g_array_index(entries, struct entry, 0).seq = last;
    g_array_index(entries, struct entry, 0).first = last + 1;
    add(entries, (struct entry){.kind = ENTRY_END, .seq = last}, &begin);
    return g_steal_pointer(&entries);
}
