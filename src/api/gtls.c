/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GIO's TLS, tightened; see gtls.h. */
#include "api/gtls.h"

#include <string.h>

/* Before main(), because GIO reads it once and the environment must not change under threads. Not
 * left to the user's environment: a weaker value there would weaken us. */
__attribute__((constructor)) static void allow_tls_13_only(void)
{
    g_setenv("G_TLS_GNUTLS_PRIORITY", "NORMAL:-VERS-ALL:+VERS-TLS1.3", TRUE);
}

GTlsCertificate *gtls_certificate(const char *certificate, const char *key, GError **error)
{
    GTlsCertificate *loaded = g_tls_certificate_new_from_files(certificate, key, error);

    if (!loaded)
        g_prefix_error(error, "%s with %s: ", certificate, key);
    return loaded;
}

GPtrArray *gtls_chain(GTlsCertificate *leaf)
{
    GPtrArray *chain = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

    for (GTlsCertificate *at = leaf; at && chain->len < GTLS_CHAIN_MAX;
         at = g_tls_certificate_get_issuer(at)) {
        g_autoptr(GByteArray) der = NULL;
        g_object_get(at, "certificate", &der, NULL);
        if (!der)
            break;
        g_ptr_array_add(chain, g_bytes_new(der->data, der->len));
    }
    return chain;
}

gboolean gtls_version_ok(GTlsConnection *connection, GError **error)
{
    if (g_tls_connection_get_protocol_version(connection) == G_TLS_PROTOCOL_VERSION_TLS_1_3)
        return TRUE;
    g_set_error(error, G_TLS_ERROR, G_TLS_ERROR_HANDSHAKE,
                "the other side does not speak TLS 1.3, and nothing older is allowed");
    return FALSE;
}
