/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking findings up; see catalog.h. */
#include "base/catalog-parts.h"

static const struct {
    const char *name;
    const catalog_entry *entries;
} groups[] = {{"the request and the hosts", catalog_host},
              {"network", catalog_network},
              {"storage", catalog_storage},
              {"CPU, memory and machine", catalog_machine},
              {"devices", catalog_device}};

const char *catalog_group(int code)
{
    guint thousand = (guint)code / 1000;

    return thousand >= 1 && thousand <= G_N_ELEMENTS(groups) ? groups[thousand - 1].name : NULL;
}

const catalog_entry *catalog_find(int code)
{
    if (!catalog_group(code))
        return NULL;
    for (const catalog_entry *e = groups[code / 1000 - 1].entries; e->code; e++)
        if (e->code == code)
            return e;
    return NULL;
}

const catalog_entry *catalog_next(const catalog_entry *last)
{
    if (!last)
        return groups[0].entries;
    if (last[1].code)
        return last + 1;
    return last->code / 1000 < (int)G_N_ELEMENTS(groups) ? groups[last->code / 1000].entries : NULL;
}
