/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the target says: requests are answered, hints noted, blocks sent once more; see export.h. */
#include "base/log.h"
#include "relay/export-inside.h"

#define LOG_AREA "relay"

static void put_reply(uint8_t *out, const flight_result *result)
{
    nbd_put_reply(out, result->cookie, nbd_error(result->errnum));
}

void export_reply(export *self, const flight_result *result)
{
    uint8_t bytes[NBD_REPLY];

    put_reply(bytes, result);
    pump_to_local(self->io, bytes, sizeof bytes);
}

static gboolean take_done(export *self, pump *io, const op *message, GError **error)
{
    unsigned count = 0;
    gboolean good = TRUE;

    if (!self->replies)
        self->replies = g_malloc(OP_IDS_MAX * NBD_REPLY);
    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < message->count && good; i++) {
        flight_result result;
        gboolean over = FALSE;
        uint32_t errnum, id = op_done_id(message, i, &errnum);

        good = flight_done(self->flight, id, errnum, &over, &result, error);
        if (over && result.ahead)
            export_ahead_done(self->ahead, &result);
        else if (over)
            put_reply(self->replies + NBD_REPLY * count++, &result);
        if (over && result.errnum)
            log_warning("disk %s: the target answers a write with: %s", self->what,
                        g_strerror((int)result.errnum));
    }
    pthread_cond_broadcast(&self->room);
    pthread_mutex_unlock(&self->lock);
    export_tick(self, -(int)count);
    if (count > 0)
        pump_to_local(io, self->replies, (size_t)NBD_REPLY * count);
    return good;
}

/* Sending may have to wait until the target takes more, and it may take no more before we have
 * heard its answers: so the thread that hears them does not send. */
static void *resend_main(void *data)
{
    export *self = data;

    pthread_mutex_lock(&self->lock);
    while (!self->over) {
        op message;
        frame *f;

        if (self->needs->len == 0) {
            pthread_cond_wait(&self->asked, &self->lock);
            continue;
        }
        f = flight_answer(self->flight, g_array_index(self->needs, uint32_t, 0), &message);
        g_array_remove_index(self->needs, 0);
        self->resent++;
        pthread_mutex_unlock(&self->lock);
        message.form = OP_PLAIN;
        message.body_length = (uint32_t)message.length;
        pump_count_found(self->io, -(int64_t)message.length);
        export_push(self, &message, f);
        pthread_mutex_lock(&self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

void export_stop_resending(export *self)
{
    if (self->resender_runs)
        pthread_join(self->resender, NULL);
    self->resender_runs = FALSE;
}

static gboolean take_need(export *self, const op *message, GError **error)
{
    gboolean good = TRUE;

    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < message->count && good; i++) {
        uint32_t id = op_need_id(message, i);

        good = flight_need(self->flight, id, error);
        if (good)
            g_array_append_val(self->needs, id);
    }
    pthread_cond_broadcast(&self->asked);
    pthread_mutex_unlock(&self->lock);
    if (!good || self->resender_runs)
        return good;
    self->resender_runs = pthread_create(&self->resender, NULL, resend_main, self) == 0;
    if (!self->resender_runs) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot start one more thread");
        return FALSE;
    }
    pthread_setname_np(self->resender, "disk-again");
    return TRUE;
}

gboolean export_from_peer(pump_codec *codec, pump *io, frame *bytes, GError **error)
{
    g_autoptr(frame) f = bytes;
    export *self = (export *)codec;
    gboolean open, good;
    op message;

    pthread_mutex_lock(&self->lock);
    open = self->open;
    pthread_mutex_unlock(&self->lock);
    good = op_get(f->payload, f->length, FALSE, open ? self->size : 0, &message, error);
    if (good && message.type == OP_DONE)
        good = take_done(self, io, &message, error);
    else if (good && message.type == OP_NEED)
        good = take_need(self, &message, error);
    else if (good)
        hints_add(self->table->known, &message);
    if (!good)
        g_prefix_error(error,
                       "disk %s: the target broke the protocol: ", open ? self->what : "stream");
    return good;
}
