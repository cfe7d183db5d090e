/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory streams: what goes in comes out, smaller in between where it can be, and a peer's nonsense
 * ends the session. */
#include "base/bytes.h"
#include "base/fdio.h"
#include "block/pack.h"
#include "pair.h"
#include "relay/squeezed.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MIB (1024 * 1024)

typedef struct {
    pair *p;
    int listener, source, target; /* the local ends */
} fixture;

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

static void connect_with(fixture *f, pump_codec_new at_source)
{
    const char *in = NULL, *out = NULL;
    g_autoptr(GError) error = NULL;

    f->p = pair_new(&(pair_setup){.channels = 2});
    in = pair_path(f->p, "in.sock");
    out = pair_path(f->p, "out.sock");
    f->listener = listen_at(out);
    session_offer(f->p->target.session, STREAM_MEMORY, out, 1, squeezed_codec_new, NULL, &error);
    g_assert_no_error(error);
    session_listen(f->p->source.session, STREAM_MEMORY, in, 0600, 1, at_source, NULL, &error);
    g_assert_no_error(error);
    f->source = fdio_unix_connect(in, SOCK_STREAM, &error);
    g_assert_no_error(error);
    f->target = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(f->target, >=, 0);
}

static void set_up(fixture *f, const void *unused)
{
    connect_with(f, squeezed_codec_new);
}

/* A source that sends what the test makes up. */
static void set_up_hostile(fixture *f, const void *unused)
{
    connect_with(f, NULL);
}

static void tear_down(fixture *f, const void *unused)
{
    fdio_clear(&f->source);
    fdio_clear(&f->target);
    fdio_clear(&f->listener);
    pair_drop(&f->p->source);
    pair_drop(&f->p->target);
    pair_free(f->p);
}

typedef struct {
    int fd;
    const uint8_t *bytes;
    size_t length;
} job;

static gpointer write_job(gpointer data)
{
    const job *j = data;
    GRand *random = g_rand_new_with_seed((guint32)j->length);

    for (size_t at = 0, n; at < j->length; at += n) {
        n = (size_t)g_rand_int_range(random, 1, 300000);
        n = MIN(j->length - at, n);
        g_autoptr(GError) error = NULL;
        fdio_write_full(j->fd, j->bytes + at, n, &error);
        g_assert_no_error(error);
    }
    shutdown(j->fd, SHUT_WR);
    g_rand_free(random);
    return NULL;
}

/* Reads to the end and compares. */
static void expect(int fd, const uint8_t *bytes, size_t length)
{
    g_autofree uint8_t *got = g_malloc(length + 1);
    uint8_t more;

    g_assert_true(fdio_read_full(fd, got, length, NULL));
    g_assert_cmpint(memcmp(got, bytes, length), ==, 0);
    g_assert_cmpint(recv(fd, &more, 1, 0), ==, 0);
}

static uint8_t *make_text(size_t length)
{
    uint8_t *bytes = g_malloc(length);

    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)((i / 3 * 7) % 61 + i / 4096);
    return bytes;
}

static uint8_t *make_random(size_t length)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    uint8_t *bytes = g_malloc(length);

    for (size_t i = 0; i + 4 <= length; i += 4)
        put_be32(bytes + i, g_rand_int(random));
    return bytes;
}

static void test_both_ways(fixture *f, const void *unused)
{
    g_autofree uint8_t *text = make_text(8 * MIB), *noise = make_random(8 * MIB);
    job up = {f->source, text, 8 * MIB}, down = {f->target, noise, 8 * MIB};
    GThread *writers[2] = {g_thread_new("up", write_job, &up),
                           g_thread_new("down", write_job, &down)};
    session_stats source, target;

    expect(f->target, text, 8 * MIB);
    expect(f->source, noise, 8 * MIB);
    g_thread_join(writers[0]);
    g_thread_join(writers[1]);
    g_assert_true(session_finish(f->p->source.session, 60000));
    session_get_stats(f->p->source.session, &source);
    session_get_stats(f->p->target.session, &target);
    g_test_message("8 MiB as %" G_GUINT64_FORMAT " up, %" G_GUINT64_FORMAT " down",
                   source.payload_out[STREAM_MEMORY], target.payload_out[STREAM_MEMORY]);
    g_assert_cmpuint(source.payload_out[STREAM_MEMORY], <, 8 * MIB);
    g_assert_cmpuint(target.payload_out[STREAM_MEMORY], <, 8.2 * MIB);
}

