/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the target's side share; see target.h for who does what. */
#pragma once
#include "migrate/target.h"
#include "block/seeds.h"
#include "relay/permit.h"
#include "relay/sink.h"

struct target {
    const job *work;
    const char *peer;
    landing_request *asked;
    status *status;

    /* Set by the running thread before the session exists; read-only for all others afterwards. */
    virt_host *host;
    plan *made;
    permit *allowed; /* used in the rpc stream's thread, and after the session has ended */
    rpc_judge judge;
    sink *intake; /* of the disks' streams; NULL: there are none */
    session *session;
    gboolean prepared; /* the disks are ours */
    gboolean recovering;
    gboolean given_back; /* accepted, and refused after all, because the source took it back; the running thread's */
    seeds *held; /* what this host holds already; set before the session exists, freed after it */

    GMutex lock; /* guards the rest; taken before the status's lock */
    GCond changed;
    gboolean landed;       /* there is a session that connections may be given to */
    gboolean arrived;      /* at least one channel has been up */
    gboolean begun;        /* libvirt has answered Prepare with success: QEMU waits here for the guest */
    gboolean loaded;       /* libvirt has answered Finish3 with success: the guest is here, paused */
    gboolean verified;     /* its disks are what was sent */
    gboolean session_over;
    gboolean spoiled;      /* a disk cannot be what it was at the source: the landing ends */
    gboolean done;         /* the source says it is tidy */
    gboolean settled;      /* accepted or refused: durable, and acted upon */
    gboolean accepted;
    char *token;           /* what came with the commit; NULL: none yet */
    peer_back back;        /* what the source said last of the guest */
    GPtrArray *asking;     /* of struct asking: who wants to know the decision */
    status_limits limits;  /* own and share; the rate is the source's to keep */
    guint64 told;          /* the share, as the source knows it */
    guint connecting;      /* threads doing TLS for a new connection */
};

/* Before the session is offered anything: what the disks' streams are written to. */
gboolean intake_open(target *self, const char *nbd_socket, GError **error);
/* Before the source hears that the guest is loaded: as intake_verify, but for reading back, which may take long. A refusal after
 * the give-up is as good as impossible then. On FALSE the source has been told. */
gboolean intake_loaded(target *self, GError **error);
/* The guest is loaded: is every disk, to the last write, what the source had (I4)? Waits for what is still on its way. FALSE also
 * sets the status's error. */
gboolean intake_verify(target *self, GError **error);

/* Decides: the token is here. Accepts if the guest is loaded and paused, and starts it; else refuses. Either is durable before
 * anybody is told. Returns whether the guest is ours. */
gboolean accept_commit(target *self);
/* Refuses for good: records it, destroys what was loaded, tells whoever asks. May be repeated. */
void accept_refuse(target *self, const char *why);
/* The source has asked for a guest that was accepted: answers it. TRUE: it did not run and is given back, durably. */
gboolean accept_give_back(target *self);
/* The guest is ours: makes sure it runs, makes its definition, and watches it until it has been seen running for long
 * enough. FALSE: it has died before, and the status's error says how. Tries for ever. */
gboolean accept_settle(target *self);

/* Unlocks after something guarded has changed, and wakes whoever waits for it. */
void target_leave_word(target *self);
/* callers.c: no new connections, and none still on its way in. */
void target_close_door(target *self);
/* Tells everybody who asked by target_commit. Without the lock held; settled is TRUE. */
void target_answer_asking(target *self);

/* abandon.c: nothing of a landing that failed stays, except the data that landed. May be repeated after a crash. */
void abandon_landing(target *self);

/* The end, either way: settles a guest that is ours, or tidies all but the landed data. */
void target_finish(target *self, gboolean ours);
