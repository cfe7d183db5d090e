/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard against simulated guests: a look every 250 ms of a clock that is only a number. */
#include "migrate/guard.h"

#define LOOK   (250 * G_TIME_SPAN_MILLISECOND)
#define MIB    (1024.0 * 1024)
#define FACTOR 1.5

typedef struct {
    guard *tested;
    gint64 now;
    virt_block_times times;
    double sent;
    guint slower, faster, lifted, in_vain; /* verdicts so far */
} scene;

static void set_up(scene *s, gconstpointer data)
{
    *s = (scene){.tested = guard_new(FACTOR, GUARD_FLOOR_US), .now = 1000000};
}

static void tear_down(scene *s, gconstpointer data)
{
    guard_free(s->tested);
}

/* One look later: so many requests, of so many ms each, and the link took `speed` MiB/s of what the
 * guard allows. */
static void look(scene *s, guint requests, double latency_ms, gboolean copying, double speed)
{
    guint64 rate = guard_rate(s->tested);
    double most = rate ? MIN(speed, (double)rate / MIB) : speed;

    s->now += LOOK;
    s->times.requests += requests;
    s->times.nanoseconds += (guint64)(requests * latency_ms * 1e6);
    s->sent += copying ? most * MIB / 4 : 0;
    switch (guard_look(s->tested, s->now, &s->times, copying, (guint64)s->sent)) {
    case GUARD_SLOWER:
        s->slower++;
        g_assert_cmpuint(guard_rate(s->tested), >=, GUARD_LEAST);
        g_assert_true(!rate || guard_rate(s->tested) < rate);
        break;
    case GUARD_FASTER:
        s->faster++;
        g_assert_cmpuint(guard_rate(s->tested), >, rate);
        break;
    case GUARD_LIFTED:
        s->lifted++;
        g_assert_cmpuint(guard_rate(s->tested), ==, 0);
        break;
    case GUARD_IN_VAIN:
        s->in_vain++;
        break;
    case GUARD_SAME:
        g_assert_cmpuint(guard_rate(s->tested), ==, rate);
        break;
    }
}

static void looks(scene *s, guint count, guint requests, double latency_ms, gboolean copying,
                  double speed)
{
    while (count--)
        look(s, requests, latency_ms, copying, speed);
}

static double rate(const scene *s)
{
    return (double)guard_rate(s->tested) / MIB;
}

static void what_does_not_hurt_is_not_held_back(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    looks(s, 400, 50, 5, TRUE, 500);
    g_assert_cmpuint(s->slower + s->faster + s->lifted, ==, 0);
    g_assert_cmpfloat(guard_bound(s->tested), ==, FACTOR * 4000);
}

/* A disk whose latency grows with what is copied: 4 ms alone, and 1 ms more for each 10 MiB/s. The
 * bound of 6 ms is kept at 20 MiB/s. */
static void a_disk_that_suffers_is_spared(scene *s, gconstpointer data)
{
    double speed = 200, sum = 0;
    guint beyond = 0;

    looks(s, 8, 50, 4, FALSE, 0);
    for (guint i = 0; i < 800; i++) {
        double used = guard_rate(s->tested) ? MIN(speed, rate(s)) : speed;
        look(s, 50, 4 + used / 10, TRUE, speed);
        if (i < 100)
            continue;
        beyond += used > 24;
        sum += used;
    }
    g_assert_cmpuint(s->in_vain, ==, 0);
    g_assert_cmpuint(beyond, ==, 0);
    g_assert_cmpfloat(sum / 700, >, 10); /* and the copy has what the guest can spare */
    g_assert_cmpfloat(sum / 700, <, 21);
}

static void it_recovers(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    looks(s, 12, 50, 20, TRUE, 100);
    g_assert_cmpuint(s->slower, >, 0);
    g_assert_cmpfloat(rate(s), >, 0);
    g_assert_cmpfloat(rate(s), <, 60);
    looks(s, 200, 50, 4, TRUE, 100);
    g_assert_cmpuint(s->lifted, ==, 1);
    g_assert_cmpuint(guard_rate(s->tested), ==, 0);
}

/* One sample in four far beyond, as by a vCPU that did not get a CPU. */
static void noise_is_not_heard(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    for (guint i = 0; i < 400; i++)
        look(s, 50, i % 4 == 2 ? 80 : 4, TRUE, 200);
    g_assert_cmpuint(s->slower, ==, 0);
}

static void a_few_slow_requests_are_not_enough(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    /* Two requests a second, 50 ms each: it hardly waits at all. */
    for (guint i = 0; i < 400; i++)
        look(s, i % 2 ? 1 : 0, 50, TRUE, 200);
    g_assert_cmpuint(s->slower, ==, 0);
}

/* Few because each takes so long. */
static void a_guest_that_only_waits_is_heard(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    looks(s, 64, 1, 240, TRUE, 200);
    g_assert_cmpuint(s->slower, >, 0);
}

