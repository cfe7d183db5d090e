/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2 files as raw files in pieces; see image.h. QEMU's own program says where they lie (qemu-img map), so nothing
 * here knows the format but for the two things that must not be followed out of the file. */
#include "base/bytes.h"
#include "base/fdio.h"
#include "base/json.h"
#include "block/image-inside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHILD_FD 3 /* of qemu-img: the file */

/* docs/interop/qcow2.txt of QEMU */
enum {
    QCOW2_MAGIC = 0x514649fb,
    QCOW2_HEADER = 80,
    QCOW2_SIZE = 24,         /* offset of the size */
    QCOW2_INCOMPATIBLE = 72, /* of these features, from version 3 on */
    QCOW2_DATA_FILE = 1 << 2
};

typedef struct {
    uint64_t start, length, place; /* in the image; in the file */
} piece;

typedef struct {
    image common;
    image *file;
    GArray *pieces; /* of piece, in order, disjoint */
} image_qcow2;

/* The last piece that begins at `offset` or before, or the first one; the number of pieces if there is none behind. */
static guint find(const image_qcow2 *self, uint64_t offset)
{
    guint low = 0, high = self->pieces->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const piece *p = &g_array_index(self->pieces, piece, middle);
        if (p->start + p->length <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How much from `offset` on lies in one piece, at *place; or in none: *place is UINT64_MAX. At most `length`. */
static uint64_t locate(const image_qcow2 *self, uint64_t offset, uint64_t length, uint64_t *place)
{
    guint n = find(self, offset);
    const piece *p = n < self->pieces->len ? &g_array_index(self->pieces, piece, n) : NULL;

    *place = UINT64_MAX;
    if (!p)
        return length;
    if (p->start > offset)
        return MIN(length, p->start - offset);
    *place = p->place + (offset - p->start);
    return MIN(length, p->start + p->length - offset);
}

static ssize_t qcow2_read(image *common, uint64_t offset, void *out, size_t length, GError **error)
{
    const image_qcow2 *self = (const image_qcow2 *)common;
    uint64_t place, n = locate(self, offset, length, &place), end = image_size(self->file);

    if (place < end)
        n = MIN(n, end - place);
    if (place >= end) /* the end of the last cluster need not be there */
        memset(out, 0, n);
    else if (!image_read(self->file, place, out, n, error))
        return -1;
    return (ssize_t)n;
}

static ssize_t qcow2_write(image *common, uint64_t offset, const void *bytes, size_t length,
                           GError **error)
{
    const image_qcow2 *self = (const image_qcow2 *)common;
    uint64_t place, n = locate(self, offset, length, &place);

    return image_write(self->file, place, bytes, n, error) ? (ssize_t)n : -1;
}

static gboolean qcow2_zero(image *common, uint64_t offset, uint64_t length, gboolean may_unmap,
                           GError **error)
{
    const image_qcow2 *self = (const image_qcow2 *)common;
    uint64_t place;

    for (uint64_t n; length > 0; offset += n, length -= n) {
        n = locate(self, offset, length, &place);
        if (!image_zero(self->file, place, n, may_unmap, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean qcow2_flush(image *common, GError **error)
{
    return image_flush(((const image_qcow2 *)common)->file, error);
}

static gboolean qcow2_next_data(image *common, uint64_t offset, uint64_t *start, uint64_t *length,
                                GError **error)
{
    const image_qcow2 *self = (const image_qcow2 *)common;
    guint n = find(self, offset);
    const piece *p;

    if (n == self->pieces->len)
        return TRUE;
    p = &g_array_index(self->pieces, piece, n);
    *start = MAX(offset, p->start);
    *length = p->start + p->length - *start;
    /* Pieces that follow each other here may lie apart in the file. */
    while (++n < self->pieces->len && p[1].start == p->start + p->length) {
        p++;
        *length += p->length;
    }
    return TRUE;
}

static void qcow2_close(image *common)
{
    image_qcow2 *self = (image_qcow2 *)common;

    image_free(self->file);
    g_array_unref(self->pieces);
}

/* A header that QEMU's programs may be shown: qcow2, and all of it in this file. */
static gboolean check(const image *file, const char *path, uint64_t *size, GError **error)
{
    uint8_t header[QCOW2_HEADER];
    const char *why = NULL;

    if (pread(image_file_fd(file), header, sizeof header, 0) != sizeof header ||
        get_be32(header) != QCOW2_MAGIC)
        why = "it is not qcow2";
    else if (get_be32(header + 4) >= 3 && get_be64(header + QCOW2_INCOMPATIBLE) & QCOW2_DATA_FILE)
        why = "its data is in another file";
    if (why) {
        g_set_error(error, IMAGE_ERROR, EINVAL, "%s cannot be opened: %s", path, why);
        return FALSE;
    }
    *size = get_be64(header + QCOW2_SIZE);
    return TRUE;
}

static gboolean unfit(GError **error, const char *why)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, why);
    return FALSE;
}

/* One line of the map: "[{ … }," and the like. `all`: clusters that read as zeroes have a place as well. */
static gboolean take_line(image_qcow2 *self, char *line, gboolean all, GError **error)
{
    g_autoptr(JsonObject) entry = NULL;
    gint64 start, length, place;
    gboolean data, zero;
    piece *last;

    line += strspn(line, "[ ");
    g_strchomp(line);
    if (*line && strchr(",]", line[strlen(line) - 1]))
        line[strlen(line) - 1] = 0;
    if (!*line)
        return TRUE;
    entry = json_parse(line, -1, error);
    if (!entry || !json_get_int(entry, "start", 0, G_MAXINT64, &start, error) ||
        !json_get_int(entry, "length", 1, G_MAXINT64 - start, &length, error) ||
        !json_get_bool(entry, "data", &data, error) || !json_get_bool(entry, "zero", &zero, error))
        return FALSE;
    if (!data || (zero && !all))
        return TRUE;
    if (!json_opt_int(entry, "offset", 0, G_MAXINT64 - length, &place, -1, error))
        return FALSE;
    if (place < 0)
        return unfit(error, "it has compressed clusters");
    last = self->pieces->len ? &g_array_index(self->pieces, piece, self->pieces->len - 1) : NULL;
    if (last && last->start + last->length > (uint64_t)start)
        return unfit(error, "its map is not in order");
    if (last && last->start + last->length == (uint64_t)start &&
        last->place + last->length == (uint64_t)place) {
        last->length += (uint64_t)length;
        return TRUE;
    }
    if (self->pieces->len == IMAGE_PIECES_MAX)
        return unfit(error, "it is in too many pieces");
    g_array_append_vals(
        self->pieces, &(piece){(uint64_t)start, (uint64_t)length, (uint64_t)place}, 1);
    return TRUE;
}

static gboolean take_map(image_qcow2 *self, GSubprocess *from, gboolean all, GError **error)
{
    g_autoptr(GDataInputStream) lines =
        g_data_input_stream_new(g_subprocess_get_stdout_pipe(from));
    GError *failed = NULL;

    for (;;) {
        g_autofree char *line = g_data_input_stream_read_line(lines, NULL, NULL, &failed);
        if (!line)
            break;
        if (!take_line(self, line, all, &failed))
            break;
    }
    if (failed) {
        g_subprocess_force_exit(from);
        (void)g_subprocess_wait(from, NULL, NULL);
        g_propagate_error(error, failed);
        return FALSE;
    }
    return g_subprocess_wait_check(from, NULL, error);
}

static gboolean map(image_qcow2 *self, gboolean all, GError **error)
{
    static const char options[] =
        "json:{\"driver\":\"qcow2\",\"backing\":null,\"read-only\":true,\"force-share\":true,"
        "\"file\":{\"driver\":\"file\",\"filename\":\"/dev/fd/3\"}}";
    const char *argv[] = {"qemu-img", "map", "--output=json", "-U", options, NULL};
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    g_autoptr(GSubprocess) process = NULL;
    int fd = fcntl(image_file_fd(self->file), F_DUPFD_CLOEXEC, 0);

    G_STATIC_ASSERT(CHILD_FD == 3);
    if (fd < 0)
        return fdio_error(error, errno, "a descriptor");
    g_subprocess_launcher_take_fd(launcher, fd, CHILD_FD);
    process = g_subprocess_launcher_spawnv(launcher, argv, error);
    return process && take_map(self, process, all, error);
}

/* Without the map, and without an error but those of opening the file. */
static image_qcow2 *open_file(const char *path, gboolean writable, GError **error)
{
    static const image_kind kind = {.read = qcow2_read,
                                    .write = qcow2_write,
                                    .zero = qcow2_zero,
                                    .flush = qcow2_flush,
                                    .next_data = qcow2_next_data,
                                    .close = qcow2_close};
    g_autoptr(image) file = image_open_file(path, writable, error);
    image_qcow2 *self;
    uint64_t size;

    if (!file || !check(file, path, &size, error))
        return NULL;
    self = g_new0(image_qcow2, 1);
    self->common = (image){.kind = &kind, .name = g_strdup(path), .size = size, .shared = TRUE};
    self->file = g_steal_pointer(&file);
    self->pieces = g_array_new(FALSE, FALSE, sizeof(piece));
    return self;
}

image *image_open_qcow2(const char *path, GError **error)
{
    image_qcow2 *self = open_file(path, FALSE, error);
    image *served;

    if (!self || map(self, FALSE, NULL))
        return self ? &self->common : NULL;
    served = image_nbd_serve(path, image_file_fd(self->file), error);
    image_free(&self->common);
    return served;
}

/* Does every byte have a place in the file? */
static gboolean is_prepared(const image_qcow2 *self, GError **error)
{
    uint64_t size = self->common.size, place;

    for (uint64_t at = 0, n; at < size; at += n) {
        n = locate(self, at, size - at, &place);
        if (place == UINT64_MAX || place + n > image_size(self->file))
            return unfit(error, "not every cluster has its place");
    }
    return TRUE;
}

image *image_open_qcow2_prepared(const char *path, uint64_t size, GError **error)
{
    image_qcow2 *self = open_file(path, TRUE, error);

    if (self && map(self, TRUE, error) &&
        (self->common.size == size || unfit(error, "its size is another")) &&
        is_prepared(self, error))
        return &self->common;
    g_prefix_error(error, "%s: ", path);
    if (self)
        image_free(&self->common);
    return NULL;
}
