/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast a session is, both ends and their local connections in this one process: unix socket
 * -> frames -> TLS over loopback TCP -> frames -> unix socket. Prints
 *   throughput of one memory stream;
 *   round trips of 4 KiB on a disk stream alone, and while a memory stream runs at full speed;
 *   the peak memory of the process.
 * Usage: bench-session [MiB [CHANNELS]]. */
#include "pair.h"
#include "base/fdio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (64 * 1024)
#define SMALL 4096
#define TRIPS 2000
#define REPLY 16

static int stop; /* atomic */

static double seconds(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int listen_at(const char *path)
{
    g_autoptr(GError) error = NULL;
    int fd = fdio_unix_listen(path, SOCK_STREAM, 0600, &error);

    g_assert_no_error(error);
    return fd;
}

/* Reads everything. */
static gpointer sink(gpointer data)
{
    int fd = accept(GPOINTER_TO_INT(data), NULL, NULL);
    g_autofree char *bytes = g_malloc(1 << 20);

    while (read(fd, bytes, 1 << 20) > 0)
        ;
    close(fd);
    return NULL;
}

/* Answers 4 KiB with 16 bytes, as an NBD server does. */
static gpointer answer(gpointer data)
{
    int fd = accept(GPOINTER_TO_INT(data), NULL, NULL);
    char bytes[SMALL];

    while (fdio_read_full(fd, bytes, SMALL, NULL))
        fdio_write_full(fd, bytes, REPLY, NULL);
    close(fd);
    return NULL;
}

static int dial_local(const char *path)
{
    g_autoptr(GError) error = NULL;
    int fd = fdio_unix_connect(path, SOCK_STREAM, &error);

    g_assert_no_error(error);
    return fd;
}

static gpointer flood(gpointer data)
{
    int fd = GPOINTER_TO_INT(data);
    g_autofree char *bytes = g_malloc0(CHUNK);

    while (!g_atomic_int_get(&stop))
        g_assert_true(fdio_write_full(fd, bytes, CHUNK, NULL));
    close(fd);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void trips(const char *path, const char *what)
{
    int fd = dial_local(path);
    char bytes[SMALL] = {0};
    double took[TRIPS];

    for (int i = 0; i < TRIPS; i++) {
        double start = seconds(CLOCK_MONOTONIC);
        g_assert_true(fdio_write_full(fd, bytes, SMALL, NULL));
        g_assert_true(fdio_read_full(fd, bytes, REPLY, NULL));
        took[i] = 1e6 * (seconds(CLOCK_MONOTONIC) - start);
    }
    close(fd);
    qsort(took, TRIPS, sizeof took[0], compare);
    printf("4 KiB there, 16 bytes back, %s: p50 %.0f us, p99 %.0f us, max %.0f us\n", what,
           took[TRIPS / 2], took[TRIPS * 99 / 100], took[TRIPS - 1]);
}

static void throughput(const char *path, guint64 mib)
{
    int fd = dial_local(path);
    g_autofree char *bytes = g_malloc0(CHUNK);
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);

    for (guint64 i = 0; i < mib * 16; i++)
        g_assert_true(fdio_write_full(fd, bytes, CHUNK, NULL));
    shutdown(fd, SHUT_WR);
    g_assert_cmpint(read(fd, bytes, 1), ==, 0); /* the sink has everything */
    close(fd);
    double took = seconds(CLOCK_MONOTONIC) - start;
    printf("one stream: %.0f MB/s, %.2f CPU seconds a GB (both ends and both applications)\n",
           (double)mib * 1.048576 / took,
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / ((double)mib * 1.048576e-3));
}

int main(int argc, char **argv)
{
    guint64 mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 4096;
    pair_setup setup = {.channels = argc > 2 ? (unsigned)atoi(argv[2]) : 4};
    g_autoptr(pair) p = pair_new(&setup);
    const char *memory_in = pair_path(p, "memory-in"), *memory_out = pair_path(p, "memory-out");
    const char *disk_in = pair_path(p, "disk-in"), *disk_out = pair_path(p, "disk-out");
    int memory = listen_at(memory_out), disk = listen_at(disk_out);
    struct rusage usage;
    GThread *helper, *flooder, *answerer;

    g_assert_true(session_offer(p->target.session, STREAM_MEMORY, memory_out, 9, NULL, NULL, NULL));
    g_assert_true(session_offer(p->target.session, STREAM_DISK, disk_out, 9, NULL, NULL, NULL));
    g_assert_true(
        session_listen(p->source.session, STREAM_MEMORY, memory_in, 0600, 9, NULL, NULL, NULL));
    g_assert_true(
        session_listen(p->source.session, STREAM_DISK, disk_in, 0600, 9, NULL, NULL, NULL));
    pair_wait(p, p->source.alive == setup.channels);

    helper = g_thread_new("sink", sink, GINT_TO_POINTER(memory));
    throughput(memory_in, mib);
    g_thread_join(helper);

    answerer = g_thread_new("answer", answer, GINT_TO_POINTER(disk));
    trips(disk_in, "alone");
    g_thread_join(answerer);

    helper = g_thread_new("sink", sink, GINT_TO_POINTER(memory));
    answerer = g_thread_new("answer", answer, GINT_TO_POINTER(disk));
    flooder = g_thread_new("flood", flood, GINT_TO_POINTER(dial_local(memory_in)));
    trips(disk_in, "beside a full stream");
    g_atomic_int_set(&stop, TRUE);
    g_thread_join(flooder);
    g_thread_join(helper);
    g_thread_join(answerer);

    getrusage(RUSAGE_SELF, &usage);
    printf("peak memory of the process: %ld MiB\n", usage.ru_maxrss / 1024);
    return 0;
}
