/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Channels between an honest host and somebody else: one who sits on the line and alters, repeats
 * or cuts, and one with a good certificate and bad manners. */
#include "flow.h"

#include <gnutls/crypto.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define ALPN  "ferry-channel/1"

/* Someone in the middle: bytes the client wrote are passed on by hand. */

typedef struct {
    outcome o;
    int from_client, to_server; /* the middle's ends */
} middle;

static gpointer pump_handshake(gpointer data)
{
    int *fds = data; /* the middle's ends, and where it is told to stop */
    char buffer[65536];

    for (;;) {
        struct pollfd p[3] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}, {fds[2], POLLIN, 0}};
        g_assert_cmpint(poll(p, 3, FLOW_LIMIT_S * 1000), >, 0);
        for (int i = 0; i < 2; i++) {
            ssize_t n = p[i].revents ? recv(fds[i], buffer, sizeof buffer, 0) : 0;
            if (n > 0)
                g_assert_cmpint(send(fds[!i], buffer, (size_t)n, 0), ==, n);
        }
        if (p[2].revents)
            return NULL;
    }
}

static void middle_connect(middle *m, ends *e)
{
    int client[2], server[2], stop[2], ends_fds[2], pump_fds[3];
    GThread *thread;

    ends_sockets(client, 0);
    ends_sockets(server, 0);
    ends_sockets(stop, 0);
    pump_fds[0] = m->from_client = client[1];
    pump_fds[1] = m->to_server = server[1];
    pump_fds[2] = stop[0];
    ends_fds[0] = client[0];
    ends_fds[1] = server[0];
    thread = g_thread_new("middle", pump_handshake, pump_fds);
    m->o = ends_connect(e, ends_fds);
    close(stop[1]);
    g_thread_join(thread);
    close(stop[0]);
}

static void middle_clear(middle *m)
{
    ends_clear(&m->o);
    close(m->from_client);
    close(m->to_server);
}

static void test_altered_bytes(ends *e, gconstpointer data)
{
    char text[1000] = "the truth";
    guint8 wire[2000];

    /* Length, cipher text, tag. (GnuTLS ignores the first three bytes of a record: constants.) */
    for (int at = 3; at < 1022; at += at < 8 ? 1 : 71) {
        middle m;
        ssize_t n;
        middle_connect(&m, e);
        flow_say(m.o.client, text, sizeof text);
        n = recv(m.from_client, wire, sizeof wire, 0);
        g_assert_cmpint(n, ==, 1022);
        wire[at] ^= 1;
        g_assert_cmpint(send(m.to_server, wire, (size_t)n, 0), ==, n);
        flow_ends_with(m.o.server, G_IO_ERROR_INVALID_DATA);
        /* The sender is told. */
        n = recv(m.to_server, wire, sizeof wire, 0);
        g_assert_cmpint(send(m.from_client, wire, (size_t)n, 0), ==, n);
        flow_ends_with(m.o.client, G_IO_ERROR_INVALID_DATA);
        middle_clear(&m);
    }
}

static void test_replayed_record(ends *e, gconstpointer data)
{
    guint8 wire[200];
    char buffer[200];
    middle m;
    ssize_t n;

    middle_connect(&m, e);
    flow_say(m.o.client, "once", 4);
    n = recv(m.from_client, wire, sizeof wire, 0);
    for (int i = 0; i < 2; i++)
        g_assert_cmpint(send(m.to_server, wire, (size_t)n, 0), ==, n);
    g_assert_cmpint(flow_hear(m.o.server, buffer, 4, NULL), ==, 4);
    flow_ends_with(m.o.server, G_IO_ERROR_INVALID_DATA);
    middle_clear(&m);
}

/* Cut after each byte of a record: what was whole is delivered, then the cut is reported. */
static void test_cut_anywhere(ends *e, gconstpointer data)
{
    guint8 wire[200];
    char buffer[200];

    for (int cut = 0; cut < 27 + 26; cut += 4) {
        middle m;
        ssize_t n;
        middle_connect(&m, e);
        flow_say(m.o.client, "whole", 5); /* 27 bytes on the wire */
        flow_say(m.o.client, "lost", 4);
        n = recv(m.from_client, wire, sizeof wire, 0);
        g_assert_cmpint(n, ==, 27 + 26);
        g_assert_cmpint(send(m.to_server, wire, (size_t)cut, 0), ==, cut);
        shutdown(m.to_server, SHUT_WR);
        if (cut >= 27)
            g_assert_cmpint(flow_hear(m.o.server, buffer, sizeof buffer, NULL), ==, 5);
        flow_ends_with(m.o.server, G_IO_ERROR_NOT_CONNECTED);
        middle_clear(&m);
    }
}

/* Peers with a good certificate and bad manners. */

