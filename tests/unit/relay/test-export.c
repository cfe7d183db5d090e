/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exports, written to by real NBD clients (libnbd, QEMU's own), over two real sessions. */
#include "base/bytes.h"
#include "base/fdio.h"
#include "block/hints.h"
#include "ear.h"
#include "relay/export.h"

#include <errno.h>
#include <libnbd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB       (1024 * 1024)
#define SIZE      (24 * MIB + 3 * 512) /* its last block is a short one */
#define NAME      "drive-virtio-disk0"
#define IN_FLIGHT 16
#define BEYOND    20 /* more than EXPORT_KEPT_MOST */

typedef struct {
    pair *p;
    ear ear;
    export_table *table;
    const char *path;
    struct nbd_handle *nbd;
    uint8_t *model;
    GRand *random;
} fixture;

static void set_up_pair(fixture *f, const pair_setup *setup)
{
    g_autoptr(GError) error = NULL;

    f->p = pair_new(setup);
    f->table = export_table_new();
    export_table_add(f->table, NAME, "vda", SIZE);
    export_table_add(f->table, "drive-ide0", "hda", MIB);
    f->path = pair_path(f->p, "disk.sock");
    ear_offer(&f->ear, f->p);
    session_listen(f->p->source.session, STREAM_DISK, f->path, 0600, 4, export_codec_new, f->table,
                   &error);
    g_assert_no_error(error);
    f->model = g_malloc(SIZE);
    memset(f->model, 0xee, SIZE);
    f->random = g_rand_new_with_seed(setup->seed);
}

static void set_up(fixture *f, const void *cut)
{
    pair_setup setup = {.channels = 2, .seed = 4711};

    if (cut) {
        setup.cut_min = 200000;
        setup.cut_max = 3 * MIB;
    }
    set_up_pair(f, &setup);
}

static struct nbd_handle *connect_to(fixture *f, const char *name)
{
    struct nbd_handle *nbd = nbd_create();

    g_assert_nonnull(nbd);
    g_assert_cmpint(nbd_set_export_name(nbd, name), ==, 0);
    g_assert_cmpint(nbd_set_strict_mode(nbd, 0), ==, 0); /* we want to see what the server says */
    if (nbd_connect_unix(nbd, f->path) == 0)
        return nbd;
    nbd_close(nbd);
    return NULL;
}

static void begin(fixture *f)
{
    f->nbd = connect_to(f, NAME);
    if (!f->nbd)
        g_error("%s", nbd_get_error());
    g_assert_cmpint(nbd_get_size(f->nbd), ==, SIZE);
    pair_wait(f->p, f->ear.name);
    g_assert_cmpstr(f->ear.name, ==, NAME);
    g_assert_cmpuint(f->ear.size, ==, SIZE);
}

static void tear_down(fixture *f, const void *unused)
{
    nbd_close(f->nbd);
    pair_drop(&f->p->source);
    pair_drop(&f->p->target);
    ear_clear(&f->ear);
    export_table_free(f->table);
    pair_free(f->p);
    g_rand_free(f->random);
    g_free(f->model);
}

static void good(int result)
{
    if (result != 0)
        g_error("%s", nbd_get_error());
}

static void fails(int result, int errnum)
{
    g_assert_cmpint(result, ==, -1);
    g_assert_cmpint(nbd_get_errno(), ==, errnum);
}

static void fill_random(fixture *f, uint8_t *at, size_t length)
{
    for (size_t i = 0; i < length; i++)
        at[i] = (uint8_t)g_rand_int(f->random);
}

static void write_model(fixture *f, uint64_t offset, size_t length)
{
    good(nbd_pwrite(f->nbd, f->model + offset, length, offset, 0));
}

static void compare(fixture *f)
{
    good(nbd_flush(f->nbd, 0));
    pair_lock(f->p);
    g_assert_cmpint(memcmp(f->ear.image, f->model, SIZE), ==, 0);
    pair_unlock(f->p);
}

static void fill_text(uint8_t *at, size_t length)
{
    for (size_t i = 0; i < length; i++)
        at[i] = (uint8_t)((i / 3 * 7) % 61 + i / 4096 + 1);
}

/* What becomes of what: whole blocks, parts of blocks, zeroes. */
static void test_messages(fixture *f, const void *unused)
{
    begin(f);
    fill_random(f, f->model, 2 * OP_BLOCK);
    write_model(f, 0, 2 * OP_BLOCK);
    g_assert_cmpuint(f->ear.plain, ==, 2);
    fill_random(f, f->model + OP_BLOCK - 512, 1024);
    write_model(f, OP_BLOCK - 512, 1024);
    g_assert_cmpuint(f->ear.plain, ==, 4);
    fill_random(f, f->model + SIZE - 1, 1);
    write_model(f, SIZE - 1, 1);
    g_assert_cmpuint(f->ear.plain, ==, 5);
    /* Zeroes next to each other are one message, and what is around them stays. */
    fill_random(f, f->model + MIB, MIB);
    memset(f->model + MIB + 3 * OP_BLOCK, 0, 5 * OP_BLOCK);
    memset(f->model + 2 * MIB - 100, 0, 100);
    write_model(f, MIB, MIB);
    g_assert_cmpuint(f->ear.zeroes, ==, 1);
    g_assert_cmpuint(f->ear.plain, ==, 5 + 11);
    memset(f->model + 3 * MIB, 0, 2 * MIB);
    write_model(f, 3 * MIB, 2 * MIB);
    g_assert_cmpuint(f->ear.zeroes, ==, 2);
    g_assert_cmpuint(f->ear.kept_zeroes, ==, 0);
    g_assert_cmpuint(f->ear.flushes, ==, 0);
    compare(f);
    g_assert_cmpuint(f->ear.flushes, ==, 1);
}

static void test_compressed(fixture *f, const void *unused)
{
    session_stats stats;

    begin(f);
    fill_text(f->model, SIZE);
    for (uint64_t at = 0; at < SIZE; at += MIB)
        write_model(f, at, MIN(MIB, SIZE - at));
    compare(f);
    session_get_stats(f->p->source.session, &stats);
    g_test_message("%u plain, %u zstd, %" G_GUINT64_FORMAT " bytes", f->ear.plain, f->ear.zstd,
                   stats.payload_out[STREAM_DISK]);
    /* At what speed is nobody's business here, but it starts by compressing. */
    g_assert_cmpuint(f->ear.zstd, >, 8);
    g_assert_cmpuint(f->ear.zstd + f->ear.plain, ==, SIZE / OP_BLOCK + 1);
}

static void test_zero_commands(fixture *f, const void *unused)
{
    begin(f);
    memset(f->model + 1000, 0, 10 * MIB);
    good(nbd_zero(f->nbd, 10 * MIB, 1000, LIBNBD_CMD_FLAG_NO_HOLE));
    g_assert_cmpuint(f->ear.kept_zeroes, ==, 10 * MIB);
    memset(f->model + 12 * MIB, 0, SIZE - 12 * MIB);
    good(nbd_zero(f->nbd, SIZE - 12 * MIB, 12 * MIB, 0));
    memset(f->model, 0, 1000);
    good(nbd_trim(f->nbd, 1000, 0, LIBNBD_CMD_FLAG_FUA));
    g_assert_cmpuint(f->ear.kept_zeroes, ==, 10 * MIB);
    g_assert_cmpuint(f->ear.zeroes, ==, 3);
    g_assert_cmpuint(f->ear.flushes, ==, 1);
    compare(f);
}

static void test_refused(fixture *f, const void *unused)
{
    char bytes[512] = "x";

    begin(f);
    fails(nbd_pread(f->nbd, bytes, sizeof bytes, 0, 0), EPERM);
    fails(nbd_cache(f->nbd, 512, 0, 0), EINVAL);
    fails(nbd_pwrite(f->nbd, bytes, sizeof bytes, SIZE, 0), ENOSPC);
    fails(nbd_pwrite(f->nbd, bytes, sizeof bytes, SIZE - 1, 0), ENOSPC);
    fails(nbd_zero(f->nbd, 1, SIZE, 0), ENOSPC);
    fails(nbd_trim(f->nbd, 1, SIZE, 0), EINVAL);
    fails(nbd_pwrite(f->nbd, bytes, 0, 0, 0), EINVAL);
    fails(nbd_pwrite(f->nbd, bytes, sizeof bytes, 0, LIBNBD_CMD_FLAG_DF), EINVAL);
    /* And goes on as if nothing had been. */
    fill_random(f, f->model, 512);
    write_model(f, 0, 512);
    compare(f);
}

static void test_exports(fixture *f, const void *unused)
{
    struct nbd_handle *other;

    begin(f);
    g_assert_null(connect_to(f, "drive-virtio-disk1"));
    g_assert_null(connect_to(f, NAME)); /* a second time */
    other = connect_to(f, "drive-ide0");
    g_assert_null(f->p->target.failure);
    nbd_close(other);
}

/* When a reply comes. */

static void hold(fixture *f)
{
    pair_lock(f->p);
    f->ear.hold = TRUE;
    pair_unlock(f->p);
}

static int64_t start_write(fixture *f, uint64_t offset, size_t length, uint32_t flags)
{
    int64_t cookie =
        nbd_aio_pwrite(f->nbd, f->model + offset, length, offset, NBD_NULL_COMPLETION, flags);

    g_assert_cmpint(cookie, >, 0);
    return cookie;
}

static int is_complete(fixture *f, int64_t cookie)
{
    while (nbd_poll(f->nbd, 0) > 0)
        ;
    return nbd_aio_command_completed(f->nbd, (uint64_t)cookie);
}

static int completes(fixture *f, int64_t cookie)
{
    int done;

    while ((done = nbd_aio_command_completed(f->nbd, (uint64_t)cookie)) == 0)
        g_assert_cmpint(nbd_poll(f->nbd, -1), >, 0);
    return done;
}

static void test_reply_after_done(fixture *f, const void *unused)
{
    int64_t write, fua;

    begin(f);
    fill_random(f, f->model, 4 * OP_BLOCK);
    hold(f);
    write = start_write(f, 0, 3 * OP_BLOCK, 0);
    while (nbd_aio_peek_command_completed(f->nbd) < 0 && nbd_poll(f->nbd, 0) > 0)
        ;
    pair_wait(f->p, f->ear.held->len == 3);
    g_assert_cmpint(is_complete(f, write), ==, 0);
    ear_release(&f->ear, 0);
    g_assert_cmpint(completes(f, write), ==, 1);

    hold(f);
    fua = start_write(f, 3 * OP_BLOCK, OP_BLOCK, LIBNBD_CMD_FLAG_FUA);
    while (nbd_poll(f->nbd, 0) > 0)
        ;
    pair_wait(f->p, f->ear.held->len == 2 && f->ear.flushes == 1);
    g_assert_cmpint(is_complete(f, fua), ==, 0);
    ear_release(&f->ear, 0);
    g_assert_cmpint(completes(f, fua), ==, 1);
}

static void test_errors(fixture *f, const void *unused)
{
    static const struct {
        uint32_t from;
        int to;
    } errors[] = {{ENOSPC, ENOSPC}, {EDQUOT, ENOSPC}, {EROFS, EPERM}, {EIO, EIO}, {4095, EIO}};

    begin(f);
    for (unsigned i = 0; i < G_N_ELEMENTS(errors); i++) {
        int64_t write;
        hold(f);
        write = start_write(f, 0, OP_BLOCK, 0);
        while (nbd_poll(f->nbd, 0) > 0)
            ;
        pair_wait(f->p, f->ear.held->len == 1);
        ear_release(&f->ear, errors[i].from);
        fails(completes(f, write), errors[i].to);
    }
}

/* As QEMU's mirror does it: many at a time; also with channels that die again and again. */
static void test_many(fixture *f, const void *cut)
{
    int64_t cookies[IN_FLIGHT] = {0};
    unsigned n = 0;

    begin(f);
    memset(f->model, 0, SIZE);
    fill_random(f, f->model + 2 * MIB, 6 * MIB);
    fill_text(f->model + 8 * MIB, 8 * MIB);
    fill_random(f, f->model + 20 * MIB, SIZE - 20 * MIB);
    for (uint64_t at = 0; at < SIZE; at += MIB, n++) {
        if (cookies[n % IN_FLIGHT])
            g_assert_cmpint(completes(f, cookies[n % IN_FLIGHT]), ==, 1);
        cookies[n % IN_FLIGHT] = start_write(f, at, MIN(MIB, SIZE - at), 0);
    }
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        g_assert_cmpint(completes(f, cookies[i]), ==, 1);
    compare(f);
    g_assert_true(!cut || f->p->cuts > 0);
}

/* Blocks the target holds. */

static void wait_for_hints(fixture *f, uint64_t at)
{
    /* Hints are before this DONE on their way, so they have arrived when it is answered. */
    fill_random(f, f->model + at, 512);
    write_model(f, at, 512);
}

static void write_known(fixture *f, gboolean forgets)
{
    begin(f);
    fill_random(f, f->model, 8 * OP_BLOCK);
    fill_random(f, f->model + 9 * OP_BLOCK, 2 * OP_BLOCK);
    fill_random(f, f->model + SIZE / OP_BLOCK * OP_BLOCK, SIZE % OP_BLOCK);
    for (unsigned i = 0; i < 4; i++)
        ear_hold(&f->ear, f->model + i * OP_BLOCK, OP_BLOCK);
    ear_hold(&f->ear, f->model + SIZE / OP_BLOCK * OP_BLOCK, SIZE % OP_BLOCK);
    ear_hold(&f->ear, f->model + 9 * OP_BLOCK + 512, OP_BLOCK); /* is not at a border */
    pair_lock(f->p);
    f->ear.forgets = forgets;
    pair_unlock(f->p);
    wait_for_hints(f, 16 * OP_BLOCK);
    write_model(f, 0, 8 * OP_BLOCK);
    write_model(f, SIZE / OP_BLOCK * OP_BLOCK, SIZE % OP_BLOCK);
    write_model(f, 9 * OP_BLOCK, 2 * OP_BLOCK);
    compare(f);
    g_assert_cmpuint(f->ear.known, ==, 5);
    g_assert_cmpuint(f->ear.again, ==, forgets ? 5 : 0);
    g_assert_cmpuint(f->ear.plain, ==, 1 + 4 + 2 + f->ear.again);
}

static void test_known(fixture *f, const void *unused)
{
    write_known(f, FALSE);
}

static void test_forgotten(fixture *f, const void *unused)
{
    write_known(f, TRUE);
}

/* What is kept for blocks that might be asked for is bounded. */
static void test_known_bound(fixture *f, const void *unused)
{
    int64_t cookies[BEYOND];

    begin(f);
    fill_random(f, f->model, OP_BLOCK);
    ear_hold(&f->ear, f->model, OP_BLOCK);
    wait_for_hints(f, 20 * MIB);
    for (unsigned i = 1; i < BEYOND * MIB / OP_BLOCK; i++)
        memcpy(f->model + i * OP_BLOCK, f->model, OP_BLOCK);
    hold(f);
    f->ear.plain = 0; /* nothing is under way */
    for (unsigned i = 0; i < BEYOND; i++)
        cookies[i] = start_write(f, i * MIB, MIB, 0);
    for (;;) {
        gboolean all;
        g_assert_cmpint(nbd_poll(f->nbd, 0), >=, 0);
        pair_lock(f->p);
        all = f->ear.known + f->ear.plain == BEYOND * MIB / OP_BLOCK;
        pair_unlock(f->p);
        if (all)
            break;
    }
    g_assert_cmpuint(f->ear.known, ==, EXPORT_KEPT_MOST);
    ear_release(&f->ear, 0);
    for (unsigned i = 0; i < BEYOND; i++)
        g_assert_cmpint(completes(f, cookies[i]), ==, 1);
    write_model(f, 0, OP_BLOCK);
    g_assert_cmpuint(f->ear.known, ==, EXPORT_KEPT_MOST + 1);
    compare(f);
}

/* A target that breaks the rules. */

static void blames(fixture *f, const char *why)
{
    pair_wait(f->p, f->p->source.failure);
    if (!strstr(f->p->source.failure->message, why))
        g_error("\"%s\" does not say \"%s\"", f->p->source.failure->message, why);
    g_assert_nonnull(strstr(f->p->source.failure->message, "disk vda"));
}

static void test_unknown_done(fixture *f, const void *unused)
{
    begin(f);
    ear_say_ids(&f->ear, OP_DONE, 1, 0);
    blames(f, "not under way");
}

static void test_done_twice(fixture *f, const void *unused)
{
    uint32_t id;
    int64_t write;

    begin(f);
    hold(f);
    write = start_write(f, 0, OP_BLOCK, 0);
    while (nbd_poll(f->nbd, 0) > 0)
        ;
    pair_wait(f->p, f->ear.held->len == 1);
    id = g_array_index(f->ear.held, uint32_t, 0);
    ear_release(&f->ear, 0);
    g_assert_cmpint(completes(f, write), ==, 1);
    ear_say_ids(&f->ear, OP_DONE, id, 0);
    blames(f, "not under way");
}

/* The clock runs while the target does nothing for anybody, and only then. */
static void test_waiting(fixture *f, const void *unused)
{
    int64_t write;

    begin(f);
    g_assert_cmpint(export_table_waiting(f->table), ==, 0);
    hold(f);
    write = start_write(f, 0, OP_BLOCK, 0);
    while (nbd_poll(f->nbd, 0) > 0)
        ;
    pair_wait(f->p, f->ear.held->len == 1);
    g_assert_cmpint(export_table_waiting(f->table), >, 0);
    ear_release(&f->ear, 0);
    g_assert_cmpint(completes(f, write), ==, 1);
    g_assert_cmpint(export_table_waiting(f->table), ==, 0);
    /* A connection that breaks leaves nothing behind. */
    hold(f);
    (void)start_write(f, 0, OP_BLOCK, 0);
    while (nbd_poll(f->nbd, 0) > 0)
        ;
    pair_wait(f->p, f->ear.held->len == 1);
    g_assert_cmpint(export_table_waiting(f->table), >, 0);
    pair_drop(&f->p->source);
    g_assert_cmpint(export_table_waiting(f->table), ==, 0);
}

static void test_need_of_plain(fixture *f, const void *unused)
{
    begin(f);
    hold(f);
    fill_random(f, f->model, OP_BLOCK);
    (void)start_write(f, 0, OP_BLOCK, 0);
    while (nbd_poll(f->nbd, 0) > 0)
        ;
    pair_wait(f->p, f->ear.held->len == 1);
    ear_say_ids(&f->ear, OP_NEED, g_array_index(f->ear.held, uint32_t, 0), 0);
    blames(f, "came whole");
}

static void test_nonsense(fixture *f, const void *unused)
{
    begin(f);
    ear_say(&f->ear, "cABCDEFGHIJKLMNO", 16);
    blames(f, "unknown type");
}

/* A client that breaks the rules. */

static void test_bad_magic(fixture *f, const void *unused)
{
    fdio_auto fd = fdio_unix_connect(f->path, SOCK_STREAM, NULL);
    uint8_t greeting[18];

    g_assert_true(fdio_read_full(fd, greeting, sizeof greeting, NULL));
    g_assert_true(fdio_write_full(fd, "\0\0\0\3IHAVEOPX\0\0\0\0\0\0\0\0", 20, NULL));
    pair_wait(f->p, f->p->source.failure);
    g_assert_nonnull(strstr(f->p->source.failure->message, "without its magic"));
}

static void test_gone_in_the_middle(fixture *f, const void *unused)
{
    static const char option[] = "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\x12" NAME;
    fdio_auto fd = fdio_unix_connect(f->path, SOCK_STREAM, NULL);
    uint8_t answer[18 + 10], request[28 + 100];

    g_assert_true(fdio_write_full(fd, option, sizeof option - 1, NULL));
    g_assert_true(fdio_read_full(fd, answer, sizeof answer, NULL));
    memset(request, 0, sizeof request);
    put_be32(request, 0x25609513);
    put_be16(request + 6, 1);
    put_be32(request + 24, 4096);
    g_assert_true(fdio_write_full(fd, request, sizeof request, NULL));
    fdio_clear(&fd);
    pair_wait(f->p, f->ear.ended);
    g_assert_cmpuint(f->ear.plain, ==, 0);
    g_assert_null(f->p->source.failure);
    g_assert_true(session_finish(f->p->source.session, 60000));
}

/* QEMU's own client. */
static void test_qemu(fixture *f, const void *unused)
{
    g_autofree char *uri = g_strdup_printf("nbd+unix:///" NAME "?socket=%s", f->path);
    const char *argv[] = {"qemu-io",
                          "-f",
                          "raw",
                          "-c",
                          "write -P 0x5a 65536 1M",
                          "-c",
                          "write -z 4M 3M",
                          "-c",
                          "write -f -P 7 9M 512",
                          "-c",
                          "discard 12M 1M",
                          "-c",
                          "write -P 9 12M 100k",
                          "-c",
                          "flush",
                          uri,
                          NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *out = NULL, *err = NULL;
    int status;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err,
                      &status, &error)) {
        g_test_skip(error->message);
        return;
    }
    if (status != 0 || *err)
        g_error("qemu-io: %s%s", out, err);
    memset(f->model + OP_BLOCK, 0x5a, MIB);
    memset(f->model + 4 * MIB, 0, 3 * MIB);
    memset(f->model + 9 * MIB, 7, 512);
    memset(f->model + 12 * MIB, 0, MIB);
    memset(f->model + 12 * MIB, 9, 100 * 1024);
    pair_wait(f->p, f->ear.ended);
    g_assert_cmpint(memcmp(f->ear.image, f->model, SIZE), ==, 0);
    g_assert_cmpuint(f->ear.flushes, >=, 2);
    g_assert_true(session_finish(f->p->source.session, 60000));
}

#define TEST(name, argument, function)                                                             \
    g_test_add("/export/" name, fixture, argument, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("messages", NULL, test_messages);
    TEST("compressed", NULL, test_compressed);
    TEST("zero-commands", NULL, test_zero_commands);
    TEST("refused", NULL, test_refused);
    TEST("exports", NULL, test_exports);
    TEST("reply-after-done", NULL, test_reply_after_done);
    TEST("errors", NULL, test_errors);
    TEST("many", NULL, test_many);
    TEST("many/cut", "cut", test_many);
    TEST("known", NULL, test_known);
    TEST("known/forgotten", NULL, test_forgotten);
    TEST("known-bound", NULL, test_known_bound);
    TEST("unknown-done", NULL, test_unknown_done);
    TEST("done-twice", NULL, test_done_twice);
    TEST("waiting", NULL, test_waiting);
    TEST("need-of-plain", NULL, test_need_of_plain);
    TEST("nonsense", NULL, test_nonsense);
    TEST("bad-magic", NULL, test_bad_magic);
    TEST("gone-in-the-middle", NULL, test_gone_in_the_middle);
    TEST("qemu", NULL, test_qemu);
    return g_test_run();
}
