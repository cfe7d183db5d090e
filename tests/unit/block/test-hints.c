/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The set of hints: what was added is there, nothing else, and it does not grow beyond its bound.
 */
#include "block/hints.h"

static uint8_t body[OP_HINTS_MAX * 8];

static void add(hints *h, uint64_t first, uint64_t step, unsigned count)
{
    op message = {.type = OP_HINTS, .count = count, .body = body, .body_length = count * 8};

    for (unsigned i = 0; i < count; i++)
        op_put_hint(body, i, first + i * step);
    hints_add(h, &message);
}

static void test_set(void)
{
    hints *h = hints_new();

    g_assert_false(hints_any(h));
    add(h, 0, 0, 0);
    g_assert_false(hints_any(h));
    add(h, 0, UINT64_C(1) << 32, 3);
    add(h, UINT64_MAX, 0, 2);
    g_assert_true(hints_any(h));
    g_assert_true(hints_has(h, 0));
    g_assert_true(hints_has(h, UINT64_C(1) << 33));
    g_assert_true(hints_has(h, UINT64_MAX));
    g_assert_false(hints_has(h, 1));
    g_assert_false(hints_has(h, UINT64_C(3) << 32));
    hints_free(h);
}

/* With numbers a peer might have chosen so that they collide. */
static void test_bound(void)
{
    hints *h = hints_new();

    for (uint64_t at = 0; at < HINTS_MOST; at += OP_HINTS_MAX)
        add(h, at << 32, UINT64_C(1) << 32, OP_HINTS_MAX);
    g_assert_true(hints_has(h, (uint64_t)(HINTS_MOST - 1) << 32));
    add(h, 1, 0, 1);
    g_assert_false(hints_has(h, 1));
    hints_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hints/set", test_set);
    g_test_add_func("/hints/bound", test_bound);
    return g_test_run();
}
