/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decision behind pki_verify: pins, authorities and names. Used in src/net only. */
#pragma once
#include "net/pki.h"

typedef struct trust trust;

/* `paths` is borrowed for the life of the result. Reads the CA file, if there is one; errors are
 * PKI_ERROR_LOCAL. */
trust *trust_new(const pki_paths *paths, GError **error);
void trust_free(trust *self);
/* See pki_verify. Thread-safe. */
char *trust_verify(trust *self, GPtrArray *chain, const char *expected, GError **error);
