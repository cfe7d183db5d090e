/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies between GnuTLS and a socket: a ring of records to be sent, which leaves with few large
 * sendmsg(2), and a buffer that few large recv(2) fill. Nothing here blocks. Used by channel.c only;
 * one thread at a time but for the three counters, which others may read atomically. */
#pragma once
#include "net/ration.h"

#include <stdint.h>
#include <sys/types.h>

#define TRANSPORT_OUT (256 * 1024)
#define TRANSPORT_IN  (256 * 1024)

typedef struct {
    int fd;
    guint64 made, sent;          /* bytes put into the ring and taken out of it so far */
    guint64 received;            /* bytes read from the socket so far */
    ration pulled;               /* what GnuTLS was given */
    int read_errno, write_errno; /* why that direction is broken, 0: it is not */
    gboolean dry;                /* the last transport_pull found nothing in the socket */
    gboolean eof;                /* it found the socket's end */
    size_t in_at, in_end;        /* the part of `in` that has not been pulled */
    uint8_t out[TRANSPORT_OUT];  /* byte n of the stream is at n modulo its size */
    uint8_t in[TRANSPORT_IN];
} transport;

/* GnuTLS's push and pull functions; `data` is the transport. Like send(2) and recv(2), with errno:
 * pushing takes all or, EAGAIN, nothing; pulling with the ration used up is EMSGSIZE. */
ssize_t transport_push(void *data, const void *bytes, size_t length);
ssize_t transport_pull(void *data, void *bytes, size_t length);

size_t transport_unsent(const transport *self);
/* Sends from the ring what the kernel takes; FALSE: the connection is broken (write_errno). */
gboolean transport_drain(transport *self);
