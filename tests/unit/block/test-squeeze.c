/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When to compress, on a model of a stream with its own clock: one thread that reads, compresses
 * and pushes blocks into a window, which a link empties. */
#include "block/squeeze.h"

#define BLOCK  65536
#define WINDOW (8 * 1024 * 1024)
#define MB     1e6
#define SECOND 1e6 /* µs */

typedef struct {
    squeeze squeeze;
    /* What the test sets: bytes in a second. */
    double supply, link, cpu;
    double ratio; /* of what shrinks; 1: nothing does */
    double noise; /* of the CPU's rate: ± this share */
    guint64 bunch; /* bytes: the peer acknowledges so many at once, as one that writes to a disk does */
    GRand *random;
    /* The model. */
    double now, queued, acknowledged, blocked; /* µs, bytes, bytes, µs */
    double content, compressing;               /* bytes, µs */
    unsigned turns;
} model;

static squeeze_pace pace_of(const model *m)
{
    guint64 all = (guint64)m->acknowledged;

    return (squeeze_pace){.acknowledged = m->bunch ? all - all % m->bunch : all,
                          .blocked_us = (guint64)m->blocked};
}

static void pass(model *m, double us)
{
    double taken = MIN(m->queued, us * m->link / SECOND);

    m->now += us;
    m->queued -= taken;
    m->acknowledged += taken;
}

static void block(model *m)
{
    gboolean was_on = m->squeeze.on, tried;
    double sent = BLOCK, spent = 0;

    if (squeeze_is_due(&m->squeeze, (gint64)m->now)) {
        squeeze_pace pace = pace_of(m);
        squeeze_look(&m->squeeze, (gint64)m->now, &pace);
        m->turns += was_on != m->squeeze.on;
    }
    pass(m, BLOCK * SECOND / m->supply);
    tried = squeeze_wants(&m->squeeze);
    if (tried) {
        double noise = m->random ? g_rand_double_range(m->random, -m->noise, m->noise) : 0;
        spent = BLOCK * SECOND / (m->cpu * (1 + noise));
        pass(m, spent);
        sent = m->ratio < 1 ? BLOCK * m->ratio : BLOCK;
    }
    squeeze_note(&m->squeeze, BLOCK, (uint32_t)sent, tried, (gint64)spent);
    if (m->queued + sent > WINDOW) {
        double wait = (m->queued + sent - WINDOW) * SECOND / m->link;
        m->blocked += wait;
        pass(m, wait);
    }
    m->queued += sent;
    m->content += BLOCK;
    m->compressing += spent;
}

/* Goes on for so many seconds. Returns the rate of content in MB/s. */
static double run(model *m, double seconds)
{
    double until = m->now + seconds * SECOND, from = m->now;

    m->content = m->compressing = 0;
    m->turns = 0;
    while (m->now < until)
        block(m);
    return m->content / (m->now - from) * SECOND / MB;
}

static void begin(model *m)
{
    squeeze_pace pace = {0};

    m->now = 1000 * SECOND;
    squeeze_init(&m->squeeze, (gint64)m->now, &pace);
}

static void test_slow_link(void)
{
    model m = {.supply = 4000 * MB, .link = 117 * MB, .cpu = 500 * MB, .ratio = 0.37};
    double rate;

    begin(&m);
    run(&m, 1);
    rate = run(&m, 60);
    g_test_message("%.0f MB/s through 117", rate);
    g_assert_true(m.squeeze.on);
    g_assert_cmpfloat(rate, >, 0.98 * 117 / 0.37);
}

/* The CPU holds up a stream whose link is slower still: plain is tried, not kept. */
static void test_very_compressible(void)
{
    model m = {.supply = 4000 * MB, .link = 117 * MB, .cpu = 500 * MB, .ratio = 0.02};
    double rate;

    begin(&m);
    run(&m, 5);
    rate = run(&m, 60);
    g_test_message("%.0f MB/s, %u turns", rate, m.turns);
    g_assert_cmpfloat(rate, >, 0.95 * 500 * 4000 / 4500);
    g_assert_cmpuint(m.turns, <=, 10);
}

/* Acknowledgements in bunches make the link look faster than it is. */
static void test_bunches(void)
{
    model m = {.supply = 800 * MB, .link = 117 * MB, .cpu = 155 * MB, .ratio = 0.37, .bunch = 8000000};

    begin(&m);
    run(&m, 1);
    m.compressing = 0;
    g_assert_cmpfloat(run(&m, 10), >, 0.9 / (1 / 155.0 + 1 / 800.0));
    g_assert_cmpfloat(m.compressing, >, 0.6 * 10 * SECOND);
}

static void test_fast_link(void)
{
    model m = {.supply = 4000 * MB, .link = 1175 * MB, .cpu = 500 * MB, .ratio = 0.37};
    double rate;

    begin(&m);
    run(&m, 2);
    rate = run(&m, 60);
    g_test_message("%.0f MB/s through 1175, %.1f %% compressing", rate,
                   m.compressing / m.now * 100);
    g_assert_false(m.squeeze.on);
    g_assert_cmpuint(m.turns, ==, 0);
    g_assert_cmpfloat(rate, >, 0.97 * 1175);
}

