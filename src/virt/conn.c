/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections to libvirt: the event loop they need, and libvirt's errors as GError. */
#include "virt/conn.h"
#include "virt/xml.h"

#include <errno.h>
#include <string.h>

/* Errors are reported by who called, with more to say: libvirt need not print them as well. */
static void silence(void *user, virErrorPtr error)
{
}

static GThread *events; /* set once, with the event loop */
static gint stopping;   /* atomic */

static gpointer run_events(gpointer user)
{
    while (!g_atomic_int_get(&stopping))
        if (virEventRunDefaultImpl() < 0)
            g_usleep(G_USEC_PER_SEC / 10); /* out of memory or descriptors: do not spin */
    return NULL;
}

static void nothing(int timer, void *user)
{
}

void virt_stop(void)
{
    if (!events)
        return;
    g_atomic_int_set(&stopping, 1);
    (void)virEventAddTimeout(0, nothing, NULL, NULL); /* wakes it */
    g_thread_join(g_steal_pointer(&events));
}

/* libvirt wants its event loop registered before the first connection and for the life of the
 * process. */
static gboolean start_events(GError **error)
{
    static gsize ready;

    if (g_once_init_enter(&ready)) {
        gboolean ok;
        virSetErrorFunc(NULL, silence);
        /* Its errors come to us as errors; as log lines they would be noise, and some are expected.
         */
        g_setenv("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null", FALSE);
        ok = virInitialize() == 0 && virEventRegisterDefaultImpl() == 0;
        if (ok)
            events = g_thread_new("libvirt-events", run_events, NULL);
        g_once_init_leave(&ready, ok ? 1 : 2);
    }
    if (ready == 1)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "libvirt's event loop does not start");
    return FALSE;
}

gboolean conn_error(GError **error, const char *format, ...)
{
    const virError *last = virGetLastError();
    g_autofree char *prefix = NULL;
    va_list args;
    int code = G_IO_ERROR_FAILED;

    va_start(args, format);
    prefix = g_strdup_vprintf(format, args);
    va_end(args);
    if (last && last->code == VIR_ERR_NO_DOMAIN)
        code = G_IO_ERROR_NOT_FOUND;
    else if (last && last->code == VIR_ERR_OPERATION_ABORTED)
        code = G_IO_ERROR_CANCELLED;
    g_set_error(error, G_IO_ERROR, code, "%s: %s", prefix,
                last && last->message ? last->message : "libvirt does not say why");
    return FALSE;
}

gboolean conn_error_is(int code)
{
    const virError *last = virGetLastError();

    return last && last->code == code;
}

gboolean conn_error_no_driver(void)
{
    const virError *last = virGetLastError();

    return last && (last->code == VIR_ERR_NO_SUPPORT || last->code == VIR_ERR_NO_CONNECT ||
                    (last->code == VIR_ERR_SYSTEM_ERROR && last->domain == VIR_FROM_RPC &&
                     (last->int1 == ENOENT || last->int1 == ECONNREFUSED)));
}

virConnectPtr conn_open(const char *socket, GError **error)
{
    hook_around("libvirt:open");
    g_autofree char *path = g_uri_escape_string(socket, "/", FALSE);
    g_autofree char *uri = g_strdup_printf("qemu+unix:///system?socket=%s", path);
    virConnectPtr conn;

    if (!start_events(error))
        return NULL;
    conn = virConnectOpen(uri);
    if (!conn)
        conn_error(error, "libvirt at %s cannot be reached", socket);
    return conn;
}

xmlDoc *conn_capabilities(virConnectPtr conn, GError **error)
{
    hook_around("libvirt:capabilities");
    char *text = virConnectGetCapabilities(conn);
    xmlDoc *doc;

    if (!text) {
        conn_error(error, "libvirt does not tell what this host can do");
        return NULL;
    }
    doc = xml_parse(text, XML_OWN_MAX, "capabilities", error);
    free(text);
    return doc;
}
