/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is found in seeds, over real files and images. */
#include "block/seeds.h"
#include "block/seeds-index.h"
#include "block/seeds-table.h"
#include "block/sha.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS 40
#define TAIL   1000 /* bytes of the last block, which is shorter */

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

static void block_of(guint32 seed, unsigned block, uint8_t out[OP_BLOCK])
{
    fill(out, OP_BLOCK, seed * 1000 + block);
}

static void put(const char *path, unsigned block, const uint8_t *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(pwrite(fd, bytes, length, (off_t)block * OP_BLOCK), ==, length);
    close(fd);
}

/* Every other block has data; between them is a hole, or zeroes that were written (block 1). */
static char *new_image(const char *name, guint32 seed)
{
    char *path = path_of(name);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    uint8_t bytes[OP_BLOCK];

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, (off_t)BLOCKS * OP_BLOCK + TAIL), ==, 0);
    close(fd);
    for (unsigned i = 0; i <= BLOCKS; i += 2) {
        block_of(seed, i, bytes);
        put(path, i, bytes, i < BLOCKS ? OP_BLOCK : TAIL);
    }
    memset(bytes, 0, sizeof bytes);
    put(path, 1, bytes, OP_BLOCK);
    return path;
}

/* All hints, in order; waits for the end of the scan. */
static GArray *all_hints(seeds *store)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    uint64_t some[7];
    gboolean last = FALSE;

    while (!last) {
        unsigned n = seeds_wait_hints(store, all->len, some, G_N_ELEMENTS(some), &last);
        g_array_append_vals(all, some, n);
    }
    return all;
}

static gboolean holds(seeds *store, const uint8_t *bytes, uint32_t length)
{
    uint8_t sha[OP_SHA256], out[OP_BLOCK];

    sha_of(bytes, length, sha);
    if (!seeds_read(store, sha, length, out))
        return FALSE;
    g_assert_cmpmem(out, length, bytes, length);
    return TRUE;
}

static gboolean holds_block(seeds *store, guint32 seed, unsigned block)
{
    uint8_t bytes[OP_BLOCK];

    block_of(seed, block, bytes);
    return holds(store, bytes, block < BLOCKS ? OP_BLOCK : TAIL);
}

static seeds *store_of(const char *index_dir, const char *path, const char *format)
{
    seeds *store = seeds_new(index_dir);

    seeds_add(store, path, format, "test");
    seeds_start(store);
    return store;
}

static void test_found_in_disk_order(void)
{
    g_autofree char *path = new_image("order", 1);
    g_autoptr(seeds) store = store_of(NULL, path, "raw");
    g_autoptr(GArray) hints = all_hints(store);
    uint8_t bytes[OP_BLOCK], sha[OP_SHA256];

    g_assert_cmpuint(hints->len, ==, BLOCKS / 2 + 1);
    for (unsigned i = 0; i <= BLOCKS; i += 2) {
        block_of(1, i, bytes);
        sha_of(bytes, i < BLOCKS ? OP_BLOCK : TAIL, sha);
        g_assert_cmphex(g_array_index(hints, uint64_t, i / 2), ==, sha_hint(sha));
        g_assert_true(holds_block(store, 1, i));
    }
    memset(bytes, 0, sizeof bytes);
    g_assert_false(holds(store, bytes, OP_BLOCK)); /* zeroes are no block */
    g_assert_false(holds_block(store, 2, 0));
    block_of(1, 2, bytes);
    g_assert_false(holds(store, bytes, OP_BLOCK - 1)); /* part of one */
}

/* A digest whose first bytes fit proves nothing. */
static void test_all_bytes_compared(void)
{
    g_autofree char *path = new_image("compared", 1);
    g_autoptr(seeds) store = store_of(NULL, path, "raw");
    g_autoptr(GArray) hints = all_hints(store);
    uint8_t bytes[OP_BLOCK], sha[OP_SHA256], out[OP_BLOCK];

    block_of(1, 4, bytes);
    sha_of(bytes, OP_BLOCK, sha);
    sha[OP_SHA256 - 1] ^= 1;
    g_assert_false(seeds_read(store, sha, OP_BLOCK, out));
}

