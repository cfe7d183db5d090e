/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queues of a sink, and its hands' loop; see sink.h. */
#include "relay/sink-inside.h"

#include <errno.h>

#define JOIN_MAX 32 /* messages done as one */

static void unuse(sink_job *job)
{
    if (--job->users > 0)
        return;
    frame_unref(job->bytes);
    g_free(job);
}

/* What is counted against SINK_QUEUE_MAX, small messages included. */
static size_t cost(const sink_job *job)
{
    return job->bytes->length + 512;
}

/* Is something needed that came before this message? */
static gboolean lacks(const sink_job *job)
{
    GHashTableIter all;
    gpointer value;

    g_hash_table_iter_init(&all, job->stream->needed);
    while (g_hash_table_iter_next(&all, NULL, &value))
        if (((sink_need *)value)->sequence < job->sequence)
            return TRUE;
    return FALSE;
}

/* Flushes that wait for nothing any more go on their way: all before them is done, so one hand will
 * do. */
static void unpark(sink *self, sink_stream *stream)
{
    for (sink_job *job; (job = g_queue_peek_head(&stream->parked)) && !lacks(job);) {
        g_queue_pop_head(&stream->parked);
        job->hands = 1;
        g_queue_push_tail(&self->hands[0].queue, job);
        g_cond_signal(&self->hands[0].work);
    }
}

static void settle(sink *self, sink_job *job)
{
    self->queued -= cost(job);
    job->stream->pending--;
    job->finished = TRUE;
    g_cond_broadcast(&job->stream->news);
    g_cond_broadcast(&self->room);
    unuse(job);
}

void sink_finish(sink *self, sink_job *job, int errnum)
{
    sink_stream *stream = job->stream;
    sink_answer answer = {.id = job->message.id, .errnum = (guint32)errnum};

    if (errnum)
        stream->target->failed = TRUE;
    if (!stream->over)
        g_array_append_val(stream->done, answer);
    if (job->message.type == OP_DATA && job->message.form != OP_KNOWN &&
        g_hash_table_remove(stream->needed, GUINT_TO_POINTER(job->message.id)))
        unpark(self, stream);
    settle(self, job);
}

void sink_ask(sink *self, sink_job *job)
{
    sink_stream *stream = job->stream;
    sink_need *need = g_new0(sink_need, 1);

    *need = (sink_need){.sequence = job->sequence,
                        .offset = job->message.offset,
                        .length = job->message.length,
                        .digest = job->message.digest};
    g_hash_table_replace(stream->needed, GUINT_TO_POINTER(job->message.id), need);
    g_array_append_val(stream->needs, job->message.id);
    settle(self, job);
}

static gboolean is_for_all(const op *message)
{
    return message->type == OP_FLUSH ||
           message->offset / SINK_RANGE != (message->offset + message->length - 1) / SINK_RANGE;
}

void sink_enqueue(sink *self, sink_job *job)
{
    sink_stream *stream = job->stream;
    unsigned number;

    stream->pending++;
    self->queued += cost(job);
    if (is_for_all(&job->message)) {
        job->hands = self->hands_count;
        /* sink_finish drops one more. */
        job->users = self->hands_count + 1;
        for (unsigned i = 0; i < self->hands_count; i++) {
            g_queue_push_tail(&self->hands[i].queue, job);
            g_cond_signal(&self->hands[i].work);
        }
        return;
    }
    number = (unsigned)((job->message.offset / SINK_RANGE + sink_number(self, stream->target)) %
                        self->hands_count);
    job->users = 1;
    g_queue_push_tail(&self->hands[number].queue, job);
    g_cond_signal(&self->hands[number].work);
}

void sink_drop_stream(sink_stream *stream)
{
    sink *self = stream->owner;
    sink_job *job;

    stream->over = TRUE;
    if (stream->target)
        stream->target->closed = TRUE;
    while ((job = g_queue_pop_head(&stream->parked))) {
        sink_finish(self, job, ECANCELED);
        unuse(job);
    }
    g_cond_broadcast(&stream->news);
    g_cond_broadcast(&self->room);
    g_cond_broadcast(&self->changed);
}

static gboolean is_useless(const sink *self, const sink_job *job)
{
    return self->spoiled || job->stream->over;
}

