/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What channels are worth; see gauge.h. */
#include "relay/gauge.h"
#include "relay/wire.h"

/* Not netinet/tcp.h, whose struct ends before the rate. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define TRIAL_US   (1500 * 1000)
#define NEXT_TRIAL (20 * G_USEC_PER_SEC)
#define MEMORY_US  (500 * 1000)  /* a sample may be low by chance; for so long the best one counts \
                                  */
#define MUCH_FASTER  4           /* below that a channel is worth having in any case */
#define LATE_MIN_US  (20 * 1000) /* less than that is noise */
#define AHEAD        (64 * 1024 + WIRE_PAYLOAD_MAX) /* in the kernel before a frame, and the frame */
#define WINDOW_SHARE (WIRE_WINDOW_BYTES / 2)

void gauge_reset(gauge *self)
{
    *self = (gauge){0};
}

void gauge_read(gauge *self, int fd, gint64 now)
{
    double left = 1 - (double)(now - self->read_at) / MEMORY_US;
    struct tcp_info info;
    socklen_t size = sizeof info;

    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return;
    self->rate = MAX(info.tcpi_delivery_rate, (guint64)((double)self->rate * MAX(left, 0)));
    self->rtt = info.tcpi_rtt;
    self->least = info.tcpi_min_rtt;
    self->read_at = now;
}

/* Would what it takes now arrive after the others have used up the window? */
static gboolean holds_up(const gauge *self, const gauge *const *others, guint count)
{
    double together = 0, best = 0, late, time;
    gint64 rtt = self->rtt;

    for (guint i = 0; i < count; i++) {
        if (others[i]->slow || others[i]->rate == 0)
            continue;
        together += (double)others[i]->rate;
        best = MAX(best, (double)others[i]->rate);
        rtt = MIN(rtt, others[i]->rtt);
    }
    if (self->rate == 0 || best < MUCH_FASTER * (double)self->rate)
        return FALSE;
    late = AHEAD * 1e6 / (double)self->rate + (double)(self->rtt - rtt);
    time = WINDOW_SHARE * 1e6 / together;
    return late > MAX(time, LATE_MIN_US);
}

/* Is there one that can do the work in its place? */
static gboolean has_deputy(const gauge *const *others, guint count)
{
    for (guint i = 0; i < count; i++)
        if (!others[i]->slow)
            return TRUE;
    return FALSE;
}

void gauge_judge(gauge *self, const gauge *const *others, guint count, gint64 now,
                 gboolean may_try)
{
    if (self->trial_ends == 0 || (may_try && now - self->trial_ends >= NEXT_TRIAL))
        self->trial_ends = now + TRIAL_US;
    if (now < self->trial_ends || !has_deputy(others, count))
        self->slow = FALSE;
    else if (!self->slow)
        self->slow = holds_up(self, others, count);
    if (!self->slow && now >= self->trial_ends)
        self->trial_ends = now; /* it is measured all the time */
}
