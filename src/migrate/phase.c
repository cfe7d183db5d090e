/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Phases and their legal order; see phase.h for the picture this table is of. */
#include "migrate/phase.h"

#include <string.h>

#define TO(p) (1u << PHASE_##p)
#define OUT   (TO(FAILED) | TO(CANCELLED))

static const struct {
    const char *name;
    guint next;
    gboolean may_cancel;
} table[] = {
    [PHASE_QUEUED] = {"queued", TO(COMPARING) | TO(LANDING) | OUT, TRUE},
    [PHASE_COMPARING] = {"comparing", TO(QUEUED) | TO(LANDING) | OUT, TRUE},
    [PHASE_LANDING] = {"landing", TO(QUEUED) | TO(MIRRORING) | OUT, TRUE},
    /* A VM without disks to copy goes straight to its memory. Back: the target's libvirt refused. */
    [PHASE_MIRRORING] = {"mirroring", TO(LANDING) | TO(SYNCHRONIZING) | OUT, TRUE},
    [PHASE_SYNCHRONIZING] = {"synchronizing", TO(SWITCHING) | OUT, TRUE},
    [PHASE_SWITCHING] = {"switching", TO(COMMITTING) | OUT, TRUE},
    [PHASE_COMMITTING] = {"committing", TO(CLEANING) | TO(FAILED), FALSE},
    [PHASE_CLEANING] = {"cleaning", TO(COMPLETED) | TO(FAILED), FALSE},
    [PHASE_COMPLETED] = {"completed", 0, FALSE},
    [PHASE_FAILED] = {"failed", 0, FALSE},
    [PHASE_CANCELLED] = {"cancelled", 0, FALSE},
};
G_STATIC_ASSERT(G_N_ELEMENTS(table) == PHASES);

const char *phase_name(phase p)
{
    return table[p].name;
}

gboolean phase_from_name(const char *name, phase *p)
{
    for (guint i = 0; i < PHASES; i++)
        if (!strcmp(name, table[i].name)) {
            *p = (phase)i;
            return TRUE;
        }
    return FALSE;
}

gboolean phase_may_follow(phase from, phase to)
{
    return (table[from].next & 1u << to) != 0;
}

gboolean phase_is_final(phase p)
{
    return table[p].next == 0;
}

gboolean phase_may_cancel(phase p)
{
    return table[p].may_cancel;
}
