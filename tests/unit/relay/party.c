/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients and servers that check each other; see party.h. */
#include "party.h"
#include "base/bytes.h"
#include "base/fdio.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_MAX (300 * 1024)

typedef struct { /* one direction of one connection */
    int fd;
    guint32 seed, bytes;
} flow;

/* The sequence: 8 bytes at a time, from a seed (splitmix64). */
static void fill(uint8_t *out, size_t length, guint32 seed, guint64 at)
{
    for (size_t i = 0; i < length; i++, at++) {
        uint64_t z = ((uint64_t)seed << 32) + (at / 8 + 1) * 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        out[i] = (uint8_t)(z >> (8 * (at % 8)));
    }
}

static gpointer sending(gpointer data)
{
    flow *f = data;
    g_autofree uint8_t *piece = g_malloc(PIECE_MAX);
    GRand *random = g_rand_new_with_seed(f->seed);
    guint64 at = 0;

    while (at < f->bytes) {
        guint32 length = 1u << g_rand_int_range(random, 0, 19);
        length = (guint32)MIN((guint64)MIN(length, PIECE_MAX), f->bytes - at);
        fill(piece, length, f->seed, at);
        g_autoptr(GError) error = NULL;
        fdio_write_full(f->fd, piece, length, &error);
        g_assert_no_error(error);
        at += length;
    }
    shutdown(f->fd, SHUT_WR);
    g_rand_free(random);
    return NULL;
}

static void receive(flow *f)
{
    g_autofree uint8_t *piece = g_malloc(PIECE_MAX), *wanted = g_malloc(PIECE_MAX);
    guint64 at = 0;
    ssize_t n;

    while ((n = read(f->fd, piece, PIECE_MAX)) > 0) {
        fill(wanted, (size_t)n, f->seed, at);
        g_assert_cmpint(memcmp(piece, wanted, (size_t)n), ==, 0);
        at += (guint64)n;
    }
    g_assert_cmpint(n, ==, 0);
    g_assert_cmpuint(at, ==, f->bytes);
}

static void both_ways(int fd, guint32 send_seed, guint32 send_bytes, guint32 receive_seed,
                      guint32 receive_bytes)
{
    flow out = {fd, send_seed, send_bytes}, in = {fd, receive_seed, receive_bytes};
    GThread *sender = g_thread_new("sending", sending, &out);

    receive(&in);
    g_thread_join(sender);
    close(fd);
}

typedef struct {
    char *path;
    guint32 seed, up, down;
} client;

static gpointer client_main(gpointer data)
{
    client *self = data;
    g_autoptr(GError) error = NULL;
    uint8_t head[16] = {0};
    int fd = fdio_unix_connect(self->path, SOCK_STREAM, &error);

    g_assert_no_error(error);
    put_be32(head, self->seed);
    put_be32(head + 4, self->up);
    put_be32(head + 8, self->down);
    fdio_write_full(fd, head, sizeof head, &error);
    g_assert_no_error(error);
    both_ways(fd, self->seed, self->up, self->seed + 1, self->down);
    g_free(self->path);
    g_free(self);
    return NULL;
}

GThread *client_start(const char *path, guint32 seed, guint32 up, guint32 down)
{
    client *self = g_new0(client, 1);

    *self = (client){g_strdup(path), seed, up, down};
    return g_thread_new("client", client_main, self);
}

struct server {
    int listener;
    GThread *acceptor;
    GPtrArray *connections; /* of GThread, the acceptor's until it has ended */
};

static gpointer serve(gpointer data)
{
    int fd = GPOINTER_TO_INT(data);
    g_autoptr(GError) error = NULL;
    uint8_t head[16];

    fdio_read_full(fd, head, sizeof head, &error);
    g_assert_no_error(error);
    both_ways(fd, get_be32(head) + 1, get_be32(head + 8), get_be32(head), get_be32(head + 4));
    return NULL;
}

static gpointer accept_main(gpointer data)
{
    server *self = data;
    int fd;

    while ((fd = accept(self->listener, NULL, NULL)) >= 0)
        g_ptr_array_add(self->connections, g_thread_new("serving", serve, GINT_TO_POINTER(fd)));
    return NULL;
}

server *server_new(const char *path)
{
    server *self = g_new0(server, 1);
    g_autoptr(GError) error = NULL;

    self->listener = fdio_unix_listen(path, SOCK_STREAM, 0600, &error);
    g_assert_no_error(error);
    self->connections = g_ptr_array_new();
    self->acceptor = g_thread_new("accepting", accept_main, self);
    return self;
}

void server_join(server *self, unsigned count)
{
    shutdown(self->listener, SHUT_RDWR);
    g_thread_join(self->acceptor);
    close(self->listener);
    g_assert_cmpuint(self->connections->len, ==, count);
    for (guint i = 0; i < count; i++)
        g_thread_join(self->connections->pdata[i]);
    g_ptr_array_unref(self->connections);
    g_free(self);
}
