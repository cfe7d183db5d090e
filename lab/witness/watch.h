/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The VMs a witness knows: receives their reports, probes their addresses, keeps figures and judges. */
#pragma once

#include "figures.h"
#include "judge.h"

#include <gio/gio.h>

#define WATCH_VMS 64
#define WATCH_ADDRESSES (FIGURES_SERIES / 2)
#define WATCH_WINDOWS 16
#define WATCH_HOSTS 16
#define WATCH_ALL "all" /* the window that is always open */

/* Probes go out every WATCH_FAST_MS and every WATCH_SLOW_MS; one not answered within WATCH_LOST_MS is
 * lost, as a ping would be. */
#define WATCH_FAST_MS 10
#define WATCH_SLOW_MS 1000
#define WATCH_LOST_MS 1000

#define WATCH_IN_FLIGHT 256 /* > WATCH_LOST_MS / WATCH_FAST_MS */

struct watch_host {
    guint8 tos; /* as the top-of-rack switch marks what comes from this host */
    const char *name; /* interned */
};

struct watch_series {
    GInetSocketAddress *to;
    char *address;
    guint interval_ms;
    guint32 id;
    guint64 next;    /* number of the next probe */
    guint64 settled; /* all before this number are answered or lost */
    gint64 next_us, sent_us, answered_us; /* when the next is due, the last was sent, and answered; 0: never */
    gint64 in_flight_us[WATCH_IN_FLIGHT]; /* when number n % WATCH_IN_FLIGHT was sent; 0: answered */
};

struct watch_vm {
    char *name;
    struct judge *judge;
    gint64 heard_us, record_us; /* last report, last acknowledged record; 0: none */
    const char *host;           /* where the last believed report came from; NULL: none */
    guint64 boot, seq, busy_us; /* as last told */
    guint n_series;
    struct watch_series series[FIGURES_SERIES];
    struct figures figures[1 + WATCH_WINDOWS]; /* [0] is WATCH_ALL */
};

struct watch {
    GSocket *socket;
    gint64 start_us, now_us;
    guint n_hosts;
    struct watch_host hosts[WATCH_HOSTS];
    guint n_windows;
    char *windows[1 + WATCH_WINDOWS];
    gboolean ended[1 + WATCH_WINDOWS];
    guint32 last_id;
    guint64 refused; /* datagrams that were no report, or of one VM too many */
    GPtrArray *vms;  /* struct watch_vm */
    guint socket_source, tick_source;
    int tick_fd;
};

/* Listens on ADDRESS and runs in the caller's default main context from now on. */
struct watch *watch_new(GInetSocketAddress *address, const struct watch_host *hosts, guint n_hosts,
                        GError **error);
void watch_free(struct watch *watch);

/* Probes ADDRESSES (IPv4, NULL-terminated) of VM from now on, instead of those before. */
gboolean watch_probe(struct watch *watch, const char *vm, const char *const *addresses,
                     GError **error);

/* Forgets all about VM; it begins anew when it is heard again. */
void watch_forget(struct watch *watch, const char *vm);

struct watch_vm *watch_find(struct watch *watch, const char *vm); /* NULL: not known */

/* Windows are stretches of time with figures of their own. Beginning one again starts it anew. */
gboolean watch_begin(struct watch *watch, const char *window, GError **error);
gboolean watch_end(struct watch *watch, const char *window, GError **error);

/* Brings silences that still last up to date; call it before figures are read. */
void watch_settle(struct watch *watch);
