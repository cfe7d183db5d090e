/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of routes; see routes.h. */
#include "daemon/routes.h"

const server_route routes_table[] = {
    {"GET", "/v1/host", ROUTE_LOCAL | ROUTE_PEER, routes_host},
    {"POST", "/v1/migrations", ROUTE_LOCAL, routes_migrate},
    {"GET", "/v1/migrations", ROUTE_LOCAL, routes_migrations},
    {"GET", "/v1/migrations/*", ROUTE_LOCAL, routes_migration},
    {"PATCH", "/v1/migrations/*", ROUTE_LOCAL, routes_set},
    {"POST", "/v1/migrations/*/cancel", ROUTE_LOCAL, routes_cancel},
    {"POST", "/v1/migrations/*/cutover", ROUTE_LOCAL, routes_cutover},
    {"POST", "/v1/compare", ROUTE_LOCAL, routes_compare},
    {"GET", "/v1/vms", ROUTE_LOCAL, routes_vms},
    {"POST", "/v1/returns", ROUTE_LOCAL, routes_return},
    {"GET", "/v1/way-backs/*", ROUTE_LOCAL | ROUTE_PEER, routes_way_back},
    {"DELETE", "/v1/way-backs/*", ROUTE_LOCAL | ROUTE_PEER, routes_end_way_back},
    {"GET", "/v1/peers", ROUTE_LOCAL, routes_peers},
    {"POST", "/v1/peers", ROUTE_LOCAL, routes_pair_with},
    {"DELETE", "/v1/peers/*", ROUTE_LOCAL, routes_unpair},
    {"POST", "/v1/pairing", ROUTE_LOCAL, routes_token},
    {"POST", "/v1/pair", ROUTE_STRANGER, routes_be_paired},
    {"POST", "/v1/landings", ROUTE_PEER, routes_land},
    {"GET", "/v1/landings/*", ROUTE_PEER, routes_landing},
    {"DELETE", "/v1/landings/*", ROUTE_PEER, routes_end_landing},
    {"POST", "/v1/landings/*/commit", ROUTE_PEER, routes_commit_landing},
    {0},
};
