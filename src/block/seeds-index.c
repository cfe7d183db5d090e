/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Indexes of images; see seeds-index.h.
 *
 * 0 "FERRYIX1", 8 block size, 12 format (0 raw, 1 qcow2), 16 SHA-256 of the path; then 8 each: 48
 * size, 56 modified and 64 changed (ns), 72 inode, 80 device, 88 how many entries, 96 XXH3-128 of
 * them; then entries: 8 hint, 8 block. Big-endian. */
#include "block/seeds-index.h"

#include "base/bytes.h"
#include "base/fdio.h"
#include "block/seeds.h"
#include "block/sha.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER 112
#define COUNT  88 /* what is before says which image it is */
#define ENTRY  16
#define PART   1024 /* entries handed out at a time */

#define REST_MAX (100 * G_TIME_SPAN_MILLISECOND)

static const char magic[8] = "FERRYIX1";

static char *file_of(const char *dir, const uint8_t sha[OP_SHA256])
{
    g_autoptr(GString) name = g_string_new(dir);

    g_string_append_c(name, '/');
    for (unsigned i = 0; i < OP_SHA256; i++)
        g_string_append_printf(name, "%02x", sha[i]);
    g_string_append(name, ".index");
    return g_string_free(g_steal_pointer(&name), FALSE);
}

static uint64_t nanoseconds(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The header, up to COUNT, that an index of the image has to have. */
static gboolean describe(const char *path, const char *format, uint8_t out[HEADER], GError **error)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return fdio_error(error, errno, "%s", path);
    memset(out, 0, HEADER);
    memcpy(out, magic, sizeof magic);
    put_be32(out + 8, OP_BLOCK);
    put_be32(out + 12, !strcmp(format, "qcow2"));
    sha_of(path, strlen(path), out + 16);
    put_be64(out + 48, (uint64_t)st.st_size);
    put_be64(out + 56, nanoseconds(st.st_mtim));
    put_be64(out + 64, nanoseconds(st.st_ctim));
    put_be64(out + 72, st.st_ino);
    put_be64(out + 80, st.st_dev);
    return TRUE;
}

static void put_digest(uint8_t *out, const void *entries, size_t length)
{
    op_digest digest = op_digest_of(entries, length);

    put_be64(out, digest.high);
    put_be64(out + 8, digest.low);
}

/* The image's index, read up to its entries; -1 if there is none that fits. */
static int open_index(const char *file, const uint8_t wanted[HEADER], uint8_t header[HEADER],
                      uint64_t *count)
{
    fdio_auto fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        !fdio_read_full(fd, header, HEADER, NULL) || memcmp(header, wanted, COUNT))
        return -1;
    *count = get_be64(header + COUNT);
    if (*count > SEEDS_BLOCKS_MAX || (uint64_t)st.st_size != HEADER + *count * ENTRY)
        return -1;
    return g_steal_fd(&fd);
}

/* Its entries; NULL if there is none that fits. One that is damaged is removed, to be made again.
 */
static uint8_t *read_index(const char *dir, const uint8_t wanted[HEADER], uint64_t *count)
{
    g_autofree char *file = file_of(dir, wanted + 16);
    uint8_t header[HEADER], digest[16];
    fdio_auto fd = open_index(file, wanted, header, count);
    g_autofree uint8_t *entries = NULL;

    if (fd < 0)
        return NULL;
    entries = g_malloc(*count * ENTRY + 1);
    if (fdio_read_full(fd, entries, *count * ENTRY, NULL)) {
        put_digest(digest, entries, *count * ENTRY);
        if (!memcmp(digest, header + COUNT + 8, sizeof digest))
            return g_steal_pointer(&entries);
    }
    (void)unlink(file);
    return NULL;
}

gboolean seeds_index_load(const char *dir, const char *path, const char *format, seeds_take take,
                          void *user)
{
    uint8_t wanted[HEADER];
    uint64_t count;
    g_autofree uint8_t *entries = NULL;
    g_autofree seeds_block *part = g_new(seeds_block, PART);
    unsigned n = 0;

    if (!describe(path, format, wanted, NULL))
        return FALSE;
    entries = read_index(dir, wanted, &count);
    for (uint64_t i = 0; entries && i < count; i++) {
        const uint8_t *entry = entries + i * ENTRY;
        part[n].hint = get_be64(entry);
        part[n].block = get_be64(entry + 8);
        /* A place no image has; that it lies within this one is seen when it is read. */
        n += part[n].block < OP_SIZE_MAX / OP_BLOCK;
        if ((n == PART || i + 1 == count) && n > 0) {
            if (!take(part, n, user))
                break;
            n = 0;
        }
    }
    return entries != NULL;
}

typedef struct {
    GByteArray *bytes;
    gint64 since; /* when the last portion was done */
} making;

static gboolean append(const seeds_block *blocks, unsigned count, void *user)
{
    making *m = user;
    uint8_t entry[ENTRY];

    for (unsigned i = 0; i < count; i++) {
        if (m->bytes->len >= HEADER + (guint)SEEDS_BLOCKS_MAX * ENTRY)
            return FALSE;
        put_be64(entry, blocks[i].hint);
        put_be64(entry + 8, blocks[i].block);
        g_byte_array_append(m->bytes, entry, ENTRY);
    }
    /* Half of the time, whatever the system makes of our priority: guests use these disks. */
    g_usleep((gulong)CLAMP(g_get_monotonic_time() - m->since, 0, REST_MAX));
    m->since = g_get_monotonic_time();
    return TRUE;
}

gboolean seeds_index_make(const char *dir, const char *path, const char *format, const gint *stop,
                          gboolean *made, GError **error)
{
    uint8_t before[HEADER], after[HEADER], header[HEADER];
    g_autoptr(GByteArray) all = g_byte_array_new();
    making m = {all, g_get_monotonic_time()};
    g_autoptr(image) from = NULL;
    g_autofree char *file = NULL;
    fdio_auto there = -1;
    uint64_t count;

    *made = FALSE;
    if (!describe(path, format, before, error))
        return FALSE;
    file = file_of(dir, before + 16);
    there = open_index(file, before, header, &count);
    if (there >= 0)
        return TRUE;
    from = !strcmp(format, "qcow2") ? image_open_qcow2(path, error)
                                    : image_open_file(path, FALSE, error);
    g_byte_array_append(all, before, HEADER);
    if (!from || !seeds_scan(from, stop, append, &m, error) ||
        !describe(path, format, after, error))
        return FALSE;
    /* What is being written will be looked at another time. */
    if (g_atomic_int_get(stop) || memcmp(before, after, HEADER))
        return TRUE;
    put_be64(all->data + COUNT, (all->len - HEADER) / ENTRY);
    put_digest(all->data + COUNT + 8, all->data + HEADER, all->len - HEADER);
    *made = fdio_replace_file(file, all->data, all->len, 0600, error);
    return *made;
}

void seeds_index_keep_only(const char *dir, const char *const *paths)
{
    g_autoptr(GHashTable) wanted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GDir) list = g_dir_open(dir, 0, NULL);
    uint8_t sha[OP_SHA256];
    const char *name;

    for (unsigned i = 0; paths[i]; i++) {
        sha_of(paths[i], strlen(paths[i]), sha);
        g_hash_table_add(wanted, file_of(dir, sha));
    }
    while (list && (name = g_dir_read_name(list))) {
        g_autofree char *file = g_build_filename(dir, name, NULL);
        if (g_str_has_suffix(name, ".index") && !g_hash_table_contains(wanted, file))
            (void)unlink(file);
    }
}
