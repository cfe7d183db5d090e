/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks allowed for migrations, and dialling over them; see networks.h. */
#include "net/networks.h"
#include "base/fdio.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    int family;
    guint prefix;
    uint8_t bytes[16];
    char *text;
} block;

struct networks {
    GArray *blocks; /* of block */
};

/* Addresses as bytes. */

static guint bits_of(int family)
{
    return family == AF_INET ? 32 : 128;
}

/* The family and bytes of an address, IPv4-mapped ones as IPv4; AF_UNSPEC: neither IPv4 nor IPv6.
 */
static int address_bytes(const struct sockaddr *address, uint8_t bytes[16])
{
    if (address && address->sa_family == AF_INET) {
        memcpy(bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
        return AF_INET;
    }
    if (address && address->sa_family == AF_INET6) {
        const struct in6_addr *in6 =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(in6)) {
            memcpy(bytes, in6->s6_addr + 12, 4);
            return AF_INET;
        }
        memcpy(bytes, in6, 16);
        return AF_INET6;
    }
    return AF_UNSPEC;
}

/* Are all bits of `bytes` from `prefix` on those of `network`? Whole bytes, then the one cut
 * through. */
static gboolean same_prefix(const uint8_t *bytes, const uint8_t *network, guint prefix)
{
    guint whole = prefix / 8, rest = prefix % 8;

    return memcmp(bytes, network, whole) == 0 &&
           (rest == 0 || (bytes[whole] ^ network[whole]) >> (8 - rest) == 0);
}

static gboolean contains(const block *b, int family, const uint8_t *bytes)
{
    return b->family == family && same_prefix(bytes, b->bytes, b->prefix);
}

/* Index of the first block that contains the address, -1: none. */
static int find(const networks *self, int family, const uint8_t *bytes)
{
    for (guint i = 0; i < self->blocks->len; i++)
        if (contains(&g_array_index(self->blocks, block, i), family, bytes))
            return (int)i;
    return -1;
}

static void set_port(struct sockaddr_storage *address, guint16 port, unsigned scope)
{
    if (address->ss_family == AF_INET) {
        ((struct sockaddr_in *)address)->sin_port = htons(port);
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
        in6->sin6_port = htons(port);
        if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
            in6->sin6_scope_id = scope;
    }
}

static socklen_t to_sockaddr(GInetAddress *address, guint16 port, unsigned scope,
                             struct sockaddr_storage *out)
{
    gboolean v4 = g_inet_address_get_family(address) == G_SOCKET_FAMILY_IPV4;

    memset(out, 0, sizeof *out);
    out->ss_family = v4 ? AF_INET : AF_INET6;
    memcpy(v4 ? (void *)&((struct sockaddr_in *)out)->sin_addr
              : (void *)&((struct sockaddr_in6 *)out)->sin6_addr,
           g_inet_address_to_bytes(address), g_inet_address_get_native_size(address));
    set_port(out, port, scope);
    return v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

char *networks_address_text(const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "?";
    uint8_t bytes[16];
    int family = address_bytes(address, bytes);

    if (family == AF_UNSPEC)
        return g_strdup("local");
    inet_ntop(family, bytes, text, sizeof text);
    /* The port is at the same place in both. */
    return g_strdup_printf(family == AF_INET ? "%s:%u" : "[%s]:%u", text,
                           ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port));
}

/* The list. */

static void block_clear(gpointer data)
{
    g_free(((block *)data)->text);
}

static gboolean bad(GError **error, const char *entry, const char *text)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "network '%.64s': %s", entry, text);
    return FALSE;
}

static gboolean parse_one(const char *entry, block *out, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(entry, "/", 2);
    guint64 prefix = 0;

    memset(out, 0, sizeof *out);
    if (!parts[0] || !parts[1])
        return bad(error, entry, "write it with its length, such as 10.70.0.0/24");
    if (inet_pton(AF_INET, parts[0], out->bytes) == 1)
        out->family = AF_INET;
    else if (inet_pton(AF_INET6, parts[0], out->bytes) == 1)
        out->family = AF_INET6;
    else
        return bad(error, entry, "this is neither an IPv4 nor an IPv6 network");
    if (out->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED((struct in6_addr *)out->bytes))
        return bad(error, entry, "write IPv4 networks as IPv4, such as 10.70.0.0/24");
    if (!g_ascii_string_to_unsigned(parts[1], 10, 0, bits_of(out->family), &prefix, NULL))
        return bad(error, entry,
                   out->family == AF_INET ? "the length after '/' is 0 to 32"
                                          : "the length after '/' is 0 to 128");
    out->prefix = (guint)prefix;
    for (guint bit = out->prefix; bit < bits_of(out->family); bit++)
        if (out->bytes[bit / 8] & (0x80 >> bit % 8))
            return bad(error, entry,
                       "bits after the length are set; did you mean a shorter network?");
    out->text = g_strdup(entry);
    return TRUE;
}

