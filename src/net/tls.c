/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GnuTLS sessions and errors; see tls.h. */
#include "net/tls.h"
#include "base/fdio.h"

#include <errno.h>
#include <string.h>

#define HANDSHAKE_MESSAGE_MAX (64 * 1024)

/* ChaCha20 first where AES is not in the processor; either side accepts all three. */
#define TLS13  "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE:-CIPHER-ALL:"
#define AES    "+AES-256-GCM:+AES-128-GCM"
#define CHACHA "+CHACHA20-POLY1305"

/* The protocol after the handshake: a connection led to another service of this host, or one of a
 * version we do not speak, fails here (RFC 7301). */
static const char protocol[] = "ferry-channel/1";

static gboolean fast_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") != 0;
#else
    return TRUE;
#endif
}

gnutls_session_t tls_session_new(pki *identity, gboolean server, GError **error)
{
    const gnutls_datum_t alpn = {.data = (void *)protocol, .size = sizeof protocol - 1};
    gnutls_session_t session = NULL;
    const char *where = NULL;
    int rc = gnutls_init(&session, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK |
                                       GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_REKEY);

    if (rc == 0)
        rc = gnutls_priority_set_direct(
            session, fast_aes() ? TLS13 AES ":" CHACHA : TLS13 CHACHA ":" AES, &where);
    if (rc == 0)
        rc = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE,
                                    pki_credentials(identity, !server));
    if (rc == 0)
        rc = gnutls_alpn_set_protocols(session, &alpn, 1, GNUTLS_ALPN_MANDATORY);
    if (rc < 0) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL, "cannot prepare TLS 1.3: %s%s%s",
                    gnutls_strerror(rc), where ? " at " : "", where ? where : "");
        if (session)
            gnutls_deinit(session);
        return NULL;
    }
    gnutls_handshake_set_max_packet_length(session, HANDSHAKE_MESSAGE_MAX);
    gnutls_handshake_set_timeout(session, 0); /* the caller has a deadline of its own */
    if (server)
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    return session;
}

char *tls_verify_peer(gnutls_session_t session, pki *identity, const char *expected,
                      gnutls_alert_description_t *alert, GError **error)
{
    g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_autoptr(GError) problem = NULL;
    unsigned count = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
    gnutls_datum_t agreed;
    char *name;

    /* Mandatory, yet GnuTLS as a client goes on if the server is silent about it. */
    if (gnutls_alpn_get_selected_protocol(session, &agreed) < 0) {
        *alert = GNUTLS_A_NO_APPLICATION_PROTOCOL;
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "what answers speaks TLS, but not %s", protocol);
        return NULL;
    }
    for (unsigned i = 0; shown && i < count; i++)
        g_ptr_array_add(chain, g_bytes_new(shown[i].data, shown[i].size));
    name = pki_verify(identity, chain, expected, &problem);
    if (name)
        return name;
    if (g_error_matches(problem, PKI_ERROR, PKI_ERROR_EXPIRED))
        *alert = GNUTLS_A_CERTIFICATE_EXPIRED;
    else if (g_error_matches(problem, PKI_ERROR, PKI_ERROR_NAME))
        *alert = GNUTLS_A_ACCESS_DENIED;
    else if (g_error_matches(problem, PKI_ERROR, PKI_ERROR_UNTRUSTED))
        *alert = GNUTLS_A_UNKNOWN_CA;
    else
        *alert = GNUTLS_A_INTERNAL_ERROR;
    g_propagate_error(error, g_steal_pointer(&problem));
    return NULL;
}

/* What the peer's fatal alert means for us. */
static void alert_error(gnutls_alert_description_t alert, const char *name, GError **error)
{
    const char *text = NULL;
    int code = G_IO_ERROR_PERMISSION_DENIED;

    switch (alert) {
    case GNUTLS_A_UNKNOWN_CA:
    case GNUTLS_A_CERTIFICATE_UNKNOWN:
    case GNUTLS_A_BAD_CERTIFICATE:
    case GNUTLS_A_CERTIFICATE_REQUIRED:
        text = "does not trust this host's certificate: run 'ferry pair' between the two hosts";
        break;
    case GNUTLS_A_CERTIFICATE_EXPIRED:
        text = "finds this host's certificate outside its validity: check both hosts' clocks, or "
               "make a new one and pair again";
        break;
    case GNUTLS_A_ACCESS_DENIED:
        text = "expected another host here: it knows this one under another name";
        break;
    case GNUTLS_A_INTERNAL_ERROR:
        text = "cannot check this host's certificate: its log says why";
        break;
    default:
        code = G_IO_ERROR_INVALID_DATA;
    }
    if (text)
        g_set_error(error, G_IO_ERROR, code, "%s: the other side %s", name, text);
    else
        g_set_error(error, G_IO_ERROR, code, "%s: the other side ended TLS with alert %d (%s)",
                    name, alert, gnutls_alert_get_name(alert) ?: "unknown");
}

void tls_error(gnutls_session_t session, int code, int errnum, const char *name, GError **error)
{
    switch (code) {
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
    case GNUTLS_E_WARNING_ALERT_RECEIVED:
        alert_error(gnutls_alert_get(session), name, error);
        return;
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
        g_set_error(error, PKI_ERROR, PKI_ERROR_UNTRUSTED,
                    "%s: the other side showed no certificate", name);
        return;
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
    case GNUTLS_E_NO_CIPHER_SUITES:
    case GNUTLS_E_UNKNOWN_CIPHER_SUITE:
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "%s: the other side does not speak TLS 1.3 with the suites Ferry allows", name);
        return;
    case GNUTLS_E_PREMATURE_TERMINATION:
    case 0:
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                    "%s: the connection was cut (it ended in the middle)", name);
        return;
    case GNUTLS_E_PULL_ERROR:
    case GNUTLS_E_PUSH_ERROR:
        if (errnum == EMSGSIZE)
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                        "%s: the other side sent more than this protocol allows", name);
        else if (errnum == ECONNRESET || errnum == EPIPE) /* CONNECTION_CLOSED is for an orderly end */
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                        "%s: the connection was cut (%s)", name, g_strerror(errnum));
        else
            fdio_error(error, errnum, "%s", name);
        return;
    default:
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "%s: what the other side sent is not this protocol: %s", name,
                    gnutls_strerror(code));
    }
}