static void test_changed_afterwards(void)
{
    g_autofree char *path = new_image("changed", 1), *second = new_image("changed-2", 1);
    g_autoptr(seeds) store = store_of(NULL, path, "raw");
    g_autoptr(GArray) hints = all_hints(store);
    uint8_t bytes[OP_BLOCK];

    block_of(1, 4, bytes);
    bytes[77] ^= 1;
    put(path, 4, bytes, OP_BLOCK);
    g_assert_false(holds_block(store, 1, 4));
    g_assert_false(holds_block(store, 1, 4));
    g_assert_true(holds_block(store, 1, 6));
    g_assert_cmpint(truncate(path, 8 * OP_BLOCK + 5), ==, 0);
    g_assert_false(holds_block(store, 1, 8));
    g_assert_false(holds_block(store, 1, 10));
    g_assert_true(holds_block(store, 1, 2));
}

static void test_several(void)
{
    g_autofree char *one = new_image("several-1", 1), *two = new_image("several-2", 2);
    g_autofree char *same = new_image("several-3", 1), *none = path_of("none");
    g_autofree char *link = path_of("link");
    g_autoptr(seeds) store = seeds_new(NULL);
    g_autoptr(GArray) hints = NULL;

    g_assert_cmpint(symlink(one, link), ==, 0);
    seeds_add(store, link, "raw", "test"); /* no link is followed: logged, and left out */
    seeds_add(store, none, "raw", "test");
    seeds_add(store, directory, "raw", "test");
    seeds_add(store, one, "qcow2", "test"); /* it is none */
    seeds_add(store, one, "raw", "test");
    seeds_add(store, two, "raw", "test");
    seeds_add(store, same, "raw", "test");
    seeds_start(store);
    hints = all_hints(store);
    g_assert_cmpuint(hints->len, ==, 2 * (BLOCKS / 2 + 1));
    g_assert_true(holds_block(store, 1, 2));
    g_assert_true(holds_block(store, 2, 2));
}

static void run(const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                               NULL, &status, &error));
    g_assert_true(g_spawn_check_wait_status(status, &error));
}

static void test_qcow2(void)
{
    g_autofree char *raw = new_image("q.raw", 3), *path = path_of("q.qcow2");
    const char *convert[] = {"qemu-img", "convert", "-q", "-f", "raw",
                             "-O",       "qcow2",   raw,  path, NULL};
    g_autoptr(seeds) store = NULL;
    g_autoptr(GArray) hints = NULL;

    run(convert);
    store = store_of(NULL, path, "qcow2");
    hints = all_hints(store);
    g_assert_cmpuint(hints->len, ==, BLOCKS / 2 + 1);
    for (unsigned i = 0; i < BLOCKS; i += 2)
        g_assert_true(holds_block(store, 3, i));
}

static gpointer wait_all(gpointer user)
{
    return all_hints(user);
}

/* Readers and waiters while the scan is under way. */
static void test_threads(void)
{
    g_autofree char *one = new_image("threads-1", 1), *two = new_image("threads-2", 2);
    g_autoptr(seeds) store = seeds_new(NULL);
    GThread *waiters[3];

    seeds_add(store, one, "raw", "test");
    seeds_add(store, two, "raw", "test");
    seeds_start(store);
    for (unsigned i = 0; i < G_N_ELEMENTS(waiters); i++)
        waiters[i] = g_thread_new("waiter", wait_all, store);
    for (unsigned i = 0; i <= BLOCKS; i += 2)
        (void)holds_block(store, 1 + i % 4 / 2, i);
    for (unsigned i = 0; i < G_N_ELEMENTS(waiters); i++) {
        g_autoptr(GArray) hints = g_thread_join(waiters[i]);
        g_assert_cmpuint(hints->len, ==, 2 * (BLOCKS / 2 + 1));
    }
}

static void test_nothing(void)
{
    g_autoptr(seeds) store = seeds_new(NULL), stopped = NULL;
    g_autofree char *path = new_image("stopped", 1);
    uint64_t hint;
    gboolean last = FALSE;

    seeds_start(store);
    g_assert_cmpuint(seeds_wait_hints(store, 0, &hint, 1, &last), ==, 0);
    g_assert_true(last);
    g_assert_false(holds_block(store, 1, 0));
    stopped = store_of(NULL, path, "raw");
    seeds_stop(stopped);
    seeds_stop(stopped);
    last = FALSE;
    g_assert_cmpuint(seeds_wait_hints(stopped, 0, &hint, 1, &last), ==, 0);
    g_assert_true(last);
}

