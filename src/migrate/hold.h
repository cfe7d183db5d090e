/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hold: the disks are mirrored and the memory is at the target but for the last of it, and there the move stays, for
 * hours if need be, until the cutover (docs/design.md, "Hold and cutover"). The guest runs all the time: a valve in
 * the memory stream (relay/valve.h) keeps QEMU from coming to its end.
 *
 * hold_look is for the one thread that looks at the migration again and again, the rest for any; no lock of the
 * caller's may be held that `dry` takes.
 */
#pragma once
#include "migrate/request.h"
#include "migrate/status.h"
#include "migrate/together.h"
#include "relay/valve.h"
#include "virt/move.h"

typedef struct hold hold;

/* Borrows `shown`, which shows it from now on, and `group` (NULL: it switches over alone). `dry`: the valve has run dry, a look is due; see valve_new. */
hold *hold_new(status *shown, const request *asked, together *group, void (*dry)(void *user),
               void *user);
/* After the session's. */
void hold_free(hold *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(hold, hold_free)

/* For the codec of the memory stream; borrowed. */
valve *hold_valve(hold *self);
/* Can a guest with so much memory be held? */
gboolean hold_suits(guint64 memory, GError **error);

/* It shall switch over at this time (Unix, seconds), or now: 0. Before the hold is ready that is as soon as it would be
 * without one. FALSE: it does already, or with its group only. */
gboolean hold_cutover(hold *self, gint64 at);

/* How much has arrived: to be asked for before the progress that hold_look is told. */
guint64 hold_arrived(hold *self);
/* Lets pass what may pass, and everything once the time has come. `sending`: the memory stream is there. FALSE, once: the
 * cutover of its group was withdrawn. */
gboolean hold_look(hold *self, virt_domain *domain, gboolean sending, guint64 arrived,
                   const move_progress *progress, GError **error);
/* Everything is there, and it waits. */
gboolean hold_is_ready(hold *self);
/* A look is due at once: what passed last has been used up. */
gboolean hold_is_due(hold *self);
/* Is it held back still, or about to be? Then nothing need move. */
gboolean hold_holds(hold *self);
/* The migration has ended: nothing is held back any more. */
void hold_end(hold *self);