networks *networks_parse(const char *const *cidrs, GError **error)
{
    g_autoptr(networks) self = g_new0(networks, 1);

    self->blocks = g_array_new(FALSE, FALSE, sizeof(block));
    g_array_set_clear_func(self->blocks, block_clear);
    for (; cidrs && *cidrs; cidrs++) {
        block b;
        if (!parse_one(*cidrs, &b, error))
            return NULL;
        g_array_append_val(self->blocks, b);
    }
    return g_steal_pointer(&self);
}

void networks_free(networks *self)
{
    if (!self)
        return;
    g_array_unref(self->blocks);
    g_free(self);
}

gboolean networks_empty(const networks *self)
{
    return self->blocks->len == 0;
}

char *networks_text(const networks *self)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < self->blocks->len; i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "",
                               g_array_index(self->blocks, block, i).text);
    return g_string_free(text, FALSE);
}

gboolean networks_allow(const networks *self, const struct sockaddr *address)
{
    uint8_t bytes[16];
    int family = address_bytes(address, bytes);

    return family != AF_UNSPEC && find(self, family, bytes) >= 0;
}

/* Our own addresses. */

static void local_free(gpointer data)
{
    networks_local *self = data;

    g_free(self->interface);
    g_object_unref(self->address);
    g_free(self);
}

static guint mask_length(const struct sockaddr *mask)
{
    uint8_t bytes[16] = {0};
    guint length = 0;
    int family = mask ? mask->sa_family : AF_UNSPEC;

    if (family == AF_INET)
        memcpy(bytes, &((const struct sockaddr_in *)(const void *)mask)->sin_addr, 4);
    else if (family == AF_INET6)
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr, 16);
    while (length < 128 && (bytes[length / 8] & (0x80 >> length % 8)))
        length++;
    return length;
}

static int by_network(gconstpointer a, gconstpointer b)
{
    const networks_local *const *left = a, *const *right = b;

    return (*left)->network - (*right)->network; /* g_ptr_array_sort is stable */
}

GPtrArray *networks_local_addresses(const networks *self, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(local_free);
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0) {
        fdio_error(error, errno, "reading this host's addresses");
        return NULL;
    }
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        uint8_t bytes[16];
        int family = address_bytes(i->ifa_addr, bytes);
        int network = family == AF_UNSPEC ? -1 : find(self, family, bytes);
        networks_local *l;
        if (network < 0 || !(i->ifa_flags & IFF_UP) || !(i->ifa_flags & IFF_RUNNING))
            continue;
        l = g_new0(networks_local, 1);
        l->interface = g_strdup(i->ifa_name);
        l->address = g_inet_address_new_from_bytes(bytes, family == AF_INET ? G_SOCKET_FAMILY_IPV4
                                                                            : G_SOCKET_FAMILY_IPV6);
        l->prefix = mask_length(i->ifa_netmask);
        l->network = network;
        g_ptr_array_add(list, l);
    }
    freeifaddrs(all);
    g_ptr_array_sort(list, by_network);
    return g_steal_pointer(&list);
}

/* Connections. */

/* Waits for a non-blocking connect. */
static gboolean connected(int fd, gint64 deadline, const char *what, GError **error)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int errnum = 0, n = 0;
    socklen_t size = sizeof errnum;

    while (n <= 0) {
        gint64 left = deadline - g_get_monotonic_time();
        if (left <= 0)
            return fdio_error(error, ETIMEDOUT, "%s", what);
        n = poll(&p, 1, (int)MIN(left / 1000 + 1, G_MAXINT));
        if (n < 0 && errno != EINTR)
            return fdio_error(error, errno, "%s", what);
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
        errnum = errno;
    return errnum == 0 || fdio_error(error, errnum, "%s", what);
}

