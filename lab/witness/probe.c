/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The probes of one watched VM. */
#include "probe.h"

#include <string.h>

void probe_clear(struct watch_vm *vm)
{
    for (guint i = 0; i < vm->n_series; i++) {
        g_clear_object(&vm->series[i].to);
        g_clear_pointer(&vm->series[i].address, g_free);
    }
    vm->n_series = 0;
}

static void add_series(struct watch *w, struct watch_vm *vm, const char *address, guint interval_ms)
{
    struct watch_series *s = &vm->series[vm->n_series];

    memset(s, 0, sizeof *s);
    for (guint i = 0; i < w->n_windows; i++)
        memset(&vm->figures[i].series[vm->n_series], 0, sizeof vm->figures[i].series[0]);
    s->to =
        G_INET_SOCKET_ADDRESS(g_inet_socket_address_new_from_string(address, REPORT_GUEST_PORT));
    s->address = g_strdup(address);
    s->interval_ms = interval_ms;
    s->id = ++w->last_id;
    s->next = s->settled = 1;
    vm->n_series++;
}

gboolean probe_set(struct watch *w, struct watch_vm *vm, const char *const *addresses,
                   GError **error)
{
    guint n = 0;

    for (; addresses[n]; n++) {
        g_autoptr(GInetAddress) a = g_inet_address_new_from_string(addresses[n]);
        if (!a || g_inet_address_get_family(a) != G_SOCKET_FAMILY_IPV4 || n == WATCH_ADDRESSES) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "cannot probe '%s': give up to %d IPv4 addresses", addresses[n],
                        WATCH_ADDRESSES);
            return FALSE;
        }
    }
    probe_clear(vm);
    for (guint i = 0; i < n; i++) {
        add_series(w, vm, addresses[i], WATCH_FAST_MS);
        add_series(w, vm, addresses[i], WATCH_SLOW_MS);
    }
    return TRUE;
}

/* A probe counts in the windows in which it was sent, whatever becomes of it and when. Before the
 * first answer ever nothing is lost: the guest is not up yet. */
static void count_lost(struct watch *w, struct watch_vm *vm, guint n)
{
    struct watch_series *s = &vm->series[n];

    for (; s->settled < s->next; s->settled++) {
        gint64 *sent_us = &s->in_flight_us[s->settled % WATCH_IN_FLIGHT];
        if (*sent_us && w->now_us - *sent_us <= WATCH_LOST_MS * 1000)
            return;
        for (guint i = 0; *sent_us && s->answered_us && i < w->n_windows; i++)
            vm->figures[i].series[n].lost += figures_covers(&vm->figures[i], *sent_us);
        *sent_us = 0;
    }
}

static void send_one(struct watch *w, struct watch_vm *vm, guint n)
{
    struct watch_series *s = &vm->series[n];
    struct probe p = {
        .magic = PROBE_MAGIC, .version = REPORT_VERSION, .series = s->id, .number = s->next};
    gint64 now = g_get_monotonic_time();

    report_seal(&p, sizeof p, &p.sum);
    /* What cannot be sent, as when the host is gone from the network, is as good as lost. */
    g_socket_send_to(w->socket, G_SOCKET_ADDRESS(s->to), (const char *)&p, sizeof p, NULL, NULL);
    for (guint i = 0; i < w->n_windows; i++) {
        struct figures *f = &vm->figures[i];
        if (!figures_covers(f, now))
            continue;
        f->series[n].sent++;
        if (s->sent_us >= f->begin_us)
            f->series[n].send_gap_us = MAX(f->series[n].send_gap_us, now - s->sent_us);
    }
    s->in_flight_us[s->next++ % WATCH_IN_FLIGHT] = now;
    s->sent_us = now;
}

void probe_send(struct watch *w, struct watch_vm *vm)
{
    for (guint n = 0; n < vm->n_series; n++) {
        struct watch_series *s = &vm->series[n];
        gint64 interval = s->interval_ms * 1000;
        count_lost(w, vm, n);
        /* The tick is as long as the short interval: allow it half a tick to be early. */
        if (w->now_us + WATCH_FAST_MS * 500 < s->next_us)
            continue;
        s->next_us =
            w->now_us - s->next_us > interval ? w->now_us + interval : s->next_us + interval;
        send_one(w, vm, n);
    }
}

void probe_answered(struct watch *w, struct watch_vm *vm, guint32 id, guint64 number)
{
    for (guint n = 0; n < vm->n_series; n++) {
        struct watch_series *s = &vm->series[n];
        if (s->id != id || number == 0 || number >= s->next)
            continue;
        for (guint i = 0; i < w->n_windows && s->answered_us; i++)
            figures_silent(&vm->figures[i], &vm->figures[i].series[n].silence, s->answered_us,
                           w->now_us);
        s->answered_us = w->now_us;
        gint64 *sent_us = &s->in_flight_us[number % WATCH_IN_FLIGHT];
        if (number < s->settled || !*sent_us)
            return; /* lost already, for us */
        for (guint i = 0; i < w->n_windows; i++)
            vm->figures[i].series[n].answered += figures_covers(&vm->figures[i], *sent_us);
        *sent_us = 0;
        return;
    }
}

void probe_settle(struct watch *w, struct watch_vm *vm)
{
    for (guint n = 0; n < vm->n_series; n++) {
        count_lost(w, vm, n);
        for (guint i = 0; i < w->n_windows && vm->series[n].answered_us; i++)
            figures_silent(&vm->figures[i], &vm->figures[i].series[n].silence,
                           vm->series[n].answered_us, w->now_us);
    }
}