static void test_trickle(fixture *f, const void *unused)
{
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t byte = (uint8_t)i, got = 0;
        g_assert_true(fdio_write_full(f->source, &byte, 1, NULL));
        g_assert_true(fdio_read_full(f->target, &got, 1, NULL));
        g_assert_cmpuint(got, ==, byte);
        g_assert_true(fdio_write_full(f->target, &byte, 1, NULL));
        g_assert_true(fdio_read_full(f->source, &got, 1, NULL));
        g_assert_cmpuint(got, ==, byte);
    }
}

/* What a hostile source says: form, length announced, and content. */
typedef struct {
    const char *name;
    uint32_t form, length;
    enum { EXACT, SHORT, LONG, ZSTD, BOMB, RUBBISH, NOTHING } content;
    const char *why; /* NULL: it is all right */
} lie;

static const lie lies[] = {
    {"good-plain", 0, 1000, EXACT, NULL},
    {"good-zstd", 1 << 24, 1000, ZSTD, NULL},
    {"short", 0, 1000, SHORT, "as long as announced"},
    {"long", 0, 1000, LONG, "as long as announced"},
    {"form", 2 << 24, 1000, EXACT, "unknown form"},
    {"reserved", 1, 1000, EXACT, "unknown form"},
    {"reserved-zstd", 1 << 24 | 0x100, 1000, ZSTD, "unknown form"},
    {"none", 0, 0, EXACT, "too short"},
    {"none-announced", 0, 0, SHORT, "impossible length"},
    {"too-much", 1 << 24, SQUEEZED_CONTENT_MAX + 1, ZSTD, "impossible length"},
    {"far-too-much", 1 << 24, UINT32_MAX, ZSTD, "impossible length"},
    {"bomb", 1 << 24, 1000, BOMB, "compressed data"},
    {"fewer", 1 << 24, 1001, ZSTD, "fewer bytes"},
    {"rubbish", 1 << 24, 1000, RUBBISH, "compressed data"},
    {"cut", 0, 0, NOTHING, "too short"},
};

static size_t make_lie(const lie *l, uint8_t *out)
{
    g_autofree uint8_t *text = make_text(SQUEEZED_CONTENT_MAX);
    pack *p = pack_new();
    size_t n = 0;

    put_be32(out, l->form);
    put_be32(out + 4, l->length);
    memcpy(out + 8, text, 1100);
    switch (l->content) {
    case EXACT:
        n = l->length;
        break;
    case SHORT:
        n = 999;
        break;
    case LONG:
        n = 1001;
        break;
    case ZSTD:
        n = pack_shrink(p, out + 8, 1100, text, 1000);
        break;
    case BOMB:
        memset(text, 7, SQUEEZED_CONTENT_MAX);
        n = pack_shrink(p, out + 8, 1100, text, SQUEEZED_CONTENT_MAX);
        break;
    case RUBBISH:
        n = 500;
        break;
    case NOTHING:
        pack_free(p);
        return 5;
    }
    pack_free(p);
    return 8 + n;
}

static void test_lie(fixture *f, const void *its_lie)
{
    const lie *l = its_lie;
    uint8_t out[2000], got[1000];
    size_t n = make_lie(l, out);

    g_assert_true(fdio_write_full(f->source, out, n, NULL)); /* one frame */
    if (!l->why) {
        g_assert_true(fdio_read_full(f->target, got, sizeof got, NULL));
        return;
    }
    pair_wait(f->p, f->p->target.failure);
    if (!strstr(f->p->target.failure->message, l->why))
        g_error("\"%s\" does not say \"%s\"", f->p->target.failure->message, l->why);
    g_assert_cmpint(recv(f->target, got, 1, 0), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/squeezed/both-ways", fixture, NULL, set_up, test_both_ways, tear_down);
    g_test_add("/squeezed/trickle", fixture, NULL, set_up, test_trickle, tear_down);
    for (unsigned i = 0; i < G_N_ELEMENTS(lies); i++) {
        g_autofree char *path = g_strconcat("/squeezed/hostile/", lies[i].name, NULL);
        g_test_add(path, fixture, &lies[i], set_up_hostile, test_lie, tear_down);
    }
    return g_test_run();
}
