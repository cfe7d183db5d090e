/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disk streams at the target: the codec of each, and what is common to all; see sink.h. */
#include "relay/sink-inside.h"
#include "base/log.h"
#include "relay/readback.h"

#include <string.h>

#define LOG_AREA "disk"

#define HINTS_AT_ONCE  1024           /* in one message */
#define HINT_CREDIT    (512 * 1024)   /* bytes of hints sent before anything has come */
#define HINT_PER_FRAME (HINTS_AT_ONCE * 8)

static gboolean violates(const sink_stream *stream, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
static gboolean violates(const sink_stream *stream, GError **error, const char *format, ...)
{
    g_autofree char *why = NULL;
    va_list list;

    va_start(list, format);
    why = g_strdup_vprintf(format, list);
    va_end(list);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "disk %s: %s",
                stream->target ? stream->target->what : "stream", why);
    return FALSE;
}

void sink_spoil(sink *self, sink_target *target, gboolean verify, const char *format, ...)
{
    g_autofree char *why = NULL, *text = NULL;
    gboolean first;
    va_list list;

    va_start(list, format);
    why = g_strdup_vprintf(format, list);
    va_end(list);
    text = target ? g_strdup_printf("disk %s: %s", target->what, why) : g_strdup(why);
    g_mutex_lock(&self->lock);
    first = !self->spoiled;
    self->spoiled = TRUE;
    if (target)
        target->failed = TRUE;
    g_cond_broadcast(&self->room);
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
    log_error("%s", text);
    if (first)
        self->setup.on_error(verify, text, self->setup.user);
}

/* The stream says which disk it is for. */
static gboolean open_disk(sink_stream *stream, pump *io, const op *m, GError **error)
{
    sink *self = stream->owner;
    sink_target *found = NULL;
    gboolean again;

    for (unsigned i = 0; i < self->setup.count && !found; i++)
        if (strlen(self->targets[i].export) == m->body_length &&
            !memcmp(self->targets[i].export, m->body, m->body_length))
            found = &self->targets[i];
    if (!found)
        return violates(stream, error, "'%.*s' is none that lands here", (int)m->body_length,
                        (const char *)m->body);
    if (found->size != m->length)
        return violates(stream, error,
                        "%s has %" G_GUINT64_FORMAT " bytes here and %" G_GUINT64_FORMAT
                        " at the source",
                        found->what, (guint64)found->size, (guint64)m->length);
    g_mutex_lock(&self->lock);
    again = found->opened;
    found->opened = TRUE;
    if (!again) {
        stream->target = found;
        stream->io = io;
        if (!self->first)
            self->first = stream;
    }
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
    if (again)
        return violates(stream, error, "%s is opened twice", found->what);
    log_info("disk %s arrives, written %s", found->what, found->file ? "directly" : "through QEMU");
    return TRUE;
}

/* Something that was asked for must be what was spoken of. */
static gboolean check_needed(sink_stream *stream, const op *m, GError **error)
{
    sink_need *need = g_hash_table_lookup(stream->needed, GUINT_TO_POINTER(m->id));

    if (m->form == OP_KNOWN)
        return (!need && g_hash_table_size(stream->needed) < SINK_NEEDS_MAX) ||
               violates(stream, error, "too much that is not known is said to be");
    if (!need)
        return TRUE;
    if (need->here || need->offset != m->offset || need->length != m->length ||
        !op_digest_equal(&need->digest, &m->digest))
        return violates(stream, error, "another block came than the one asked for");
    need->here = TRUE;
    return TRUE;
}

static void wait_for_room(sink_stream *stream)
{
    sink *self = stream->owner;

    while ((self->queued >= SINK_QUEUE_MAX || stream->done->len >= SINK_ANSWERS_MAX) &&
           !stream->over)
        g_cond_wait(&self->room, &self->lock);
}

/* Puts a message into the queues. With the lock held. */
static gboolean take(sink_stream *stream, const op *m, frame *bytes, GError **error)
{
    sink *self = stream->owner;
    sink_target *target = stream->target;
    sink_job *job;

    if (m->type == OP_DATA && !check_needed(stream, m, error))
        return FALSE;
    self->hint_credit = MIN(self->hint_credit + HINT_PER_FRAME, HINT_CREDIT);
    g_cond_broadcast(&self->changed);
    wait_for_room(stream);
    if (stream->over)
        return TRUE;
    job = g_new0(sink_job, 1);
    *job = (sink_job){.stream = stream,
                      .message = *m,
                      .bytes = frame_ref(bytes),
                      .sequence = ++stream->sequence,
                      .changes = target->changes};
    if (m->type != OP_FLUSH)
        target->changes++;
    sink_enqueue(self, job);
    return TRUE;
}

