/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two sessions in one process, source and target, over real TLS on loopback TCP; what their owners
 * are told is recorded and can be waited for. Channels can be cut after a random number of bytes.
 * Nothing here sleeps; waiting for something that does not come aborts the test. */
#pragma once
#include "relay/session.h"

typedef struct {
    unsigned channels;
    int link_timeout_ms; /* 0: a minute */
    int silence_ms;      /* 0: as usual */
    /* Every connection is cut after a number of bytes between these two, that `seed` decides; 0:
     * never. */
    gint32 cut_min, cut_max;
    guint32 seed;
    gboolean wired;                  /* so that pair_cut_all can cut them; implied by cut_max */
    gboolean raw_source, raw_target; /* this side is no session: see pair_raw_source */
} pair_setup;

typedef struct pair pair;
typedef struct {
    pair *owner;
    session *session;
    /* With pair_lock held: */
    GPtrArray *controls; /* of char *, in the order they came */
    GError *failure;
    unsigned alive, opened[STREAM_KINDS];
} pair_side;

struct pair {
    pair_side source, target;
    char *directory; /* for sockets */
    /* With pair_lock held: */
    gboolean refuse; /* dialling fails */
    gboolean strand; /* dialling leads elsewhere: no channel gets home */
    gboolean hold;   /* wires are silent, in both directions */
    unsigned dialled, scouted, cuts;
};

pair *pair_new(const pair_setup *setup);
/* Frees both sessions (those that still are) and everything else. */
void pair_free(pair *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(pair, pair_free)

void pair_lock(pair *self);
void pair_unlock(pair *self);
/* Holds the lock while it evaluates the condition and goes on when it is true. */
#define pair_wait(self, condition)                                                                 \
    do {                                                                                           \
        pair_lock(self);                                                                           \
        while (!(condition))                                                                       \
            pair_wait_change(self, #condition);                                                    \
        pair_unlock(self);                                                                         \
    } while (0)
void pair_wait_change(pair *self, const char *what);
/* Makes all waiters look again; for what the test itself changes under the lock. */
void pair_wake(pair *self);

/* Frees one side's session now. */
void pair_drop(pair_side *side);
/* Breaks every wired connection there is. */
void pair_cut_all(pair *self);
void pair_set_refuse(pair *self, gboolean refuse);
void pair_set_strand(pair *self, gboolean strand);
/* Wires that are there carry nothing any more, and tell nobody; new ones neither, as long as it
 * holds. */
void pair_set_hold(pair *self, gboolean hold);
/* Hostile peers: a channel whose other end is the target session, and one whose other end the
 * source session has dialled. The caller frees them. */
channel *pair_raw_source(pair *self, unsigned index);
channel *pair_raw_target(pair *self);
/* Offers and listens for streams of a kind: *from is where the source listens, *to what the target
 * connects to. */
void pair_offer(pair *self, stream_kind kind, unsigned most, const char **from, const char **to);
int pair_connect_to(const char *path);
int pair_listen_at(const char *path);
/* A connection to `from`, carried through the session to `listener`: both its ends. */
void pair_join_ends(const char *from, int listener, int *near, int *far);
/* The path of a socket in the pair's directory; freed with the pair. */
const char *pair_path(pair *self, const char *name);
