/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dividing this host's bandwidth; see shares.h. */
#include "daemon/shares.h"

#include "base/log.h"
#include "base/rate.h"
#include "migrate/budget.h"

#define LOG_AREA "shares"

typedef struct {
    const char *id; /* the table's */
    guint64 own, peer_share, share, claim;
} party;

typedef struct {
    ferryd *owner;
    GArray *parties;
} gathering;

static guint64 limit_in(JsonObject *limits, const char *member)
{
    gint64 bytes;

    return limits && json_opt_int(limits, member, 0, (gint64)RATE_MAX, &bytes, 0, NULL)
               ? (guint64)bytes
               : 0;
}

/* Queued ones send nothing yet, those that clean up nothing more. */
static void gather(const char *id, phase now, JsonObject *status, gpointer user)
{
    gathering *all = user;
    JsonObject *limits = NULL;
    party p = {.id = id};

    if (now < PHASE_COMPARING || now > PHASE_COMMITTING || !workers_has(all->owner->crew, id))
        return;
    (void)json_get_object(status, "limits", &limits, NULL);
    p.own = limit_in(limits, "bandwidth");
    p.peer_share = limit_in(limits, "peer_share");
    p.share = limit_in(limits, "share");
    p.claim = limit_in(limits, "claim");
    g_array_append_val(all->parties, p);
}

static void tell(ferryd *self, const party *p, guint64 share, guint64 claim)
{
    g_autoptr(JsonObject) message = NULL;
    g_autofree char *text = NULL;

    if (p->share == share && p->claim == claim)
        return;
    message = json_object_new();
    json_object_set_string_member(message, "op", "limits");
    json_object_set_int_member(message, "share", (gint64)share);
    json_object_set_int_member(message, "claim", (gint64)claim);
    text = rate_text(share);
    /* One that is just being started is told when it has said its first word. */
    if (workers_send(self->crew, p->id, message, -1, NULL))
        log_debug("%.8s: of this host's bandwidth it has %s", p->id, text);
}

void shares_update(ferryd *self)
{
    g_autoptr(GArray) parties = g_array_new(FALSE, FALSE, sizeof(party));
    gathering all = {self, parties};
    g_autofree guint64 *wants = NULL, *shares = NULL, *claims = NULL;
    guint count;

    moves_each(self->known, gather, &all);
    count = parties->len;
    wants = g_new0(guint64, count);
    shares = g_new0(guint64, count);
    claims = g_new0(guint64, count);
    /* What a move could have if its target had no limit is what the target is told: were it told what is left
     * by its own share, neither could ever grow again. */
    for (guint i = 0; i < count; i++)
        wants[i] = g_array_index(parties, party, i).own;
    budget_divide(self->conf->bandwidth, wants, count, claims);
    for (guint i = 0; i < count; i++)
        wants[i] = budget_least(wants[i], g_array_index(parties, party, i).peer_share);
    budget_divide(self->conf->bandwidth, wants, count, shares);
    for (guint i = 0; i < count; i++)
        tell(self, &g_array_index(parties, party, i), shares[i], claims[i]);
}
