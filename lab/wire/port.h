/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One end of a cable: an interface whose frames are taken off and put on. */
#pragma once

#include "link.h"

struct port;

/*
 * Takes hold of INTERFACE of this network namespace: promiscuous, and without IPv6, because a cable has no
 * addresses. Frames come with what the sender left to its hardware (PACKET_VNET_HDR) and with their VLAN tag
 * (PACKET_AUXDATA); they are handed on as a cable would carry them, so that no offload has to be
 * switched off at either end.
 */
struct port *port_open(const char *interface, GError **error);
void port_close(struct port *port);

int port_fd(const struct port *port); /* readable when frames wait */

/* Moves the frames that wait, up to a batch, into LINK. FALSE with ERROR when the interface is gone. */
gboolean port_receive(struct port *port, struct link *link, gint64 now_ns, GError **error);

/* Puts the frames of LINK that are due on the interface. FALSE when it takes no more for now. */
gboolean port_send(struct port *port, struct link *link, gint64 now_ns);

/* Frames that could not be put on a cable or on the interface. */
guint64 port_dropped(const struct port *port);

/* Frames, large ones counted once, that came in faster than they were fetched: then the wire, not what it stands
 * for, was too slow. */
guint64 port_missed(struct port *port);