static int dial_from(const networks_local *from, GInetAddress *address, guint16 port,
                     gint64 deadline, GError **error)
{
    unsigned scope = if_nametoindex(from->interface);
    struct sockaddr_storage here, there;
    socklen_t here_size = to_sockaddr(from->address, 0, scope, &here);
    socklen_t there_size = to_sockaddr(address, port, scope, &there);
    fdio_auto fd = socket(there.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    g_autofree char *to = networks_address_text((struct sockaddr *)&there);
    g_autofree char *what = g_strdup_printf("connecting to %s through %s", to, from->interface);
    int on = 1;

    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, from->interface,
                   (socklen_t)strlen(from->interface) + 1) < 0 ||
        bind(fd, (struct sockaddr *)&here, here_size) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        (connect(fd, (struct sockaddr *)&there, there_size) < 0 && errno != EINPROGRESS &&
         errno != EINTR)) {
        fdio_error(error, errno, "%s", what);
        return -1;
    }
    return connected(fd, deadline, what, error) ? g_steal_fd(&fd) : -1;
}

/* The addresses to try, best first; borrowed from `list`. */
static GPtrArray *candidates(const networks *self, GPtrArray *list, GInetAddress *address)
{
    g_autoptr(GPtrArray) near = g_ptr_array_new(), far = g_ptr_array_new();
    struct sockaddr_storage there;
    uint8_t bytes[16];
    int family;

    to_sockaddr(address, 0, 0, &there);
    family = address_bytes((struct sockaddr *)&there, bytes);
    for (guint i = 0; i < list->len; i++) {
        networks_local *l = list->pdata[i];
        const block *b = &g_array_index(self->blocks, block, l->network);
        if (g_inet_address_get_family(l->address) == g_inet_address_get_family(address))
            g_ptr_array_add(contains(b, family, bytes) ? near : far, l);
    }
    g_ptr_array_extend(near, far, NULL, NULL);
    return g_steal_pointer(&near);
}

int networks_dial(const networks *self, GInetAddress *address, guint16 port, int timeout_ms,
                  GError **error)
{
    g_autoptr(GPtrArray) list = networks_local_addresses(self, error);
    g_autoptr(GPtrArray) from = list ? candidates(self, list, address) : NULL;
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    g_autoptr(GError) problem = NULL;

    if (!from)
        return -1;
    if (from->len == 0) {
        g_autofree char *to = g_inet_address_to_string(address), *text = networks_text(self);
        g_set_error(
            error, G_IO_ERROR, G_IO_ERROR_NETWORK_UNREACHABLE,
            "%s cannot be reached: no interface that is up has an %s address on a migration "
            "network (%s); give it one, or name another network in the configuration",
            to, g_inet_address_get_family(address) == G_SOCKET_FAMILY_IPV4 ? "IPv4" : "IPv6",
            networks_empty(self) ? "none is configured" : text);
        return -1;
    }
    for (guint i = 0; i < from->len; i++) {
        gint64 now = g_get_monotonic_time();
        gint64 until = now + MAX(deadline - now, 0) / (from->len - i);
        int fd;
        g_clear_error(&problem);
        fd = dial_from(from->pdata[i], address, port, until, &problem);
        if (fd >= 0)
            return fd;
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return -1;
}

gboolean networks_accepted_ok(const networks *self, int fd, GError **error)
{
    struct sockaddr_storage here = {0};
    socklen_t size = sizeof here;
    g_autoptr(GPtrArray) list = networks_local_addresses(self, error);
    g_autofree char *text = NULL, *allowed = NULL;
    uint8_t bytes[16];
    int family;

    if (!list)
        return FALSE;
    if (getsockname(fd, (struct sockaddr *)&here, &size) < 0)
        return fdio_error(error, errno, "getsockname");
    family = address_bytes((struct sockaddr *)&here, bytes);
    for (guint i = 0; i < list->len && family != AF_UNSPEC; i++) {
        networks_local *l = list->pdata[i];
        gboolean v4 = g_inet_address_get_family(l->address) == G_SOCKET_FAMILY_IPV4;
        unsigned scope = ((struct sockaddr_in6 *)&here)->sin6_scope_id;
        if (v4 != (family == AF_INET) ||
            memcmp(g_inet_address_to_bytes(l->address), bytes, bits_of(family) / 8) != 0)
            continue;
        /* The same link-local address may be on several interfaces. */
        if (!v4 && g_inet_address_get_is_link_local(l->address) &&
            scope != if_nametoindex(l->interface))
            continue;
        return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, l->interface,
                          (socklen_t)strlen(l->interface) + 1) == 0 ||
               fdio_error(error, errno, "binding to %s", l->interface);
    }
    text = networks_address_text((struct sockaddr *)&here);
    allowed = networks_text(self);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                "a connection came to %s, which is not on a migration network (%s): refused", text,
                networks_empty(self) ? "none is configured" : allowed);
    return FALSE;
}
