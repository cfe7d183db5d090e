/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Max-min fair shares; see budget.h. */
#include "migrate/budget.h"

guint64 budget_least(guint64 one, guint64 other)
{
    return !one ? other : !other ? one : MIN(one, other);
}

void budget_divide(guint64 limit, const guint64 *wants, guint count, guint64 *shares)
{
    g_autofree gboolean *served = g_new0(gboolean, count);
    guint64 left = limit;
    guint hungry = count;
    gboolean more = TRUE;

    for (guint i = 0; i < count; i++)
        shares[i] = 0;
    if (!limit)
        return;
    /* Who wants less than an equal part gets what it wants, and the part of the others grows. */
    while (more) {
        guint64 part = hungry ? left / hungry : 0;
        more = FALSE;
        for (guint i = 0; i < count; i++) {
            if (served[i] || !wants[i] || wants[i] > part)
                continue;
            served[i] = more = TRUE;
            shares[i] = wants[i];
            left -= wants[i];
            hungry--;
        }
    }
    for (guint i = 0; i < count; i++)
        if (!served[i])
            shares[i] = MAX(1, left / hungry);
}
