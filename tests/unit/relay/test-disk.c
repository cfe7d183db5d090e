/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both ends of disk streams together: what an NBD client writes at the source is in the target's image,
 * over sessions whose connections are cut, with hints that are true and hints that are not. */
#include "block/image.h"
#include "block/sha.h"
#include "pair.h"
#include "relay/export.h"
#include "relay/sink.h"
#include "storage-daemon.h"

#include <string.h>
#include <unistd.h>

#define MIB      (1024 * 1024ULL)
#define SIZE     (24 * MIB + 3 * 512)
#define DATA     (16 * MIB) /* of the model; the rest are zeroes */
#define EXPORT   "drive-virtio-disk0"
#define DEADLINE 100000
#define BLOCKS   (8 * MIB / OP_BLOCK) /* of the model, that may be known */

typedef struct {
    const char *format;
    gboolean cut, known, ledger, ahead;
} variant;

typedef struct {
    pair *p;
    sink *sink;
    storage_daemon *server; /* NULL: raw */
    export_table *table;
    char *path, *source;
    uint8_t *model;
    GHashTable *held; /* hint (gint64) -> block in the model */
    uint64_t hints[BLOCKS];
} disk;

static void on_error(gboolean verify, const char *text, void *user)
{
    g_error("%s", text);
}

/* Every block is hinted at; every third has been lost meanwhile. */
static gboolean read_seed(void *user, const uint8_t sha[OP_SHA256], uint32_t length, void *out)
{
    disk *d = user;
    gint64 key = (gint64)sha_hint(sha);
    gpointer found;

    if (!g_hash_table_lookup_extended(d->held, &key, NULL, &found) ||
        GPOINTER_TO_UINT(found) % 3 == 0 || length != OP_BLOCK)
        return FALSE;
    memcpy(out, d->model + GPOINTER_TO_UINT(found) * OP_BLOCK, OP_BLOCK);
    return TRUE;
}

static unsigned next_hints(void *user, uint64_t from, uint64_t *out, unsigned most, gboolean *last)
{
    disk *d = user;
    unsigned count = (unsigned)MIN(most, BLOCKS - from);

    memcpy(out, d->hints + from, count * sizeof *out);
    *last = from + count == BLOCKS;
    return count;
}

static void make_known(disk *d)
{
    for (guint i = 0; i < BLOCKS; i++) {
        uint8_t sha[OP_SHA256];
        gint64 *key = g_new(gint64, 1);

        sha_of(d->model + i * OP_BLOCK, OP_BLOCK, sha);
        d->hints[i] = sha_hint(sha);
        *key = (gint64)d->hints[i];
        g_hash_table_insert(d->held, key, GUINT_TO_POINTER(i));
    }
}

/* What can be read ahead: the model, but for what the guest changes before the mirror comes there, and for what the
 * mirror never writes, because the guest has discarded it. */
static void make_source(disk *d)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(image) file = NULL;

    d->source = g_build_filename(d->p->directory, "source", NULL);
    storage_make(d->source, "raw", SIZE);
    file = image_open_file(d->source, TRUE, &error);
    g_assert_true(image_write(file, 0, d->model, SIZE, &error));
    for (uint64_t at = 4 * OP_BLOCK + 100; at < DATA; at += 7 * OP_BLOCK)
        g_assert_true(image_write(file, at, "changed", 7, &error));
    for (uint64_t at = DATA; at < SIZE; at += 3 * OP_BLOCK)
        g_assert_true(image_write(file, at, "discarded", 9, &error));
}

/* Only the first block is written, until so much has arrived that it was sent ahead: that begins when the round trip is
 * known. */
static void wait_until_ahead(disk *d, image *mirror)
{
    uint64_t written = 0, read_back, ours = 0;
    g_autoptr(GError) error = NULL;

    for (; written < ours + DATA - OP_BLOCK; ours += OP_BLOCK) {
        g_assert_true(image_write(mirror, 0, d->model, OP_BLOCK, &error));
        sink_progress(d->sink, &written, &read_back);
    }
}

static void open_both(disk *d, const variant *v)
{
    sink_disk one = {.export = EXPORT, .what = "vda", .format = v->format, .size = SIZE};
    sink_seeds seeds = {.read = read_seed, .wait_hints = next_hints, .user = d};
    sink_setup setup = {.disks = &one,
                        .count = 1,
                        .ledger_directory = v->ledger ? d->p->directory : NULL,
                        .seeds = v->known ? &seeds : NULL,
                        .on_error = on_error,
                        .user = d};
    g_autoptr(GError) error = NULL;

    one.path = d->path;
    storage_make(d->path, v->format, SIZE);
    if (strcmp(v->format, "raw")) {
        d->server = storage_daemon_new(d->p->directory, d->path, v->format, EXPORT);
        setup.nbd_socket = d->server->socket;
    }
    d->sink = sink_new(&setup, &error);
    g_assert_no_error(error);
    d->table = export_table_new();
    export_table_add(d->table, EXPORT, "vda", SIZE);
    if (v->ahead) {
        make_source(d);
        export_table_set_image(d->table, d->source, "raw");
        export_table_set_far(d->table, 0);
    }
    g_assert_true(session_offer(d->p->target.session, STREAM_DISK, NULL, 1, sink_codec_new, d->sink,
                                NULL));
    g_assert_true(session_listen(d->p->source.session, STREAM_DISK, pair_path(d->p, "disk"), 0600,
                                 1, export_codec_new, d->table, NULL));
}