/* Takes what follows the job without a gap, as far as one write may go. */
static unsigned join(sink_hand *hand, sink_job **jobs)
{
    unsigned count = 1;
    const sink_job *job = jobs[0], *next;
    const sink_target *target = job->stream->target;
    uint64_t end = job->message.offset + job->message.length;

    /* Of parts of blocks a ledger needs to see one after the other. */
    while (!target->ledger && count < JOIN_MAX &&
           (next = g_queue_peek_head(&hand->queue)) && next->stream == job->stream &&
           next->hands == 0 && next->message.type == OP_DATA && next->message.offset == end &&
           end / SINK_RANGE == job->message.offset / SINK_RANGE) {
        end += next->message.length;
        jobs[count++] = g_queue_pop_head(&hand->queue);
    }
    return count;
}

static void do_data(sink_hand *hand, sink_job *first)
{
    sink *self = hand->owner;
    sink_job *jobs[JOIN_MAX] = {first};
    unsigned count = join(hand, jobs);

    if (is_useless(self, first)) {
        for (unsigned i = 0; i < count; i++)
            sink_finish(self, jobs[i], EIO);
        return;
    }
    g_mutex_unlock(&self->lock);
    sink_do_data(hand, jobs, count);
    g_mutex_lock(&self->lock);
}

static void seal(sink *self, sink_job *job, int errnum)
{
    sink_target *target = job->stream->target;

    if (errnum)
        return;
    target->flushed = TRUE;
    target->sealed = MAX(target->sealed, job->changes);
    g_cond_broadcast(&self->changed);
}

static void do_other(sink_hand *hand, sink_job *job)
{
    sink *self = hand->owner;
    int errnum = EIO;

    if (!is_useless(self, job)) {
        g_mutex_unlock(&self->lock);
        errnum = sink_do_other(hand, job);
        g_mutex_lock(&self->lock);
    }
    if (job->message.type == OP_FLUSH)
        seal(self, job, errnum);
    sink_finish(self, job, errnum);
}

/* The last hand that comes to a job for all does it; all before it is done then. Zeroes hold up
 * what comes behind them, a flush does not. */
static void meet(sink_hand *hand, sink_job *job)
{
    sink *self = hand->owner;

    if (--job->hands == 0) {
        if (job->message.type == OP_FLUSH && lacks(job) && !is_useless(self, job)) {
            job->users++;
            g_queue_push_tail(&job->stream->parked, job);
        } else {
            do_other(hand, job);
            g_cond_broadcast(&self->passed);
        }
    } else {
        while (job->message.type == OP_ZERO && !job->finished)
            g_cond_wait(&self->passed, &self->lock);
    }
    unuse(job);
}

static gpointer hand_main(gpointer data)
{
    sink_hand *hand = data;
    sink *self = hand->owner;
    sink_job *job;

    g_mutex_lock(&self->lock);
    for (;;) {
        while (!(job = g_queue_pop_head(&hand->queue)) && !self->stopping)
            g_cond_wait(&hand->work, &self->lock);
        if (!job)
            break;
        if (job->hands > 0)
            meet(hand, job);
        else if (job->message.type == OP_DATA)
            do_data(hand, job);
        else
            do_other(hand, job);
    }
    g_mutex_unlock(&self->lock);
    return NULL;
}

gboolean sink_start_hands(sink *self, GError **error)
{
    self->hands_count = CLAMP(g_get_num_processors(), 2, SINK_HANDS_MAX);
    for (unsigned i = 0; i < self->hands_count; i++) {
        sink_hand *hand = &self->hands[i];
        g_autofree char *name = g_strdup_printf("disk-hand-%u", i);

        hand->owner = self;
        hand->number = i;
        hand->thread = g_thread_try_new(name, hand_main, hand, error);
        if (!hand->thread)
            return FALSE;
    }
    return TRUE;
}

void sink_stop_hands(sink *self)
{
    g_mutex_lock(&self->lock);
    self->stopping = TRUE;
    for (unsigned i = 0; i < self->hands_count; i++)
        g_cond_signal(&self->hands[i].work);
    g_mutex_unlock(&self->lock);
    for (unsigned i = 0; i < self->hands_count; i++)
        if (self->hands[i].thread)
            g_thread_join(self->hands[i].thread);
}
