/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of every kind, over real files and QEMU's own NBD servers. */
#include "block/image.h"
#include "storage-daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB       (1024 * 1024ULL)
#define DISK_SIZE (16 * MIB)

static char *directory;

static char *path_of(const char *name)
{
    return g_build_filename(directory, name, NULL);
}

static void fill(uint8_t *bytes, size_t length, guint32 seed)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);

    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)g_rand_int(random);
}

static char *new_raw(const char *name)
{
    char *path = path_of(name);
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, DISK_SIZE), ==, 0);
    close(fd);
    return path;
}

/* The same for every kind that can be written: what is written is read, what is zeroed is zeroes,
 * and the data that is told covers what is not. */
static void exercise(image *disk)
{
    g_autoptr(GError) error = NULL;
    g_autofree uint8_t *bytes = g_malloc(5 * MIB), *back = g_malloc(5 * MIB);
    uint64_t start, length;

    fill(bytes, 5 * MIB, 1);
    g_assert_cmpuint(image_size(disk), ==, DISK_SIZE);
    g_assert_true(image_next_data(disk, 0, &start, &length, &error));
    g_assert_cmpuint(length, ==, 0);
    g_assert_true(image_write(disk, 4 * MIB, bytes, 5 * MIB, &error)); /* several requests */
    g_assert_true(image_write(disk, DISK_SIZE - 65536, bytes, 65536, &error));
    g_assert_no_error(error);
    g_assert_true(image_read(disk, 4 * MIB, back, 5 * MIB, &error));
    g_assert_cmpmem(back, 5 * MIB, bytes, 5 * MIB);
    g_assert_true(image_flush(disk, &error));

    g_assert_true(image_next_data(disk, 0, &start, &length, &error));
    g_assert_cmpuint(start, ==, 4 * MIB);
    g_assert_cmpuint(length, >, 0);
    g_assert_cmpuint(start + length, <=, 9 * MIB);
    g_assert_true(image_next_data(disk, 9 * MIB, &start, &length, &error));
    g_assert_cmpuint(start, ==, DISK_SIZE - 65536);
    g_assert_cmpuint(length, ==, 65536);
    g_assert_true(image_next_data(disk, DISK_SIZE, &start, &length, &error));
    g_assert_cmpuint(length, ==, 0);

    g_assert_true(image_zero(disk, 5 * MIB, 65536, TRUE, &error));
    g_assert_true(image_zero(disk, 6 * MIB, 65536, FALSE, &error));
    g_assert_no_error(error);
    memset(bytes + MIB, 0, 65536);
    memset(bytes + 2 * MIB, 0, 65536);
    g_assert_true(image_read(disk, 4 * MIB, back, 5 * MIB, &error));
    g_assert_cmpmem(back, 5 * MIB, bytes, 5 * MIB);
}

/* Nothing beyond the end is read or written, and what is wrong is said. */
static void check_bounds(image *disk, const char *name)
{
    uint8_t byte = 0;
    uint64_t start, length;
    const uint64_t beyond[] = {DISK_SIZE, DISK_SIZE + 1, G_MAXUINT64};

    for (guint i = 0; i < G_N_ELEMENTS(beyond); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(image_write(disk, beyond[i], &byte, 1, &error));
        g_assert_error(error, IMAGE_ERROR, EINVAL);
        g_assert_nonnull(strstr(error->message, name));
        g_assert_false(image_read(disk, beyond[i], &byte, 1, NULL));
        g_assert_false(image_zero(disk, beyond[i], 1, TRUE, NULL));
    }
    g_assert_false(image_zero(disk, 1, DISK_SIZE, TRUE, NULL));
    g_assert_false(image_next_data(disk, DISK_SIZE + 1, &start, &length, NULL));
}

static void test_file(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = new_raw("file.raw");
    g_autoptr(image) disk = image_open_file(path, TRUE, &error);
    struct stat st;

    g_assert_no_error(error);
    exercise(disk);
    check_bounds(disk, path);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, DISK_SIZE);
    g_assert_cmpint(st.st_blocks * 512LL, <, 6 * MIB); /* what was unmapped is a hole */
}

static void test_file_refused(void)
{
    g_autofree char *path = new_raw("refused.raw"), *link = path_of("link.raw");
    g_autofree char *fifo = path_of("fifo");
    uint8_t byte = 0;
    g_autoptr(GError) error = NULL;
    g_autoptr(image) disk = image_open_file(path, FALSE, &error);

    g_assert_no_error(error);
    g_assert_false(image_write(disk, 4096, &byte, 1, &error));
    g_assert_error(error, IMAGE_ERROR, EBADF);
    g_assert_nonnull(strstr(error->message, "refused.raw: cannot write at offset 4096"));
    g_assert_cmpint(symlink(path, link), ==, 0);
    g_assert_null(image_open_file(link, TRUE, NULL));
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_null(image_open_file(fifo, FALSE, NULL));
    g_assert_null(image_open_file(directory, FALSE, NULL));
    g_clear_error(&error);
    g_assert_null(image_open_file("/nowhere/at/all", FALSE, &error));
    g_assert_error(error, IMAGE_ERROR, ENOENT);
}

