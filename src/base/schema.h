/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks JSON against a published JSON schema (draft 2020-12), and says all that is wrong, each
 * with its place.
 *
 * Understood is what the schemas of docs/ use: $ref into $defs, type, properties, required,
 * additionalProperties (a schema or false), items, minItems, maxItems, enum and const (strings and
 * numbers), minimum, maximum, maxLength, pattern. Any thread.
 */
#pragma once
#include "base/json.h"

/* The schema docs/compare.schema.json; borrowed, for ever. */
JsonObject *schema_compare(void);

/* What is wrong with `value`, which stands at `place` ("" is the whole text): "/comparisons/0/vm: a
 * string is expected", NULL-terminated, at most SCHEMA_PROBLEMS; empty if nothing is. `definition`:
 * one of the schema's $defs, NULL: all of it. Caller frees. */
#define SCHEMA_PROBLEMS 50
GStrv schema_check(JsonObject *schema, const char *definition, JsonNode *value, const char *place);
