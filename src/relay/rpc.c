/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's packets put together, keepalives answered, the rest judged; see rpc.h. */
#include "relay/rpc.h"
#include "base/bytes.h"
#include "base/hook.h"
#include "relay/pump.h"

#include <pthread.h>
#include <string.h>

/* libvirt: src/rpc/virkeepalive.c, virkeepaliveprotocol.x */
enum { KEEPALIVE_VERSION = 1, KEEPALIVE_PING = 1, KEEPALIVE_PONG = 2 };

/* A packet that arrives in pieces. Grows with what has arrived, not with what is announced. */
typedef struct {
    uint8_t *bytes;
    size_t have, room;
    uint32_t length; /* of the whole packet; 0 until its first 4 bytes are here */
} assembly;

typedef struct {
    pump_codec codec;
    const rpc_judge *judge;
    pthread_mutex_t judging; /* a judge is asked one thing at a time; outermost lock */
    assembly from_local;     /* the reader thread's */
    assembly from_peer;      /* the writer thread's */
} rpc_codec;

static void append(assembly *a, const uint8_t *bytes, size_t length)
{
    if (a->have + length > a->room) {
        a->room = MAX(a->have + length, MIN(2 * a->room, RPC_PACKET_MAX));
        a->bytes = g_realloc(a->bytes, a->room);
    }
    memcpy(a->bytes + a->have, bytes, length);
    a->have += length;
}

/* Takes from *bytes what belongs to the packet in hand. TRUE: it is complete. An impossible
 * length sets *error. */
static gboolean assemble(assembly *a, const uint8_t **bytes, size_t *left, GError **error)
{
    size_t wanted = a->length ? a->length - a->have : 4 - a->have;
    size_t n = MIN(wanted, *left);

    append(a, *bytes, n);
    *bytes += n;
    *left -= n;
    if (n < wanted)
        return FALSE;
    if (a->length)
        return TRUE;
    a->length = get_be32(a->bytes);
    if (a->length >= RPC_HEADER_SIZE && a->length <= RPC_PACKET_MAX)
        return FALSE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "rpc packet of %u bytes; %d to %d are possible", a->length, RPC_HEADER_SIZE,
                RPC_PACKET_MAX);
    return FALSE;
}

static rpc_packet parse(const assembly *a)
{
    const uint8_t *p = a->bytes;

    return (rpc_packet){.program = get_be32(p + 4),
                        .version = get_be32(p + 8),
                        .procedure = (int32_t)get_be32(p + 12),
                        .type = (int32_t)get_be32(p + 16),
                        .serial = get_be32(p + 20),
                        .status = (int32_t)get_be32(p + 24),
                        .body = p + RPC_HEADER_SIZE,
                        .body_length = a->length - RPC_HEADER_SIZE};
}

static gboolean invalid(GError **error, const char *what)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s", what);
    return FALSE;
}

/* Whoever is connected here wants to know whether somebody lives: we do, and what is behind us is
 * watched by the session. */
static gboolean answer_keepalive(pump *io, const rpc_packet *packet, GError **error)
{
    uint8_t pong[RPC_HEADER_SIZE];

    if (packet->version != KEEPALIVE_VERSION || packet->body_length != 0 ||
        packet->type != RPC_EVENT)
        return invalid(error, "malformed rpc keepalive");
    if (packet->procedure == KEEPALIVE_PONG)
        return TRUE;
    if (packet->procedure != KEEPALIVE_PING)
        return invalid(error, "unknown rpc keepalive");
    put_be32(pong, sizeof pong);
    put_be32(pong + 4, RPC_PROGRAM_KEEPALIVE);
    put_be32(pong + 8, KEEPALIVE_VERSION);
    put_be32(pong + 12, KEEPALIVE_PONG);
    put_be32(pong + 16, RPC_EVENT);
    put_be32(pong + 20, packet->serial);
    put_be32(pong + 24, RPC_OK);
    pump_to_local(io, pong, sizeof pong);
    return TRUE;
}

/* Puts another body behind the packet's header. */
static gboolean replace_body(assembly *a, GBytes *body, GError **error)
{
    gsize size;
    const void *data = g_bytes_get_data(body, &size);

    if (size > RPC_PACKET_MAX - RPC_HEADER_SIZE)
        return invalid(error, "rpc packet that is too long with what the judge puts into it");
    a->have = RPC_HEADER_SIZE;
    append(a, data, size);
    a->length = (uint32_t)a->have;
    put_be32(a->bytes, a->length);
    return TRUE;
}

/* What the hooks call it: "rpc:finish.reply". */
static char *step_name(const rpc_packet *packet)
{
    static const struct {
        int32_t procedure;
        const char *name;
    } names[] = {{RPC_AUTH_LIST, "auth"},
                 {RPC_CONNECT_SUPPORTS_FEATURE, "feature"},
                 {RPC_CONNECT_OPEN, "open"},
                 {RPC_MIGRATE_PREPARE3_PARAMS, "prepare"},
                 {RPC_MIGRATE_FINISH3_PARAMS, "finish"},
                 {RPC_CONNECT_CLOSE, "close"}};
    const char *what = packet->type == RPC_CALL ? "call" : packet->type == RPC_REPLY ? "reply" : "event";

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        if (names[i].procedure == packet->procedure)
            return g_strdup_printf("rpc:%s.%s", names[i].name, what);
    return g_strdup_printf("rpc:%d.%s", packet->procedure, what);
}

