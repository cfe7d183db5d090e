/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks a guest for all it has written. Images are read in images.c. */
#include "readback.h"

#include <string.h>

static GSocketConnection *connect_to(const char *address, GError **error)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    GSocketConnection *c;

    g_socket_client_set_timeout(client, READBACK_STALL_S);
    g_socket_client_set_enable_proxy(client, FALSE);
    c = g_socket_client_connect_to_host(client, address, REPORT_GUEST_PORT, NULL, error);
    if (!c)
        g_prefix_error(error, "cannot reach the guest at %s: ", address);
    return c;
}

static gboolean send_line(GSocketConnection *c, const char *line, GError **error)
{
    GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(c));

    return g_output_stream_printf(out, NULL, NULL, error, "%s\n", line);
}

static gboolean refuse(GError **error, const char *what)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "the read-back cannot be believed: %s",
                what);
    return FALSE;
}

/* Whether E may stand after the BEGIN entry at BEGIN (NULL: E is the first). */
static gboolean check(const struct entry *e, const struct entry *begin, const char *vm,
                      GError **error)
{
    if (e->magic != ENTRY_MAGIC || !report_sealed(e, sizeof *e, &e->sum))
        return refuse(error, "an entry is damaged");
    if (!begin) {
        if (e->kind != ENTRY_BEGIN || !report_name_valid(e->vm))
            return refuse(error, "it does not begin with its beginning");
        if (strcmp(e->vm, vm) != 0)
            return refuse(error, "another guest answers at this address");
        if (e->disks > REPORT_DISKS || e->slots > REPORT_SLOTS)
            return refuse(error, "it has more disks or slots than a guest can have");
        return TRUE;
    }
    if (e->kind <= ENTRY_BEGIN || e->kind > ENTRY_END)
        return refuse(error, "an entry is of no known kind");
    if (e->disks != begin->disks || e->slots != begin->slots)
        return refuse(error, "the number of disks or slots changes within it");
    if ((e->kind == ENTRY_GOOD || e->kind == ENTRY_BAD) &&
        (e->disk >= begin->disks || e->slot >= begin->slots))
        return refuse(error, "an entry is from outside the disks");
    if (e->kind == ENTRY_GOOD && !report_name_valid(e->vm))
        return refuse(error, "a record belongs to no VM");
    if (e->kind == ENTRY_END && e->seq < begin->seq)
        return refuse(error, "it ends before it begins");
    return TRUE;
}

GArray *readback_from_guest(const char *address, const char *vm, GError **error)
{
    g_autoptr(GSocketConnection) c = connect_to(address, error);
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(struct entry));

    if (!c || !send_line(c, "read", error))
        return NULL;
    g_autoptr(GInputStream) in =
        g_buffered_input_stream_new_sized(g_io_stream_get_input_stream(G_IO_STREAM(c)), 1 << 18);
    for (;;) {
        struct entry e;
        gsize got = 0;
        if (!g_input_stream_read_all(in, &e, sizeof e, &got, NULL, error)) {
            g_prefix_error(error, "the guest at %s stopped answering: ", address);
            return NULL;
        }
        if (got != sizeof e) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                        "the guest at %s closed the connection in the middle of a read-back",
                        address);
            return NULL;
        }
        if (!check(&e, entries->len ? &g_array_index(entries, struct entry, 0) : NULL, vm, error))
            return NULL;
        if (entries->len == READBACK_ENTRIES) {
            refuse(error, "it has too many entries");
            return NULL;
        }
        g_array_append_val(entries, e);
        if (e.kind == ENTRY_END)
            return g_steal_pointer(&entries);
    }
}

char *readback_ask(const char *address, const char *line, GError **error)
{
    g_autoptr(GSocketConnection) c = NULL;
    GString *answer = g_string_new(NULL);

    if (strpbrk(line, "\r\n") || strlen(line) > 200 || g_str_has_prefix(line, "read")) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'%s' cannot be asked; use one line, and verify instead of read", line);
    } else if ((c = connect_to(address, error)) && send_line(c, line, error)) {
        GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(c));
        char part[1024];
        gssize n;
        while ((n = g_input_stream_read(in, part, sizeof part, NULL, error)) > 0) {
            g_string_append_len(answer, part, n);
            if (part[n - 1] == '\n' && !memchr(answer->str, '\n', answer->len - 1))
                return g_string_free(answer, FALSE);
            if (answer->len > 16384)
                break;
        }
        if (n >= 0)
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                        "the guest at %s gave no answer of one line", address);
    }
    g_string_free(answer, TRUE);
    return NULL;
}
