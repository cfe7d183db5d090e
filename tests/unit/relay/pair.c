/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two sessions in one process; see pair.h. */
#include "pair.h"
#include "base/fdio.h"
#include "certs.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_S 100

typedef struct { /* one connection, cut after `budget` bytes */
    struct inner *owner;
    int ends[2];
    gint64 budget; /* G_MAXINT64: never by itself */
    pthread_t thread;
} wire;

typedef struct inner {
    pair public;
    pair_setup setup;
    pki *source_pki, *target_pki;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int listener;
    uint16_t port;
    pthread_t acceptor;
    GRand *random;
    GPtrArray *wires, *paths;
    GQueue raw; /* of channel, the target's ends */
} inner;

void pair_lock(pair *self)
{
    pthread_mutex_lock(&((inner *)self)->lock);
}

void pair_unlock(pair *self)
{
    pthread_mutex_unlock(&((inner *)self)->lock);
}

void pair_wait_change(pair *self, const char *what)
{
    inner *in = (inner *)self;
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_S;
    if (pthread_cond_timedwait(&in->changed, &in->lock, &until) != 0)
        g_error("waited too long for: %s (source alive %u, target alive %u)", what,
                self->source.alive, self->target.alive);
}

void pair_wake(pair *self)
{
    pthread_cond_broadcast(&((inner *)self)->changed);
}

const char *pair_path(pair *self, const char *name)
{
    char *path = g_build_filename(self->directory, name, NULL);

    pair_lock(self);
    g_ptr_array_add(((inner *)self)->paths, path);
    pair_unlock(self);
    return path;
}

/* What sessions tell. */

static void on_control(const char *message, size_t length, void *user)
{
    pair_side *side = user;

    g_assert_cmpuint(strlen(message), ==, length);
    pair_lock(side->owner);
    g_ptr_array_add(side->controls, g_strdup(message));
    pair_wake(side->owner);
    pair_unlock(side->owner);
}

static void on_channels(unsigned alive, const GError *error, void *user)
{
    pair_side *side = user;

    pair_lock(side->owner);
    side->alive = alive;
    pair_wake(side->owner);
    pair_unlock(side->owner);
}

static void on_stream(stream_kind kind, unsigned number, void *user)
{
    pair_side *side = user;

    pair_lock(side->owner);
    side->opened[kind]++;
    pair_wake(side->owner);
    pair_unlock(side->owner);
}

static void on_failed(const GError *error, void *user)
{
    pair_side *side = user;

    pair_lock(side->owner);
    g_assert_null(side->failure);
    side->failure = g_error_copy(error);
    pair_wake(side->owner);
    pair_unlock(side->owner);
}

/* Connections. */

static int dial_tcp(inner *self)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = self->port};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static void *wire_main(void *data)
{
    wire *self = data;
    char bytes[16 * 1024];
    gboolean going = TRUE;

    while (going && self->budget > 0) {
        struct pollfd waits[2] = {{self->ends[0], POLLIN, 0}, {self->ends[1], POLLIN, 0}};
        poll(waits, 2, -1);
        pair_wait(&self->owner->public, !self->owner->public.hold);
        for (int i = 0; i < 2 && going && self->budget > 0; i++) {
            ssize_t n = 0;
            if (!waits[i].revents)
                continue;
            n = recv(self->ends[i], bytes, (size_t)MIN((gint64)sizeof bytes, self->budget), 0);
            if (n > 0)
                self->budget -= n;
            going = n > 0 && fdio_write_full(self->ends[!i], bytes, (size_t)n, NULL);
        }
    }
    shutdown(self->ends[0], SHUT_RDWR);
    shutdown(self->ends[1], SHUT_RDWR);
    pair_lock(&self->owner->public);
    self->owner->public.cuts += going;
    pair_wake(&self->owner->public);
    pair_unlock(&self->owner->public);
    return NULL;
}