static gboolean from_peer(pump_codec *codec, pump *io, frame *bytes, GError **error)
{
    g_autoptr(frame) f = bytes;
    sink_stream *stream = (sink_stream *)codec;
    sink *self = stream->owner;
    sink_target *target = stream->target;
    gboolean good, again;
    op m;

    if (!op_get(f->payload, f->length, TRUE, target ? target->size : 0, &m, error)) {
        g_prefix_error(error, "disk %s: ", target ? target->what : "stream");
        return FALSE;
    }
    if (m.type == OP_OPEN)
        return open_disk(stream, io, &m, error);
    if (m.type == OP_DATA)
        pump_count(io, m.length);
    if (m.type == OP_DATA && m.form == OP_KNOWN)
        pump_count_found(io, (int64_t)m.length);
    if (m.type != OP_FLUSH)
        op_chain(&target->running, &m);
    else if (!op_digest_equal(&target->running, &m.digest))
        sink_spoil(self, target, TRUE, "what arrived is not what the source sent: something was "
                   "lost, doubled or changed on the way");
    g_mutex_lock(&self->lock);
    again = m.type == OP_DATA && m.form != OP_KNOWN &&
            g_hash_table_contains(stream->needed, GUINT_TO_POINTER(m.id));
    good = take(stream, &m, f, error);
    g_mutex_unlock(&self->lock);
    if (again)
        pump_count_found(io, -(int64_t)m.length);
    return good;
}

static void ended(pump_codec *codec, pump *io, gboolean broken)
{
    sink_stream *stream = (sink_stream *)codec;
    sink *self = stream->owner;

    g_mutex_lock(&self->lock);
    stream->ended = TRUE;
    if (broken)
        sink_drop_stream(stream);
    g_cond_broadcast(&stream->news);
    g_mutex_unlock(&self->lock);
}

static void wake(pump_codec *codec)
{
    sink_stream *stream = (sink_stream *)codec;

    g_mutex_lock(&stream->owner->lock);
    sink_drop_stream(stream);
    g_mutex_unlock(&stream->owner->lock);
}

/* A message with entries of one size, as many as there are. */
static frame *answer(sink_stream *stream, pump *io, op_type type)
{
    GArray *all = type == OP_DONE ? stream->done : stream->needs;
    op m = {.type = type, .count = MIN(all->len, OP_IDS_MAX)};
    frame *f = pump_frame(io, OP_HEADER + m.count * 8);
    uint32_t header = op_put(f->payload, &m);

    for (unsigned i = 0; i < m.count; i++)
        if (type == OP_DONE)
            op_put_done(f->payload + header, i, g_array_index(all, sink_answer, i).id,
                        g_array_index(all, sink_answer, i).errnum);
        else
            op_put_need(f->payload + header, i, g_array_index(all, guint32, i));
    f->length = header + m.count * (type == OP_DONE ? 8 : 4);
    g_array_remove_range(all, 0, m.count);
    return f;
}

/* Sends what there is to say, at once and all of it: while one message goes out, answers gather for
 * the next. */
static gboolean serve(pump_codec *codec, pump *io, GError **error)
{
    sink_stream *stream = (sink_stream *)codec;
    sink *self = stream->owner;

    g_mutex_lock(&self->lock);
    while (!stream->over) {
        frame *f;

        if (!stream->done->len && !stream->needs->len) {
            if (stream->ended && !stream->pending)
                break;
            g_cond_wait(&stream->news, &self->lock);
            continue;
        }
        f = answer(stream, io, stream->needs->len ? OP_NEED : OP_DONE);
        g_cond_broadcast(&self->room);
        g_mutex_unlock(&self->lock);
        pump_to_peer(io, f);
        g_mutex_lock(&self->lock);
    }
    if (stream->target)
        stream->target->closed = TRUE;
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
    return TRUE;
}

static void stream_free(pump_codec *codec)
{
    sink_stream *stream = (sink_stream *)codec;
    sink *self = stream->owner;

    g_mutex_lock(&self->lock);
    sink_drop_stream(stream);
    while (stream->pending || stream->users)
        g_cond_wait(&stream->news, &self->lock);
    if (self->first == stream)
        self->first = NULL;
    g_mutex_unlock(&self->lock);
    g_array_unref(stream->done);
    g_array_unref(stream->needs);
    g_hash_table_unref(stream->needed);
    g_cond_clear(&stream->news);
    g_free(stream);
}

