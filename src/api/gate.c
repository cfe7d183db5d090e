/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counting connections; see gate.h. */
#include "api/gate.h"

#include "base/log.h"

#define LOG_AREA   "gate"
#define LOG_PERIOD (60 * G_USEC_PER_SEC)
#define LOG_BURST  5

struct gate {
    guint references;
    char *what;
    guint total, each, inside;
    GHashTable *counts; /* address -> connections from there */
    gint64 period;      /* when this period of logging began, monotonic */
    guint logged, dropped;
};

gate *gate_new(const char *what, guint total, guint each)
{
    gate *self = g_new0(gate, 1);

    self->references = 1;
    self->what = g_strdup(what);
    self->total = total;
    self->each = each;
    self->counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return self;
}

gate *gate_ref(gate *self)
{
    self->references++;
    return self;
}

void gate_unref(gate *self)
{
    if (!self || --self->references > 0)
        return;
    g_hash_table_unref(self->counts);
    g_free(self->what);
    g_free(self);
}

gboolean gate_may_log(gate *self)
{
    gint64 now = g_get_monotonic_time();

    if (!self->period || now - self->period > LOG_PERIOD) {
        if (self->dropped)
            log_warning("%s: %u more lines like these were left out", self->what, self->dropped);
        self->period = now;
        self->logged = self->dropped = 0;
    }
    if (self->logged++ < LOG_BURST)
        return TRUE;
    self->dropped++;
    return FALSE;
}

gboolean gate_enter(gate *self, const char *who)
{
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(self->counts, who));

    if (self->inside >= self->total || count >= self->each) {
        if (gate_may_log(self))
            log_warning("%s: a connection from %s was closed: %u are open, %u of them from there",
                        self->what, who, self->inside, count);
        return FALSE;
    }
    self->inside++;
    g_hash_table_replace(self->counts, g_strdup(who), GUINT_TO_POINTER(count + 1));
    return TRUE;
}

void gate_leave(gate *self, const char *who)
{
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(self->counts, who));

    g_return_if_fail(count > 0);
    self->inside--;
    if (count == 1)
        g_hash_table_remove(self->counts, who);
    else
        g_hash_table_replace(self->counts, g_strdup(who), GUINT_TO_POINTER(count - 1));
}

guint gate_inside(const gate *self)
{
    return self->inside;
}

char *gate_who(GSocketAddress *remote)
{
    if (!G_IS_INET_SOCKET_ADDRESS(remote))
        return g_strdup("local");
    return g_inet_address_to_string(
        g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(remote)));
}
