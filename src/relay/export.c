/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An NBD server whose disk is a stream: handshake and requests; see export.h. */
#include "relay/export.h"
#include "base/log.h"
#include "relay/export-inside.h"

#include <string.h>

#define LOG_AREA "relay"

static void free_disk(void *data)
{
    export_disk *disk = data;

    g_free(disk->name);
    g_free(disk->what);
    g_free(disk->path);
    g_free(disk);
}

export_table *export_table_new(void)
{
    export_table *self = g_new0(export_table, 1);

    self->exports = g_array_new(FALSE, FALSE, sizeof(nbd_export));
    self->disks = g_ptr_array_new_with_free_func(free_disk);
    self->known = hints_new();
    self->far = EXPORT_FAR_US;
    pthread_mutex_init(&self->clock, NULL);
    return self;
}

void export_table_free(export_table *self)
{
    if (!self)
        return;
    g_array_unref(self->exports);
    g_ptr_array_unref(self->disks);
    hints_free(self->known);
    pthread_mutex_destroy(&self->clock);
    g_free(self);
}

gint64 export_table_waiting(export_table *self)
{
    gint64 since;

    pthread_mutex_lock(&self->clock);
    since = self->under_way ? g_get_monotonic_time() - self->moved_at : 0;
    pthread_mutex_unlock(&self->clock);
    return since;
}

void export_tick(export *self, int requests)
{
    export_table *table = self->table;

    pthread_mutex_lock(&table->clock);
    if (requests <= 0 || !table->under_way)
        table->moved_at = g_get_monotonic_time();
    table->under_way += (unsigned)requests;
    self->under_way += (unsigned)requests;
    pthread_mutex_unlock(&table->clock);
}

void export_table_add(export_table *self, const char *name, const char *what, uint64_t size)
{
    export_disk *disk = g_new0(export_disk, 1);

    *disk = (export_disk){.name = g_strdup(name), .what = g_strdup(what)};
    g_ptr_array_add(self->disks, disk);
    g_array_append_vals(self->exports, &(nbd_export){.name = disk->name, .size = size}, 1);
}

void export_table_set_image(export_table *self, const char *path, const char *format)
{
    export_disk *disk = self->disks->pdata[self->disks->len - 1];

    disk->qcow2 = !strcmp(format, "qcow2");
    if (disk->qcow2 || !strcmp(format, "raw"))
        disk->path = g_strdup(path);
}

void export_table_set_far(export_table *self, gint64 round_trip)
{
    self->far = round_trip;
}

/* The first frame: which disk the stream is. From now on the target may answer. */
static void open_stream(export *self, const nbd_export *chosen)
{
    op message = {.type = OP_OPEN,
                  .length = chosen->size,
                  .body = (const uint8_t *)chosen->name,
                  .body_length = (uint32_t)strlen(chosen->name)};
    frame *f = pump_frame(self->io, OP_HEADER + message.body_length);
    uint32_t header = op_put(f->payload, &message);

    memcpy(f->payload + header, message.body, message.body_length);
    f->length = header + message.body_length;
    self->size = chosen->size;
    pthread_mutex_lock(&self->lock);
    self->open = TRUE;
    pthread_mutex_unlock(&self->lock);
    pump_to_peer(self->io, f);
}

/* FALSE without *error: the connection has ended, or has to. */
static gboolean negotiate_option(export *self, gboolean no_zeroes, nbd_verdict *verdict,
                                 unsigned *chosen, GError **error)
{
    const nbd_export *exports = (const nbd_export *)(void *)self->table->exports->data;
    g_autoptr(GByteArray) answer = g_byte_array_new();
    uint8_t head[NBD_OPTION_HEADER], data[NBD_OPTION_MAX];
    uint32_t option, length;

    if (!pump_receive(self->io, head, sizeof head) ||
        !nbd_get_option(head, &option, &length, error) || !pump_receive(self->io, data, length))
        return FALSE;
    *verdict = nbd_answer(option, data, length, exports, self->table->exports->len, no_zeroes,
                          answer, chosen);
    if (*verdict == NBD_CHOSEN) {
        export_disk *disk = self->table->disks->pdata[*chosen];
        if (!g_atomic_int_compare_and_exchange(&disk->taken, FALSE, TRUE)) {
            log_warning("disk %s: somebody connected to its export once more", disk->what);
            return FALSE;
        }
        self->what = disk->what;
        self->disk = disk;
        open_stream(self, &exports[*chosen]);
    }
    pump_to_local(self->io, answer->data, answer->len);
    return TRUE;
}

static gboolean negotiate(export *self, GError **error)
{
    uint8_t greeting[NBD_GREETING], flags[NBD_CLIENT_FLAGS];
    nbd_verdict verdict = NBD_GO_ON;
    gboolean no_zeroes;
    unsigned chosen;

    nbd_put_greeting(greeting);
    pump_to_local(self->io, greeting, sizeof greeting);
    if (!pump_receive(self->io, flags, sizeof flags) ||
        !nbd_get_client_flags(flags, &no_zeroes, error))
        return FALSE;
    while (verdict == NBD_GO_ON)
        if (!negotiate_option(self, no_zeroes, &verdict, &chosen, error))
            return FALSE;
    return verdict == NBD_CHOSEN;
}

/* From here on: FALSE means that the connection or the session has ended. */

static gboolean write_blocks(export *self, const nbd_request *r, export_cut *cut)
{
    uint64_t at = r->offset, end = r->offset + r->length;

    pump_count(self->io, r->length);
    while (at < end) {
        uint32_t n = (uint32_t)MIN(end - at, OP_BLOCK - at % OP_BLOCK);
        frame *f = export_room(self, cut->hand, n);
        if (!pump_receive(self->io, f->payload + OP_HEADER, n)) {
            frame_unref(f);
            return FALSE;
        }
        if (export_ahead_has(self, cut->request, at, f->payload + OP_HEADER, n)) {
            export_keep_room(cut->hand, f);
            if (!export_finish_cut(self, cut))
                return FALSE;
        } else if (!export_send_content(self, cut, f, at, n)) {
            return FALSE;
        }
        at += n;
    }
    return export_finish_cut(self, cut);
}

