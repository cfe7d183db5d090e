/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GET /v1/peers, DELETE /v1/peers/NAME. */
#include "daemon/peers.h"
#include "daemon/routes.h"

#include "base/log.h"

#define LOG_AREA "pairing"

void routes_peers(exchange *x, gpointer user)
{
    ferryd *self = user;
    JsonObject *body = json_object_new();

    json_object_set_array_member(body, "peers", peers_list(self->conf));
    exchange_answer(x, 200, body);
}

void routes_unpair(exchange *x, gpointer user)
{
    ferryd *self = user;
    const char *name = exchange_part(x, 0);
    g_autoptr(GError) error = NULL;

    if (!pki_name_ok(name) || !pki_unpin(self->identity, name, &error)) {
        if (error && !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
            exchange_fail(x, 500, "internal", "%s", error->message);
        else
            exchange_fail(
                x, 404, "unknown-host",
                "'%.64s' is not paired with this host: 'ferry peers' shows those that are", name);
        return;
    }
    peers_forget_address(self->conf, name);
    log_notice("%s is not trusted any more", name);
    exchange_answer(x, 204, NULL);
}