typedef struct {
    char *dir, *image, *file; /* of the index */
} indexed;

static indexed new_index(const char *name)
{
    g_autofree char *dir_name = g_strconcat(name, ".seeds", NULL);
    g_autoptr(GError) error = NULL;
    indexed it = {.dir = path_of(dir_name), .image = new_image(name, 5)};
    g_autoptr(GDir) list = NULL;
    gboolean made;
    gint stop = 0;

    g_assert_cmpint(g_mkdir(it.dir, 0700), ==, 0);
    g_assert_true(seeds_index_make(it.dir, it.image, "raw", &stop, &made, &error));
    g_assert_no_error(error);
    g_assert_true(made);
    g_assert_true(seeds_index_make(it.dir, it.image, "raw", &stop, &made, &error));
    g_assert_false(made);
    list = g_dir_open(it.dir, 0, NULL);
    it.file = g_build_filename(it.dir, g_dir_read_name(list), NULL);
    return it;
}

static void free_index(indexed *it)
{
    g_free(it->dir);
    g_free(it->image);
    g_free(it->file);
}

static gboolean count_blocks(const seeds_block *blocks, unsigned count, void *user)
{
    *(unsigned *)user += count;
    return TRUE;
}

static unsigned load(const indexed *it)
{
    unsigned count = 0;

    return seeds_index_load(it->dir, it->image, "raw", count_blocks, &count) ? count : 0;
}

static void test_index(void)
{
    __attribute__((cleanup(free_index))) indexed it = new_index("index");
    g_autoptr(seeds) store = store_of(it.dir, it.image, "raw");
    g_autoptr(GArray) hints = all_hints(store);
    const char *keep[] = {it.image, NULL}, *none[] = {NULL};

    g_assert_cmpuint(load(&it), ==, BLOCKS / 2 + 1);
    g_assert_cmpuint(hints->len, ==, BLOCKS / 2 + 1);
    for (unsigned i = 0; i <= BLOCKS; i += 2)
        g_assert_true(holds_block(store, 5, i));
    g_assert_false(seeds_index_load(it.dir, it.image, "qcow2", count_blocks, NULL));
    seeds_index_keep_only(it.dir, keep);
    g_assert_true(g_file_test(it.file, G_FILE_TEST_EXISTS));
    seeds_index_keep_only(it.dir, none);
    g_assert_false(g_file_test(it.file, G_FILE_TEST_EXISTS));
}

static void test_index_stopped(void)
{
    g_autofree char *path = new_image("index-stopped", 5), *dir = path_of("stopped.seeds");
    g_autoptr(GError) error = NULL;
    gboolean made = TRUE;
    gint stop = 1;

    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    g_assert_true(seeds_index_make(dir, path, "raw", &stop, &made, &error));
    g_assert_false(made);
    g_assert_cmpint(g_rmdir(dir), ==, 0); /* it is empty */
}

/* An image that has changed is read again: the index does not count. */
static void test_index_of_a_changed_image(void)
{
    __attribute__((cleanup(free_index))) indexed it = new_index("index-changed");
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1, .tv_nsec = 0}};
    g_autoptr(seeds) store = NULL;
    g_autoptr(GArray) hints = NULL;
    uint8_t bytes[OP_BLOCK];

    block_of(9, 3, bytes);
    put(it.image, 3, bytes, OP_BLOCK);
    g_assert_cmpint(utimensat(AT_FDCWD, it.image, times, 0), ==, 0);
    g_assert_cmpuint(load(&it), ==, 0);
    store = store_of(it.dir, it.image, "raw");
    hints = all_hints(store);
    g_assert_cmpuint(hints->len, ==, BLOCKS / 2 + 2);
    g_assert_true(holds(store, bytes, OP_BLOCK));
}

/* Whatever is done to the file, at most it does not count. */
static void test_index_damaged(void)
{
    __attribute__((cleanup(free_index))) indexed it = new_index("index-damaged");
    g_autofree char *good = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(it.file, &good, &length, NULL));
    for (gsize i = 0; i < length; i += i < 120 ? 1 : 7) {
        good[i] ^= 0x81;
        g_assert_true(g_file_set_contents(it.file, good, (gssize)length, NULL));
        g_assert_cmpuint(load(&it), ==, 0);
        good[i] ^= 0x81;
    }
    for (gsize i = 0; i < length; i += 13) {
        g_assert_true(g_file_set_contents(it.file, good, (gssize)i, NULL));
        g_assert_cmpuint(load(&it), ==, 0);
    }
    g_assert_true(g_file_set_contents(it.file, good, (gssize)length, NULL));
    g_assert_cmpuint(load(&it), >, 0);
}

