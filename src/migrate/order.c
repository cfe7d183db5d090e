/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Orders as JSON; see order.h. */
#include "migrate/order.h"

#include <string.h>

static const char *const names[] = {
    [ORDER_NONE] = "", [ORDER_RUN_HERE] = "run-here", [ORDER_GIVE_UP] = "give-up"};
static const char *const states[] = {[ORDER_ASKED] = "asked",
                                     [ORDER_OVERRULED] = "overruled",
                                     [ORDER_FORCED] = "forced",
                                     [ORDER_DONE] = "done"};

const char *order_name(order_what what)
{
    return names[what];
}

gboolean order_parse(const char *name, order_what *what)
{
    for (guint i = ORDER_RUN_HERE; i < G_N_ELEMENTS(names); i++)
        if (!strcmp(name, names[i])) {
            *what = (order_what)i;
            return TRUE;
        }
    return FALSE;
}

JsonObject *order_to_json(order_what what, order_state state, const char *why)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "what", names[what]);
    json_object_set_string_member(object, "state", states[state]);
    json_object_set_double_member(object, "at", (double)g_get_real_time() / G_USEC_PER_SEC);
    if (why)
        json_object_set_string_member(object, "why", why);
    else
        json_object_set_null_member(object, "why");
    return object;
}

order_what order_from_json(JsonObject *object, order_state *state)
{
    const char *name, *at;
    order_what what;

    if (!object || !json_get_string(object, "what", &name, NULL) ||
        !json_get_string(object, "state", &at, NULL) || !order_parse(name, &what))
        return ORDER_NONE;
    for (guint i = 0; i < G_N_ELEMENTS(states); i++)
        if (!strcmp(at, states[i])) {
            *state = (order_state)i;
            return what;
        }
    return ORDER_NONE;
}

JsonObject *order_in(const char *details)
{
    g_autoptr(JsonObject) all = details ? json_parse(details, -1, NULL) : NULL;
    JsonObject *found;

    return all && json_get_object(all, "order", &found, NULL) ? json_object_ref(found) : NULL;
}

char *order_into(const char *details, JsonObject *order, GError **error)
{
    g_autoptr(JsonObject) all = json_parse(details ? details : "{}", -1, error);

    if (!all)
        return NULL;
    json_object_set_object_member(all, "order", json_object_ref(order));
    return json_text(all);
}