/* Puts a wire between the caller and the target; returns the caller's end. */
static int dial_wired(inner *self)
{
    wire *w = g_new0(wire, 1);
    int ends[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
    w->owner = self;
    w->ends[0] = ends[0];
    w->ends[1] = dial_tcp(self);
    w->budget = G_MAXINT64;
    pthread_mutex_lock(&self->lock);
    if (self->setup.cut_max > 0)
        w->budget = g_rand_int_range(self->random, self->setup.cut_min, self->setup.cut_max);
    g_assert_cmpint(pthread_create(&w->thread, NULL, wire_main, w), ==, 0);
    g_ptr_array_add(self->wires, w);
    pthread_mutex_unlock(&self->lock);
    return ends[1];
}

static channel *open_channel(inner *self, int fd, unsigned index, GError **error)
{
    uint8_t bytes[WIRE_PREAMBLE_SIZE];
    wire_preamble preamble = {.channel = (uint16_t)index};

    wire_put_preamble(bytes, &preamble);
    if (!fdio_write_full(fd, bytes, sizeof bytes, error)) {
        close(fd);
        return NULL;
    }
    return channel_client(self->source_pki, fd, "zulu", DEADLINE_S * 1000, error);
}

static channel *dial(unsigned index, gboolean home, gboolean *is_home, void *user, GError **error)
{
    pair_side *side = user;
    inner *self = (inner *)side->owner;
    gboolean refuse;

    pair_lock(side->owner);
    *is_home = !side->owner->strand;
    refuse = side->owner->refuse || (home && side->owner->strand);
    side->owner->dialled++;
    side->owner->scouted += home;
    pair_wake(side->owner);
    pair_unlock(side->owner);
    if (refuse) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_HOST_UNREACHABLE, "zulu: no route to host");
        return NULL;
    }
    return open_channel(self, self->setup.wired ? dial_wired(self) : dial_tcp(self), index, error);
}

channel *pair_raw_source(pair *self, unsigned index)
{
    inner *in = (inner *)self;
    g_autoptr(GError) error = NULL;
    channel *c = open_channel(in, dial_tcp(in), index, &error);

    g_assert_no_error(error);
    return c;
}

channel *pair_raw_target(pair *self)
{
    inner *in = (inner *)self;
    channel *c = NULL;

    pair_wait(self, (c = g_queue_pop_head(&in->raw)) != NULL);
    return c;
}

static void *accept_main(void *data)
{
    inner *self = data;

    for (;;) {
        int fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC);
        uint8_t bytes[WIRE_PREAMBLE_SIZE];
        wire_preamble preamble;
        g_autoptr(GError) error = NULL;
        channel *c;

        if (fd < 0)
            return NULL;
        if (!fdio_read_full(fd, bytes, sizeof bytes, NULL) ||
            !wire_get_preamble(bytes, &preamble, NULL)) {
            close(fd);
            continue;
        }
        c = channel_server(self->target_pki, fd, "alpha", DEADLINE_S * 1000, &error);
        if (!c)
            continue;
        pthread_mutex_lock(&self->lock);
        if (self->setup.raw_target)
            g_queue_push_tail(&self->raw, c);
        else if (self->public.target.session)
            session_add_channel(self->public.target.session, preamble.channel, c, NULL);
        else
            channel_free(c);
        pair_wake(&self->public);
        pthread_mutex_unlock(&self->lock);
    }
}

void pair_cut_all(pair *self)
{
    inner *in = (inner *)self;

    pair_lock(self);
    for (guint i = 0; i < in->wires->len; i++) {
        wire *w = in->wires->pdata[i];
        shutdown(w->ends[0], SHUT_RDWR);
        shutdown(w->ends[1], SHUT_RDWR);
    }
    pair_unlock(self);
}

void pair_set_refuse(pair *self, gboolean refuse)
{
    pair_lock(self);
    self->refuse = refuse;
    pair_unlock(self);
}

void pair_set_strand(pair *self, gboolean strand)
{
    pair_lock(self);
    self->strand = strand;
    pair_unlock(self);
}

void pair_set_hold(pair *self, gboolean hold)
{
    pair_lock(self);
    self->hold = hold;
    pair_wake(self);
    pair_unlock(self);
}

/* Local ends. */

void pair_offer(pair *self, stream_kind kind, unsigned most, const char **from, const char **to)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *from_name = g_strdup_printf("%s-in", stream_kind_name(kind));
    g_autofree char *to_name = g_strdup_printf("%s-out", stream_kind_name(kind));

    *from = pair_path(self, from_name);
    *to = pair_path(self, to_name);
    session_offer(self->target.session, kind, *to, most, NULL, NULL, &error);
    g_assert_no_error(error);
    session_listen(self->source.session, kind, *from, 0600, most, NULL, NULL, &error);
    g_assert_no_error(error);
}

