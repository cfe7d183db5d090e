/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Admission: a number of slots, and one queue in front of them. Who came first goes first.
 *
 * Two kinds stand in it: moves of this host, which stay until they are served, and moves of peers,
 * which ask again every second or so and are forgotten when they have not for a while. A slot is
 * kept free for the first in the queue as long as it is there. Pure: time is handed in (monotonic
 * µs). One thread.
 */
#pragma once
#include <glib.h>

typedef struct admission admission;

admission *admission_new(guint slots);
void admission_free(admission *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(admission, admission_free)
/* Fewer than are held: nobody is thrown out. */
void admission_set_slots(admission *self, guint slots);

/* Does `id` hold a slot, now or already? If not it is in the queue, at its old place if it was
 * there, with `*ahead` others before it (may be NULL). `patience`: forgotten after this many µs
 * without asking again; 0: never. */
gboolean admission_ask(admission *self, const char *id, gint64 patience, gint64 now, guint *ahead);
/* It holds one, whatever the limit: it was found running. */
void admission_take(admission *self, const char *id);
/* It gives its slot back, or leaves the queue. Unknown ids are fine. */
void admission_leave(admission *self, const char *id);

guint admission_slots(const admission *self);
guint admission_held(const admission *self);
guint admission_waiting(admission *self, gint64 now);
