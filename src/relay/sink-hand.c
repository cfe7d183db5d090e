/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a hand does with one message: content, check, image; see sink.h. */
#include "relay/sink-inside.h"

#include "base/hook.h"

#include <errno.h>
#include <string.h>

/* The image as this hand writes it. */
static image *image_for(sink_hand *hand, sink_target *target, GError **error)
{
    image **mine = &hand->nbd[sink_number(hand->owner, target)];

    if (target->file)
        return target->file;
    if (!*mine)
        *mine = image_open_nbd(hand->owner->nbd_socket, target->export, error);
    if (*mine && image_size(*mine) < target->size) {
        g_set_error(error, IMAGE_ERROR, EINVAL, "QEMU's export %s is too small", target->export);
        return NULL;
    }
    return *mine;
}

static int errno_of(const GError *error)
{
    return error->domain == IMAGE_ERROR ? error->code : EIO;
}

/* The image cannot be written: said, and made an errno of. */
static int failed(sink *self, sink_target *target, GError *error)
{
    int errnum = errno_of(error);

    sink_spoil(self, target, FALSE, "%s", error->message);
    g_error_free(error);
    return errnum;
}

typedef enum { CONTENT_GOOD, CONTENT_ABSENT, CONTENT_WRONG } content_state;

/* Puts the content of DATA into `room`. */
static content_state get_content(sink_hand *hand, const sink_job *job, uint8_t *room)
{
    const op *m = &job->message;
    const sink_seeds *seeds = &hand->owner->seeds;
    op_digest digest;

    if (m->form == OP_KNOWN) {
        if (!seeds->read || !seeds->read(seeds->user, m->body, (uint32_t)m->length, room))
            return CONTENT_ABSENT;
    } else if (m->form == OP_ZSTD) {
        if (!pack_inflate(hand->inflater, room, (uint32_t)m->length, m->body, m->body_length, NULL))
            return CONTENT_WRONG;
    } else {
        memcpy(room, m->body, m->length); /* where it is it can neither be joined nor written directly */
    }
    digest = op_digest_of(room, m->length);
    return op_digest_equal(&digest, &m->digest) ? CONTENT_GOOD : CONTENT_WRONG;
}

static gboolean is_whole(const sink_target *target, uint64_t offset, uint64_t length)
{
    return offset % OP_BLOCK == 0 && (length == OP_BLOCK || offset + length == target->size);
}

/* What a block will be when a part of it is written: its digest. What is there now must be what the
 * ledger says, or a fault of the medium would become the truth. */
static gboolean merge(sink_hand *hand, sink_target *target, image *disk, uint64_t offset,
                      uint64_t length, const uint8_t *bytes, op_digest *merged, GError **error)
{
    uint64_t number = offset / OP_BLOCK, start = number * OP_BLOCK;
    size_t size = (size_t)MIN(OP_BLOCK, target->size - start);
    uint8_t *block = hand->buffer + SINK_RANGE;
    op_digest wanted, found;
    gboolean known;

    if (!image_read(disk, start, block, size, error) ||
        !ledger_get(target->ledger, number, &wanted, &known, error))
        return FALSE;
    found = op_digest_of(block, size);
    if (known && !op_digest_equal(&found, &wanted)) {
        g_set_error(error, IMAGE_ERROR, EIO,
                    "%s: the block at offset %" G_GUINT64_FORMAT " is not what was written there",
                    target->path, (guint64)start);
        return FALSE;
    }
    if (bytes)
        memcpy(block + (offset - start), bytes, length);
    else
        memset(block + (offset - start), 0, length);
    *merged = op_digest_of(block, size);
    return TRUE;
}

static void touch(sink_target *target, uint64_t offset, uint64_t length)
{
    for (uint64_t n = offset / OP_BLOCK; n <= (offset + length - 1) / OP_BLOCK; n++)
        (void)bitmap_set(target->touched, n);
}

/* Writes one piece of data; with a ledger it lies in one block, whose digest it is if it is whole. */
static gboolean write_piece(sink_hand *hand, sink_target *target, uint64_t offset,
                            const uint8_t *bytes, uint64_t length, op_digest digest,
                            GError **error)
{
    image *disk = image_for(hand, target, error);

    if (!disk)
        return FALSE;
    if (target->ledger && !is_whole(target, offset, length) &&
        !merge(hand, target, disk, offset, length, bytes, &digest, error))
        return FALSE;
    touch(target, offset, length);
    if (hook_wrong("sink.write")) /* what is said to be written is not */
        return TRUE;
    return image_write(disk, offset, bytes, (size_t)length, error) &&
           (!target->ledger || ledger_put(target->ledger, offset / OP_BLOCK, &digest, error));
}

