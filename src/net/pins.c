/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The directory of pinned certificates; see pins.h. */
#include "net/pins.h"
#include "net/certificate.h"
#include "net/pki.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define PINS_MAX 10000

static void pin_free(gpointer data)
{
    pin *self = data;

    g_free(self->name);
    g_clear_pointer(&self->der, g_bytes_unref);
    g_free(self->problem);
    g_free(self);
}

static int by_name(gconstpointer a, gconstpointer b)
{
    const pin *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

char *pins_path(const char *directory, const char *name)
{
    return g_strdup_printf("%s/%s.crt", directory, name);
}

static pin *read_one(const char *directory, const char *name)
{
    g_autofree char *path = pins_path(directory, name);
    g_autoptr(GError) problem = NULL;
    g_autoptr(certificate) crt = certificate_from_file(path, &problem);
    pin *self = g_new0(pin, 1);

    self->name = g_strdup(name);
    if (crt)
        self->der = certificate_to_der(crt);
    else
        self->problem = g_strdup(problem->message);
    return self;
}

/* Whoever can write here decides whom this host trusts. */
static gboolean directory_ok(const char *directory, GError **error)
{
    struct stat st;

    if (stat(directory, &st) < 0) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL, "%s: %s", directory, g_strerror(errno));
        return FALSE;
    }
    if (st.st_mode & 022) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL,
                    "%s: others may write to this directory of trusted certificates (mode %04o): "
                    "look through it, then run 'chmod go-w %s'",
                    directory, (unsigned)st.st_mode & 07777, directory);
        return FALSE;
    }
    return TRUE;
}

GPtrArray *pins_read(const char *directory, GError **error)
{
    g_autoptr(GPtrArray) pins = g_ptr_array_new_with_free_func(pin_free);
    g_autoptr(GError) problem = NULL;
    g_autoptr(GDir) dir = g_dir_open(directory, 0, &problem);
    const char *entry;

    if (!dir && g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return g_steal_pointer(&pins);
    if (!dir) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL, "%s", problem->message);
        return NULL;
    }
    if (!directory_ok(directory, error))
        return NULL;
    while ((entry = g_dir_read_name(dir))) {
        g_autofree char *name = NULL;
        if (!g_str_has_suffix(entry, ".crt"))
            continue;
        name = g_strndup(entry, strlen(entry) - strlen(".crt"));
        if (!pki_name_ok(name))
            continue;
        if (pins->len == PINS_MAX) {
            g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL,
                        "%s: more than %d pinned certificates: use a CA instead", directory,
                        PINS_MAX);
            return NULL;
        }
        g_ptr_array_add(pins, read_one(directory, name));
    }
    g_ptr_array_sort(pins, by_name);
    return g_steal_pointer(&pins);
}

const pin *pins_by_name(GPtrArray *pins, const char *name)
{
    for (guint i = 0; i < pins->len; i++) {
        const pin *p = pins->pdata[i];
        if (g_ascii_strcasecmp(p->name, name) == 0)
            return p;
    }
    return NULL;
}

const pin *pins_by_der(GPtrArray *pins, GBytes *der)
{
    for (guint i = 0; i < pins->len; i++) {
        const pin *p = pins->pdata[i];
        if (p->der && g_bytes_equal(p->der, der))
            return p;
    }
    return NULL;
}
