/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a valve lets pass, and that QEMU can never come to its end with it. */
#include "base/fdio.h"
#include "pair.h"
#include "relay/squeezed.h"
#include "relay/valve.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MIB  (1ULL << 20)
#define PAGE 4096

static void test_limit(void)
{
    const guint64 room = 280 << 10;

    /* Nothing is known, or nothing may pass. */
    g_assert_cmpuint(valve_limit(0, 1024 * MIB, PAGE, room), ==, 0);
    g_assert_cmpuint(valve_limit(1, 1024 * MIB, 0, room), ==, 0);
    g_assert_cmpuint(valve_limit(1000, 0, PAGE, room), ==, 0);
    g_assert_cmpuint(valve_limit(1000, 8 * MIB, PAGE, room), ==, 0);
    g_assert_cmpuint(valve_limit(1000, 100 * MIB, PAGE, room), ==, 0);
    /* 1016 MiB are 260096 pages of at least 8 bytes. */
    g_assert_cmpuint(valve_limit(1000, 1024 * MIB, PAGE, room), ==, 1000 + 260096 * 8 - room);
    g_assert_cmpuint(valve_limit(1000, 1024 * MIB, 16 * PAGE, room), ==,
                     1000 + 260096 / 16 * 8 > room ? 1000 + 260096 / 16 * 8 - room : 0);
}

/* The other side of it: QEMU sends pages as long as it finds room, the smallest there are, and is looked at
 * whenever the valve is dry. It must always have more than 8 MiB left, and must get as near to that as the room allows. */
static void test_never_to_the_end(gconstpointer bytes_of_a_page)
{
    const guint64 each = GPOINTER_TO_UINT(bytes_of_a_page), room = 280 << 10;
    guint64 remaining = 4096 * MIB, sent = 0, limit = 0;
    guint rounds = 0;

    for (;; rounds++) {
        guint64 arrived, next;

        while (remaining && sent + each <= limit + room) {
            sent += each;
            remaining -= PAGE;
        }
        g_assert_cmpuint(remaining, >, 8 * MIB);
        arrived = MIN(sent, limit + (208 << 10));
        next = valve_limit(arrived, remaining, PAGE, room);
        if (next <= limit + (16 << 10))
            break;
        limit = next;
    }
    g_assert_cmpuint(remaining, <=, 8 * MIB + (room + (16 << 10)) / 8 * PAGE);
    g_assert_cmpuint(rounds, <, 20000);
}

typedef struct {
    pair *p;
    valve *way;
    int listener, source, target;
    GMutex lock;
    GCond changed;
    guint dry; /* times; under lock */
} fixture;

static void on_dry(void *user)
{
    fixture *f = user;

    g_mutex_lock(&f->lock);
    f->dry++;
    g_cond_broadcast(&f->changed);
    g_mutex_unlock(&f->lock);
}

static void wait_dry(fixture *f, guint times)
{
    g_mutex_lock(&f->lock);
    while (f->dry < times)
        g_cond_wait(&f->changed, &f->lock);
    g_mutex_unlock(&f->lock);
    while (!valve_is_dry(f->way))
        g_thread_yield();
}

static void set_up(fixture *f, gconstpointer unused)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autoptr(GError) error = NULL;
    const char *in, *out;

    f->p = pair_new(&(pair_setup){.channels = 1});
    in = pair_path(f->p, "in.sock");
    out = pair_path(f->p, "out.sock");
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, out, sizeof address.sun_path);
    g_assert_cmpint(bind(f->listener, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(f->listener, 1), ==, 0);
    f->way = valve_new(on_dry, f);
    session_offer(f->p->target.session, STREAM_MEMORY, out, 1, squeezed_codec_new, NULL, &error);
    g_assert_no_error(error);
    session_listen(f->p->source.session, STREAM_MEMORY, in, 0600, 1, squeezed_codec_new, f->way, &error);
    g_assert_no_error(error);
    f->source = fdio_unix_connect(in, SOCK_STREAM, &error);
    g_assert_no_error(error);
}

static void tear_down(fixture *f, gconstpointer unused)
{
    fdio_clear(&f->source);
    fdio_clear(&f->target);
    fdio_clear(&f->listener);
    pair_drop(&f->p->source);
    pair_drop(&f->p->target);
    valve_free(f->way);
    pair_free(f->p);
}

static void send_all(fixture *f, const char *text)
{
    g_assert_true(fdio_write_full(f->source, text, strlen(text), NULL));
}

static void expect(fixture *f, const char *text)
{
    char got[64];

    g_assert_cmpuint(strlen(text), <=, sizeof got);
    g_assert_true(fdio_read_full(f->target, got, strlen(text), NULL));
    g_assert_cmpmem(got, strlen(text), text, strlen(text));
}

static void test_stream(fixture *f, gconstpointer unused)
{
    char one;

    wait_dry(f, 1);
    g_assert_cmpuint(valve_arrived(f->way), ==, 0);
    send_all(f, "abcdefghij");
    g_assert_cmpuint(valve_arrived(f->way), ==, 10);
    /* Not worth it, and never back. */
    g_assert_false(valve_allow(f->way, 3, 4));
    g_assert_true(valve_allow(f->way, 4, 4));
    g_assert_false(valve_allow(f->way, 2, 1));
    wait_dry(f, 2);
    g_assert_cmpuint(valve_arrived(f->way), ==, 10);
    /* The stream is opened by its first bytes. */
    f->target = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(f->target, >=, 0);
    expect(f, "abcd");
    g_assert_cmpint(recv(f->target, &one, 1, MSG_DONTWAIT), <, 0);
    g_assert_true(valve_allow(f->way, 6, 1));
    wait_dry(f, 3);
    expect(f, "ef");
    valve_open(f->way);
    expect(f, "ghij");
    send_all(f, "more");
    expect(f, "more");
    g_assert_false(valve_is_dry(f->way));
}

/* Somebody who waits for the valve must not keep the session from ending. */
static void test_ends_while_shut(fixture *f, gconstpointer unused)
{
    g_autoptr(GError) over = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "over");

    wait_dry(f, 1);
    send_all(f, "abc");
    session_fail(f->p->source.session, over);
    pair_drop(&f->p->source);
    g_assert_cmpuint(valve_arrived(f->way), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/valve/limit", test_limit);
    g_test_add_data_func("/valve/never to the end/zeroes", GUINT_TO_POINTER(8), test_never_to_the_end);
    g_test_add_data_func("/valve/never to the end/QEMU's zeroes", GUINT_TO_POINTER(9), test_never_to_the_end);
    g_test_add_data_func("/valve/never to the end/content", GUINT_TO_POINTER(4104), test_never_to_the_end);
    g_test_add("/valve/stream", fixture, NULL, set_up, test_stream, tear_down);
    g_test_add("/valve/ends while shut", fixture, NULL, set_up, test_ends_while_shut, tear_down);
    return g_test_run();
}
