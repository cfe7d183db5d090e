/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One end of a cable, by packet sockets (packet(7)). */
#include "port.h"
#include "segment.h"

#include <errno.h>
#include <gio/gio.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH        64
#define SOCKET_BYTES (8 << 20)

struct port {
    char name[IFNAMSIZ];
    unsigned index;
    int in, out; /* of its own, because frames leave complete, without struct virtio_net_hdr */
    guint64 dropped, missed;
    /* For receiving: a head, room for a VLAN tag and a frame, and control messages, each BATCH
     * times. */
    struct virtio_net_hdr heads[BATCH];
    guint8 *frames;
    union {
        struct cmsghdr align;
        char bytes[64];
    } control[BATCH];
};

#define ROOM (SEGMENT_FRAME_MAX + 4u)

static gboolean failed(GError **error, const char *interface, const char *what)
{
    int code = errno;
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "cannot %s interface %s: %s", what,
                interface, g_strerror(code));
    return FALSE;
}

static gboolean set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

static int open_socket(unsigned index, int protocol)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_ifindex = (int)index,
                                  .sll_protocol = htons((guint16)protocol)};
    /* Protocol 0 first: bound to its interface before anything can come in from others. */
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Left on, the kernel would speak for itself on the cable. Not there without IPv6: fine too. */
static void silence_ipv6(const char *interface)
{
    g_autofree char *path = g_strdup_printf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", interface);
    FILE *f = fopen(path, "w");

    if (f) {
        fputs("1\n", f);
        fclose(f);
    }
}

struct port *port_open(const char *interface, GError **error)
{
    struct packet_mreq promiscuous = {.mr_type = PACKET_MR_PROMISC};
    unsigned index = if_nametoindex(interface);

    if (index == 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "there is no interface %s in this network namespace", interface);
        return NULL;
    }
    struct port *p = g_new0(struct port, 1);
    g_strlcpy(p->name, interface, sizeof p->name);
    p->index = index;
    p->frames = g_malloc(BATCH * ROOM);
    promiscuous.mr_ifindex = (int)index;
    silence_ipv6(interface);
    /* Until it is bound with a protocol the socket receives nothing: options come first. */
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_ifindex = (int)index, .sll_protocol = htons(ETH_P_ALL)};
    p->in = open_socket(index, 0);
    p->out = open_socket(index, 0);
    if (p->in < 0 || p->out < 0 || !set(p->in, SOL_PACKET, PACKET_VNET_HDR, 1) ||
        !set(p->in, SOL_PACKET, PACKET_AUXDATA, 1) ||
        !set(p->in, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) ||
        !set(p->out, SOL_PACKET, PACKET_QDISC_BYPASS, 1) ||
        setsockopt(p->in, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) <
            0 ||
        bind(p->in, (struct sockaddr *)&address, sizeof address) < 0) {
        failed(error, interface, "take hold of");
        port_close(p);
        return NULL;
    }
    /* Beyond the system's limit if we may: root in the first user namespace. */
    if (!set(p->in, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BYTES))
        set(p->in, SOL_SOCKET, SO_RCVBUF, SOCKET_BYTES);
    if (!set(p->out, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BYTES))
        set(p->out, SOL_SOCKET, SO_SNDBUF, SOCKET_BYTES);
    return p;
}

void port_close(struct port *p)
{
    if (p->in >= 0)
        close(p->in);
    if (p->out >= 0)
        close(p->out);
    g_free(p->frames);
    g_free(p);
}

int port_fd(const struct port *p)
{
    return p->in;
}

guint64 port_dropped(const struct port *p)
{
    return p->dropped;
}

guint64 port_missed(struct port *p)
{
    struct tpacket_stats stats;
    socklen_t size = sizeof stats;

    /* The kernel begins at 0 again each time it is asked. */
    if (getsockopt(p->in, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
        p->missed += stats.tp_drops;
    return p->missed;
}

/* The kernel takes the VLAN tag out of the frame; a cable carries it. Returns where the frame
 * begins. */
static guint8 *restore_tag(struct msghdr *m, guint8 *frame, gsize *length, struct virtio_net_hdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        struct tpacket_auxdata aux;
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA || *length < ETH_HLEN)
            continue;
        memcpy(&aux, CMSG_DATA(c), sizeof aux);
        if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
            continue;
        guint16 type =
            aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETHERTYPE_VLAN;
        guint8 tag[4] = {(guint8)(type >> 8), (guint8)type, (guint8)(aux.tp_vlan_tci >> 8),
                         (guint8)aux.tp_vlan_tci};
        memmove(frame - 4, frame, 12);
        memcpy(frame + 8, tag, 4);
        h->csum_start = (guint16)(h->csum_start + 4);
        *length += 4;
        return frame - 4;
    }
    return frame;
}

struct target {
    struct link *link;
    gint64 now_ns;
};

static void push(gpointer user, const guint8 *frame, gsize length)
{
    struct target *t = user;
    link_push(t->link, frame, length, t->now_ns);
}

gboolean port_receive(struct port *p, struct link *link, gint64 now_ns, GError **error)
{
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH][2];
    struct target target = {link, now_ns};

    for (int i = 0; i < BATCH; i++) {
        parts[i][0] = (struct iovec){&p->heads[i], sizeof p->heads[i]};
        parts[i][1] = (struct iovec){p->frames + (gsize)i * ROOM + 4, ROOM - 4};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = parts[i],
                                              .msg_iovlen = 2,
                                              .msg_control = &p->control[i],
                                              .msg_controllen = sizeof p->control[i]};
    }
    int n = recvmmsg(p->in, messages, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0 && errno == ENETDOWN && if_nametoindex(p->name) == p->index)
        return TRUE; /* it was taken down, and may come up again */
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return failed(error, p->name, "receive from");
    for (int i = 0; i < n; i++) {
        struct msghdr *m = &messages[i].msg_hdr;
        gsize length = messages[i].msg_len;
        if ((m->msg_flags & MSG_TRUNC) || length < sizeof *p->heads + ETH_HLEN) {
            p->dropped++;
            continue;
        }
        length -= sizeof *p->heads;
        guint8 *frame = restore_tag(m, parts[i][1].iov_base, &length, &p->heads[i]);
        p->dropped += !segment_frame(&p->heads[i], frame, length, push, &target);
    }
    return TRUE;
}

gboolean port_send(struct port *p, struct link *link, gint64 now_ns)
{
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];

    for (;;) {
        const struct link_frame *f;
        guint n = 0;
        for (; n < BATCH && (f = link_peek(link, n, now_ns)); n++) {
            parts[n] = (struct iovec){(void *)f->data, f->length};
            messages[n].msg_hdr = (struct msghdr){.msg_iov = &parts[n], .msg_iovlen = 1};
        }
        if (n == 0)
            return TRUE;
        int sent = sendmmsg(p->out, messages, n, MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR))
            return FALSE;
        if (sent <
            0) { /* too long for the interface, or it is down: this one is gone, as on a cable */
            p->dropped++;
            sent = 1;
        }
        link_pop(link, (guint)sent);
    }
}
