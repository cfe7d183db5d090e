/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The directory of pinned certificates: PEERS/NAME.crt, one PEM certificate each. Read anew on each
 * verification, because pairing and unpairing happen while daemons and workers run. Used in src/net
 * only. */
#pragma once
#include <gio/gio.h>

typedef struct {
    char *name;
    GBytes *der;   /* NULL: the file cannot be used */
    char *problem; /* why, for an operator; NULL: none */
} pin;

/* All pins, sorted by name; elements are pin, freed with the array. A directory that does not exist
 * holds none. PKI_ERROR_LOCAL if it cannot be read or if others than its owner can write to it. */
GPtrArray *pins_read(const char *directory, GError **error);
/* The pin of a name (upper and lower case are the same), or of a certificate; NULL: none. Borrowed
 * from the array. */
const pin *pins_by_name(GPtrArray *pins, const char *name);
const pin *pins_by_der(GPtrArray *pins, GBytes *der);
/* PEERS/NAME.crt. Caller frees. */
char *pins_path(const char *directory, const char *name);
