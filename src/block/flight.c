/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests and messages under way; see flight.h. */
#include "block/flight.h"

/* The lower bits of an id are its slot, the upper ones are other each time the slot is used. */
#define SLOT(id) ((id) % FLIGHT_MOST)

struct flight_request {
    flight_result result;
    unsigned open;           /* messages, and one more until it is sealed */
    flight_request *claimer; /* it is one of its messages */
};

typedef enum { FREE, SENT, KNOWN, ASKED } slot_state;

typedef struct {
    slot_state state;
    uint32_t id; /* the last one here, or the slot's number */
    flight_request *request;
    op message;    /* KNOWN, ASKED */
    gpointer kept; /* the same */
} slot;

struct flight {
    GDestroyNotify drop;
    unsigned used, kept;
    unsigned free[FLIGHT_MOST]; /* a stack of free slots: from `used` on */
    slot slot[FLIGHT_MOST];
};

flight *flight_new(GDestroyNotify drop)
{
    flight *self = g_new0(flight, 1);

    self->drop = drop;
    for (unsigned i = 0; i < FLIGHT_MOST; i++)
        self->free[i] = self->slot[i].id = i;
    return self;
}

/* The request's message, or its sealing, is over. */
static gboolean close_one(flight_request *request, flight_result *result)
{
    flight_request *claimer;

    if (--request->open > 0)
        return FALSE;
    *result = request->result;
    claimer = request->claimer;
    g_free(request);
    if (!claimer)
        return TRUE;
    if (!claimer->result.errnum)
        claimer->result.errnum = result->errnum;
    return close_one(claimer, result);
}

static void empty(flight *self, slot *s)
{
    if (s->state > SENT)
        self->kept--;
    if (s->kept)
        self->drop(g_steal_pointer(&s->kept));
    s->state = FREE;
    s->request = NULL;
    self->free[--self->used] = SLOT(s->id);
}

void flight_free(flight *self)
{
    flight_result unheard;

    for (unsigned i = 0; i < FLIGHT_MOST; i++) {
        slot *s = &self->slot[i];
        if (s->state == FREE)
            continue;
        (void)close_one(s->request, &unheard);
        empty(self, s);
    }
    g_free(self);
}

gboolean flight_has_room(const flight *self, unsigned messages)
{
    return self->used + messages <= FLIGHT_MOST;
}

unsigned flight_kept(const flight *self)
{
    return self->kept;
}

gboolean flight_is_empty(const flight *self)
{
    return self->used == 0;
}

flight_request *flight_begin(flight *self, uint64_t cookie)
{
    flight_request *request = g_new0(flight_request, 1);

    request->result.cookie = cookie;
    request->open = 1;
    return request;
}

flight_request *flight_begin_ahead(flight *self, uint64_t cookie)
{
    flight_request *request = flight_begin(self, cookie);

    request->result.ahead = TRUE;
    return request;
}

void flight_claim(flight_request *ahead, flight_request *request)
{
    g_assert(ahead->result.ahead && !ahead->claimer && !request->result.ahead);
    ahead->claimer = request;
    request->open++;
}

void flight_add(flight *self, flight_request *request, op *message, gpointer kept)
{
    slot *s;

    g_assert(flight_has_room(self, 1));
    s = &self->slot[self->free[self->used++]];
    s->id += FLIGHT_MOST;
    message->id = s->id;
    s->state = kept ? KNOWN : SENT;
    s->request = request;
    s->message = *message;
    s->kept = kept;
    self->kept += kept != NULL;
    request->open++;
}

gboolean flight_seal(flight *self, flight_request *request, flight_result *result)
{
    return close_one(request, result);
}

static slot *find(flight *self, uint32_t id, GError **error)
{
    slot *s = &self->slot[SLOT(id)];

    if (s->state != FREE && s->id == id)
        return s;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "disk message %u is not under way", id);
    return NULL;
}

gboolean flight_done(flight *self, uint32_t id, uint32_t errnum, gboolean *over,
                     flight_result *result, GError **error)
{
    slot *s = find(self, id, error);
    flight_request *request;

    if (!s)
        return FALSE;
    if (s->state == ASKED) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "disk message %u was done before it came again", id);
        return FALSE;
    }
    request = s->request;
    if (!request->result.errnum)
        request->result.errnum = errnum;
    empty(self, s);
    *over = close_one(request, result);
    return TRUE;
}

gboolean flight_need(flight *self, uint32_t id, GError **error)
{
    slot *s = find(self, id, error);

    if (!s)
        return FALSE;
    if (s->state != KNOWN) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "disk message %u was asked for, but it came whole", id);
        return FALSE;
    }
    s->state = ASKED;
    return TRUE;
}

gpointer flight_answer(flight *self, uint32_t id, op *message)
{
    slot *s = &self->slot[SLOT(id)];

    g_assert(s->state == ASKED && s->id == id);
    *message = s->message;
    s->state = SENT;
    self->kept--;
    return g_steal_pointer(&s->kept);
}