static void test_shortened(void)
{
    g_autofree char *path = new_raw("short.raw");
    g_autoptr(GError) error = NULL;
    g_autoptr(image) disk = image_open_file(path, FALSE, &error);
    uint8_t bytes[4096];

    g_assert_cmpint(truncate(path, 4096), ==, 0);
    g_assert_false(image_read(disk, 8192, bytes, sizeof bytes, &error));
    g_assert_error(error, IMAGE_ERROR, EIO);
}

static void test_nbd(gconstpointer format)
{
    g_autofree char *name = g_strconcat("nbd.", (const char *)format, NULL);
    g_autofree char *path = path_of(name);
    g_autoptr(GError) error = NULL;
    g_autoptr(storage_daemon) server = NULL;
    g_autoptr(image) disk = NULL;

    storage_make(path, format, DISK_SIZE);
    server = storage_daemon_new(directory, path, format, "drive-virtio-disk0");
    disk = image_open_nbd(server->socket, "drive-virtio-disk0", &error);
    g_assert_no_error(error);
    exercise(disk);
    check_bounds(disk, "drive-virtio-disk0");
    g_assert_null(image_open_nbd(server->socket, "another", &error));
    g_assert_nonnull(strstr(error->message, "another cannot be opened"));
}

static void test_nbd_gone(void)
{
    g_autofree char *path = new_raw("gone.raw");
    g_autoptr(GError) error = NULL;
    g_autoptr(storage_daemon) server = storage_daemon_new(directory, path, "raw", "disk");
    g_autoptr(image) disk = image_open_nbd(server->socket, "disk", &error);
    uint8_t byte = 1;

    g_assert_no_error(error);
    storage_daemon_stop(server);
    g_assert_false(image_write(disk, 0, &byte, 1, &error));
    g_assert_cmpint(error->domain, ==, IMAGE_ERROR);
    g_assert_nonnull(strstr(error->message, "disk: cannot write at offset 0"));
    g_clear_error(&error);
    g_assert_null(image_open_nbd(server->socket, "disk", &error));
    g_assert_nonnull(error);
}

