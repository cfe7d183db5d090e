/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sending ahead of QEMU; see export-inside.h.
 *
 *   image ──read──► digest, form ──► table of what was sent ──► stream        our thread
 *   QEMU ──write──► the same digest in the table? ─yes─► done when that is    the reader
 *                                                  └no──► sent, and the table forgets
 *
 * What is read here may be old or torn: the guest writes the image meanwhile, and its tables may have changed. It does no
 * harm: a block counts only once QEMU writes the very same bytes. Two rules keep the target's image what QEMU has made of
 * it: nothing is sent for a block that QEMU has written (`touched`, looked at in the order of the stream), and what QEMU
 * has not written when it flushes becomes zeroes again, which it was before.
 */
#include "base/log.h"
#include "block/bitmap.h"
#include "block/image.h"
#include "relay/export-inside.h"

#include <string.h>

#define LOG_AREA "relay"

#define SENT_MOST   1024 /* blocks that QEMU has not written yet: 64 MiB */
#define FLIGHT_LEFT (FLIGHT_MOST / 4) /* messages that are for QEMU's own requests */
#define PORTION     (16 * OP_BLOCK)   /* read at a time */

typedef struct {
    uint64_t number;         /* of the block; the key */
    flight_request *request; /* NULL: it is done */
    gboolean known;
    op_digest digest;
} sent_block;

struct export_ahead {
    export *owner;
    pthread_t thread;
    export_hand hand;  /* the thread's; once it is joined, anybody's */
    bitmap *touched;   /* blocks that QEMU has written; under the export's `order` */
    gboolean ended;    /* under `order`, and read without it to end early */
    GHashTable *sent;  /* of sent_block, under the export's `lock` */
    uint64_t had;      /* blocks that QEMU wrote and that were there; the reader's */
    gboolean joined;
};

static image *open_image(const export_disk *disk)
{
    g_autoptr(GError) error = NULL;
    image *opened = disk->qcow2 ? image_open_qcow2(disk->path, &error)
                                : image_open_file(disk->path, FALSE, &error);

    if (!opened)
        log_info("disk %s is not read ahead: %s", disk->what, error->message);
    return opened;
}

/* Waits until there is room for one more; FALSE: it has ended. */
static gboolean wait_for_room(export_ahead *self)
{
    export *e = self->owner;
    gboolean going;

    pthread_mutex_lock(&e->lock);
    while (!e->over && !g_atomic_int_get(&self->ended) &&
           (g_hash_table_size(self->sent) >= SENT_MOST || !flight_has_room(e->flight, FLIGHT_LEFT)))
        pthread_cond_wait(&e->room, &e->lock);
    going = !e->over && !g_atomic_int_get(&self->ended);
    pthread_mutex_unlock(&e->lock);
    return going;
}

static gboolean is_touched(const export_ahead *self, uint64_t number)
{
    uint64_t found;

    return bitmap_next(self->touched, number, number + 1, &found);
}

/* With `order` held: the message goes out, unless QEMU was there first. */
static gboolean enter(export_ahead *self, op *message, frame *kept)
{
    export *e = self->owner;
    sent_block *block;
    flight_request *request;
    flight_result none;
    gboolean fits;

    if (g_atomic_int_get(&self->ended) || is_touched(self, message->offset / OP_BLOCK))
        return FALSE;
    pthread_mutex_lock(&e->lock);
    fits = !e->over && flight_has_room(e->flight, 1);
    if (fits) {
        block = g_new0(sent_block, 1);
        request = flight_begin_ahead(e->flight, message->offset / OP_BLOCK);
        *block = (sent_block){.number = message->offset / OP_BLOCK,
                              .request = request,
                              .known = message->form == OP_KNOWN,
                              .digest = message->digest};
        flight_add(e->flight, request, message, kept);
        (void)flight_seal(e->flight, request, &none);
        g_hash_table_replace(self->sent, &block->number, block);
    }
    pthread_mutex_unlock(&e->lock);
    return fits;
}

static void send_block(export_ahead *self, const uint8_t *content, uint64_t offset, uint32_t length)
{
    export *e = self->owner;
    op message = {.type = OP_DATA, .offset = offset, .length = length};
    frame *f = export_room(e, &self->hand, length), *kept, *made;

    memcpy(f->payload + OP_HEADER, content, length);
    made = export_form(e, &self->hand, f, &message, &kept);
    pthread_mutex_lock(&e->order);
    if (enter(self, &message, kept)) {
        if (message.form == OP_KNOWN)
            pump_count_found(e->io, (int64_t)length);
        export_push_locked(e, &message, made);
    } else {
        g_clear_pointer(&kept, frame_unref);
        frame_unref(made);
    }
    pthread_mutex_unlock(&e->order);
}

