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
    int taken; /* atomic: somebody has been served */
} export_disk;

struct export_table {
    GArray *exports;  /* of nbd_export */
    GPtrArray *disks; /* of export_disk, the same ones */
    hints *known;
    pthread_mutex_t clock; /* guards these two; innermost */
    unsigned under_way;    /* requests, of all exports */
    gint64 moved_at;       /* monotonic µs: the first of them came, or something was done */
};

typedef struct {
    pump_codec codec;
    export_table *table;
    pump *io;         /* set by serve before anything is sent */
    const char *what; /* set when an export was chosen, these two */
    uint64_t size;

    /* The reader thread's. */
    shrink shrink;
    frame *spare; /* room for one whole block behind OP_HEADER */
    uint64_t plain, packed, packed_to, zeroes, known; /* bytes of content; of packed, as sent */

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
    uint64_t zero_at, zero_length; /* blocks of zeroes not sent yet */
} export_cut;

/* A frame with room for `length` bytes of content behind OP_HEADER. */
frame *export_room(export *self, uint32_t length);
/* Sends content, which lies within one block of the disk, behind OP_HEADER of `f`; takes `f` over.
 * This and the rest return FALSE when it is over. */
gboolean export_send_content(export *self, export_cut *cut, frame *f, uint64_t offset,
                             uint32_t length);
gboolean export_send_zero(export *self, flight_request *request, uint64_t offset, uint64_t length,
                          gboolean unmap);
/* What export_send_content still has. */
gboolean export_finish_cut(export *self, export_cut *cut);
gboolean export_send_flush(export *self, flight_request *request);
/* Puts the header into the frame and sends it, in the order of the running digest. */
void export_push(export *self, op *message, frame *f);

/* export-back.c */
gboolean export_from_peer(pump_codec *codec, pump *io, frame *bytes, GError **error);
/* Answers a request of QEMU's. Without locks. */
void export_reply(export *self, const flight_result *result);
/* Without locks; after over was set. */
void export_stop_resending(export *self);
