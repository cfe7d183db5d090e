/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lab guest: writes records, dirties memory, answers probes, tells all it has written. */
#include "service.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define BEAT_NS 100000000

/* Tells the witness that the guest runs even when nothing can be written. */
static void *beat_for_ever(void *user)
{
    struct service *s = user;
    struct timespec pause = {.tv_nsec = BEAT_NS};
    struct writer_state w;

    for (;;) {
        writer_get_state(s->writer, &w);
        struct report r = {.kind = REPORT_BEAT, .seq = w.attempted, .latency_us = w.busy_us};
        radio_report(s->radio, &r);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static bool read_command_line(char *line, size_t size)
{
    FILE *f = fopen("/proc/cmdline", "r");
    bool good = f && fgets(line, (int)size, f);

    if (f)
        fclose(f);
    return good;
}

int main(void)
{
    static struct service s; /* shared with threads that outlive main's frame */
    char line[8192], error[256] = "";
    pthread_t beat;

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    if (!read_command_line(line, sizeof line))
        snprintf(error, sizeof error, "cannot read /proc/cmdline; is /proc mounted?");
    else if (getrandom(&s.boot, sizeof s.boot, 0) != sizeof s.boot)
        snprintf(error, sizeof error, "no random numbers to tell this boot from others");
    else if (options_parse(&s.options, line, error, sizeof error) &&
             (s.ring = ring_open(&s.options, error, sizeof error)) &&
             (s.radio = radio_start(&s.options, s.boot, ring_disks(s.ring), ring_slots(s.ring),
                                    error, sizeof error)) &&
             (s.writer = writer_start(&s.options, s.boot, s.ring, s.radio, error, sizeof error)) &&
             (s.dirty = dirty_start(&s.options, s.radio, error, sizeof error))) {
        printf("guest: %s is up, boot %016llx, %u disks of %u slots, reports by eth%u\n",
               s.options.vm, (unsigned long long)s.boot, ring_disks(s.ring), ring_slots(s.ring),
               s.options.report_nic);
        if (pthread_create(&beat, NULL, beat_for_ever, &s) != 0)
            snprintf(error, sizeof error, "cannot start the thread that reports");
        else
            service_run(&s, error, sizeof error);
    }
    fprintf(stderr, "guest: %s\n", error);
    return EXIT_FAILURE;
}