/* So fast that it never shows: then what is read holds us up, and compressing would only cost. */
static void test_endless_link(void)
{
    model m = {.supply = 2000 * MB, .link = 100000 * MB, .cpu = 500 * MB, .ratio = 0.37};
    double rate;

    begin(&m);
    run(&m, 2);
    rate = run(&m, 60);
    g_assert_false(m.squeeze.on);
    g_assert_cmpfloat(rate, >, 0.99 * 2000);
}

static void test_incompressible(void)
{
    static const double links[] = {10, 117, 1175, 100000};

    for (unsigned i = 0; i < G_N_ELEMENTS(links); i++) {
        model m = {.supply = 2000 * MB, .link = links[i] * MB, .cpu = 500 * MB, .ratio = 1};
        double from, rate;
        begin(&m);
        from = m.now;
        rate = run(&m, 30);
        g_test_message("%.0f MB/s through %.0f", rate, links[i]);
        g_assert_cmpfloat(m.compressing, <, 0.05 * (m.now - from));
        g_assert_cmpfloat(rate, >, 0.95 * MIN(links[i], 2000));
    }
}

/* A trickle is neither held up by the link nor by the CPU: nothing changes. */
static void test_trickle(void)
{
    model m = {.supply = 20 * MB, .link = 117 * MB, .cpu = 500 * MB, .ratio = 0.37};

    begin(&m);
    run(&m, 120);
    g_assert_true(m.squeeze.on);
    g_assert_cmpuint(m.turns, ==, 0);
}

static void test_link_changes(void)
{
    model m = {.supply = 4000 * MB, .link = 50 * MB, .cpu = 500 * MB, .ratio = 0.4};

    begin(&m);
    run(&m, 10);
    g_assert_true(m.squeeze.on);
    m.link = 3000 * MB;
    run(&m, 70);
    g_assert_false(m.squeeze.on);
    m.link = 100 * MB;
    run(&m, 5);
    g_assert_true(m.squeeze.on);
    g_assert_cmpfloat(run(&m, 10), >, 0.97 * 100 / 0.4);
    m.link = 1000 * MB;
    run(&m, 70);
    g_assert_false(m.squeeze.on);
}

static void test_data_changes(void)
{
    model m = {.supply = 4000 * MB, .link = 117 * MB, .cpu = 500 * MB, .ratio = 1};

    begin(&m);
    run(&m, 30);
    m.ratio = 0.3;
    run(&m, 1);
    g_assert_cmpfloat(run(&m, 10), >, 0.97 * 117 / 0.3);
    m.ratio = 1;
    run(&m, 1);
    g_assert_cmpfloat(run(&m, 10), >, 0.97 * 117);
    g_assert_cmpfloat(m.compressing, <, 0.05 * 10 * SECOND);
}

/* Wherever the rates lie to each other, and with noise: it is never much slower than the better of
 * the two, and does not go to and fro. */
static void test_no_oscillation(void)
{
    static const double links[] = {30, 117, 300, 350, 400, 450, 500, 600, 1175, 2500};
    static const double ratios[] = {0.05, 0.3, 0.5, 0.8, 0.93};
    static const double supplies[] = {600, 1000, 4000};

    for (unsigned l = 0; l < G_N_ELEMENTS(links); l++)
        for (unsigned r = 0; r < G_N_ELEMENTS(ratios); r++)
            for (unsigned s = 0; s < G_N_ELEMENTS(supplies); s++) {
                g_autoptr(GRand) random = g_rand_new_with_seed(l * 100 + r * 10 + s);
                model m = {.supply = supplies[s] * MB,
                           .link = links[l] * MB,
                           .cpu = 500 * MB,
                           .ratio = ratios[r],
                           .noise = 0.2,
                           .random = random};
                double plain = MIN(links[l], supplies[s]);
                double cpu = 1 / (1 / 500.0 + 1 / supplies[s]);
                double best = MAX(plain, MIN(cpu, links[l] / ratios[r])), rate;

                begin(&m);
                run(&m, 5);
                rate = run(&m, 60);
                if (rate < 0.84 * best || m.turns > 12)
                    g_error("link %.0f ratio %.2f supply %.0f: %.0f MB/s of %.0f, %u turns",
                            links[l], ratios[r], supplies[s], rate, best, m.turns);
            }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/squeeze/slow-link", test_slow_link);
    g_test_add_func("/squeeze/very-compressible", test_very_compressible);
    g_test_add_func("/squeeze/bunches", test_bunches);
    g_test_add_func("/squeeze/fast-link", test_fast_link);
    g_test_add_func("/squeeze/endless-link", test_endless_link);
    g_test_add_func("/squeeze/incompressible", test_incompressible);
    g_test_add_func("/squeeze/trickle", test_trickle);
    g_test_add_func("/squeeze/link-changes", test_link_changes);
    g_test_add_func("/squeeze/data-changes", test_data_changes);
    g_test_add_func("/squeeze/no-oscillation", test_no_oscillation);
    return g_test_run();
}
