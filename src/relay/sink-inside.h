/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a sink, for sink*.c and readback.c only. One lock guards all that is not marked
 * otherwise; it is not held over I/O, a callback, or calls of the pump. */
#pragma once
#include "block/bitmap.h"
#include "block/image.h"
#include "block/ledger.h"
#include "block/pack.h"
#include "relay/sink.h"

#define SINK_HANDS_MAX 4
#define SINK_RANGE     (1024 * 1024) /* of a disk, goes to one hand, and is one write at most */
#define SINK_NEEDS_MAX 4096          /* blocks asked for and not here yet, of one disk */
#define SINK_ANSWERS_MAX 65536       /* that the source has not taken yet, of one disk */

typedef struct {
    char *export, *what, *path;
    uint64_t size;
    gboolean raw;      /* constant, like all above */
    image *file;       /* written directly, by all hands; NULL: through QEMU */
    ledger *ledger;    /* has its own lock; NULL: none is kept */
    bitmap *touched;   /* blocks written since the image was made; without the lock */
    op_digest running; /* the stream's writer thread's */
    gboolean opened, closed; /* its stream has been there; will bring nothing more */
    gboolean failed;         /* some message was not done */
    gboolean flushed;        /* at least once: its bulk is on the medium */
    guint64 changes;         /* messages that changed it, so far */
    guint64 sealed;          /* up to which of them it is sealed */
} sink_target;

typedef struct {
    pump_codec codec;
    sink *owner;
    pump *io;            /* set by OPEN */
    sink_target *target; /* NULL: OPEN has not come */
    guint64 sequence;    /* number of the last message */
    guint pending;       /* jobs not finished, parked ones included */
    guint users;         /* threads of the sink that use `io` */
    gboolean ended;      /* the source has nothing more to send */
    gboolean over;       /* nothing that is sent arrives */
    GArray *done;        /* of sink_answer */
    GArray *needs;       /* of guint32: ids to ask for */
    GHashTable *needed;  /* id -> sink_need: asked for or about to be */
    GQueue parked;       /* of sink_job: FLUSHes waiting for something needed */
    GCond news;
} sink_stream;

typedef struct {
    guint32 id, errnum;
} sink_answer;

typedef struct {
    guint64 sequence; /* of the message that said KNOWN */
    uint64_t offset, length;
    op_digest digest;
    gboolean here; /* it has come again, and is being done */
} sink_need;

typedef struct {
    sink_stream *stream;
    op message;       /* points into bytes */
    frame *bytes;
    guint64 sequence;
    guint64 changes;  /* FLUSH: of the disk, before it */
    unsigned hands;   /* 0: for one hand; else how many still have to come to it */
    unsigned users;   /* how many hands still know it */
    gboolean finished;
} sink_job;

typedef struct {
    sink *owner;
    unsigned number;
    GThread *thread;
    GQueue queue; /* of sink_job */
    GCond work;
    /* The thread's own: */
    image **nbd;     /* of each disk; opened when first needed */
    uint8_t *buffer; /* of SINK_RANGE bytes, and OP_BLOCK behind them; as aligned as direct I/O wants it */
    pack *inflater;
} sink_hand;

struct sink {
    sink_setup setup;
    sink_seeds seeds; /* read NULL: none */
    sink_target *targets;
    char *nbd_socket;
    struct readback *readback; /* NULL: none */
    GThread *hinter;

    GMutex lock;
    GCond room;    /* in the queues; or the sink is spoiled */
    GCond passed;  /* a job for all hands is finished */
    GCond changed; /* something about streams or disks, for whoever waits for that */
    sink_hand hands[SINK_HANDS_MAX];
    unsigned hands_count;
    size_t queued;
    guint64 written;
    gboolean stopping;
    gboolean spoiled; /* on_error was called: nothing is written any more */
    sink_stream *first; /* the stream that hints go out on */
    guint64 hint_credit; /* bytes of hints that may be sent */
};

static inline unsigned sink_number(const sink *self, const sink_target *target)
{
    return (unsigned)(target - self->targets);
}

/* sink-queue.c. All with the lock held. */
void sink_enqueue(sink *self, sink_job *job);
/* Done or failed; the job is freed when no hand knows it. */
void sink_finish(sink *self, sink_job *job, int errnum);
/* The content is not here: asks for it. Ends the job. */
void sink_ask(sink *self, sink_job *job);
/* Nothing more of this stream matters. */
void sink_drop_stream(sink_stream *stream);
gboolean sink_start_hands(sink *self, GError **error);
/* Without the lock. */
void sink_stop_hands(sink *self);

/* sink-hand.c. Without the lock, from the hand's thread. Adjacent DATA of one range; finishes them. */
void sink_do_data(sink_hand *hand, sink_job **jobs, unsigned count);
/* Another message; returns 0 or an errno. */
int sink_do_other(sink_hand *hand, sink_job *job);

/* sink.c. Without the lock: ends it all, and tells so. `target` may be NULL. */
void sink_spoil(sink *self, sink_target *target, gboolean verify, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
