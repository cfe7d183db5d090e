/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A gate: how many connections may be open at once, in all and from one address. What is refused is
 * logged, but never more than one line a minute: a log must not fill because somebody knocks. One
 * thread. */
#pragma once
#include <gio/gio.h>

typedef struct gate gate;

/* `what` names the connections in the log ("control"). */
gate *gate_new(const char *what, guint total, guint each);
gate *gate_ref(gate *self);
void gate_unref(gate *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gate, gate_unref)

/* One more from `who`, an address as text? */
gboolean gate_enter(gate *self, const char *who);
void gate_leave(gate *self, const char *who);
guint gate_inside(const gate *self);
/* May a line about an unwelcome connection be logged now? */
gboolean gate_may_log(gate *self);

/* The address a connection comes from, without its port; "local" for a UNIX socket. Caller frees.
 */
char *gate_who(GSocketAddress *remote);
