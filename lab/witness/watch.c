/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The VMs a witness knows, and their reports. Probes are in probe.c. */
#include "watch.h"
#include "probe.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void vm_free(gpointer data)
{
    struct watch_vm *vm = data;
    probe_clear(vm);
    judge_free(vm->judge);
    g_free(vm->name);
    g_free(vm);
}

struct watch_vm *watch_find(struct watch *w, const char *name)
{
    for (guint i = 0; i < w->vms->len; i++) {
        struct watch_vm *vm = g_ptr_array_index(w->vms, i);
        if (strcmp(vm->name, name) == 0)
            return vm;
    }
    return NULL;
}

static struct watch_vm *find_or_add(struct watch *w, const char *name)
{
    struct watch_vm *vm = watch_find(w, name);

    if (vm || w->vms->len == WATCH_VMS)
        return vm;
    vm = g_new0(struct watch_vm, 1);
    vm->name = g_strdup(name);
    vm->judge = judge_new(name);
    for (guint i = 0; i < w->n_windows; i++) {
        vm->figures[i].begin_us = w->now_us;
        vm->figures[i].end_us = w->ended[i] ? w->now_us : 0;
    }
    g_ptr_array_add(w->vms, vm);
    return vm;
}

/* The lowest two bits are congestion marks, which any hop may change. */
static const char *host_name(const struct watch *w, guint8 tos)
{
    char name[16];

    for (guint i = 0; i < w->n_hosts; i++)
        if ((w->hosts[i].tos & 0xfc) == (tos & 0xfc))
            return w->hosts[i].name;
    g_snprintf(name, sizeof name, "tos-0x%02x", tos & 0xfc);
    return g_intern_string(name);
}

static void hear_write(struct watch *w, struct watch_vm *vm, const struct report *r)
{
    for (guint i = 0; i < w->n_windows; i++) {
        struct figures *f = &vm->figures[i];
        if (!figures_covers(f, w->now_us))
            continue;
        if (r->kind == REPORT_FAILED) {
            f->failed++;
            continue;
        }
        figures_write(f, r->latency_us);
        if (vm->record_us)
            figures_silent(f, &f->reports, vm->record_us, w->now_us);
    }
    if (r->kind == REPORT_RECORD)
        vm->record_us = w->now_us;
}

static void hear(struct watch *w, const struct report *r, const char *host)
{
    struct watch_vm *vm = find_or_add(w, r->vm);

    if (!vm) {
        w->refused++;
        return;
    }
    if (!judge_hear(vm->judge, r, host, w->now_us))
        return;
    vm->heard_us = w->now_us;
    vm->host = host;
    vm->boot = r->boot;
    if (r->kind == REPORT_BEAT)
        vm->busy_us = r->latency_us;
    if (r->kind != REPORT_ECHO)
        vm->seq = MAX(vm->seq, r->seq);
    if (r->kind == REPORT_RECORD || r->kind == REPORT_FAILED)
        hear_write(w, vm, r);
    if (r->kind == REPORT_ECHO)
        probe_answered(w, vm, r->series, r->number);
}

/* When the datagram came in: the kernel knows better than a process that waits for its turn. */
static gint64 arrival(const struct timespec *stamp)
{
    gint64 age = g_get_real_time() - (stamp->tv_sec * G_USEC_PER_SEC + stamp->tv_nsec / 1000);
    return g_get_monotonic_time() - CLAMP(age, 0, 10 * G_USEC_PER_SEC);
}

/* Hears what has come in by now; as a stream of datagrams may not end, up to a limit. */
static void hear_all(struct watch *w)
{
    int fd = g_socket_get_fd(w->socket);

    for (int i = 0; i < 16384; i++) {
        union {
            struct cmsghdr align;
            char bytes[256];
        } control;
        struct report r;
        struct iovec part = {&r, sizeof r};
        struct msghdr m = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        guint8 tos = 0;
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0)
            break;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
                tos = *CMSG_DATA(c);
            } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                struct timespec stamp;
                memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
                w->now_us = MAX(w->now_us, arrival(&stamp));
            }
        }
        if (report_valid(&r, (gsize)n))
            hear(w, &r, host_name(w, tos));
        else
            w->refused++;
    }
}

static gboolean receive(gint fd, GIOCondition condition, gpointer user)
{
    hear_all(user);
    return G_SOURCE_CONTINUE;
}

static gboolean tick(gint fd, GIOCondition condition, gpointer user)
{
    struct watch *w = user;
    guint64 missed;

    if (read(fd, &missed, sizeof missed) == sizeof missed) {
        hear_all(w);
        w->now_us = MAX(w->now_us, g_get_monotonic_time());
        for (guint i = 0; i < w->vms->len; i++)
            probe_send(w, g_ptr_array_index(w->vms, i));
    }
    return G_SOURCE_CONTINUE;
}

