/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts large frames into segments and completes checksums, as a network card does (RFC 9293, RFC
 * 1071). */
#include "segment.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

static guint16 get16(const guint8 *p)
{
    return (guint16)(p[0] << 8 | p[1]);
}

static void put16(guint8 *p, guint16 v)
{
    p[0] = (guint8)(v >> 8);
    p[1] = (guint8)v;
}

static guint32 get32(const guint8 *p)
{
    return (guint32)get16(p) << 16 | get16(p + 2);
}

static void put32(guint8 *p, guint32 v)
{
    put16(p, (guint16)(v >> 16));
    put16(p + 2, (guint16)v);
}

/* Adds N bytes to the one's complement SUM, which is kept in the machine's byte order. */
static guint64 add(guint64 sum, const guint8 *p, gsize n)
{
    for (; n >= 4; n -= 4, p += 4) {
        guint32 v;
        memcpy(&v, p, 4);
        sum += v;
    }
    if (n >= 2) {
        guint16 v;
        memcpy(&v, p, 2);
        sum += v;
        p += 2;
        n -= 2;
    }
    return n ? sum + (GUINT16_FROM_BE((guint16)(*p << 8))) : sum;
}

static void finish(guint64 sum, guint8 *to)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    guint16 v = (guint16)~sum;
    memcpy(to, &v, 2);
}

/* The sender has put the sum of the pseudo header where the checksum belongs. */
static gboolean complete(const struct virtio_net_hdr *h, guint8 *frame, gsize length)
{
    gsize start = h->csum_start, field = start + h->csum_offset;

    if (start >= length || field + 2 > length)
        return FALSE;
    finish(add(0, frame + start, length - start), frame + field);
    if (h->csum_offset == 6 && frame[field] == 0 && frame[field + 1] == 0)
        memset(frame + field, 0xff, 2); /* UDP: 0 would say that there is none */
    return TRUE;
}

/* Where things are in a TCP frame; all within the first `payload` bytes. */
struct layout {
    gboolean v6;
    gsize ip, tcp, payload;
};

static gboolean lay_out(const guint8 *f, gsize length, struct layout *l)
{
    gsize at = 12;

    while (at + 6 <= length && (get16(f + at) == ETHERTYPE_VLAN || get16(f + at) == 0x88a8))
        at += 4;
    if (at + 2 + 40 + 20 > length)
        return FALSE;
    l->ip = at + 2;
    l->v6 = get16(f + at) == ETHERTYPE_IPV6;
    if (l->v6) {
        l->tcp = l->ip + 40;
        if (f[l->ip + 6] != IPPROTO_TCP)
            return FALSE; /* extension headers: nobody offloads these */
    } else {
        gsize words = f[l->ip] & 15;
        l->tcp = l->ip + words * 4;
        if (get16(f + at) != ETHERTYPE_IP || words < 5 || f[l->ip + 9] != IPPROTO_TCP)
            return FALSE;
    }
    if (l->tcp + 20 > length)
        return FALSE;
    l->payload = l->tcp + (gsize)(f[l->tcp + 12] >> 4) * 4;
    return l->payload >= l->tcp + 20 && l->payload <= length;
}

/* Writes lengths and checksums into a segment whose headers and payload are in place. */
static void seal(guint8 *f, gsize length, const struct layout *l, guint16 id)
{
    gsize tcp_length = length - l->tcp;
    guint8 pseudo[4] = {0, IPPROTO_TCP, (guint8)(tcp_length >> 8), (guint8)tcp_length};
    guint64 sum = add(0, pseudo, sizeof pseudo);

    if (l->v6) {
        put16(f + l->ip + 4, (guint16)(length - l->tcp));
        sum = add(sum, f + l->ip + 8, 32);
    } else {
        put16(f + l->ip + 2, (guint16)(length - l->ip));
        put16(f + l->ip + 4, id);
        put16(f + l->ip + 10, 0);
        finish(add(0, f + l->ip, l->tcp - l->ip), f + l->ip + 10);
        sum = add(sum, f + l->ip + 12, 8);
    }
    put16(f + l->tcp + 16, 0);
    finish(add(sum, f + l->tcp, tcp_length), f + l->tcp + 16);
}

static gboolean cut(guint8 *frame, gsize length, gsize size, segment_emit emit, gpointer user)
{
    struct layout l;
    guint8 segment[SEGMENT_FRAME_MAX];

    if (size == 0 || !lay_out(frame, length, &l) || l.payload + size > sizeof segment)
        return FALSE;
    guint32 seq = get32(frame + l.tcp + 4);
    guint16 id = l.v6 ? 0 : get16(frame + l.ip + 4);
    guint8 flags = frame[l.tcp + 13];
    gsize at = l.payload;

    do {
        gsize n = MIN(size, length - at);
        gboolean first = at == l.payload, last = at + n == length;
        memcpy(segment, frame, l.payload);
        memcpy(segment + l.payload, frame + at, n);
        put32(segment + l.tcp + 4, seq + (guint32)(at - l.payload));
        segment[l.tcp + 13] =
            (guint8)(flags & ~(last ? 0 : TCP_FIN | TCP_PSH) & ~(first ? 0 : TCP_CWR));
        seal(segment, l.payload + n, &l, id++);
        emit(user, segment, l.payload + n);
        at += n;
    } while (at < length);
    return TRUE;
}

gboolean segment_frame(const struct virtio_net_hdr *h, guint8 *frame, gsize length,
                       segment_emit emit, gpointer user)
{
    switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
        if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !complete(h, frame, length))
            return FALSE;
        emit(user, frame, length);
        return TRUE;
    case VIRTIO_NET_HDR_GSO_TCPV4:
    case VIRTIO_NET_HDR_GSO_TCPV6:
        return cut(frame, length, h->gso_size, emit, user);
    default:
        return FALSE;
    }
}
