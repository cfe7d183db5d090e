/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns what an offloading sender hands over into the frames a cable would carry. Pure. */
#pragma once

#include <glib.h>
#include <linux/virtio_net.h>

/* Frames up to this come in: 64 KiB of IP, Ethernet and VLAN headers. */
#define SEGMENT_FRAME_MAX (65535 + 14 + 8)

typedef void (*segment_emit)(gpointer user, const guint8 *frame, gsize length);

/*
 * FRAME (LENGTH bytes, may be changed) came with the header HEAD. Calls EMIT for every frame of its own:
 * TCP over IPv4 and IPv6 is cut into segments of HEAD->gso_size, and checksums left to hardware are
 * computed. FALSE, with nothing emitted, when it is none of this and so cannot be put on a cable.
 */
gboolean segment_frame(const struct virtio_net_hdr *head, guint8 *frame, gsize length,
                       segment_emit emit, gpointer user);
