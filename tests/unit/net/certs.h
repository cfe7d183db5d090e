/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates for tests, made on the spot: any validity, issuer, name and purpose. Failures abort
 * the test. */
#pragma once
#include "net/pki.h"

typedef struct {
    const char *name;       /* common name */
    const char *const *dns; /* DNS subject alternative names; NULL: none */
    const char *issuer;     /* stem of the CA that signs; NULL: itself */
    gboolean ca;
    int from_days, until_days; /* from now; both 0: from yesterday for 30 days */
    const char *purpose;       /* extended key usage, one OID; NULL: none */
    gboolean weak;             /* RSA of 1024 bits instead of ECDSA P-256 */
} certs_spec;

/* A fresh directory, and its removal with all that is in it. */
char *certs_directory(void);
void certs_remove(char *directory);
/* Writes DIR/STEM.crt and DIR/STEM.key. */
void certs_make(const char *dir, const char *stem, certs_spec spec);
/* The certificate in DIR/STEM.crt as DER. */
GBytes *certs_der(const char *dir, const char *stem);
/* Loads the host DIR/STEM, with peers in DIR/STEM.peers and optionally DIR/CA.crt and patterns. */
pki *certs_load(const char *dir, const char *stem, const char *ca, const char *const *allow);
/* Pins DIR/OTHER.crt as `name` with this host. */
void certs_pin(pki *self, const char *dir, const char *other, const char *name);