int pair_connect_to(const char *path)
{
    g_autoptr(GError) error = NULL;
    int fd = fdio_unix_connect(path, SOCK_STREAM, &error);

    g_assert_no_error(error);
    return fd;
}

int pair_listen_at(const char *path)
{
    g_autoptr(GError) error = NULL;
    int fd = fdio_unix_listen(path, SOCK_STREAM, 0600, &error);

    g_assert_no_error(error);
    return fd;
}

void pair_join_ends(const char *from, int listener, int *near, int *far)
{
    *near = pair_connect_to(from);
    *far = accept(listener, NULL, NULL);
    g_assert_cmpint(*far, >=, 0);
}

/* Life. */

static void start_listening(inner *self)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(bind(self->listener, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(self->listener, 64), ==, 0);
    g_assert_cmpint(getsockname(self->listener, (struct sockaddr *)&address, &size), ==, 0);
    self->port = address.sin_port;
}

static void start_session(pair_side *side, pair *owner, session_role role, const pair_setup *setup)
{
    g_autoptr(GError) error = NULL;
    session_setup s = {.role = role,
                       .channels = setup->channels,
                       .link_timeout_ms = setup->link_timeout_ms,
                       .silence_ms = setup->silence_ms,
                       .dial = role == SESSION_SOURCE ? dial : NULL,
                       .on_control = on_control,
                       .on_channels = on_channels,
                       .on_stream = on_stream,
                       .on_failed = on_failed,
                       .user = side};

    if (s.link_timeout_ms == 0)
        s.link_timeout_ms = DEADLINE_S * 1000;
    side->owner = owner;
    side->controls = g_ptr_array_new_with_free_func(g_free);
    if (role == SESSION_SOURCE ? setup->raw_source : setup->raw_target)
        return;
    side->session = session_new(&s, &error);
    g_assert_no_error(error);
}

pair *pair_new(const pair_setup *setup)
{
    inner *self = g_new0(inner, 1);
    char *dir = certs_directory();

    signal(SIGPIPE, SIG_IGN); /* for what tests write themselves; sessions do not depend on it */
    self->setup = *setup;
    self->setup.wired |= setup->cut_max > 0;
    self->public.directory = dir;
    self->random = g_rand_new_with_seed(setup->seed);
    self->wires = g_ptr_array_new_with_free_func(g_free);
    self->paths = g_ptr_array_new_with_free_func(g_free);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    g_queue_init(&self->raw);
    certs_make(dir, "alpha", (certs_spec){.name = "alpha"});
    certs_make(dir, "zulu", (certs_spec){.name = "zulu"});
    self->source_pki = certs_load(dir, "alpha", NULL, NULL);
    self->target_pki = certs_load(dir, "zulu", NULL, NULL);
    certs_pin(self->source_pki, dir, "zulu", "zulu");
    certs_pin(self->target_pki, dir, "alpha", "alpha");
    start_listening(self);
    start_session(&self->public.target, &self->public, SESSION_TARGET, setup);
    g_assert_cmpint(pthread_create(&self->acceptor, NULL, accept_main, self), ==, 0);
    start_session(&self->public.source, &self->public, SESSION_SOURCE, setup);
    return &self->public;
}

void pair_drop(pair_side *side)
{
    session *s;

    pair_lock(side->owner);
    s = g_steal_pointer(&side->session);
    pair_unlock(side->owner);
    session_free(s);
}

static void free_side(pair_side *side)
{
    pair_drop(side);
    g_ptr_array_unref(side->controls);
    g_clear_error(&side->failure);
}

void pair_free(pair *self)
{
    inner *in = (inner *)self;

    pair_drop(&self->source);
    pair_cut_all(self);
    shutdown(in->listener, SHUT_RDWR);
    pthread_join(in->acceptor, NULL);
    for (guint i = 0; i < in->wires->len; i++) {
        wire *w = in->wires->pdata[i];
        pthread_join(w->thread, NULL);
        close(w->ends[0]);
        close(w->ends[1]);
    }
    free_side(&self->target);
    free_side(&self->source);
    g_queue_clear_full(&in->raw, (GDestroyNotify)channel_free);
    close(in->listener);
    g_ptr_array_unref(in->wires);
    g_ptr_array_unref(in->paths);
    g_rand_free(in->random);
    pki_free(in->source_pki);
    pki_free(in->target_pki);
    certs_remove(self->directory);
    pthread_cond_destroy(&in->changed);
    pthread_mutex_destroy(&in->lock);
    g_free(in);
}
