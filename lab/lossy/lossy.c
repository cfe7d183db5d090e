/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk that forgets: one file, `disk`, in a FUSE file system. What is written to it reaches the
 * backing file only when it is flushed; until then it is in this process's memory, and gone when
 * this process is. A file system on it (by a loop device) is a host's disk, and SIGKILL for all of a
 * host's processes, this one among them, is a power cut: what was not fsynced never was.
 *
 *   lossy BACKING MOUNTPOINT         runs until it is unmounted or killed
 *
 * Real disks may also keep some of what was not flushed, in any order. With the environment variable
 * LOSSY_SEED set to a number other than 0, a part of the blocks written since the last flush
 * reaches the backing file as they are written, chosen by that seed. */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <glib.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK     4096
#define DISK      "/disk"
#define KEEP_EACH 4 /* of so many blocks one is kept, with a seed */

static struct {
    int fd;
    off_t size;
    GHashTable *blocks; /* number -> its BLOCK bytes, written and not flushed */
    GRand *chance;      /* NULL: nothing is kept */
} lossy;

static int put(off_t at, const void *bytes, size_t length)
{
    ssize_t n = pwrite(lossy.fd, bytes, length, at);

    return n == (ssize_t)length ? 0 : n < 0 ? -errno : -EIO;
}

/* The current content of a block. */
static int get(off_t number, uint8_t out[BLOCK])
{
    const uint8_t *held = g_hash_table_lookup(lossy.blocks, &(gint64){number});
    ssize_t n;

    if (held) {
        memcpy(out, held, BLOCK);
        return 0;
    }
    n = pread(lossy.fd, out, BLOCK, number * BLOCK);
    if (n < 0)
        return -errno;
    memset(out + n, 0, BLOCK - (size_t)n);
    return 0;
}

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *info)
{
    (void)info;
    memset(st, 0, sizeof *st);
    if (!strcmp(path, "/")) {
        st->st_mode = S_IFDIR | 0700;
        st->st_nlink = 2;
        return 0;
    }
    if (strcmp(path, DISK) != 0)
        return -ENOENT;
    st->st_mode = S_IFREG | 0600;
    st->st_nlink = 1;
    st->st_size = lossy.size;
    return 0;
}

static int on_open(const char *path, struct fuse_file_info *info)
{
    (void)info;
    return strcmp(path, DISK) == 0 ? 0 : -ENOENT;
}

static int on_read(const char *path, char *out, size_t length, off_t at,
                   struct fuse_file_info *info)
{
    size_t done = 0;

    (void)path;
    (void)info;
    if (at >= lossy.size)
        return 0;
    length = MIN(length, (size_t)(lossy.size - at));
    while (done < length) {
        uint8_t block[BLOCK];
        off_t where = at + (off_t)done;
        size_t from = (size_t)(where % BLOCK), n = MIN(BLOCK - from, length - done);
        int failure = get(where / BLOCK, block);

        if (failure)
            return failure;
        memcpy(out + done, block + from, n);
        done += n;
    }
    return (int)length;
}

static int on_write(const char *path, const char *bytes, size_t length, off_t at,
                    struct fuse_file_info *info)
{
    size_t done = 0;

    (void)path;
    (void)info;
    if (at + (off_t)length > lossy.size)
        return -ENOSPC;
    while (done < length) {
        off_t where = at + (off_t)done;
        gint64 number = where / BLOCK;
        size_t to = (size_t)(where % BLOCK), n = MIN(BLOCK - to, length - done);
        uint8_t *block = g_hash_table_lookup(lossy.blocks, &number);

        if (!block) {
            int failure;
            block = g_malloc(BLOCK);
            failure = get(number, block);
            if (failure) {
                g_free(block);
                return failure;
            }
            g_hash_table_insert(lossy.blocks, g_memdup2(&number, sizeof number), block);
        }
        memcpy(block + to, bytes + done, n);
        if (lossy.chance && g_rand_int_range(lossy.chance, 0, KEEP_EACH) == 0)
            (void)put(number * BLOCK, block, BLOCK);
        done += n;
    }
    return (int)length;
}

static int on_fsync(const char *path, int only_data, struct fuse_file_info *info)
{
    GHashTableIter all;
    gpointer number, block;

    (void)path;
    (void)only_data;
    (void)info;
    g_hash_table_iter_init(&all, lossy.blocks);
    while (g_hash_table_iter_next(&all, &number, &block)) {
        int failure = put(*(gint64 *)number * BLOCK, block, BLOCK);
        if (failure)
            return failure;
        g_hash_table_iter_remove(&all);
    }
    return 0;
}

/* Mounted: leaves the host's mounts to the host. Else, when all its processes are killed, this one
 * may be the last to hold them; it would unmount the file system on its own disk as it ends, and
 * wait for itself for ever. */
static void *on_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    (void)config;
    if (unshare(CLONE_NEWNS)) {
        fprintf(stderr, "lossy: a mount namespace: %s\n", strerror(errno));
        exit(1);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct fuse_operations operations = {.init = on_init,
                                                      .getattr = on_getattr,
                                                      .open = on_open,
                                                      .read = on_read,
                                                      .write = on_write,
                                                      .fsync = on_fsync};
    char *arguments[] = {argv[0], (char *)"-f", (char *)"-s", argc == 3 ? argv[2] : NULL, NULL};
    const char *seed = getenv("LOSSY_SEED");
    struct stat st;

    if (argc != 3) {
        fprintf(stderr, "usage: lossy BACKING MOUNTPOINT\n");
        return 2;
    }
    lossy.fd = open(argv[1], O_RDWR | O_CLOEXEC);
    if (lossy.fd < 0 || fstat(lossy.fd, &st) < 0) {
        fprintf(stderr, "lossy: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    lossy.size = st.st_size / BLOCK * BLOCK;
    lossy.blocks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    if (seed && strtoul(seed, NULL, 10))
        lossy.chance = g_rand_new_with_seed((guint32)strtoul(seed, NULL, 10));
    return fuse_main(4, arguments, &operations, NULL);
}
