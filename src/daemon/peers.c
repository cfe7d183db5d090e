/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paired hosts; see peers.h. */
#include "daemon/peers.h"

#include "base/fdio.h"

#include <string.h>
#include <unistd.h>

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of PEERS/NAME.crt, sorted. */
static GPtrArray *names(const settings *conf)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(conf->tls.peers, 0, NULL);
    const char *file;

    while (dir && (file = g_dir_read_name(dir))) {
        g_autofree char *name = NULL;
        if (!g_str_has_suffix(file, ".crt"))
            continue;
        name = g_strndup(file, strlen(file) - 4);
        if (pki_name_ok(name))
            g_ptr_array_add(list, g_steal_pointer(&name));
    }
    g_ptr_array_sort(list, by_name);
    return list;
}

static JsonObject *describe(const settings *conf, const char *name)
{
    g_autofree char *file = g_strdup_printf("%s/%s.crt", conf->tls.peers, name);
    g_autoptr(GTlsCertificate) certificate = g_tls_certificate_new_from_file(file, NULL);
    g_autoptr(GByteArray) der = NULL;
    g_autoptr(GDateTime) expires = NULL;
    g_autofree char *host = NULL, *address = NULL;
    JsonObject *peer = json_object_new();
    guint16 port;

    json_object_set_string_member(peer, "name", name);
    if (settings_peer_address(conf, name, &host, &port, NULL))
        address = g_strdup_printf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    json_object_set_string_member(peer, "address", address);
    json_object_set_null_member(peer, "fingerprint");
    json_object_set_null_member(peer, "expires");
    if (!certificate)
        return peer;
    g_object_get(certificate, "certificate", &der, NULL);
    if (der) {
        g_autoptr(GBytes) bytes = g_bytes_new(der->data, der->len);
        g_autofree char *fingerprint = pki_fingerprint(bytes);
        json_object_set_string_member(peer, "fingerprint", fingerprint);
    }
    expires = g_tls_certificate_get_not_valid_after(certificate);
    if (expires)
        json_object_set_int_member(peer, "expires", g_date_time_to_unix(expires));
    return peer;
}

JsonArray *peers_list(const settings *conf)
{
    g_autoptr(GPtrArray) list = names(conf);
    JsonArray *array = json_array_new();

    for (guint i = 0; i < list->len; i++)
        json_array_add_object_element(array, describe(conf, list->pdata[i]));
    return array;
}

static char *paired_as(const settings *conf, const char *name)
{
    g_autoptr(GPtrArray) list = names(conf);

    for (guint i = 0; i < list->len; i++)
        if (!g_ascii_strcasecmp(list->pdata[i], name))
            return g_strdup(list->pdata[i]);
    return NULL;
}

JsonObject *peers_describe(const settings *conf, const char *name)
{
    g_autofree char *paired = paired_as(conf, name);

    return paired ? describe(conf, paired) : NULL;
}

gboolean peers_known(const settings *conf, const char *name)
{
    g_autofree char *paired = paired_as(conf, name);
    g_autofree char *lower = g_ascii_strdown(name, -1);

    for (guint i = 0; !paired && conf->tls.ca && conf->tls.ca_allow && conf->tls.ca_allow[i]; i++) {
        g_autofree char *pattern = g_ascii_strdown(conf->tls.ca_allow[i], -1);
        if (g_pattern_match_simple(pattern, lower))
            return TRUE;
    }
    return paired != NULL;
}

gboolean peers_set_address(const settings *conf, const char *name, const char *host, guint16 port,
                           GError **error)
{
    g_autofree char *file = settings_address_file(conf, name);
    g_autofree char *text =
        g_strdup_printf(strchr(host, ':') ? "[%s]:%u\n" : "%s:%u\n", host, port);

    return fdio_replace_file(file, text, strlen(text), 0644, error);
}

void peers_forget_address(const settings *conf, const char *name)
{
    g_autofree char *file = settings_address_file(conf, name);

    (void)unlink(file);
}