struct watch *watch_new(GInetSocketAddress *address, const struct watch_host *hosts, guint n_hosts,
                        GError **error)
{
    struct itimerspec every = {.it_interval.tv_nsec = WATCH_FAST_MS * 1000000,
                               .it_value.tv_nsec = 1};
    int on = 1, bytes = 4 << 20;
    g_autoptr(GSocket) s =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, error);

    if (!s || !g_socket_bind(s, G_SOCKET_ADDRESS(address), FALSE, error))
        return NULL;
    int fd = g_socket_get_fd(s);
    /* A probe that cannot leave, as while the guest's address is not resolved, must not hold up
     * others. */
    g_socket_set_blocking(s, FALSE);
    /* Not hearing a report for want of room would look like a gap; as much as the system allows. */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    int tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0 || tick_fd < 0 ||
        timerfd_settime(tick_fd, 0, &every, NULL) < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot prepare to listen: %s",
                    g_strerror(errno));
        return NULL;
    }
    struct watch *w = g_new0(struct watch, 1);
    w->socket = g_steal_pointer(&s);
    w->start_us = w->now_us = g_get_monotonic_time();
    memcpy(w->hosts, hosts, n_hosts * sizeof *hosts);
    w->n_hosts = n_hosts;
    w->windows[w->n_windows++] = g_strdup(WATCH_ALL);
    w->vms = g_ptr_array_new_with_free_func(vm_free);
    w->tick_fd = tick_fd;
    w->socket_source = g_unix_fd_add(fd, G_IO_IN, receive, w);
    w->tick_source = g_unix_fd_add(tick_fd, G_IO_IN, tick, w);
    return w;
}

void watch_free(struct watch *w)
{
    g_source_remove(w->socket_source);
    g_source_remove(w->tick_source);
    close(w->tick_fd);
    g_object_unref(w->socket);
    g_ptr_array_unref(w->vms);
    for (guint i = 0; i < w->n_windows; i++)
        g_free(w->windows[i]);
    g_free(w);
}

gboolean watch_probe(struct watch *w, const char *name, const char *const *addresses,
                     GError **error)
{
    char padded[REPORT_NAME] = "";

    g_strlcpy(padded, name, sizeof padded);
    if (strlen(name) >= sizeof padded || !report_name_valid(padded)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'%s' is no VM name; use up to %d letters, digits, '-', '_' and '.'", name,
                    REPORT_NAME - 1);
        return FALSE;
    }
    struct watch_vm *vm = find_or_add(w, name);
    if (!vm) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                    "%d VMs are watched already; forget one of them first", WATCH_VMS);
        return FALSE;
    }
    return probe_set(w, vm, addresses, error);
}

void watch_forget(struct watch *w, const char *name)
{
    struct watch_vm *vm = watch_find(w, name);
    if (vm)
        g_ptr_array_remove(w->vms, vm);
}

static guint find_window(const struct watch *w, const char *name)
{
    guint i = 0;
    while (i < w->n_windows && strcmp(w->windows[i], name) != 0)
        i++;
    return i;
}

gboolean watch_begin(struct watch *w, const char *name, GError **error)
{
    guint window = find_window(w, name);

    if (window == 0 || window > WATCH_WINDOWS || !*name || strlen(name) > 64) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "cannot begin window '%s': use another name than '%s', at most 64 characters "
                    "long, and at most %d windows",
                    name, WATCH_ALL, WATCH_WINDOWS);
        return FALSE;
    }
    if (window == w->n_windows)
        w->windows[w->n_windows++] = g_strdup(name);
    w->ended[window] = FALSE;
    w->now_us = MAX(w->now_us, g_get_monotonic_time());
    for (guint i = 0; i < w->vms->len; i++) {
        struct watch_vm *vm = g_ptr_array_index(w->vms, i);
        memset(&vm->figures[window], 0, sizeof vm->figures[window]);
        vm->figures[window].begin_us = w->now_us;
    }
    return TRUE;
}

gboolean watch_end(struct watch *w, const char *name, GError **error)
{
    guint window = find_window(w, name);

    if (window == 0 || window == w->n_windows) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "there is no window '%s' to end; begin it first", name);
        return FALSE;
    }
    watch_settle(w);
    w->ended[window] = TRUE;
    for (guint i = 0; i < w->vms->len; i++) {
        struct watch_vm *vm = g_ptr_array_index(w->vms, i);
        if (vm->figures[window].end_us == 0)
            vm->figures[window].end_us = w->now_us;
    }
    return TRUE;
}

void watch_settle(struct watch *w)
{
    hear_all(w);
    w->now_us = MAX(w->now_us, g_get_monotonic_time());
    for (guint v = 0; v < w->vms->len; v++) {
        struct watch_vm *vm = g_ptr_array_index(w->vms, v);
        probe_settle(w, vm);
        for (guint i = 0; i < w->n_windows && vm->record_us; i++)
            figures_silent(&vm->figures[i], &vm->figures[i].reports, vm->record_us, w->now_us);
    }
}