/* FALSE: it has ended. */
static gboolean send_portion(export_ahead *self, const uint8_t *bytes, uint64_t offset, size_t length)
{
    for (size_t at = 0; at < length; at += OP_BLOCK) {
        uint32_t n = (uint32_t)MIN(length - at, OP_BLOCK);
        if (!wait_for_room(self))
            return FALSE;
        if (!export_is_zero(bytes + at, n))
            send_block(self, bytes + at, offset + at, n);
    }
    return TRUE;
}

/* Behind what QEMU has written already there is nothing to gain. */
static uint64_t skip_touched(export_ahead *self, uint64_t at)
{
    pthread_mutex_lock(&self->owner->order);
    while (at < self->owner->size && is_touched(self, at / OP_BLOCK))
        at += OP_BLOCK;
    pthread_mutex_unlock(&self->owner->order);
    return at;
}

static void *run(void *data)
{
    export_ahead *self = data;
    export *e = self->owner;
    g_autoptr(image) from = open_image(e->disk);
    g_autofree uint8_t *bytes = g_malloc(PORTION);
    g_autoptr(GError) error = NULL;
    uint64_t at = 0, start, length, size = from ? MIN(image_size(from), e->size) : 0;

    while (at < size && wait_for_room(self)) {
        size_t n;

        at = skip_touched(self, at);
        if (at >= size || !image_next_data(from, at, &start, &length, &error) || !length ||
            start >= size)
            break;
        at = MAX(at, start - start % OP_BLOCK);
        n = (size_t)MIN(MIN(PORTION, size - at), start + length - at);
        n = (size_t)MIN((n + OP_BLOCK - 1) / OP_BLOCK * OP_BLOCK, size - at);
        if (!image_read(from, at, bytes, n, &error) || !send_portion(self, bytes, at, n))
            break;
        at += n;
    }
    if (error)
        log_info("disk %s is not read ahead any more: %s", e->what, error->message);
    return NULL;
}

void export_ahead_try(export *self)
{
    gint64 round_trip;
    export_ahead *made;

    if (self->ahead || self->near)
        return;
    round_trip = pump_round_trip(self->io);
    if (!round_trip && self->table->far)
        return; /* perhaps next time */
    self->near = round_trip < self->table->far || !self->disk->path;
    if (self->near)
        return;
    made = g_new0(export_ahead, 1);
    made->owner = self;
    made->touched = bitmap_new((self->size + OP_BLOCK - 1) / OP_BLOCK, NULL);
    made->sent = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    /* Without it all is as it was, only slower. */
    if (made->touched && pthread_create(&made->thread, NULL, run, made) == 0) {
        pthread_setname_np(made->thread, "disk-ahead");
        log_info("disk %s is read ahead: a round trip takes %" G_GINT64_FORMAT " ms", self->what,
                 round_trip / 1000);
        self->ahead = made;
        return;
    }
    self->near = TRUE;
    bitmap_free(made->touched);
    g_hash_table_unref(made->sent);
    g_free(made);
}

gboolean export_ahead_has(export *self, flight_request *request, uint64_t offset,
                          const uint8_t *content, uint32_t length)
{
    uint64_t number = offset / OP_BLOCK;
    const sent_block *block;
    op_digest digest;
    gboolean same = FALSE;

    if (!self->ahead || offset % OP_BLOCK != 0 ||
        (length != OP_BLOCK && offset + length != self->size))
        return FALSE;
    digest = op_digest_of(content, length);
    pthread_mutex_lock(&self->lock);
    block = g_hash_table_lookup(self->ahead->sent, &number);
    same = block && op_digest_equal(&block->digest, &digest);
    if (same) {
        if (block->request)
            flight_claim(block->request, request);
        self->ahead->had++;
        g_hash_table_remove(self->ahead->sent, &number);
        pthread_cond_broadcast(&self->room);
    }
    pthread_mutex_unlock(&self->lock);
    return same;
}

/* Any block that was sent and that QEMU has not written. */
static gboolean any_left(export_ahead *self, uint64_t *number)
{
    GHashTableIter all;
    gpointer key;
    gboolean found;

    pthread_mutex_lock(&self->owner->lock);
    g_hash_table_iter_init(&all, self->sent);
    found = g_hash_table_iter_next(&all, &key, NULL);
    if (found)
        *number = *(const uint64_t *)key;
    pthread_mutex_unlock(&self->owner->lock);
    return found;
}