static void an_idle_guest_costs_nothing(scene *s, gconstpointer data)
{
    looks(s, 8, 0, 0, FALSE, 0);
    looks(s, 400, 0, 0, TRUE, 200);
    g_assert_cmpuint(s->slower + s->faster + s->lifted, ==, 0);
    g_assert_cmpfloat(guard_bound(s->tested), ==, FACTOR * GUARD_FLOOR_US);
}

static void one_that_falls_idle_is_not_spared_any_more(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    looks(s, 12, 50, 20, TRUE, 100);
    g_assert_cmpuint(guard_rate(s->tested), >, 0);
    looks(s, 600, 0, 0, TRUE, 100);
    g_assert_cmpuint(guard_rate(s->tested), ==, 0);
}

/* Nothing was seen before the copy, but the guest has a past. */
static void the_past_is_a_baseline(scene *s, gconstpointer data)
{
    s->times = (virt_block_times){.requests = 10000, .nanoseconds = 10000ull * 8000000};
    looks(s, 4, 0, 0, FALSE, 0);
    looks(s, 100, 50, 10, TRUE, 100);
    g_assert_cmpuint(s->slower, ==, 0);
    g_assert_cmpfloat(guard_bound(s->tested), <, FACTOR * 8500);
}

/* It got slow by itself. */
static void what_does_not_help_is_given_up(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    looks(s, 400, 50, 30, TRUE, 100);
    g_assert_cmpuint(s->in_vain, ==, 1);
    g_assert_cmpuint(guard_rate(s->tested), ==, 0);
    g_assert_cmpfloat(guard_bound(s->tested), ==, FACTOR * 30000);
}

/* Where it helps but not enough, the lowest rate it is. */
static void what_helps_a_little_is_kept(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    looks(s, 40, 50, 40, TRUE, 100);
    looks(s, 400, 50, 10, TRUE, 100);
    g_assert_cmpuint(s->in_vain, ==, 0);
    g_assert_cmpuint(guard_rate(s->tested), ==, GUARD_LEAST);
}

static void a_move_that_hardly_copies_is_not_to_blame(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    looks(s, 400, 50, 40, TRUE, 1);
    g_assert_cmpuint(s->slower, ==, 0);
}

/* The mirror must be faster than what it mirrors. */
static void it_leaves_room_for_what_the_guest_writes(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    for (guint i = 0; i < 60; i++) {
        s->times.written += (guint64)(30 * MIB / 4);
        look(s, 50, 4 + (guard_rate(s->tested) ? 4 : 40), TRUE, 300);
    }
    g_assert_cmpfloat(rate(s), >=, 59);
}

static void it_is_switched_off_and_on(scene *s, gconstpointer data)
{
    guard_set_factor(s->tested, 0);
    looks(s, 8, 50, 4, FALSE, 0);
    looks(s, 40, 50, 40, TRUE, 100);
    g_assert_cmpuint(s->slower, ==, 0);
    guard_set_factor(s->tested, 2);
    looks(s, 8, 50, 40, TRUE, 100);
    g_assert_cmpuint(s->slower, >, 0);
    g_assert_cmpfloat(guard_bound(s->tested), ==, 8000); /* it had gone on learning */
    guard_set_factor(s->tested, 0);
    g_assert_cmpuint(guard_rate(s->tested), ==, 0);
}

/* As after a reset of the guest's statistics. */
static void counters_that_go_back_begin_anew(scene *s, gconstpointer data)
{
    looks(s, 8, 50, 4, FALSE, 0);
    looks(s, 8, 50, 4, TRUE, 100);
    s->times = (virt_block_times){0};
    looks(s, 40, 50, 4, TRUE, 100);
    g_assert_cmpuint(s->slower, ==, 0);
}

int main(int argc, char **argv)
{
#define TEST(name) g_test_add("/guard/" #name, scene, NULL, set_up, name, tear_down)
    g_test_init(&argc, &argv, NULL);
    TEST(what_does_not_hurt_is_not_held_back);
    TEST(a_disk_that_suffers_is_spared);
    TEST(it_recovers);
    TEST(noise_is_not_heard);
    TEST(a_few_slow_requests_are_not_enough);
    TEST(a_guest_that_only_waits_is_heard);
    TEST(an_idle_guest_costs_nothing);
    TEST(one_that_falls_idle_is_not_spared_any_more);
    TEST(the_past_is_a_baseline);
    TEST(what_does_not_help_is_given_up);
    TEST(what_helps_a_little_is_kept);
    TEST(a_move_that_hardly_copies_is_not_to_blame);
    TEST(it_leaves_room_for_what_the_guest_writes);
    TEST(it_is_switched_off_and_on);
    TEST(counters_that_go_back_begin_anew);
    return g_test_run();
}
