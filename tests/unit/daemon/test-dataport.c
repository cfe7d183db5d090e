/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data port against whoever connects to it. */
#include "support.h"

#include "base/fdio.h"
#include "base/uuid.h"
#include "daemon/dataport.h"
#include "relay/wire.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ID "5d0f1c2e-0000-4000-8000-00000000000a"

typedef struct {
    networks *allowed;
    dataport *port;
    guint taken;
    int fd; /* the last one taken */
} fixture;

static gboolean take(const char *id, guint channel, int fd, gpointer user, GError **error)
{
    fixture *f = user;

    if (strcmp(id, ID)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no landing %s", id);
        return FALSE;
    }
    f->taken++;
    f->fd = dup(fd);
    g_assert_cmpint(channel, ==, 3);
    return TRUE;
}

static void set_up(fixture *f, gconstpointer patience)
{
    static const char *const everywhere[] = {"0.0.0.0", "::", NULL};
    static const char *const loopback[] = {"127.0.0.0/8", NULL};
    g_autoptr(GError) error = NULL;

    f->fd = -1;
    f->allowed = networks_parse(loopback, &error);
    g_assert_no_error(error);
    f->port = dataport_new(everywhere, 0, f->allowed, GPOINTER_TO_UINT(patience), take, f, &error);
    g_assert_no_error(error);
}

static void tear_down(fixture *f, gconstpointer patience)
{
    dataport_free(f->port);
    networks_free(f->allowed);
    fdio_clear(&f->fd);
}

static void put(uint8_t out[WIRE_PREAMBLE_SIZE], const char *id)
{
    wire_preamble preamble = {.channel = 3};

    uuid_to_bytes(id, preamble.landing);
    wire_put_preamble(out, &preamble);
}

static void read_to_end(gpointer user)
{
    g_autofree char *said = raw_read_all(*(int *)user);

    g_assert_cmpstr(said, ==, ""); /* strangers are told nothing */
}

/* Sends this and expects to be cut off. */
static void refused(fixture *f, const void *data, size_t length)
{
    fdio_auto fd = raw_connect(dataport_number(f->port));

    if (length)
        g_assert_cmpint(send(fd, data, length, MSG_NOSIGNAL), ==, (ssize_t)length);
    in_thread(read_to_end, &fd);
    g_assert_cmpint(f->taken, ==, 0);
    wait_until(dataport_half_open(f->port) == 0);
}

static void a_channel_is_handed_over(fixture *f, gconstpointer patience)
{
    fdio_auto fd = raw_connect(dataport_number(f->port));
    uint8_t data[WIRE_PREAMBLE_SIZE + 5];
    char rest[6] = "";

    put(data, ID);
    memcpy(data + WIRE_PREAMBLE_SIZE, "hello", 5);
    /* In pieces, the last one with what follows: not one byte of that may be lost. */
    g_assert_cmpint(send(fd, data, 10, 0), ==, 10);
    wait_until(dataport_half_open(f->port) == 1);
    g_assert_cmpint(send(fd, data + 10, sizeof data - 10, 0), ==, (ssize_t)sizeof data - 10);
    wait_until(f->taken == 1);
    g_assert_cmpint(dataport_half_open(f->port), ==, 0);
    g_assert_true(fdio_read_full(f->fd, rest, 5, NULL));
    g_assert_cmpstr(rest, ==, "hello");
}

static void garbage_is_refused(fixture *f, gconstpointer patience)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1:16551\r\n"
                               "User-Agent: a browser that lost its way\r\n\r\n";
    uint8_t data[WIRE_PREAMBLE_SIZE];

    G_STATIC_ASSERT(sizeof http > WIRE_PREAMBLE_SIZE);
    memset(data, 'x', sizeof data);
    refused(f, data, sizeof data);
    put(data, ID);
    data[40] = 1; /* must be zero */
    refused(f, data, sizeof data);
    refused(f, http, sizeof http - 1);
}

static void unknown_landings_are_refused(fixture *f, gconstpointer patience)
{
    uint8_t data[WIRE_PREAMBLE_SIZE];

    put(data, "00000000-0000-4000-8000-000000000000");
    refused(f, data, sizeof data);
}

static void the_stalled_are_cut_off(fixture *f, gconstpointer patience)
{
    uint8_t data[WIRE_PREAMBLE_SIZE];

    put(data, ID);
    refused(f, data, 0);
    refused(f, data, 63);
}

static void other_networks_are_refused(fixture *f, gconstpointer patience)
{
    static const char *const elsewhere[] = {"10.99.0.0/16", NULL}, *const nowhere[] = {NULL};
    g_autoptr(networks) other = networks_parse(elsewhere, NULL),
                        none = networks_parse(nowhere, NULL);
    fdio_auto one = -1, two = -1;

    dataport_allow(f->port, other);
    one = raw_connect(dataport_number(f->port));
    in_thread(read_to_end, &one); /* before it has said anything */
    dataport_allow(f->port, none);
    two = raw_connect(dataport_number(f->port));
    in_thread(read_to_end, &two);
    g_assert_cmpint(f->taken, ==, 0);
}

static void half_open_ones_are_bounded(fixture *f, gconstpointer patience)
{
    int fds[60];

    for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = raw_connect(dataport_number(f->port));
    wait_until(dataport_half_open(f->port) == 48);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
        close(fds[i]);
    wait_until(dataport_half_open(f->port) == 0);
}

/* From another address of this host than all others with another number. */
static int connect_as(guint16 port, guint32 number)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffffffU) + number)},
                       to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&from, sizeof from), ==, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&to, sizeof to), ==, 0);
    return fd;
}

static gboolean is_cut_off(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* However many come and from however many addresses: only so many are held, the others are closed at
 * once, and when they are gone a channel gets in. */
static void thousands_hold_little(fixture *f, gconstpointer patience)
{
    uint8_t data[WIRE_PREAMBLE_SIZE];
    int held[128];

    for (guint i = 0; i < G_N_ELEMENTS(held); i++) {
        held[i] = connect_as(dataport_number(f->port), 0x10000 + i);
        wait_until(dataport_half_open(f->port) == i + 1);
    }
    for (guint i = 0; i < 4000; i++) {
        fdio_auto one = connect_as(dataport_number(f->port), 0x20000 + i);
        wait_until(is_cut_off(one));
        g_assert_cmpuint(dataport_half_open(f->port), ==, G_N_ELEMENTS(held));
    }
    for (guint i = 0; i < G_N_ELEMENTS(held); i++)
        close(held[i]);
    wait_until(dataport_half_open(f->port) == 0);
    fdio_auto good = raw_connect(dataport_number(f->port));
    put(data, ID);
    g_assert_cmpint(send(good, data, sizeof data, 0), ==, (ssize_t)sizeof data);
    wait_until(f->taken == 1);
}

int main(int argc, char **argv)
{
#define TEST(name, ms)                                                                             \
    g_test_add("/dataport/" #name, fixture, GUINT_TO_POINTER(ms), set_up, name, tear_down)
    g_test_init(&argc, &argv, NULL);
    TEST(a_channel_is_handed_over, DEADLINE_S * 1000);
    TEST(garbage_is_refused, DEADLINE_S * 1000);
    TEST(unknown_landings_are_refused, DEADLINE_S * 1000);
    TEST(the_stalled_are_cut_off, 300);
    TEST(other_networks_are_refused, DEADLINE_S * 1000);
    TEST(half_open_ones_are_bounded, DEADLINE_S * 1000);
    TEST(thousands_hold_little, DEADLINE_S * 1000);
    return g_test_run();
}