static void finish_run(sink_hand *hand, sink_job **jobs, unsigned count, int errnum)
{
    sink *self = hand->owner;

    g_mutex_lock(&self->lock);
    for (unsigned i = 0; i < count; i++) {
        self->written += errnum ? 0 : jobs[i]->message.length;
        sink_finish(self, jobs[i], errnum);
    }
    g_mutex_unlock(&self->lock);
}

static void write_run(sink_hand *hand, sink_job **jobs, unsigned count, const uint8_t *bytes)
{
    const op *first, *last;
    sink_target *target;
    GError *error = NULL;
    int errnum = 0;

    if (count == 0)
        return;
    target = jobs[0]->stream->target;
    first = &jobs[0]->message;
    last = &jobs[count - 1]->message;
    if (!write_piece(hand, target, first->offset, bytes,
                     last->offset + last->length - first->offset, first->digest, &error))
        errnum = failed(hand->owner, target, error);
    finish_run(hand, jobs, count, errnum);
}

static void ask(sink *self, sink_job *job)
{
    g_mutex_lock(&self->lock);
    sink_ask(self, job);
    g_mutex_unlock(&self->lock);
}

void sink_do_data(sink_hand *hand, sink_job **jobs, unsigned count)
{
    const uint8_t *run = NULL; /* the content of jobs[from] to jobs[i - 1] */
    uint64_t base = jobs[0]->message.offset;
    unsigned from = 0;

    for (unsigned i = 0; i < count; i++) {
        const op *m = &jobs[i]->message;
        uint8_t *room = hand->buffer + (m->offset - base);

        switch (get_content(hand, jobs[i], room)) {
        case CONTENT_GOOD:
            if (from == i)
                run = room;
            continue;
        case CONTENT_ABSENT:
            write_run(hand, jobs + from, i - from, run);
            ask(hand->owner, jobs[i]);
            from = i + 1;
            continue;
        case CONTENT_WRONG:
            sink_spoil(hand->owner, jobs[i]->stream->target, TRUE,
                       "the data for offset %" G_GUINT64_FORMAT
                       " is not what the source read there; it was not written",
                       (guint64)m->offset);
            finish_run(hand, jobs + from, count - from, EIO);
            return;
        }
    }
    write_run(hand, jobs + from, count - from, run);
}

/* The number behind that of the last block before `end`. */
static uint64_t blocks_to(uint64_t end)
{
    return end / OP_BLOCK + (end % OP_BLOCK != 0);
}

/* The ledger's side of zeroes, before they are written. */
static gboolean note_zeroes(sink_hand *hand, sink_target *target, image *disk, uint64_t offset,
                            uint64_t end, GError **error)
{
    static const uint8_t zeroes[OP_BLOCK];
    uint64_t n, behind = blocks_to(end);

    for (uint64_t at = offset; bitmap_next(target->touched, at / OP_BLOCK, behind, &n);
         at = (n + 1) * OP_BLOCK) {
        uint64_t start = MAX(at, n * OP_BLOCK), stop = MIN(end, (n + 1) * OP_BLOCK);
        op_digest digest;

        if (is_whole(target, start, stop - start))
            digest = op_digest_of(zeroes, (size_t)(stop - start));
        else if (!merge(hand, target, disk, start, stop - start, NULL, &digest, error))
            return FALSE;
        if (!ledger_put(target->ledger, n, &digest, error))
            return FALSE;
    }
    return TRUE;
}

/* The image was made for this landing: where nothing was written it reads as zeroes. */
static gboolean do_zero(sink_hand *hand, sink_target *target, const op *m, GError **error)
{
    uint64_t end = m->offset + m->length, first, offset;
    image *disk;

    if (!bitmap_next(target->touched, m->offset / OP_BLOCK, blocks_to(end), &first))
        return TRUE;
    offset = MAX(m->offset, first * OP_BLOCK);
    disk = image_for(hand, target, error);
    return disk &&
           (!target->ledger || note_zeroes(hand, target, disk, offset, end, error)) &&
           image_zero(disk, offset, end - offset, m->unmap, error);
}

static gboolean do_flush(sink_hand *hand, sink_target *target, GError **error)
{
    image *disk = image_for(hand, target, error);

    return disk && image_flush(disk, error);
}

int sink_do_other(sink_hand *hand, sink_job *job)
{
    sink_target *target = job->stream->target;
    GError *error = NULL;
    gboolean good = job->message.type == OP_FLUSH
                        ? do_flush(hand, target, &error)
                        : do_zero(hand, target, &job->message, &error);

    return good ? 0 : failed(hand->owner, target, error);
}
