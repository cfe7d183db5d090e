/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast one channel is: MiB of plain text a second and CPU time on each side, over loopback TCP,
 * one thread a side. Usage: bench-channel [MiB]. */
#include "certs.h"
#include "net/channel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK  (64 * 1024) /* a frame as the relay sends them: header and payload */
#define HEADER 32

typedef struct {
    pki *identity;
    int fd;
    guint64 bytes;
    double cpu;
} side;

static double clock_seconds(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void wait_for(channel *c, short mask)
{
    struct pollfd p = {.fd = channel_fd(c), .events = channel_wants(c) & mask};

    poll(&p, 1, -1);
}

static gpointer sending(gpointer data)
{
    side *self = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(channel) c = channel_client(self->identity, self->fd, NULL, 5000, &error);
    g_autofree char *payload = g_malloc0(CHUNK);
    char header[HEADER] = {0};
    guint64 left = self->bytes;
    double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);

    g_assert_no_error(error);
    while (left > 0) {
        struct iovec parts[2] = {{header, HEADER}, {payload, CHUNK - HEADER}};
        size_t done = 0;
        while (done < CHUNK) {
            ssize_t n = channel_send(c, parts, 2, &error);
            g_assert_no_error(error);
            done += (size_t)n;
            for (int i = 0; i < 2 && n > 0; i++) {
                size_t take = MIN((size_t)n, parts[i].iov_len);
                parts[i].iov_base = (char *)parts[i].iov_base + take;
                parts[i].iov_len -= take;
                n -= (ssize_t)take;
            }
            if (done < CHUNK)
                wait_for(c, POLLOUT);
        }
        left -= CHUNK;
    }
    while (channel_flush(c, &error) == 0)
        wait_for(c, POLLOUT);
    g_assert_no_error(error);
    self->cpu = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    /* Waits for the other side to have everything. */
    while (channel_receive(c, header, 1, &error) == 0)
        wait_for(c, POLLIN);
    g_assert_no_error(error);
    return NULL;
}

static gpointer receiving(gpointer data)
{
    side *self = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(channel) c = channel_server(self->identity, self->fd, NULL, 5000, &error);
    g_autofree char *buffer = g_malloc(256 * 1024);
    guint64 got = 0;
    double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);

    g_assert_no_error(error);
    while (got < self->bytes) {
        ssize_t n = channel_receive(c, buffer, 256 * 1024, &error);
        g_assert_no_error(error);
        got += (guint64)n;
        if (n == 0)
            wait_for(c, POLLIN);
    }
    self->cpu = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    channel_send(c, &(struct iovec){"x", 1}, 1, &error);
    while (channel_flush(c, &error) == 0)
        wait_for(c, POLLOUT);
    g_assert_no_error(error);
    return NULL;
}

static void connect_loopback(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(bind(listener, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    g_assert_cmpint(getsockname(listener, (struct sockaddr *)&address, &size), ==, 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    g_assert_cmpint(connect(fds[0], (struct sockaddr *)&address, size), ==, 0);
    fds[1] = accept(listener, NULL, NULL);
    close(listener);
}

int main(int argc, char **argv)
{
    guint64 mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 4096;
    char *dir = certs_directory();
    int fds[2];

    certs_make(dir, "alpha", (certs_spec){.name = "alpha"});
    certs_make(dir, "zulu", (certs_spec){.name = "zulu"});
    pki *alpha = certs_load(dir, "alpha", NULL, NULL), *zulu = certs_load(dir, "zulu", NULL, NULL);
    certs_pin(alpha, dir, "zulu", "zulu");
    certs_pin(zulu, dir, "alpha", "alpha");
    connect_loopback(fds);

    side a = {alpha, fds[0], mib << 20, 0}, z = {zulu, fds[1], mib << 20, 0};
    double start = clock_seconds(CLOCK_MONOTONIC);
    GThread *sender = g_thread_new("sending", sending, &a);
    receiving(&z);
    g_thread_join(sender);
    double seconds = clock_seconds(CLOCK_MONOTONIC) - start;

    printf("%.0f MiB/s; CPU seconds a GiB: sending %.3f, receiving %.3f\n", (double)mib / seconds,
           a.cpu / ((double)mib / 1024), z.cpu / ((double)mib / 1024));
    pki_free(alpha);
    pki_free(zulu);
    certs_remove(dir);
    return 0;
}