/* A qcow2 at rest gives what was written into it by QEMU. */
static void test_qcow2(void)
{
    g_autofree char *path = path_of("rest.qcow2");
    g_autofree uint8_t *bytes = g_malloc(MIB), *back = g_malloc(MIB);
    g_autoptr(GError) error = NULL;
    g_autoptr(image) disk = NULL;
    uint64_t start, length;

    fill(bytes, MIB, 7);
    storage_make(path, "qcow2", DISK_SIZE);
    {
        g_autoptr(storage_daemon) server = storage_daemon_new(directory, path, "qcow2", "disk");
        g_autoptr(image) writer = image_open_nbd(server->socket, "disk", &error);
        g_assert_no_error(error);
        g_assert_true(image_write(writer, 3 * MIB, bytes, MIB, &error));
    }
    disk = image_open_qcow2(path, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(image_size(disk), ==, DISK_SIZE);
    g_assert_true(image_next_data(disk, 0, &start, &length, &error));
    g_assert_cmpuint(start, ==, 3 * MIB);
    g_assert_cmpuint(length, ==, MIB);
    g_assert_true(image_read(disk, 3 * MIB, back, MIB, &error));
    g_assert_cmpmem(back, MIB, bytes, MIB);
    g_assert_false(image_write(disk, 0, bytes, 1, &error));
}

/* Written in place, by many threads if need be, while QEMU has it open; QEMU reads what was written. */
static void test_qcow2_prepared(void)
{
    g_autofree char *path = path_of("prepared.qcow2"), *plain = path_of("plain.qcow2");
    g_autofree uint8_t *back = g_malloc(MIB), *zeroes = g_malloc0(MIB);
    uint8_t *bytes = aligned_alloc(IMAGE_ALIGNED, MIB);
    g_autoptr(GError) error = NULL;
    g_autoptr(image) disk = NULL, same = NULL;
    g_autoptr(storage_daemon) server = NULL;
    uint64_t start, length;

    fill(bytes, MIB, 9);
    storage_make(path, "prepared", DISK_SIZE);
    disk = image_open_qcow2_prepared(path, DISK_SIZE, &error);
    g_assert_no_error(error);
    g_assert_true(image_is_shared(disk));
    server = storage_daemon_new(directory, path, "qcow2", "disk");
    g_assert_true(image_write(disk, 2 * MIB, bytes, MIB, &error));       /* aligned */
    g_assert_true(image_write(disk, 5 * MIB + 1, bytes, 1000, &error)); /* not */
    g_assert_true(image_write(disk, DISK_SIZE - 512, bytes, 512, &error));
    g_assert_true(image_write(disk, 7 * MIB, bytes, MIB, &error));
    g_assert_true(image_zero(disk, 7 * MIB + 512, MIB - 512, TRUE, &error));
    g_assert_true(image_flush(disk, &error));

    same = image_open_nbd(server->socket, "disk", &error);
    g_assert_no_error(error);
    g_assert_true(image_read(same, 2 * MIB, back, MIB, &error));
    g_assert_cmpmem(back, MIB, bytes, MIB);
    g_assert_true(image_read(same, 5 * MIB, back, MIB, &error));
    g_assert_cmpmem(back + 1, 1000, bytes, 1000);
    g_assert_cmpmem(back + 1001, 2000, zeroes, 2000);
    g_assert_true(image_read(same, DISK_SIZE - 512, back, 512, &error));
    g_assert_cmpmem(back, 512, bytes, 512);
    g_assert_true(image_read(same, 7 * MIB, back, MIB, &error));
    g_assert_cmpmem(back, 512, bytes, 512);
    g_assert_cmpmem(back + 512, MIB - 512, zeroes, MIB - 512);
    g_clear_pointer(&same, image_free);

    /* At rest: what reads as zeroes is no data, though it has its place. */
    same = image_open_qcow2(path, &error);
    g_assert_no_error(error);
    g_assert_true(image_next_data(same, 0, &start, &length, &error));
    g_assert_cmpuint(start, ==, 2 * MIB);
    g_assert_cmpuint(length, ==, MIB);
    g_assert_true(image_read(same, 2 * MIB, back, MIB, &error));
    g_assert_cmpmem(back, MIB, bytes, MIB);

    g_assert_null(image_open_qcow2_prepared(path, DISK_SIZE - 512, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
    g_clear_error(&error);
    storage_make(plain, "qcow2", DISK_SIZE);
    g_assert_null(image_open_qcow2_prepared(plain, DISK_SIZE, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
    free(bytes);
}

/* Compressed clusters have no place of their own: a qemu-nbd reads them. */
static void test_qcow2_compressed(void)
{
    g_autofree char *raw = new_raw("plain.raw"), *path = path_of("packed.qcow2");
    const char *pack[] = {"qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, path, NULL};
    g_autofree uint8_t *bytes = g_malloc(MIB), *back = g_malloc(MIB);
    g_autoptr(GError) error = NULL;
    g_autoptr(image) disk = NULL;

    memset(bytes, 5, MIB);
    {
        g_autoptr(image) below = image_open_file(raw, TRUE, NULL);
        g_assert_true(image_write(below, MIB, bytes, MIB, &error));
    }
    storage_run(pack);
    disk = image_open_qcow2(path, &error);
    g_assert_no_error(error);
    g_assert_false(image_is_shared(disk));
    g_assert_true(image_read(disk, MIB, back, MIB, &error));
    g_assert_cmpmem(back, MIB, bytes, MIB);
}

/* An image may name any file of the host below it; nothing of that is read. */
static void test_qcow2_alone(void)
{
    g_autofree char *secret = new_raw("secret.raw"), *path = path_of("over.qcow2");
    g_autofree char *outside = path_of("outside.qcow2"), *data = path_of("outside.data");
    g_autofree char *name = NULL;
    const char *over[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
                          "-b",       secret,   path, NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(image) disk = NULL;
    uint64_t start, length;

    {
        g_autoptr(image) below = image_open_file(secret, TRUE, NULL);
        g_assert_true(image_write(below, 0, "secret", 6, &error));
    }
    storage_run(over);
    disk = image_open_qcow2(path, &error);
    g_assert_no_error(error);
    g_assert_true(image_next_data(disk, 0, &start, &length, &error));
    g_assert_cmpuint(length, ==, 0);

    name = g_strconcat("data_file=", data, NULL);
    const char *apart[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-o", name, outside, "1M", NULL};
    storage_run(apart);
    g_assert_null(image_open_qcow2(outside, &error));
    g_assert_nonnull(strstr(error->message, "its data is in another file"));
    g_clear_error(&error);
    g_assert_null(image_open_qcow2(secret, &error));
    g_assert_nonnull(strstr(error->message, "it is not qcow2"));
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    directory = g_dir_make_tmp("ferry-image-XXXXXX", &error);
    g_assert_no_error(error);
    g_test_add_func("/image/file", test_file);
    g_test_add_func("/image/file-refused", test_file_refused);
    g_test_add_func("/image/shortened", test_shortened);
    g_test_add_data_func("/image/nbd-raw", "raw", test_nbd);
    g_test_add_data_func("/image/nbd-qcow2", "qcow2", test_nbd);
    g_test_add_func("/image/nbd-gone", test_nbd_gone);
    g_test_add_func("/image/qcow2", test_qcow2);
    g_test_add_func("/image/qcow2-alone", test_qcow2_alone);
    g_test_add_func("/image/qcow2-prepared", test_qcow2_prepared);
    g_test_add_func("/image/qcow2-compressed", test_qcow2_compressed);
    result = g_test_run();
    storage_remove(directory);
    g_free(directory);
    return result;
}