/* The image is what the mirror has written. */
static void compare(disk *d)
{
    g_autofree uint8_t *found = g_malloc(SIZE);
    g_autoptr(GError) error = NULL;
    g_autoptr(image) landed =
        d->server ? image_open_qcow2(d->path, &error) : image_open_file(d->path, FALSE, &error);

    g_assert_no_error(error);
    g_assert_true(image_read(landed, 0, found, SIZE, &error));
    for (uint64_t at = 0; at < SIZE; at += 512)
        if (memcmp(found + at, d->model + at, 512))
            g_error("the image differs at %" G_GUINT64_FORMAT, (guint64)at);
}

/* As a mirror does it: all of the model first, then changes here and there, and a flush. */
static void write_all(disk *d, const variant *v)
{
    uint64_t end = v->ahead ? DATA : SIZE;

    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)g_test_rand_int());
    g_autoptr(GError) error = NULL;
    g_autoptr(image) mirror = image_open_nbd(pair_path(d->p, "disk"), EXPORT, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(image_size(mirror), ==, SIZE);
    if (v->ahead)
        wait_until_ahead(d, mirror);
    if (v->ahead) { /* a part of what has been sent; the rest of the block is never written */
        memset(d->model + DATA - MIB, 0, MIB);
        memset(d->model + DATA - MIB / 2 + 512, 'p', 512);
        g_assert_true(image_write(mirror, DATA - MIB / 2 + 512, d->model + DATA - MIB / 2 + 512, 512, &error));
        end -= MIB;
    }
    for (uint64_t at = 0; at < end; at += MIB)
        g_assert_true(
            image_write(mirror, at, d->model + at, (size_t)MIN(MIB, end - at), &error));
    g_assert_true(image_flush(mirror, &error));
    if (v->ahead)
        compare(d);
    for (int i = 0; i < 300; i++) {
        uint64_t at = 512 * (uint64_t)g_rand_int_range(random, 0, (gint32)(SIZE / 512));
        uint64_t length = 512 * (uint64_t)g_rand_int_range(random, 1, 600);

        length = MIN(length, SIZE - at);
        if (i % 4 == 0) {
            memset(d->model + at, 0, length);
            g_assert_true(image_zero(mirror, at, length, i % 8 == 0, &error));
        } else {
            memset(d->model + at, i, length);
            g_assert_true(image_write(mirror, at, d->model + at, length, &error));
        }
        if (i % 50 == 0)
            g_assert_true(image_flush(mirror, &error));
    }
    g_assert_true(image_flush(mirror, &error));
    g_assert_no_error(error);
}

static void check(disk *d)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(sink_wait_sealed(d->sink, DEADLINE, &error));
    g_assert_true(sink_read_back(d->sink, &error));
    compare(d);
    g_assert_null(d->p->target.failure);
}

static void test_disk(gconstpointer data)
{
    const variant *v = data;
    pair_setup setup = {.channels = 3, .seed = (guint32)g_test_rand_int()};
    disk d = {.model = g_malloc0(SIZE),
              .held = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL)};
    g_autoptr(GRand) random = g_rand_new_with_seed(9);

    if (v->cut) {
        setup.cut_min = 300000;
        setup.cut_max = 3 * MIB;
    }
    d.p = pair_new(&setup);
    d.path = g_build_filename(d.p->directory, "landed", NULL);
    for (uint64_t at = 0; at < DATA; at += 4) {
        guint32 word = at < BLOCKS * OP_BLOCK ? g_rand_int(random) : (guint32)(at / 4096);
        memcpy(d.model + at, &word, sizeof word);
    }
    make_known(&d);
    open_both(&d, v);
    write_all(&d, v);
    check(&d);
    pair_drop(&d.p->source);
    pair_drop(&d.p->target);
    sink_free(d.sink);
    export_table_free(d.table);
    g_clear_pointer(&d.server, storage_daemon_free);
    unlink(d.path);
    if (d.source)
        unlink(d.source);
    g_free(d.source);
    g_free(d.path);
    pair_free(d.p);
    g_free(d.model);
    g_hash_table_unref(d.held);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        variant v;
    } all[] = {{"/disk/raw", {.format = "raw"}},
               {"/disk/raw/cut", {.format = "raw", .cut = TRUE, .known = TRUE}},
               {"/disk/raw/known", {.format = "raw", .known = TRUE, .ledger = TRUE}},
               {"/disk/qcow2", {.format = "qcow2"}},
               {"/disk/qcow2/cut", {.format = "qcow2", .cut = TRUE, .known = TRUE, .ledger = TRUE}},
               {"/disk/qcow2/known", {.format = "qcow2", .known = TRUE}},
               {"/disk/ahead", {.format = "raw", .ahead = TRUE}},
               {"/disk/ahead/cut", {.format = "raw", .ahead = TRUE, .cut = TRUE, .ledger = TRUE}},
               {"/disk/ahead/known", {.format = "raw", .ahead = TRUE, .known = TRUE}}};

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        g_test_add_data_func(all[i].name, &all[i].v, test_disk);
    return g_test_run();
}
