/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's end of disk streams: what is sent is in the image, whatever is wrong is found. */
#include "block/image.h"
#include "block/sha.h"
#include "relay/sink.h"
#include "storage-daemon.h"
#include "tongue.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB      (1024 * 1024ULL)
#define SIZE     (24 * MIB + 3 * 512) /* its last block is a short one */
#define DISKS    2
#define DEADLINE 100000

typedef struct {
    pair *p;
    sink *sink;
    storage_daemon *servers[DISKS];
    tongue disks[DISKS];
    char *paths[DISKS];
    const char *format;
    uint8_t *model; /* what the first disk must be */
    /* With pair_lock held: */
    guint errors;
    gboolean verify;
    char *text;
    GHashTable *held; /* SHA-256 (GBytes) -> content (GBytes); constant while the sink lives */
    guint hints;      /* how many the seeds have */
} landing;

static void on_error(gboolean verify, const char *text, void *user)
{
    landing *l = user;

    pair_lock(l->p);
    l->errors++;
    l->verify = verify;
    g_free(l->text);
    l->text = g_strdup(text);
    pair_wake(l->p);
    pair_unlock(l->p);
}

static gboolean read_seed(void *user, const uint8_t sha[OP_SHA256], uint32_t length, void *out)
{
    landing *l = user;
    g_autoptr(GBytes) key = g_bytes_new(sha, OP_SHA256);
    GBytes *content = g_hash_table_lookup(l->held, key);

    if (!content || g_bytes_get_size(content) != length)
        return FALSE;
    memcpy(out, g_bytes_get_data(content, NULL), length);
    return TRUE;
}

static unsigned next_hints(void *user, uint64_t from, uint64_t *out, unsigned most, gboolean *last)
{
    landing *l = user;
    unsigned count = (unsigned)MIN(most, l->hints - from);

    for (unsigned i = 0; i < count; i++)
        out[i] = from + i;
    *last = from + count == l->hints;
    return count;
}

static void hold(landing *l, const void *bytes, size_t length)
{
    uint8_t sha[OP_SHA256];

    sha_of(bytes, length, sha);
    g_hash_table_insert(l->held, g_bytes_new(sha, sizeof sha), g_bytes_new(bytes, length));
}

static const char *const exports[DISKS] = {"drive-virtio-disk0", "drive-virtio-disk1"};

/* "prepared": qcow2 whose clusters have their places already. */
static void prepare(landing *l, const char *kind)
{
    memset(l, 0, sizeof *l);
    l->p = pair_new(&(pair_setup){.channels = 2});
    l->format = !strcmp(kind, "prepared") ? "qcow2" : kind;
    l->model = g_malloc0(SIZE);
    l->held = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
                                    (GDestroyNotify)g_bytes_unref);
    for (int i = 0; i < DISKS; i++) {
        g_autofree char *name = g_strdup_printf("disk%d.%s", i, kind);
        l->paths[i] = g_build_filename(l->p->directory, name, NULL);
        storage_make(l->paths[i], kind, (SIZE + 511) / 512 * 512);
        l->disks[i].fd = -1;
    }
}

/* A QEMU that is to get the disks has their NBD server; here one disk of qcow2 is enough. */
static void start(landing *l, unsigned count, gboolean ledger, gboolean seeded)
{
    sink_disk disks[DISKS];
    sink_seeds seeds = {.read = read_seed, .wait_hints = next_hints, .user = l};
    sink_setup setup = {.disks = disks,
                        .count = count,
                        .ledger_directory = ledger ? l->p->directory : NULL,
                        .seeds = seeded ? &seeds : NULL,
                        .on_error = on_error,
                        .user = l};
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < count; i++)
        disks[i] = (sink_disk){.export = exports[i],
                               .what = i ? "vdb" : "vda",
                               .path = l->paths[i],
                               .format = l->format,
                               .size = SIZE};
    if (!strcmp(l->format, "qcow2")) {
        l->servers[0] =
            storage_daemon_new(l->p->directory, l->paths[0], l->format, exports[0]);
        setup.nbd_socket = l->servers[0]->socket;
    }
    l->sink = sink_new(&setup, &error);
    g_assert_no_error(error);
    g_assert_true(session_offer(l->p->target.session, STREAM_DISK, NULL, count + 1, sink_codec_new,
                                l->sink, NULL));
    tongue_listen(l->p, count + 1);
    for (unsigned i = 0; i < count; i++) {
        tongue_connect(&l->disks[i], l->p);
        tongue_open(&l->disks[i], exports[i], SIZE);
    }
}

