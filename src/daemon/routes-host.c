/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GET /v1/host. */
#include "daemon/hostinfo.h"
#include "daemon/routes.h"

void routes_host(exchange *x, gpointer user)
{
    exchange_answer(x, 200, hostinfo_json(user, exchange_peer(x) == NULL));
}
