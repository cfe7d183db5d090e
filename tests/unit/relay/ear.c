/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target for the tests of exports; see ear.h. */
#include "ear.h"
#include "block/pack.h"
#include "block/sha.h"

#include <string.h>

typedef struct {
    pump_codec codec;
    ear *owner;
} ear_codec;

static frame *make(ear *self, const void *bytes, uint32_t length)
{
    frame *f = pump_frame(self->io, length);

    memcpy(f->payload, bytes, length);
    f->length = length;
    return f;
}

static frame *make_ids(ear *self, op_type type, const uint32_t *ids, unsigned count,
                       uint32_t errnum)
{
    uint8_t bytes[OP_HEADER + OP_IDS_MAX * 8];
    uint32_t header = op_put(bytes, &(op){.type = type, .count = count});

    for (unsigned i = 0; i < count; i++)
        if (type == OP_DONE)
            op_put_done(bytes + header, i, ids[i], errnum);
        else
            op_put_need(bytes + header, i, ids[i]);
    return make(self, bytes, header + count * (type == OP_DONE ? 8 : 4));
}

static frame *answer(ear *self, uint32_t id)
{
    if (!self->hold)
        return make_ids(self, OP_DONE, &id, 1, 0);
    g_array_append_val(self->held, id);
    return NULL;
}

static frame *take_known(ear *self, const op *m)
{
    g_autoptr(GBytes) key = g_bytes_new(m->body, OP_SHA256);
    GBytes *content = g_hash_table_lookup(self->holds, key);

    self->known++;
    if (!content || self->forgets) {
        g_hash_table_add(self->needed, GUINT_TO_POINTER(m->id));
        return make_ids(self, OP_NEED, &m->id, 1, 0);
    }
    g_assert_cmpuint(g_bytes_get_size(content), ==, m->length);
    memcpy(self->image + m->offset, g_bytes_get_data(content, NULL), m->length);
    return answer(self, m->id);
}

static frame *take_data(ear *self, const op *m)
{
    uint8_t *at = self->image + m->offset;
    op_digest digest;

    if (m->form == OP_KNOWN)
        return take_known(self, m);
    self->again += g_hash_table_remove(self->needed, GUINT_TO_POINTER(m->id));
    if (m->form == OP_PLAIN) {
        self->plain++;
        memcpy(at, m->body, m->length);
    } else {
        pack *p = pack_new();
        self->zstd++;
        g_assert_true(pack_inflate(p, at, (uint32_t)m->length, m->body, m->body_length, NULL));
        pack_free(p);
    }
    digest = op_digest_of(at, m->length);
    g_assert_true(op_digest_equal(&digest, &m->digest));
    return answer(self, m->id);
}

static frame *take(ear *self, const op *m)
{
    switch (m->type) {
    case OP_OPEN:
        self->name = g_strndup((const char *)m->body, m->body_length);
        self->size = m->length;
        self->image = g_malloc(self->size);
        memset(self->image, 0xee, self->size);
        return NULL;
    case OP_DATA:
        op_chain(&self->running, m);
        return take_data(self, m);
    case OP_ZERO:
        op_chain(&self->running, m);
        self->zeroes++;
        self->kept_zeroes += m->unmap ? 0 : m->length;
        memset(self->image + m->offset, 0, m->length);
        return answer(self, m->id);
    default:
        g_assert_cmpint(m->type, ==, OP_FLUSH);
        g_assert_true(op_digest_equal(&self->running, &m->digest));
        self->flushes++;
        return answer(self, m->id);
    }
}

static gboolean from_peer(pump_codec *codec, pump *io, frame *bytes, GError **error)
{
    g_autoptr(frame) f = bytes;
    ear *self = ((ear_codec *)codec)->owner;
    frame *reply;
    op m;

    pair_lock(self->p);
    self->io = io;
    if (!op_get(f->payload, f->length, TRUE, self->size, &m, error)) {
        pair_unlock(self->p);
        return FALSE;
    }
    reply = take(self, &m);
    pair_wake(self->p);
    pair_unlock(self->p);
    if (reply)
        pump_to_peer(io, reply);
    return TRUE;
}

static void note_end(ear *self)
{
    pair_lock(self->p);
    self->ended = TRUE;
    pair_wake(self->p);
    pair_unlock(self->p);
}

static void ended(pump_codec *codec, pump *io, gboolean broken)
{
    note_end(((ear_codec *)codec)->owner);
}

static void wake(pump_codec *codec)
{
    note_end(((ear_codec *)codec)->owner);
}

static gboolean serve(pump_codec *codec, pump *io, GError **error)
{
    ear *self = ((ear_codec *)codec)->owner;

    pair_wait(self->p, self->ended);
    return TRUE;
}

static pump_codec *codec_new(void *user)
{
    ear_codec *self = g_new0(ear_codec, 1);

    self->owner = user;
    self->codec = (pump_codec){.serve = serve,
                               .from_peer = from_peer,
                               .ended = ended,
                               .wake = wake,
                               .free = (void (*)(pump_codec *))g_free};
    return &self->codec;
}

void ear_offer(ear *self, pair *p)
{
    g_autoptr(GError) error = NULL;

    *self = (ear){.p = p};
    self->held = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    self->needed = g_hash_table_new(NULL, NULL);
    self->holds = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
                                        (GDestroyNotify)g_bytes_unref);
    session_offer(p->target.session, STREAM_DISK, NULL, 4, codec_new, self, &error);
    g_assert_no_error(error);
}

void ear_clear(ear *self)
{
    g_free(self->name);
    g_free(self->image);
    g_array_unref(self->held);
    g_hash_table_unref(self->needed);
    g_hash_table_unref(self->holds);
}

void ear_hold(ear *self, const void *content, uint32_t length)
{
    uint8_t sha[OP_SHA256], bytes[OP_HEADER + 8];
    op m = {.type = OP_HINTS, .count = 1};
    uint32_t header = op_put(bytes, &m);

    sha_of(content, length, sha);
    op_put_hint(bytes + header, 0, sha_hint(sha));
    pair_lock(self->p);
    g_hash_table_insert(self->holds, g_bytes_new(sha, sizeof sha), g_bytes_new(content, length));
    pair_unlock(self->p);
    ear_say(self, bytes, header + 8);
}

void ear_release(ear *self, uint32_t errnum)
{
    g_autoptr(GArray) ids = NULL;

    pair_lock(self->p);
    self->hold = FALSE;
    ids = g_steal_pointer(&self->held);
    self->held = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    pair_unlock(self->p);
    for (guint i = 0; i < ids->len; i += OP_IDS_MAX)
        pump_to_peer(self->io, make_ids(self, OP_DONE, &g_array_index(ids, uint32_t, i),
                                        MIN(ids->len - i, OP_IDS_MAX), errnum));
}

void ear_say(ear *self, const void *bytes, uint32_t length)
{
    pump_to_peer(self->io, make(self, bytes, length));
}

void ear_say_ids(ear *self, op_type type, uint32_t id, uint32_t errnum)
{
    pump_to_peer(self->io, make_ids(self, type, &id, 1, errnum));
}
