/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lab guest's TCP service. */
#include "service.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 8  /* connections at a time */
#define STALL_S 60 /* a client that does not read or write for so long is gone */

struct client {
    struct service *service;
    FILE *out;
};

static _Atomic int clients; /* of the one service a guest has */

static void say_state(struct client *c)
{
    struct service *s = c->service;
    struct writer_state w;
    struct dirty_state d;

    writer_get_state(s->writer, &w);
    dirty_get_state(s->dirty, &d);
    fprintf(c->out,
            "{\"ok\":true,\"vm\":\"%s\",\"boot\":\"%016llx\",\"uptime_s\":%.3f,\"first\":%llu,"
            "\"seq\":%llu,\"finished\":%llu,\"failures\":%llu,\"busy_us\":%llu,\"disks\":%u,"
            "\"slots\":%u,\"writes\":%u,\"dirty\":%u,\"wset\":%u,\"dirtied_mib\":%llu,"
            "\"memory_errors\":%u}\n",
            s->options.vm, (unsigned long long)s->boot, (double)radio_now() / 1e9,
            (unsigned long long)w.first, (unsigned long long)w.attempted,
            (unsigned long long)w.finished, (unsigned long long)w.failures,
            (unsigned long long)w.busy_us, ring_disks(s->ring), ring_slots(s->ring), w.rate, d.rate,
            d.wset, (unsigned long long)d.pages / 256, radio_memory_errors(s->radio));
}

static void say_error(struct client *c, const char *error)
{
    fprintf(c->out, "{\"ok\":false,\"error\":\"%s\"}\n", error);
}

static void set(struct client *c, char *words)
{
    struct writer_state w;
    struct dirty_state d;
    char *rest = NULL;

    writer_get_state(c->service->writer, &w);
    dirty_get_state(c->service->dirty, &d);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(word, '=');
        bool good = false;
        if (equals) {
            *equals++ = '\0';
            if (strcmp(word, "writes") == 0)
                good = options_number(equals, OPTIONS_WRITES_MAX, &w.rate);
            else if (strcmp(word, "dirty") == 0)
                good = options_number(equals, OPTIONS_DIRTY_MAX, &d.rate);
            else if (strcmp(word, "wset") == 0)
                good = options_number(equals, OPTIONS_WSET_MAX, &d.wset) && d.wset > 0;
        }
        if (!good) {
            say_error(c,
                      "set takes writes=N, dirty=N (MiB/s) and wset=N (MiB), N a number in range");
            return;
        }
    }
    writer_set_rate(c->service->writer, w.rate);
    dirty_set(c->service->dirty, d.rate, d.wset);
    say_state(c);
}

static bool send_entry(struct client *c, struct entry *e)
{
    e->magic = ENTRY_MAGIC;
    e->disks = ring_disks(c->service->ring);
    e->slots = ring_slots(c->service->ring);
    report_seal(e, sizeof *e, &e->sum);
    return fwrite(e, sizeof *e, 1, c->out) == 1;
}

static bool send_slot(void *user, uint32_t disk, uint32_t slot, const struct record *r, int error)
{
    struct entry e = {
        .kind = r ? ENTRY_GOOD : ENTRY_BAD, .disk = disk, .slot = slot, .error = error};

    if (r) {
        e.record_sum = r->sum;
        e.previous = r->previous;
        e.boot = r->boot;
        e.seq = r->seq;
        e.mono_ns = r->mono_ns;
        memcpy(e.vm, r->vm, sizeof e.vm);
    }
    return send_entry(user, &e);
}

static void read_back(struct client *c)
{
    struct service *s = c->service;
    struct writer_state w;
    struct writer_failure f;

    writer_get_state(s->writer, &w);
    struct entry begin = {
        .kind = ENTRY_BEGIN, .boot = s->boot, .seq = w.finished, .first = w.first};
    memcpy(begin.vm, s->options.vm, sizeof begin.vm);
    /* The names are compared by the witness, which can say whose record it is instead. */
    if (!send_entry(c, &begin) || !ring_walk(s->ring, NULL, send_slot, c))
        return;
    for (unsigned i = 0; writer_failure(s->writer, i, &f); i++) {
        struct entry e = {.kind = ENTRY_FAILED, .seq = f.seq, .error = f.error};
        if (!send_entry(c, &e))
            return;
    }
    writer_get_state(s->writer, &w);
    struct entry end = {
        .kind = ENTRY_END, .boot = s->boot, .seq = w.attempted, .first = w.failures};
    send_entry(c, &end);
}

static void stop(struct client *c, int how)
{
    int error = ring_sync(c->service->ring);

    if (error) {
        say_error(c, strerror(error));
        return;
    }
    fputs("{\"ok\":true}\n", c->out);
    fflush(c->out);
    reboot(how);
}

static void serve_line(struct client *c, char *line)
{
    if (strcmp(line, "state") == 0) {
        say_state(c);
    } else if (strcmp(line, "set") == 0 || strncmp(line, "set ", 4) == 0) {
        set(c, line + 3);
    } else if (strcmp(line, "sync") == 0) {
        int error = ring_sync(c->service->ring);
        if (error)
            say_error(c, strerror(error));
        else
            fputs("{\"ok\":true}\n", c->out);
    } else if (strcmp(line, "read") == 0) {
        read_back(c);
    } else if (strcmp(line, "poweroff") == 0) {
        stop(c, RB_POWER_OFF);
    } else if (strcmp(line, "reboot") == 0) {
        stop(c, RB_AUTOBOOT);
    } else {
        say_error(c, "the requests are state, set, sync, read, poweroff and reboot");
    }
}

static void *serve(void *user)
{
    struct client *c = user;
    FILE *in = fdopen(dup(fileno(c->out)), "r");
    char line[256];

    while (in && fgets(line, sizeof line, in)) {
        size_t n = strcspn(line, "\r\n");
        if (line[n] == '\0')
            break; /* longer than any request, or cut off */
        line[n] = '\0';
        serve_line(c, line);
        if (fflush(c->out) != 0)
            break;
    }
    if (in)
        fclose(in);
    fclose(c->out);
    free(c);
    atomic_fetch_sub(&clients, 1);
    return NULL;
}

static void welcome(struct service *s, int fd)
{
    struct timeval stall = {.tv_sec = STALL_S};
    struct client *c = NULL;
    pthread_attr_t attr;
    pthread_t thread;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof stall);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (atomic_fetch_add(&clients, 1) < CLIENTS && (c = calloc(1, sizeof *c)) != NULL) {
        c->service = s;
        c->out = fdopen(fd, "w");
        if (c->out && pthread_create(&thread, &attr, serve, c) == 0)
            return;
    }
    atomic_fetch_sub(&clients, 1);
    if (c && c->out)
        fclose(c->out);
    else
        close(fd);
    free(c);
}

void service_run(struct service *s, char *error, size_t size)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(REPORT_GUEST_PORT)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, CLIENTS) < 0) {
        snprintf(error, size, "cannot serve port %d: %s", REPORT_GUEST_PORT, strerror(errno));
        return;
    }
    for (;;) {
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            welcome(s, client);
    }
}