static void finish(landing *l)
{
    for (int i = 0; i < DISKS; i++)
        tongue_close(&l->disks[i]);
    pair_drop(&l->p->source);
    pair_drop(&l->p->target);
    sink_free(l->sink);
    for (int i = 0; i < DISKS; i++) {
        g_clear_pointer(&l->servers[i], storage_daemon_free);
        unlink(l->paths[i]);
        g_free(l->paths[i]);
    }
    pair_free(l->p);
    g_hash_table_unref(l->held);
    g_free(l->model);
    g_free(l->text);
}

static void fill(GRand *random, uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)g_rand_int(random);
}

static image *open_result(landing *l)
{
    g_autoptr(GError) error = NULL;
    image *disk = !strcmp(l->format, "raw") ? image_open_file(l->paths[0], FALSE, &error)
                                            : image_open_qcow2(l->paths[0], &error);

    g_assert_no_error(error);
    return disk;
}

static void check_image(landing *l)
{
    g_autoptr(image) disk = open_result(l);
    g_autofree uint8_t *found = g_malloc(SIZE);
    g_autoptr(GError) error = NULL;

    g_assert_true(image_read(disk, 0, found, SIZE, &error));
    for (uint64_t at = 0; at < SIZE; at += 512)
        if (memcmp(found + at, l->model + at, 512))
            g_error("the image differs at %" G_GUINT64_FORMAT, (guint64)at);
}

static void assert_sealed(landing *l)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(sink_wait_sealed(l->sink, DEADLINE, &error));
    g_assert_no_error(error);
}

/* Random messages of every form over a small disk, so that they touch each other; one after the other
 * where they overlap, as QEMU does it. */
static void storm(landing *l, guint32 seed, unsigned count)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    tongue *disk = &l->disks[0];
    uint32_t first = disk->id + 1;
    uint64_t from = 0; /* those of one round lie behind each other */

    for (unsigned i = 0; i < count; i++) {
        uint64_t offset = from + (uint64_t)g_rand_int_range(random, 0, 8) * 512 * 16;
        uint32_t length = 512 * (uint32_t)g_rand_int_range(random, 1, 129);
        int kind = g_rand_int_range(random, 0, 10);

        if (kind < 5)
            offset = (offset + OP_BLOCK - 1) / OP_BLOCK * OP_BLOCK;
        if (offset >= SIZE) {
            from = 0;
            g_assert_cmpuint(tongue_await(disk, first, disk->id), ==, 0);
            first = disk->id + 1;
            continue;
        }
        if (kind == 9) {
            uint64_t many = 512ULL * (uint64_t)g_rand_int_range(random, 1, 5000);
            many = MIN(SIZE - offset, many);
            memset(l->model + offset, 0, many);
            tongue_zero(disk, offset, many, g_rand_boolean(random));
            from = offset + many;
            continue;
        }
        length = (uint32_t)MIN(SIZE - offset, kind < 5 ? OP_BLOCK : length);
        length = MIN(length, OP_BLOCK - (uint32_t)(offset % OP_BLOCK));
        fill(random, l->model + offset, length);
        if (kind == 4) {
            memset(l->model + offset, 7, length);
            tongue_zstd(disk, offset, l->model + offset, length);
        } else {
            tongue_data(disk, offset, l->model + offset, length);
        }
        if (g_rand_int_range(random, 0, 50) == 0)
            tongue_flush(disk);
        from = offset + length;
    }
    tongue_flush(disk);
    if (disk->id >= first)
        g_assert_cmpuint(tongue_await(disk, first, disk->id), ==, 0);
}

