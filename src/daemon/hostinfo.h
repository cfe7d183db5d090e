/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who this host is: GET /v1/host, and a UUID of its own. */
#pragma once
#include "daemon/ferryd.h"

/* STATE_DIR/host-uuid, made at first. Caller frees. */
char *hostinfo_uuid(const settings *conf, GError **error);
/* For peers: name, version, UUID; for the local listener also limits, networks and numbers of
 * moves. */
JsonObject *hostinfo_json(ferryd *self, gboolean local);
