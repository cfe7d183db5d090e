/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proof of life, with looks at a guest that is only a string and a clock that is only a number. */
#include "migrate/settle.h"

#include <string.h>

/* One letter a second: r runs, R runs and its CPU time has advanced, d its disks, n its network; p is paused, x is
 * dead; a its agent answers. The verdict after each: w, s (still), a, x. */
typedef struct {
    int span;
    const char *looks, *verdicts;
} course;

static void run(gconstpointer data)
{
    const course *c = data;
    settle tested = {.span = c->span * G_TIME_SPAN_SECOND};
    virt_life life = {.cpu = 7, .requests = 7, .packets = 7};

    for (guint i = 0; c->looks[i]; i++) {
        char look = c->looks[i], verdict = c->verdicts[i];
        settle_verdict expected = verdict == 'w'   ? SETTLE_WATCHING
                                  : verdict == 's' ? SETTLE_STILL
                                  : verdict == 'a' ? SETTLE_ALIVE
                                                   : SETTLE_DEAD;

        life.state = look == 'p' ? VIRT_PAUSED : look == 'x' ? VIRT_SHUT_OFF : VIRT_RUNNING;
        life.dead = look == 'x';
        life.cpu += look == 'R';
        life.requests += look == 'd';
        life.packets += look == 'n';
        g_test_message("look %u: %c", i, look);
        g_assert_cmpint(settle_look(&tested, &life, look == 'a', (i + 1) * G_TIME_SPAN_SECOND), ==,
                        expected);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        course c;
    } courses[] = {
        {"one sign is enough", {0, "rrR", "wwa"}},
        {"a sign must come after the first look", {0, "RR", "wa"}},
        {"for so many seconds", {3, "rRrr", "wwwa"}},
        {"its disks are a sign", {2, "rdr", "wwa"}},
        {"its network is a sign", {2, "rnr", "wwa"}},
        {"its agent is a sign", {2, "arr", "wwa"}},
        {"without any sign never", {2, "rrrrrR", "wwwwwa"}},
        {"a break begins the time anew", {2, "rRprrr", "wwswwa"}},
        {"paused is not dead", {0, "pppprR", "sssswa"}},
        {"dead", {3, "rRx", "wwx"}},
        {"dead at the first look", {0, "x", "x"}},
        {"dead while paused", {5, "rppx", "wssx"}},
    };

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(courses); i++) {
        g_autofree char *path = g_strconcat("/settle/", courses[i].name, NULL);
        g_test_add_data_func(path, &courses[i].c, run);
    }
    return g_test_run();
}
