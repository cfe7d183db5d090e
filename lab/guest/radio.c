/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lab guest's datagrams. */
#include "radio.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct nic {
    int fd;
    uint64_t count; /* guarded by lock, which is held over the send: order sent = order counted */
    pthread_mutex_t lock;
};

struct radio {
    struct options options;
    uint64_t boot;
    uint32_t disks, slots;
    _Atomic uint32_t memory_errors;
    struct nic nic[REPORT_NICS];
};

uint64_t radio_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void transmit(struct radio *radio, uint32_t n, struct report *r,
                     const struct sockaddr_in *to)
{
    struct nic *nic = &radio->nic[n];

    r->magic = REPORT_MAGIC;
    r->version = REPORT_VERSION;
    memcpy(r->vm, radio->options.vm, sizeof r->vm);
    r->boot = radio->boot;
    r->nic = n;
    r->disks = radio->disks;
    r->slots = radio->slots;
    pthread_mutex_lock(&nic->lock);
    r->memory_errors = atomic_load(&radio->memory_errors);
    r->count = ++nic->count;
    r->mono_ns = radio_now();
    report_seal(r, sizeof *r, &r->sum);
    sendto(nic->fd, r, sizeof *r, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof *to);
    pthread_mutex_unlock(&nic->lock);
}

void radio_report(struct radio *radio, struct report *r)
{
    const struct options *o = &radio->options;

    if (o->witness.sin_port && o->nic[o->report_nic])
        transmit(radio, o->report_nic, r, &o->witness);
}

void radio_memory_error(struct radio *radio)
{
    atomic_fetch_add(&radio->memory_errors, 1);
}

uint32_t radio_memory_errors(struct radio *radio)
{
    return atomic_load(&radio->memory_errors);
}

static void answer(struct radio *radio, uint32_t n)
{
    struct probe p;
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(radio->nic[n].fd, &p, sizeof p, MSG_DONTWAIT | MSG_TRUNC,
                           (struct sockaddr *)&from, &length);

    if (got != (ssize_t)sizeof p || p.magic != PROBE_MAGIC || p.version != REPORT_VERSION ||
        !report_sealed(&p, sizeof p, &p.sum))
        return;
    struct report r = {.kind = REPORT_ECHO, .series = p.series, .number = p.number};
    transmit(radio, n, &r, &from);
}

static void *listen_to_probes(void *user)
{
    struct radio *radio = user;
    struct pollfd fds[REPORT_NICS];

    for (int n = 0; n < REPORT_NICS; n++)
        fds[n] = (struct pollfd){.fd = radio->nic[n].fd, .events = POLLIN};
    for (;;)
        if (poll(fds, REPORT_NICS, -1) > 0)
            for (uint32_t n = 0; n < REPORT_NICS; n++)
                if (fds[n].revents)
                    answer(radio, n);
    return NULL;
}

/* A socket per NIC, tied to it: an answer leaves where its probe came in, whatever routes say. */
static int open_socket(uint32_t n)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(REPORT_GUEST_PORT)};
    char name[IFNAMSIZ];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(name, sizeof name, "eth%u", n);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, sizeof name) < 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof any) < 0)
        return -1;
    return fd;
}

struct radio *radio_start(const struct options *o, uint64_t boot, uint32_t disks, uint32_t slots,
                          char *error, size_t size)
{
    struct radio *radio = calloc(1, sizeof *radio);
    /* A probe measures the network and the hypervisor, not what else the guest is busy with. */
    struct sched_param priority = {.sched_priority = 10};
    pthread_attr_t attr;
    pthread_t thread;

    if (!radio) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    radio->options = *o;
    radio->boot = boot;
    radio->disks = disks;
    radio->slots = slots;
    for (uint32_t n = 0; n < REPORT_NICS; n++) {
        pthread_mutex_init(&radio->nic[n].lock, NULL);
        radio->nic[n].fd = o->nic[n] ? open_socket(n) : -1;
        if (o->nic[n] && radio->nic[n].fd < 0) {
            snprintf(error, size, "cannot open a socket on eth%u: %s", n, strerror(errno));
            return NULL;
        }
    }
    pthread_attr_init(&attr);
    pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
    pthread_attr_setschedparam(&attr, &priority);
    if (pthread_create(&thread, &attr, listen_to_probes, radio) != 0) {
        snprintf(error, size, "cannot start the thread that answers probes");
        return NULL;
    }
    return radio;
}