static void end(export_ahead *self)
{
    export *e = self->owner;

    pthread_mutex_lock(&e->order);
    g_atomic_int_set(&self->ended, TRUE);
    pthread_mutex_unlock(&e->order);
    pthread_mutex_lock(&e->lock);
    pthread_cond_broadcast(&e->room);
    pthread_mutex_unlock(&e->lock);
}

gboolean export_ahead_end(export *self, export_cut *cut)
{
    uint64_t number, undone = 0;

    if (!self->ahead || self->ahead->ended)
        return TRUE;
    end(self->ahead);
    for (; any_left(self->ahead, &number); undone++) {
        uint64_t offset = number * OP_BLOCK;
        if (!export_send_zero(self, cut, offset, MIN(OP_BLOCK, self->size - offset), TRUE))
            return FALSE;
    }
    log_info("disk %s was read ahead: %" G_GUINT64_FORMAT " blocks were there when QEMU wrote "
             "them, %" G_GUINT64_FORMAT " were undone",
             self->what, (guint64)self->ahead->had, (guint64)undone);
    return TRUE;
}

/* What went as KNOWN may be asked for, and then comes once more behind what was sent since: so that has to wait. With
 * `lock` held. */
static gboolean may_come_again(const sent_block *block)
{
    return block && block->request && block->known;
}

/* Forgets one block; TRUE: it was sent, and the target has had it, or will. With `lock` held. */
static gboolean forget(export_ahead *self, uint64_t number)
{
    export *e = self->owner;

    while (!e->over && may_come_again(g_hash_table_lookup(self->sent, &number)))
        pthread_cond_wait(&e->room, &e->lock);
    return g_hash_table_remove(self->sent, &number);
}

gboolean export_ahead_yield(export *self, export_cut *cut, uint64_t offset, uint64_t length)
{
    uint64_t first = offset / OP_BLOCK, last = (offset + length - 1) / OP_BLOCK;
    gboolean going, was_sent, whole, undo[2] = {FALSE, FALSE}; /* of the first and the last */
    export_ahead *ahead = self->ahead;

    if (!ahead)
        return TRUE;
    pthread_mutex_lock(&self->order);
    for (uint64_t n = first; n <= last; n++)
        (void)bitmap_set(ahead->touched, n);
    pthread_mutex_unlock(&self->order);
    pthread_mutex_lock(&self->lock);
    for (uint64_t n = first; n <= last && g_hash_table_size(ahead->sent); n++) {
        was_sent = forget(ahead, n);
        whole = n * OP_BLOCK >= offset && MIN((n + 1) * OP_BLOCK, self->size) <= offset + length;
        if (was_sent && !whole)
            undo[n != first] = TRUE;
    }
    pthread_cond_broadcast(&self->room);
    going = !self->over;
    pthread_mutex_unlock(&self->lock);
    /* The rest of a block that QEMU writes a part of is what QEMU has made of it, too. */
    if (going && undo[0])
        going = export_undo(self, cut, first * OP_BLOCK, MIN(OP_BLOCK, self->size - first * OP_BLOCK));
    if (going && undo[1])
        going = export_undo(self, cut, last * OP_BLOCK, MIN(OP_BLOCK, self->size - last * OP_BLOCK));
    return going;
}

void export_ahead_done(export_ahead *self, const flight_result *result)
{
    sent_block *block = g_hash_table_lookup(self->sent, &result->cookie);

    if (!block)
        return;
    block->request = NULL;
    if (result->errnum)
        g_hash_table_remove(self->sent, &result->cookie);
}

void export_ahead_stop(export *self)
{
    export_ahead *ahead = self->ahead;

    if (!ahead || ahead->joined)
        return;
    end(ahead);
    pthread_join(ahead->thread, NULL);
    ahead->joined = TRUE;
}

void export_ahead_free(export *self)
{
    export_ahead *ahead = self->ahead;

    if (!ahead)
        return;
    export_ahead_stop(self);
    self->ahead = NULL;
    export_hand_clear(&ahead->hand);
    bitmap_free(ahead->touched);
    g_hash_table_unref(ahead->sent);
    g_free(ahead);
}

void export_ahead_add_sums(export *self, export_hand *sums)
{
    const export_hand *hand;

    if (!self->ahead)
        return;
    hand = &self->ahead->hand;
    sums->plain += hand->plain;
    sums->packed += hand->packed;
    sums->packed_to += hand->packed_to;
    sums->known += hand->known;
}