static channel *raw_pair(ends *e, gnutls_session_t *raw)
{
    g_autoptr(GError) error = NULL;
    ends_thread *thread;
    char greeting = 'F';
    channel *server;
    int fds[2];

    ends_sockets(fds, 0);
    thread = ends_serve(e->zulu, fds[1], "alpha", ENDS_TIMEOUT_MS);
    *raw = ends_raw_client(e, fds[0], "alpha", TLS13, ALPN);
    g_assert_cmpint(gnutls_handshake(*raw), ==, 0);
    g_assert_cmpint(gnutls_record_send(*raw, &greeting, 1), ==, 1);
    server = ends_join(thread, &error);
    g_assert_no_error(error);
    g_assert_cmpint(gnutls_record_recv(*raw, &greeting, 1), ==, 1);
    return server;
}

typedef struct {
    gnutls_session_t raw;
    int (*act)(gnutls_session_t);
} actor;

static gpointer act_until_error(gpointer data)
{
    actor *a = data;

    while (a->act(a->raw) >= 0)
        ;
    return NULL;
}

static int send_empty_record(gnutls_session_t raw)
{
    return (int)gnutls_record_send2(raw, "", 0, 1000, 0);
}

static int send_key_update(gnutls_session_t raw)
{
    return gnutls_session_key_update(raw, 0);
}

static void test_flood(ends *e, gconstpointer act)
{
    actor a = {.act = (int (*)(gnutls_session_t))act};
    channel *server = raw_pair(e, &a.raw);
    GThread *thread = g_thread_new("peer", act_until_error, &a);

    flow_ends_with(server, G_IO_ERROR_INVALID_DATA);
    channel_free(server);
    g_thread_join(thread);
    ends_raw_free(a.raw);
}

/* An authenticated peer begins a handshake message of 16 MiB: written here as GnuTLS would not. */
static void test_huge_message_after_handshake(ends *e, gconstpointer data)
{
    g_autofree char *buffer = g_malloc0(16000);
    gnutls_session_t raw;
    channel *server = raw_pair(e, &raw);
    gnutls_datum_t key, iv;
    unsigned char sequence[8], nonce[12];
    gnutls_aead_cipher_hd_t cipher;
    int fd = gnutls_transport_get_int(raw);

    g_assert_cmpint(gnutls_record_get_state(raw, 0, NULL, &iv, &key, sequence), ==, 0);
    g_assert_cmpint(gnutls_aead_cipher_init(&cipher, gnutls_cipher_get(raw), &key), ==, 0);
    memcpy(buffer, "\x18\xff\xff\xff", 4); /* KeyUpdate, 16 MiB */
    for (int i = 0; i < 64; i++) {
        guint8 record[5 + 16000 + 1 + 16] = {0x17, 3, 3, (16000 + 17) >> 8, (16000 + 17) & 0xff};
        size_t size = sizeof record - 5;
        g_autofree char *plain = g_malloc0(16001);
        memcpy(plain, buffer, i == 0 ? 4 : 0);
        plain[16000] = 0x16; /* content type: handshake */
        memcpy(nonce, iv.data, 12);
        for (int b = 0; b < 8; b++)
            nonce[4 + b] ^= sequence[b];
        g_assert_cmpint(gnutls_aead_cipher_encrypt(cipher, nonce, 12, record, 5, 16, plain, 16001,
                                                   record + 5, &size),
                        ==, 0);
        if (send(fd, record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            break;
        for (int b = 7; b >= 0 && ++sequence[b] == 0; b--)
            ;
    }
    flow_ends_with(server, G_IO_ERROR_INVALID_DATA);
    gnutls_aead_cipher_deinit(cipher);
    channel_free(server);
    ends_raw_free(raw);
}

/* A peer may ask for our KeyUpdate (we never do): it comes with our next data. */
static void test_peer_asks_for_key_update(ends *e, gconstpointer data)
{
    gnutls_session_t raw;
    channel *server = raw_pair(e, &raw);
    char buffer[100];

    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(gnutls_session_key_update(raw, GNUTLS_KU_PEER), ==, 0);
        g_assert_cmpint(gnutls_record_send(raw, "ask", 3), ==, 3);
        g_assert_cmpint(flow_hear(server, buffer, sizeof buffer, NULL), ==, 3);
        flow_say(server, "answer", 6);
        ssize_t n;
        while ((n = gnutls_record_recv(raw, buffer, sizeof buffer)) == GNUTLS_E_AGAIN)
            ;
        g_assert_cmpint(n, ==, 6);
    }
    channel_free(server);
    ends_raw_free(raw);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, data, function)                                                                  \
    g_test_add(path, ends, data, ends_set_up, function, ends_tear_down)
    ADD("/hostile/line/cut-anywhere", NULL, test_cut_anywhere);
    ADD("/hostile/line/altered-bytes", NULL, test_altered_bytes);
    ADD("/hostile/line/replayed-record", NULL, test_replayed_record);
    ADD("/hostile/peer/empty-records", send_empty_record, test_flood);
    ADD("/hostile/peer/key-updates", send_key_update, test_flood);
    ADD("/hostile/peer/huge-message", NULL, test_huge_message_after_handshake);
    ADD("/hostile/peer/asks-for-key-update", NULL, test_peer_asks_for_key_update);
    return g_test_run();
}
