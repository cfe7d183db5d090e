/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What somebody has ordered of a move when the other host does not say who has the VM (docs/design.md, "Orders"). Pure.
 *
 *   asked ─► overruled   the other host has answered: its word counts
 *     └────► forced ─► done   it has not: carried out without it, or given back by it
 *
 * Lies in the details of the journal's entry, and is shown with the migration as it is:
 * {"what": "run-here", "state": "forced", "at": 1790000000.5, "why": "zulu did not answer: …"}.
 */
#pragma once
#include "base/json.h"

typedef enum { ORDER_NONE, ORDER_RUN_HERE, ORDER_GIVE_UP } order_what;
typedef enum { ORDER_ASKED, ORDER_OVERRULED, ORDER_FORCED, ORDER_DONE } order_state;

const char *order_name(order_what what);
gboolean order_parse(const char *name, order_what *what);
/* Given now. `why` may be NULL. Caller unrefs. */
JsonObject *order_to_json(order_what what, order_state state, const char *why);
/* ORDER_NONE: there is none. */
order_what order_from_json(JsonObject *object, order_state *state);
/* The member "order" of an entry's details (NULL: none); and details with it (caller frees; NULL: they are not JSON). */
JsonObject *order_in(const char *details);
char *order_into(const char *details, JsonObject *order, GError **error);
