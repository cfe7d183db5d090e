/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of an export, for export*.c only. Locks: `order` is held while a message goes out and
 * may block as long as the window is full, so only the threads that send take it; `lock` is for
 * bookkeeping and is taken inside it or alone. */
#pragma once
#include "block/flight.h"
#include "block/hints.h"
#include "block/nbd.h"
#include "relay/export.h"
#include "relay/shrink.h"

#include <pthread.h>

typedef struct {
    char *name, *what;
    char *path; /* of the image, for reading ahead; NULL: it cannot be read */
    gboolean qcow2;
    int taken; /* atomic: somebody has been served */
} export_disk;

/* What one sending thread needs: the reader, and the one that is ahead of it. */
typedef struct {
    shrink shrink;
    frame *spare; /* room for one whole block behind OP_HEADER */
    uint64_t plain, packed, packed_to, zeroes, known; /* bytes of content; of packed, as sent */
} export_hand;

typedef struct export_ahead export_ahead;

struct export_table {
    GArray *exports;  /* of nbd_export */
    GPtrArray *disks; /* of export_disk, the same ones */
    hints *known;
    gint64 far; /* µs of round trip; constant while it is served */
    pthread_mutex_t clock; /* guards these two; innermost */
    unsigned under_way;    /* requests, of all exports */
    gint64 moved_at;       /* monotonic µs: the first of them came, or something was done */
};

typedef struct {
    pump_codec codec;
    export_table *table;
    pump *io;         /* set by serve before anything is sent */
    const char *what; /* set when an export was chosen, these three */
    const export_disk *disk;
    uint64_t size;

    export_hand hand;    /* the reader thread's */
    export_ahead *ahead; /* set by the reader before it sends anything; NULL: nobody is */
    gboolean near;       /* the reader's: nobody need be */

    pthread_mutex_t order;
    op_digest running;

    pthread_mutex_t lock;
    pthread_cond_t room;  /* in flight; or it is over */
    pthread_cond_t asked; /* something to send again; or it is over */
    flight *flight;
    gboolean open; /* `size` is set, and the target may speak */
    gboolean over;
    unsigned under_way; /* of the table's requests, ours; its clock */
    GArray *needs; /* of uint32_t: ids to send again */
    unsigned resent;
    pthread_t resender;
    gboolean resender_runs;

    uint8_t *replies; /* the writer thread's: room for OP_IDS_MAX of them */
} export;

/* export.c. So many more requests are under way (negative: done). */
void export_tick(export *self, int requests);

/* export-cut.c. A write, or the part of it that is cut already. */
typedef struct {
    flight_request *request;
    export_hand *hand;
    uint64_t zero_at, zero_length; /* blocks of zeroes not sent yet */
} export_cut;

/* A frame with room for `length` bytes of content behind OP_HEADER. */
frame *export_room(export *self, export_hand *hand, uint32_t length);
/* It was not sent: its room can be used again. */
void export_keep_room(export_hand *hand, frame *f);
void export_hand_clear(export_hand *hand);
/* Sends content, which lies within one block of the disk, behind OP_HEADER of `f`; takes `f` over.
 * This and the rest return FALSE when it is over. */
gboolean export_send_content(export *self, export_cut *cut, frame *f, uint64_t offset,
                             uint32_t length);
gboolean export_send_zero(export *self, export_cut *cut, uint64_t offset, uint64_t length,
                          gboolean unmap);
/* What export_send_content still has. */
gboolean export_finish_cut(export *self, export_cut *cut);
/* The same, of what was sent ahead: what it covers is nobody's but ours. */
gboolean export_undo(export *self, export_cut *cut, uint64_t offset, uint64_t length);
gboolean export_send_flush(export *self, flight_request *request);
gboolean export_is_zero(const uint8_t *bytes, uint32_t length);
/* Puts the header into the frame and sends it, in the order of the running digest. */
void export_push(export *self, op *message, frame *f);
/* With `order` held. */
void export_push_locked(export *self, op *message, frame *f);
/* The message for one block of content that is not zeroes, and its frame; *kept: what may be asked for again, or
 * NULL. Takes `f` over. */
frame *export_form(export *self, export_hand *hand, frame *f, op *message, frame **kept);

/* export-ahead.c: where a round trip is long, blocks are read and sent before QEMU writes them, which has no more than 16
 * requests under way. A write of what has been sent already is done when that is, so QEMU hears of nothing that the
 * target's image has not taken (I3). What QEMU does not write after all is undone before its flush. */
/* Begins if that is worth while. The reader's, and so are the next five. */
void export_ahead_try(export *self);
/* QEMU writes a whole block: has the same been sent? Then it is a part of `request` now. */
gboolean export_ahead_has(export *self, flight_request *request, uint64_t offset,
                          const uint8_t *content, uint32_t length);
/* Ends it, and undoes, as a part of the flush that `cut` is, what QEMU has not written. FALSE: it is over. */
gboolean export_ahead_end(export *self, export_cut *cut);
/* QEMU's own message for that range, a part of `cut`, is about to be sent: nothing is sent ahead for it from now on, and what
 * was does not count any more. FALSE: it is over. */
gboolean export_ahead_yield(export *self, export_cut *cut, uint64_t offset, uint64_t length);
/* Nothing more is sent ahead; waits for its thread. */
void export_ahead_stop(export *self);
/* After that: what it has sent. */
void export_ahead_add_sums(export *self, export_hand *sums);
/* Without locks; after over was set. */
void export_ahead_free(export *self);
/* One was done. With `lock` held. */
void export_ahead_done(export_ahead *self, const flight_result *result);

/* export-back.c */
gboolean export_from_peer(pump_codec *codec, pump *io, frame *bytes, GError **error);
/* Answers a request of QEMU's. Without locks. */
void export_reply(export *self, const flight_result *result);
/* Without locks; after over was set. */
void export_stop_resending(export *self);