pump_codec *sink_codec_new(void *user)
{
    sink_stream *stream = g_new0(sink_stream, 1);

    stream->codec = (pump_codec){.serve = serve,
                                 .from_peer = from_peer,
                                 .ended = ended,
                                 .wake = wake,
                                 .free = stream_free};
    stream->owner = user;
    stream->done = g_array_new(FALSE, FALSE, sizeof(sink_answer));
    stream->needs = g_array_new(FALSE, FALSE, sizeof(guint32));
    stream->needed = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_queue_init(&stream->parked);
    g_cond_init(&stream->news);
    return &stream->codec;
}

static gboolean is_stopping(sink *self)
{
    gboolean stopping;

    g_mutex_lock(&self->lock);
    stopping = self->stopping;
    g_mutex_unlock(&self->lock);
    return stopping;
}

/* The stream that hints go out on, once it may take so many more bytes; NULL: the sink ends. */
static sink_stream *wait_for_credit(sink *self, guint64 bytes)
{
    sink_stream *stream = NULL;

    g_mutex_lock(&self->lock);
    while (!self->stopping && (!self->first || self->hint_credit < bytes))
        g_cond_wait(&self->changed, &self->lock);
    if (!self->stopping) {
        stream = self->first;
        stream->users++;
        self->hint_credit -= bytes;
    }
    g_mutex_unlock(&self->lock);
    return stream;
}

static void send_hints(sink_stream *stream, const uint64_t *hints, unsigned count, gboolean last)
{
    op m = {.type = OP_HINTS, .count = count, .last = last};
    frame *f = pump_frame(stream->io, OP_HEADER + count * 8);
    uint32_t header = op_put(f->payload, &m);

    for (unsigned i = 0; i < count; i++)
        op_put_hint(f->payload + header, i, hints[i]);
    f->length = header + count * 8;
    pump_to_peer(stream->io, f);
    g_mutex_lock(&stream->owner->lock);
    stream->users--;
    g_cond_broadcast(&stream->news);
    g_mutex_unlock(&stream->owner->lock);
}

/* Hints go out as they are found. They share a stream's window with its answers, so not many may be
 * under way: what has come from the source gives credit for more. */
static gpointer hinter_main(gpointer data)
{
    sink *self = data;
    uint64_t hints[HINTS_AT_ONCE], from = 0;
    gboolean last = FALSE;

    while (!last && !is_stopping(self)) {
        unsigned count =
            self->seeds.wait_hints(self->seeds.user, from, hints, HINTS_AT_ONCE, &last);
        sink_stream *stream = count || last ? wait_for_credit(self, count * 8) : NULL;

        if (stream)
            send_hints(stream, hints, count, last);
        from += count;
    }
    return NULL;
}

/* What can be written directly is; a qcow2 file whose clusters have no places yet is left to QEMU. */
static gboolean open_file(sink_target *target, GError **error)
{
    GError *why = NULL;

    target->file = target->raw ? image_open_file(target->path, TRUE, &why)
                               : image_open_qcow2_prepared(target->path, target->size, &why);
    if (g_error_matches(why, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED)) {
        log_info("%s", why->message);
        g_clear_error(&why);
        return TRUE;
    }
    if (why)
        g_propagate_error(error, why);
    return target->file != NULL;
}

static gboolean add_target(sink *self, const sink_disk *disk, GError **error)
{
    sink_target *target = &self->targets[self->setup.count++];
    uint64_t size;

    *target = (sink_target){.export = g_strdup(disk->export),
                            .what = g_strdup(disk->what),
                            .path = g_strdup(disk->path),
                            .size = disk->size,
                            .raw = !strcmp(disk->format, "raw")};
    target->touched = bitmap_new((disk->size + OP_BLOCK - 1) / OP_BLOCK, error);
    if (!target->touched)
        return FALSE;
    if (!target->raw && strcmp(disk->format, "qcow2")) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "images of format %s cannot land",
                    disk->format);
        return FALSE;
    }
    if (!open_file(target, error))
        return FALSE;
    size = target->file ? image_size(target->file) : disk->size;
    if (size != disk->size) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "%s has %" G_GUINT64_FORMAT " bytes in place of %" G_GUINT64_FORMAT,
                    disk->path, (guint64)size, (guint64)disk->size);
        return FALSE;
    }
    if (self->setup.ledger_directory)
        target->ledger = ledger_new(self->setup.ledger_directory, disk->size, error);
    return target->ledger || !self->setup.ledger_directory;
}

