/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cable between two interfaces, with delay, loss and a rate: stands in for netem, which kernels
 * may lack. */
#include "request.h"

#include <errno.h>
#include <glib-unix.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Waking up for every frame would cost more than moving it. So each round is followed by a rest: a
 * hundredth of the delay, within these bounds. Nothing leaves early for that. */
#define REST_MIN_NS 50000
#define REST_MAX_NS 250000

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    ended = 1;
}

static int fail(const char *message)
{
    fprintf(stderr, "wire: %s\n", message);
    return EXIT_FAILURE;
}

static gint64 now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (gint64)1000000000 + t.tv_nsec;
}

static gint64 rest_ns(const struct wire *w)
{
    double delay_ms = MIN(link_settings(w->link[0])->delay_ms, link_settings(w->link[1])->delay_ms);

    return (gint64)CLAMP(delay_ms * 1e4, REST_MIN_NS, REST_MAX_NS);
}

/* One round: takes in what waits, puts out what is due. Returns when the next is needed, 0 on an
 * error, and how long to rest before it. */
static gint64 carry(struct wire *w, struct pollfd *fds, gint64 *rest, GError **error)
{
    gint64 next = G_MAXINT64;

    g_mutex_lock(&w->lock);
    for (int d = 0; d < 2 && next; d++)
        if (fds[d].revents && !port_receive(w->port[d], w->link[d], now(), error))
            next = 0;
    for (int d = 0; d < 2 && next; d++) {
        gint64 time = now();
        gboolean room = port_send(w->port[!d], w->link[d], time);
        next = MIN(next, room ? link_next(w->link[d]) : time + 20 * REST_MIN_NS);
    }
    *rest = rest_ns(w);
    g_mutex_unlock(&w->lock);
    return next;
}

/* Until TIMEOUT_NS are over (G_MAXINT64: for ever), a signal has come or, with FDS, a frame. */
static void wait_for(struct pollfd *fds, gint64 timeout_ns, const sigset_t *waiting)
{
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000,
                               .tv_nsec = timeout_ns % 1000000000};

    if (ppoll(fds, fds ? 2 : 0, timeout_ns == G_MAXINT64 ? NULL : &timeout, waiting) < 0 && fds)
        fds[0].revents = fds[1].revents = 0;
}

static gboolean carry_until_ended(struct wire *w, const sigset_t *waiting, GError **error)
{
    struct pollfd fds[] = {{.fd = port_fd(w->port[0]), .events = POLLIN},
                           {.fd = port_fd(w->port[1]), .events = POLLIN}};

    while (!ended) {
        gint64 rest, next = carry(w, fds, &rest, error);
        if (next == 0)
            return FALSE;
        wait_for(NULL, rest, waiting);
        if (!ended)
            wait_for(fds, next == G_MAXINT64 ? next : MAX(next - now(), 0), waiting);
    }
    return TRUE;
}

static gpointer serve_requests(gpointer loop)
{
    g_main_loop_run(loop);
    return NULL;
}

static int run(struct wire *w, const char *socket)
{
    sigset_t blocked, waiting;
    struct sigaction action = {.sa_handler = on_signal};
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GMainLoop) loop = g_main_loop_new(context, FALSE);
    g_autoptr(GError) error = NULL;
    struct control *control = NULL;
    GThread *thread = NULL;

    /* Signals arrive during ppoll() only, so that none is missed between the check and the wait. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &waiting);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (socket && !(control = control_new(socket, context, request_run, w, &error)))
        return fail(error->message);
    if (control)
        thread = g_thread_new("control", serve_requests, loop);
    /* A cable does not wait for a core. Where that is not allowed it has to, and missed_a and
     * missed_b tell. */
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    gboolean good = carry_until_ended(w, &waiting, &error);
    if (control) {
        g_main_loop_quit(loop);
        g_thread_join(thread);
        control_free(control);
    }
    return good ? EXIT_SUCCESS : fail(error->message);
}

int main(int argc, char **argv)
{
    struct link_settings both = {.queue = 1000};
    int queue = 1000;
    gint64 seed = 0;
    g_autofree char *socket = NULL;
    const GOptionEntry entries[] = {
        {"delay", 'd', 0, G_OPTION_ARG_DOUBLE, &both.delay_ms, "Delay of each way", "MS"},
        {"loss", 'l', 0, G_OPTION_ARG_DOUBLE, &both.loss, "Frames lost by chance", "PERCENT"},
        {"rate", 'r', 0, G_OPTION_ARG_DOUBLE, &both.rate_mbit, "Rate of each way (0: unlimited)",
         "MBIT"},
        {"queue", 'q', 0, G_OPTION_ARG_INT, &queue, "Frames that wait for the sender (1000)",
         "FRAMES"},
        {"seed", 's', 0, G_OPTION_ARG_INT64, &seed, "Loses the same frames each time", "NUMBER"},
        {"control", 'c', 0, G_OPTION_ARG_FILENAME, &socket, "Serve requests on this UNIX socket",
         "PATH"},
        {0}};
    g_autoptr(GOptionContext) context = g_option_context_new("IFACE_A IFACE_B | ctl PATH JSON");
    g_autoptr(GError) error = NULL;
    struct wire w = {0};

    setlocale(LC_ALL, "");
    seed = g_get_monotonic_time();
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error))
        return fail(error->message);
    if (argc == 4 && strcmp(argv[1], "ctl") == 0)
        return control_main("wire", argv[2], argv[3]);
    if (argc != 3)
        return fail("name the two interfaces to connect; see wire --help");
    both.queue = (guint)MAX(queue, 0);
    if (!request_settings_valid(&both, &error))
        return fail(error->message);
    g_mutex_init(&w.lock);
    int status = EXIT_FAILURE;
    if ((w.port[0] = port_open(argv[1], &error)) && (w.port[1] = port_open(argv[2], &error))) {
        for (int d = 0; d < 2; d++)
            w.link[d] = link_new(&both, (guint64)seed * 2 + (guint64)d);
        status = run(&w, socket);
    } else {
        fail(error->message);
    }
    for (int d = 0; d < 2; d++) {
        g_clear_pointer(&w.port[d], port_close);
        g_clear_pointer(&w.link[d], link_free);
    }
    return status;
}