static gboolean drain(export *self, uint32_t length)
{
    g_autoptr(frame) f = export_room(self, &self->hand, OP_BLOCK);

    while (length > 0) {
        uint32_t n = MIN(length, OP_BLOCK);
        if (!pump_receive(self->io, f->payload, n))
            return FALSE;
        length -= n;
    }
    return TRUE;
}

static gboolean refuse(export *self, const nbd_request *r, uint32_t nbd)
{
    uint8_t bytes[NBD_REPLY];

    log_info("disk %s: refused request %u of %u bytes at %" G_GUINT64_FORMAT, self->what,
             (unsigned)r->command, r->length, r->offset);
    if (r->command == NBD_WRITE && !drain(self, r->length))
        return FALSE;
    nbd_put_reply(bytes, r->cookie, nbd);
    pump_to_local(self->io, bytes, sizeof bytes);
    return TRUE;
}

static gboolean execute(export *self, const nbd_request *r)
{
    export_cut cut = {.request = flight_begin(self->flight, r->cookie), .hand = &self->hand};
    flight_result result;
    gboolean going, over;

    export_tick(self, 1);
    export_ahead_try(self);
    if (r->command == NBD_WRITE)
        going = write_blocks(self, r, &cut);
    else if (r->command == NBD_FLUSH)
        going = export_ahead_end(self, &cut);
    else
        going = export_send_zero(self, &cut, r->offset, r->length, r->unmap);
    if (going && (r->fua || r->command == NBD_FLUSH))
        going = export_send_flush(self, cut.request);
    pthread_mutex_lock(&self->lock);
    over = flight_seal(self->flight, cut.request, &result);
    pthread_mutex_unlock(&self->lock);
    if (over)
        export_tick(self, -1);
    if (over && going)
        export_reply(self, &result);
    return going;
}

/* QEMU has said goodbye, but waits for nothing any more: what is under way still has to arrive. */
static void wait_until_empty(export *self)
{
    pthread_mutex_lock(&self->lock);
    while (!flight_is_empty(self->flight) && !self->over)
        pthread_cond_wait(&self->room, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static void summarize(export *self)
{
    const export_hand *hand = &self->hand;
    char *parts[5] = {g_format_size_full(hand->plain, G_FORMAT_SIZE_IEC_UNITS),
                      g_format_size_full(hand->packed, G_FORMAT_SIZE_IEC_UNITS),
                      g_format_size_full(hand->packed_to, G_FORMAT_SIZE_IEC_UNITS),
                      g_format_size_full(hand->zeroes, G_FORMAT_SIZE_IEC_UNITS),
                      g_format_size_full(hand->known, G_FORMAT_SIZE_IEC_UNITS)};

    log_info(
        "disk %s: sent %s as they are, %s compressed to %s, %s of zeroes, %s known; %u blocks of "
        "these again",
        self->what, parts[0], parts[1], parts[2], parts[3], parts[4], self->resent);
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++)
        g_free(parts[i]);
}

static gboolean serve(pump_codec *codec, pump *io, GError **error)
{
    export *self = (export *)codec;
    GError *failure = NULL;
    gboolean going;

    self->io = io;
    going = negotiate(self, &failure);
    while (going) {
        uint8_t bytes[NBD_REQUEST];
        nbd_request r;
        uint32_t nbd;

        going = pump_receive(io, bytes, sizeof bytes) && nbd_get_request(bytes, &r, &failure) &&
                r.command != NBD_DISC;
        if (going && (nbd = nbd_refuse(&r, self->size)) != 0)
            going = refuse(self, &r, nbd);
        else if (going)
            going = execute(self, &r);
    }
    if (failure) {
        g_propagate_prefixed_error(error, failure, "QEMU's connection for disk %s: ",
                                   self->what ? self->what : "(none yet)");
        return FALSE;
    }
    export_ahead_stop(self);
    wait_until_empty(self);
    if (self->what) {
        export_ahead_add_sums(self, &self->hand);
        summarize(self);
    }
    return TRUE;
}

static void wake(pump_codec *codec)
{
    export *self = (export *)codec;

    pthread_mutex_lock(&self->lock);
    self->over = TRUE;
    pthread_cond_broadcast(&self->room);
    pthread_cond_broadcast(&self->asked);
    pthread_mutex_unlock(&self->lock);
}

static void export_free(pump_codec *codec)
{
    export *self = (export *)codec;

    wake(codec);
    export_stop_resending(self);
    export_ahead_free(self);
    export_tick(self, -(int)self->under_way);
    export_hand_clear(&self->hand);
    flight_free(self->flight);
    g_array_unref(self->needs);
    g_free(self->replies);
    pthread_cond_destroy(&self->room);
    pthread_cond_destroy(&self->asked);
    pthread_mutex_destroy(&self->order);
    pthread_mutex_destroy(&self->lock);
    g_free(self);
}

pump_codec *export_codec_new(void *table)
{
    export *self = g_new0(export, 1);

    self->codec = (pump_codec){
        .serve = serve, .from_peer = export_from_peer, .wake = wake, .free = export_free};
    self->table = table;
    self->flight = flight_new((GDestroyNotify)frame_unref);
    self->needs = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    pthread_mutex_init(&self->order, NULL);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->room, NULL);
    pthread_cond_init(&self->asked, NULL);
    return &self->codec;
}