sink *sink_new(const sink_setup *setup, GError **error)
{
    g_autoptr(sink) self = g_new0(sink, 1);

    self->setup = *setup;
    self->setup.count = 0; /* those that are complete */
    self->setup.disks = NULL;
    if (setup->seeds)
        self->seeds = *setup->seeds;
    self->nbd_socket = g_strdup(setup->nbd_socket);
    self->targets = g_new0(sink_target, setup->count);
    self->hint_credit = HINT_CREDIT;
    g_mutex_init(&self->lock);
    g_cond_init(&self->room);
    g_cond_init(&self->passed);
    g_cond_init(&self->changed);
    for (unsigned i = 0; i < SINK_HANDS_MAX; i++) {
        self->hands[i].nbd = g_new0(image *, setup->count);
        self->hands[i].buffer = aligned_alloc(IMAGE_ALIGNED, SINK_RANGE + OP_BLOCK);
        self->hands[i].inflater = pack_new();
        g_queue_init(&self->hands[i].queue);
        g_cond_init(&self->hands[i].work);
    }
    for (unsigned i = 0; i < setup->count; i++)
        if (!add_target(self, &setup->disks[i], error)) {
            g_prefix_error(error, "disk %s: ", setup->disks[i].what);
            return NULL;
        }
    if (!sink_start_hands(self, error))
        return NULL;
    if (self->seeds.read)
        self->hinter = g_thread_try_new("disk-hints", hinter_main, self, error);
    if (setup->ledger_directory && (!self->seeds.read || self->hinter))
        self->readback = readback_new(self, error);
    if ((self->seeds.read && !self->hinter) || (setup->ledger_directory && !self->readback))
        return NULL;
    return g_steal_pointer(&self);
}

void sink_free(sink *self)
{
    if (!self)
        return;
    sink_stop_hands(self);
    g_mutex_lock(&self->lock);
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
    if (self->hinter)
        g_thread_join(self->hinter);
    readback_free(self->readback);
    for (unsigned i = 0; i < SINK_HANDS_MAX; i++) {
        for (unsigned n = 0; n < self->setup.count; n++)
            image_free(self->hands[i].nbd[n]);
        g_free(self->hands[i].nbd);
        free(self->hands[i].buffer);
        pack_free(self->hands[i].inflater);
        g_cond_clear(&self->hands[i].work);
    }
    for (unsigned i = 0; i < self->setup.count; i++) {
        sink_target *target = &self->targets[i];
        g_free(target->export);
        g_free(target->what);
        g_free(target->path);
        image_free(target->file);
        ledger_free(target->ledger);
        bitmap_free(target->touched);
    }
    g_free(self->targets);
    g_free(self->nbd_socket);
    g_mutex_clear(&self->lock);
    g_cond_clear(&self->room);
    g_cond_clear(&self->passed);
    g_cond_clear(&self->changed);
    g_free(self);
}

/* Is it, or can it become so? */
static gboolean look_at(const sink *self, const sink_target *target, gboolean *waiting,
                        GError **error)
{
    const char *why = NULL;

    if (target->failed || self->spoiled)
        why = "it could not be written";
    else if (target->opened && target->flushed && target->sealed == target->changes)
        return TRUE;
    else if (target->closed)
        why = "its last changes were not confirmed by the source";
    else if (*waiting)
        return FALSE;
    else
        why = target->opened ? "its last changes were not confirmed in time" : "it has not arrived";
    *waiting = FALSE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "disk %s is not verified: %s", target->what,
                why);
    return FALSE;
}

gboolean sink_wait_sealed(sink *self, int timeout_ms, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
    gboolean waiting = TRUE, good;

    g_mutex_lock(&self->lock);
    do {
        good = TRUE;
        for (unsigned i = 0; i < self->setup.count && good; i++)
            good = look_at(self, &self->targets[i], &waiting, error);
        if (good || !waiting)
            break;
        waiting = g_cond_wait_until(&self->changed, &self->lock, deadline);
    } while (TRUE);
    g_mutex_unlock(&self->lock);
    return good;
}

gboolean sink_read_back(sink *self, GError **error)
{
    return !self->readback || readback_finish(self->readback, error);
}

void sink_progress(sink *self, uint64_t *written, uint64_t *read_back)
{
    *read_back = 0;
    g_mutex_lock(&self->lock);
    *written = self->written;
    g_mutex_unlock(&self->lock);
    for (unsigned i = 0; i < self->setup.count; i++) {
        uint64_t blocks, left;
        if (!self->targets[i].ledger)
            continue;
        ledger_count(self->targets[i].ledger, &blocks, &left);
        *read_back += (blocks - left) * OP_BLOCK;
    }
}