static gboolean judge(rpc_codec *self, assembly *a, const rpc_packet *packet,
                      rpc_direction direction, GError **error)
{
    g_autoptr(GBytes) instead = NULL;
    g_autofree char *step = step_name(packet);
    gboolean good;

    /* Types from 4 on pass descriptors or mark holes in streams: neither can be in a migration. */
    if (packet->type < RPC_CALL || packet->type > RPC_STREAM)
        return invalid(error, "rpc packet of unknown type");
    hook_before(step);
    if (hook_wrong(step))
        return invalid(error, "rpc packet that is lost, as a test wished");
    pthread_mutex_lock(&self->judging);
    good = self->judge->judge(packet, direction, self->judge->user, &instead, error);
    pthread_mutex_unlock(&self->judging);
    hook_after(step);
    return good && (!instead || replace_body(a, instead, error));
}

static void send_packet(pump *io, const assembly *a)
{
    for (size_t at = 0; at < a->length;) {
        uint32_t n = (uint32_t)MIN(a->length - at, WIRE_PAYLOAD_MAX);
        frame *f = pump_frame(io, n);
        memcpy(f->payload, a->bytes + at, n);
        f->length = n;
        pump_to_peer(io, f);
        at += n;
    }
}

/* The judge may take long, and the session may fail meanwhile: the local libvirt sees the packet
 * or the end of the connection only once the judge has spoken. On the source an end seen too
 * early would make libvirt resume a guest that has been given up (I1). */
static gboolean pass_to_local(rpc_codec *self, pump *io, assembly *a, const rpc_packet *packet,
                              GError **error)
{
    gboolean good;

    pump_hold(io);
    good = judge(self, a, packet, RPC_FROM_PEER, error);
    if (good)
        pump_to_local(io, a->bytes, a->length);
    pump_release(io);
    return good;
}

static gboolean pass(rpc_codec *self, pump *io, assembly *a, rpc_direction direction,
                     GError **error)
{
    rpc_packet packet = parse(a);

    if (packet.program == RPC_PROGRAM_KEEPALIVE) {
        if (direction == RPC_FROM_PEER)
            return invalid(error, "rpc keepalive from the peer, where each side answers its own");
        if (!answer_keepalive(io, &packet, error))
            return FALSE;
    } else if (direction == RPC_FROM_PEER) {
        if (!pass_to_local(self, io, a, &packet, error))
            return FALSE;
    } else if (!judge(self, a, &packet, direction, error)) {
        return FALSE;
    } else {
        send_packet(io, a);
    }
    a->have = a->length = 0;
    return TRUE;
}

/* *complete: how many packets went through. */
static gboolean feed(rpc_codec *self, pump *io, assembly *a, const frame *f,
                     rpc_direction direction, unsigned *complete, GError **error)
{
    const uint8_t *bytes = f->payload;
    size_t left = f->length;
    GError *failure = NULL;

    *complete = 0;
    while (left > 0 && !failure)
        if (assemble(a, &bytes, &left, &failure) && pass(self, io, a, direction, &failure))
            ++*complete;
    if (failure)
        g_propagate_error(error, failure);
    return failure == NULL;
}

static gboolean from_local(pump_codec *codec, pump *io, frame *bytes, GError **error)
{
    g_autoptr(frame) f = bytes;
    rpc_codec *self = (rpc_codec *)codec;
    unsigned complete;

    return feed(self, io, &self->from_local, f, RPC_TO_PEER, &complete, error);
}

static gboolean from_peer(pump_codec *codec, pump *io, frame *bytes, GError **error)
{
    g_autoptr(frame) f = bytes;
    rpc_codec *self = (rpc_codec *)codec;
    unsigned complete;

    if (!feed(self, io, &self->from_peer, f, RPC_FROM_PEER, &complete, error))
        return FALSE;
    /* The frames that hold the beginning of a packet are not handed on before its end is. */
    if (self->from_peer.have == 0)
        codec->held = 0;
    else
        codec->held = complete ? 1 : codec->held + 1;
    return TRUE;
}

static void rpc_codec_free(pump_codec *codec)
{
    rpc_codec *self = (rpc_codec *)codec;

    pthread_mutex_destroy(&self->judging);
    g_free(self->from_local.bytes);
    g_free(self->from_peer.bytes);
    g_free(self);
}

pump_codec *rpc_codec_new(void *its_judge)
{
    rpc_codec *self = g_new0(rpc_codec, 1);

    self->codec =
        (pump_codec){.from_local = from_local, .from_peer = from_peer, .free = rpc_codec_free};
    self->judge = its_judge;
    pthread_mutex_init(&self->judging, NULL);
    return &self->codec;
}
