/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hosts this one is paired with, for people and for the first check of a request. Whether a
 * certificate is trusted is decided by pki_verify alone. */
#pragma once
#include "api/exchange.h"
#include "migrate/settings.h"

/* {"name", "address", "fingerprint", "expires"} of each, sorted by name. */
JsonArray *peers_list(const settings *conf);
/* That of one; NULL if it is not paired. Caller unrefs. */
JsonObject *peers_describe(const settings *conf, const char *name);
/* Is it paired, or may the configured CA vouch for it? */
gboolean peers_known(const settings *conf, const char *name);
/* PEERS/NAME.address: where it was reached. */
gboolean peers_set_address(const settings *conf, const char *name, const char *host, guint16 port,
                           GError **error);
void peers_forget_address(const settings *conf, const char *name);