static void test_storm(gconstpointer kind)
{
    landing l;

    prepare(&l, kind);
    start(&l, 1, FALSE, FALSE);
    storm(&l, (guint32)g_test_rand_int(), 2000);
    assert_sealed(&l);
    check_image(&l);
    tongue_close(&l.disks[0]);
    assert_sealed(&l); /* as it was, when the stream has ended */
    finish(&l);
}

static void test_read_back(gconstpointer kind)
{
    landing l;
    uint64_t written, back;
    g_autoptr(GError) error = NULL;

    prepare(&l, kind);
    start(&l, 1, TRUE, FALSE);
    storm(&l, (guint32)g_test_rand_int(), 1000);
    assert_sealed(&l);
    g_assert_true(sink_read_back(l.sink, &error));
    g_assert_no_error(error);
    sink_progress(l.sink, &written, &back);
    g_assert_cmpuint(back, >, 0);
    check_image(&l);
    finish(&l);
}

/* A medium that loses what it was given: seen by who reads it back, and by nobody else. */
static void test_medium(void)
{
    landing l;
    g_autofree uint8_t *bytes = g_malloc(MIB);
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    g_autoptr(GError) error = NULL;
    g_autoptr(image) medium = NULL;

    prepare(&l, "raw");
    start(&l, 1, TRUE, FALSE);
    fill(random, bytes, MIB);
    for (uint64_t at = 0; at < MIB; at += OP_BLOCK)
        tongue_data(&l.disks[0], at, bytes + at, OP_BLOCK);
    tongue_flush(&l.disks[0]);
    g_assert_cmpuint(tongue_await(&l.disks[0], 1, l.disks[0].id), ==, 0);
    medium = image_open_file(l.paths[0], TRUE, NULL);
    g_assert_true(image_write(medium, 5 * OP_BLOCK + 77, "x", 1, NULL));
    assert_sealed(&l);
    g_assert_false(sink_read_back(l.sink, &error));
    g_assert_nonnull(strstr(error->message, "disk vda: "));
    g_assert_nonnull(strstr(error->message, "offset 327680"));
    finish(&l);
}

/* Where nothing was ever written, zeroes take no room. */
static void test_sparse(void)
{
    landing l;
    struct stat st;

    prepare(&l, "raw");
    start(&l, 1, FALSE, FALSE);
    tongue_zero(&l.disks[0], 0, SIZE, FALSE);
    tongue_data(&l.disks[0], OP_BLOCK, exports, 8);
    tongue_zero(&l.disks[0], 0, SIZE, TRUE);
    tongue_flush(&l.disks[0]);
    g_assert_cmpuint(tongue_await(&l.disks[0], 1, 4), ==, 0);
    check_image(&l);
    g_assert_cmpint(stat(l.paths[0], &st), ==, 0);
    g_assert_cmpint(st.st_blocks, ==, 0);
    finish(&l);
}

/* A block that does not have its digest is not written, and nothing after it. */
static void test_bad_block(gconstpointer form)
{
    landing l;
    uint8_t bytes[4096], other[4096];
    op m;
    g_autoptr(GError) error = NULL;

    prepare(&l, "raw");
    start(&l, 1, FALSE, FALSE);
    memset(bytes, 1, sizeof bytes);
    memset(other, 2, sizeof other);
    m = (op){.type = OP_DATA,
             .form = GPOINTER_TO_UINT(form),
             .id = ++l.disks[0].id,
             .offset = 12 * MIB,
             .length = sizeof bytes,
             .digest = op_digest_of(other, sizeof other)};
    op_chain(&l.disks[0].running, &m);
    (void)tongue_send(&l.disks[0], &m, bytes, m.form == OP_ZSTD ? 100 : sizeof bytes);
    g_assert_cmpuint(tongue_await(&l.disks[0], 1, 1), ==, EIO);
    pair_wait(l.p, l.errors == 1);
    g_assert_true(l.verify);
    g_assert_nonnull(strstr(l.text, "disk vda: "));
    g_assert_nonnull(strstr(l.text, "offset 12582912"));
    tongue_data(&l.disks[0], 0, bytes, sizeof bytes);
    tongue_flush(&l.disks[0]);
    g_assert_cmpuint(tongue_await(&l.disks[0], 2, 3), ==, EIO);
    g_assert_false(sink_wait_sealed(l.sink, DEADLINE, &error));
    g_assert_cmpuint(l.errors, ==, 1);
    check_image(&l);
    finish(&l);
}