/* What an index says is a guess: the image has lost everything since it was taken up. */
static void test_index_outlived(void)
{
    __attribute__((cleanup(free_index))) indexed it = new_index("index-outlived");
    g_autoptr(seeds) store = store_of(it.dir, it.image, "raw");
    g_autoptr(GArray) hints = all_hints(store);

    g_assert_cmpuint(hints->len, ==, BLOCKS / 2 + 1);
    g_assert_cmpint(truncate(it.image, 0), ==, 0);
    for (unsigned i = 0; i <= BLOCKS; i += 2)
        g_assert_false(holds_block(store, 5, i));
}

static void test_table(void)
{
    seeds_table *table = seeds_table_new();
    unsigned seed;
    uint64_t block;

    for (uint64_t i = 0; i < 100000; i++)
        g_assert_true(seeds_table_add(table, i << 32, i % SEEDS_MAX, i * i));
    for (uint64_t i = 0; i < 100000; i++) {
        g_assert_true(seeds_table_find(table, i << 32, &seed, &block));
        g_assert_cmpuint(seed, ==, i % SEEDS_MAX);
        g_assert_cmpuint(block, ==, i * i);
        g_assert_cmpuint(seeds_table_hint(table, i), ==, i << 32);
    }
    g_assert_false(seeds_table_find(table, 1, &seed, &block));
    g_assert_true(seeds_table_add(table, 5ULL << 32, 1, 2)); /* the first one stays … */
    seeds_table_drop(table, 5ULL << 32, 1, 2);
    g_assert_true(seeds_table_find(table, 5ULL << 32, &seed, &block));
    g_assert_cmpuint(block, ==, 25);
    seeds_table_drop(table, 5ULL << 32, 5, 25); /* … until it is dropped */
    g_assert_false(seeds_table_find(table, 5ULL << 32, &seed, &block));
    g_assert_true(seeds_table_add(table, 5ULL << 32, 1, 2));
    g_assert_true(seeds_table_find(table, 5ULL << 32, &seed, &block));
    g_assert_cmpuint(block, ==, 2);
    g_assert_cmpuint(seeds_table_count(table), ==, 100000);
    seeds_table_free(table);
}

static void test_table_full(void)
{
    seeds_table *table = seeds_table_new();

    for (uint64_t i = 0; i < SEEDS_BLOCKS_MAX; i++)
        g_assert_true(seeds_table_add(table, i, 0, i));
    g_assert_false(seeds_table_add(table, SEEDS_BLOCKS_MAX, 0, 1));
    g_assert_true(seeds_table_add(table, 7, 0, 1)); /* known */
    g_assert_cmpuint(seeds_table_count(table), ==, SEEDS_BLOCKS_MAX);
    seeds_table_free(table);
}

int main(int argc, char **argv)
{
    int result;
    const char *clean[] = {"rm", "-rf", NULL, NULL};

    g_test_init(&argc, &argv, NULL);
    directory = g_dir_make_tmp("ferry-seeds-XXXXXX", NULL);
    g_test_add_func("/seeds/found-in-disk-order", test_found_in_disk_order);
    g_test_add_func("/seeds/all-bytes-compared", test_all_bytes_compared);
    g_test_add_func("/seeds/changed-afterwards", test_changed_afterwards);
    g_test_add_func("/seeds/several", test_several);
    g_test_add_func("/seeds/qcow2", test_qcow2);
    g_test_add_func("/seeds/threads", test_threads);
    g_test_add_func("/seeds/nothing", test_nothing);
    g_test_add_func("/seeds/index", test_index);
    g_test_add_func("/seeds/index-stopped", test_index_stopped);
    g_test_add_func("/seeds/index-of-a-changed-image", test_index_of_a_changed_image);
    g_test_add_func("/seeds/index-damaged", test_index_damaged);
    g_test_add_func("/seeds/index-outlived", test_index_outlived);
    g_test_add_func("/seeds/table", test_table);
    g_test_add_func("/seeds/table-full", test_table_full);
    result = g_test_run();
    clean[2] = directory;
    run(clean);
    g_free(directory);
    return result;
}
