/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Orders go into an entry's details and come out again; what is no order is none. */
#include "migrate/order.h"

static void there_and_back(void)
{
    static const char details[] = "{\"landing\": {\"id\": \"x\"}}";
    g_autoptr(JsonObject) given = order_to_json(ORDER_RUN_HERE, ORDER_FORCED, "zulu does not answer");
    g_autoptr(JsonObject) later = order_to_json(ORDER_GIVE_UP, ORDER_DONE, NULL);
    g_autofree char *first = order_into(details, given, NULL), *second = order_into(first, later, NULL);
    g_autoptr(JsonObject) all = json_parse(second, -1, NULL), read = order_in(first),
                          again = order_in(second);
    order_state state = ORDER_ASKED;

    g_assert_cmpint(order_from_json(read, &state), ==, ORDER_RUN_HERE);
    g_assert_cmpint(state, ==, ORDER_FORCED);
    g_assert_cmpstr(json_object_get_string_member(read, "why"), ==, "zulu does not answer");
    g_assert_cmpint(order_from_json(again, &state), ==, ORDER_GIVE_UP);
    g_assert_cmpint(state, ==, ORDER_DONE);
    g_assert_true(json_object_has_member(all, "landing"));
}

static void none(void)
{
    static const char *const texts[] = {"{}", "{\"order\": 1}", "{\"order\": {}}",
                                        "{\"order\": {\"what\": \"x\", \"state\": \"done\"}}",
                                        "{\"order\": {\"what\": \"\", \"state\": \"done\"}}",
                                        "{\"order\": {\"what\": \"run-here\", \"state\": \"x\"}}",
                                        "no JSON"};
    g_autoptr(JsonObject) order = order_to_json(ORDER_RUN_HERE, ORDER_ASKED, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *from_nothing = order_into(NULL, order, &error);
    order_state state = ORDER_DONE;

    g_assert_nonnull(from_nothing);
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(JsonObject) read = order_in(texts[i]);
        g_assert_cmpint(order_from_json(read, &state), ==, ORDER_NONE);
        g_assert_cmpint(state, ==, ORDER_DONE);
    }
    g_assert_null(order_into("no JSON", order, &error));
    g_assert_nonnull(error);
}

static void names(void)
{
    order_what what = ORDER_NONE;

    g_assert_true(order_parse("run-here", &what) && what == ORDER_RUN_HERE);
    g_assert_true(order_parse("give-up", &what) && what == ORDER_GIVE_UP);
    g_assert_false(order_parse("", &what) || order_parse("Run-Here", &what));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/order/there and back", there_and_back);
    g_test_add_func("/order/what is none", none);
    g_test_add_func("/order/names", names);
    return g_test_run();
}