/* A message that was lost, or came twice, shows at the next flush. */
static void test_bad_chain(gconstpointer twice)
{
    landing l;
    uint8_t bytes[4096] = {1};
    op m = {.type = OP_ZERO, .id = 77, .offset = 0, .length = 512};

    prepare(&l, "raw");
    start(&l, 1, FALSE, FALSE);
    tongue_data(&l.disks[0], 0, bytes, sizeof bytes);
    if (twice)
        (void)tongue_send(&l.disks[0], &m, NULL, 0);
    else
        op_chain(&l.disks[0].running, &m);
    tongue_flush(&l.disks[0]);
    g_assert_cmpuint(tongue_await(&l.disks[0], 2, 2), ==, EIO);
    pair_wait(l.p, l.errors == 1);
    g_assert_true(l.verify);
    g_assert_nonnull(strstr(l.text, "disk vda: "));
    finish(&l);
}

/* The image takes no more: the errno goes to the source, the reason to the owner. */
static void test_full(void)
{
    landing l;
    uint8_t bytes[4096] = {1};
    struct rlimit before, small;
    g_autoptr(GError) error = NULL;

    prepare(&l, "raw");
    start(&l, 2, FALSE, FALSE);
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    small = (struct rlimit){MIB, before.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    tongue_data(&l.disks[1], 2 * MIB, bytes, sizeof bytes);
    g_assert_cmpuint(tongue_await(&l.disks[1], 1, 1), ==, EFBIG);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    pair_wait(l.p, l.errors == 1);
    g_assert_false(l.verify);
    g_assert_nonnull(strstr(l.text, "disk vdb: "));
    g_assert_nonnull(strstr(l.text, "offset 2097152: File too large"));
    g_assert_false(sink_wait_sealed(l.sink, DEADLINE, &error));
    finish(&l);
}

/* Held: written from here. Not held: asked for, and a flush waits for it. */
static void test_known(gconstpointer kind)
{
    landing l;
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    tongue *disk;
    uint32_t lost, behind;
    op m;

    prepare(&l, kind);
    fill(random, l.model, 8 * OP_BLOCK);
    for (int i = 0; i < 8; i++)
        if (i != 3)
            hold(&l, l.model + i * OP_BLOCK, OP_BLOCK);
    start(&l, 1, FALSE, TRUE);
    disk = &l.disks[0];
    for (int i = 0; i < 8; i++)
        tongue_known(disk, (uint64_t)i * OP_BLOCK, l.model + i * OP_BLOCK, OP_BLOCK);
    lost = 4;
    behind = tongue_flush(disk);
    /* All but that one and the flush come, in any order, and one question. */
    for (unsigned done = 0, asked = 0; done < 7 || !asked;) {
        g_assert_true(tongue_hear(disk, &m));
        for (unsigned i = 0; m.type == OP_DONE && i < m.count; i++, done++) {
            uint32_t errnum, id = op_done_id(&m, i, &errnum);
            g_assert_cmpuint(errnum, ==, 0);
            g_assert_cmpuint(id, !=, lost);
            g_assert_cmpuint(id, !=, behind);
        }
        if (m.type == OP_NEED) {
            g_assert_cmpuint(m.count, ==, 1);
            g_assert_cmpuint(op_need_id(&m, 0), ==, lost);
            asked++;
        }
    }
    g_assert_false(sink_wait_sealed(l.sink, 0, NULL));
    tongue_again(disk, lost, 3 * OP_BLOCK, l.model + 3 * OP_BLOCK, OP_BLOCK);
    g_assert_cmpuint(tongue_await(disk, lost, lost), ==, 0);
    g_assert_cmpuint(tongue_await(disk, behind, behind), ==, 0);
    /* What came again is a change of its own. */
    g_assert_cmpuint(tongue_await(disk, tongue_flush(disk), disk->id), ==, 0);
    assert_sealed(&l);
    check_image(&l);
    finish(&l);
}

/* Hints go out once, on the first stream, all of them, as long as something comes the other way. */
static void test_hints(void)
{
    landing l;
    uint64_t heard = 0;
    op m = {0};

    prepare(&l, "raw");
    l.hints = 300000;
    start(&l, 1, FALSE, TRUE);
    while (!m.last) {
        tongue_zero(&l.disks[0], 0, 512, TRUE); /* each gives credit for a thousand */
        g_assert_true(tongue_hear(&l.disks[0], &m));
        for (unsigned i = 0; m.type == OP_HINTS && i < m.count; i++)
            g_assert_cmpuint(op_hint(&m, i), ==, heard++);
        m.last = m.type == OP_HINTS && m.last;
    }
    g_assert_cmpuint(heard, ==, l.hints);
    finish(&l);
}

static void test_unsealed(void)
{
    landing l;
    uint8_t bytes[512] = {1};
    g_autoptr(GError) error = NULL;

    prepare(&l, "raw");
    start(&l, 2, FALSE, FALSE);
    for (int i = 0; i < 2; i++) {
        tongue_data(&l.disks[i], 0, bytes, sizeof bytes);
        tongue_flush(&l.disks[i]);
        g_assert_cmpuint(tongue_await(&l.disks[i], 1, 2), ==, 0);
    }
    assert_sealed(&l);
    /* One more change, done, but never confirmed. */
    tongue_data(&l.disks[1], 512, bytes, sizeof bytes);
    g_assert_cmpuint(tongue_await(&l.disks[1], 3, 3), ==, 0);
    g_assert_false(sink_wait_sealed(l.sink, 0, &error));
    g_assert_nonnull(strstr(error->message, "disk vdb is not verified"));
    g_clear_error(&error);
    tongue_close(&l.disks[1]);
    g_assert_false(sink_wait_sealed(l.sink, DEADLINE, &error));
    g_assert_nonnull(strstr(error->message, "disk vdb is not verified: its last changes were not "
                                            "confirmed by the source"));
    finish(&l);
}

static void test_missing(void)
{
    landing l;
    g_autoptr(GError) error = NULL;

    prepare(&l, "raw");
    start(&l, 1, FALSE, FALSE);
    g_assert_false(sink_wait_sealed(l.sink, 0, &error));
    g_assert_nonnull(strstr(error->message, "disk vda is not verified"));
    finish(&l);
}

typedef enum { FOREIGN, SIZED, DOUBLED, SWAPPED, SHAPELESS, VIOLATIONS } violation;

static void test_violation(gconstpointer which)
{
    static const char *const said[VIOLATIONS] = {
        [FOREIGN] = "'drive-of-another-vm' is none that lands here",
        [SIZED] = "bytes here and 512 at the source",
        [DOUBLED] = "vda is opened twice",
        [SWAPPED] = "another block came than the one asked for",
        [SHAPELESS] = "disk vda: disk message"};
    landing l;
    tongue more;
    op m;
    uint8_t block[OP_BLOCK] = {1};

    prepare(&l, "raw");
    start(&l, 1, FALSE, TRUE);
    tongue_connect(&more, l.p);
    switch ((violation)GPOINTER_TO_UINT(which)) {
    case FOREIGN:
        tongue_open(&more, "drive-of-another-vm", SIZE);
        break;
    case SIZED:
        tongue_open(&more, exports[0], 512);
        break;
    case DOUBLED:
        g_assert_cmpuint(tongue_await(&l.disks[0], tongue_flush(&l.disks[0]), 1), ==, 0);
        tongue_open(&more, exports[0], SIZE);
        break;
    case SWAPPED:
        tongue_known(&l.disks[0], 0, block, sizeof block);
        do
            g_assert_true(tongue_hear(&l.disks[0], &m));
        while (m.type != OP_NEED);
        tongue_again(&l.disks[0], 1, OP_BLOCK, block, sizeof block);
        break;
    case SHAPELESS:
        tongue_data(&l.disks[0], SIZE, block, 512);
        break;
    case VIOLATIONS:
        g_assert_not_reached();
    }
    pair_wait(l.p, l.p->target.failure != NULL);
    if (!strstr(l.p->target.failure->message, said[GPOINTER_TO_UINT(which)]))
        g_error("failed with: %s", l.p->target.failure->message);
    tongue_close(&more);
    finish(&l);
}

/* The session ends in the middle of everything: nobody waits for ever. */
static void test_cut(gconstpointer kind)
{
    landing l;
    uint8_t block[OP_BLOCK] = {1};

    prepare(&l, kind);
    start(&l, 1, FALSE, TRUE);
    tongue_known(&l.disks[0], 0, block, sizeof block); /* never answered */
    tongue_flush(&l.disks[0]);
    for (uint64_t at = OP_BLOCK; at < 20 * MIB; at += OP_BLOCK)
        tongue_data(&l.disks[0], at, block, sizeof block);
    finish(&l);
}

static void test_refused(void)
{
    landing l;
    g_autofree char *link = NULL;
    sink_disk disk = {.export = "drive", .what = "vda", .format = "vmdk", .size = SIZE};
    sink_setup setup = {.disks = &disk, .count = 1, .on_error = on_error, .user = &l};
    g_autoptr(GError) error = NULL;

    prepare(&l, "raw");
    disk.path = l.paths[0];
    g_assert_null(sink_new(&setup, &error));
    g_assert_nonnull(strstr(error->message, "disk vda: images of format vmdk cannot land"));
    g_clear_error(&error);
    disk.format = "raw";
    disk.size = SIZE + 512;
    g_assert_null(sink_new(&setup, &error));
    g_assert_nonnull(strstr(error->message, "in place of"));
    g_clear_error(&error);
    disk.size = SIZE;
    disk.path = link = g_strconcat(l.paths[0], ".link", NULL);
    g_assert_cmpint(symlink(l.paths[0], link), ==, 0);
    g_assert_null(sink_new(&setup, &error));
    unlink(link);
    finish(&l);
}

int main(int argc, char **argv)
{
    static const char *const violations[VIOLATIONS] = {"foreign", "sized", "doubled", "swapped",
                                                       "shapeless"};
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/sink/storm/raw", "raw", test_storm);
    g_test_add_data_func("/sink/storm/qcow2", "qcow2", test_storm);
    g_test_add_data_func("/sink/storm/prepared", "prepared", test_storm);
    g_test_add_data_func("/sink/read-back/raw", "raw", test_read_back);
    g_test_add_data_func("/sink/read-back/qcow2", "qcow2", test_read_back);
    g_test_add_data_func("/sink/read-back/prepared", "prepared", test_read_back);
    g_test_add_func("/sink/medium", test_medium);
    g_test_add_func("/sink/sparse", test_sparse);
    g_test_add_data_func("/sink/bad-block/plain", GUINT_TO_POINTER(OP_PLAIN), test_bad_block);
    g_test_add_data_func("/sink/bad-block/zstd", GUINT_TO_POINTER(OP_ZSTD), test_bad_block);
    g_test_add_data_func("/sink/bad-chain/lost", NULL, test_bad_chain);
    g_test_add_data_func("/sink/bad-chain/twice", "twice", test_bad_chain);
    g_test_add_func("/sink/full", test_full);
    g_test_add_data_func("/sink/known/raw", "raw", test_known);
    g_test_add_data_func("/sink/known/qcow2", "qcow2", test_known);
    g_test_add_data_func("/sink/known/prepared", "prepared", test_known);
    g_test_add_func("/sink/hints", test_hints);
    g_test_add_func("/sink/unsealed", test_unsealed);
    g_test_add_func("/sink/missing", test_missing);
    for (guint i = 0; i < VIOLATIONS; i++) {
        g_autofree char *path = g_strconcat("/sink/violation/", violations[i], NULL);
        g_test_add_data_func(path, GUINT_TO_POINTER(i), test_violation);
    }
    g_test_add_data_func("/sink/cut/raw", "raw", test_cut);
    g_test_add_data_func("/sink/cut/qcow2", "qcow2", test_cut);
    g_test_add_data_func("/sink/cut/prepared", "prepared", test_cut);
    g_test_add_func("/sink/refused", test_refused);
    return g_test_run();
}
