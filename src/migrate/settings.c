/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings: one table of keys, what each must look like and where it goes; see settings.h. */
#include "migrate/settings.h"

#include "base/rate.h"
#include "migrate/request.h"

#include <limits.h>
#include <string.h>

#define ADDRESS_MAX 4096 /* bytes of a PEERS/NAME.address */
#define RUN_DIR_MAX 48   /* a socket below RUN_DIR/ID/qemu must fit into sun_path */

#define DEFAULT_CERTIFICATE "/etc/ferry/pki/host.crt"
#define DEFAULT_KEY         "/etc/ferry/pki/host.key"
#define DEFAULT_PEERS       "/etc/ferry/peers"

/* How a value is written, and the type of its member. */
typedef enum {
    TEXT,    /* char * */
    PATH,    /* char *, absolute */
    HOST,    /* char *, a host's name as in a certificate */
    LIST,    /* GStrv */
    PLACES,  /* GStrv of absolute directories and pool:NAME */
    ADDRESS, /* GStrv of IP addresses */
    NETWORK, /* networks * */
    BOOL,    /* gboolean */
    NUMBER,  /* guint */
    PORT,    /* guint16 */
    SIZE,    /* guint64, bytes */
    RATE,    /* guint64, bytes/s */
    FACTOR   /* double */
} value_kind;

typedef struct {
    const char *group, *name;
    value_kind kind;
    size_t offset;
    guint64 minimum, maximum;
} setting;

#define AT(member) offsetof(settings, member)

static const setting table[] = {
    {"host", "name", HOST, AT(name), 0, 0},
    {"host", "state-directory", PATH, AT(state_dir), 0, PATH_MAX / 2},
    {"host", "runtime-directory", PATH, AT(run_dir), 0, RUN_DIR_MAX},
    {"host", "libvirt-socket", PATH, AT(libvirt_socket), 0, 107},
    {"host", "memory-reserve", SIZE, AT(memory_reserve), 0, G_MAXINT64},
    {"host", "storage-directories", LIST, AT(storage_directories), 0, 0},
    {"host", "api-group", TEXT, AT(api_group), 0, 0},
    {"listen", "control", ADDRESS, AT(control), 0, 0},
    {"listen", "control-port", PORT, AT(control_port), 1, 65535},
    {"listen", "data-port", PORT, AT(data_port), 1, 65535},
    {"networks", "migration", NETWORK, AT(migration), 0, 0},
    {"networks", "channels", NUMBER, AT(channels), 1, 16},
    {"networks", "link-timeout", NUMBER, AT(link_timeout), 1, 86400},
    {"networks", "hold-link-timeout", NUMBER, AT(hold_link_timeout), 1, 2000000},
    {"migrations", "incoming", BOOL, AT(incoming), 0, 0},
    {"migrations", "outgoing", BOOL, AT(outgoing), 0, 0},
    {"migrations", "max-incoming", NUMBER, AT(max_incoming), 1, 64},
    {"migrations", "max-outgoing", NUMBER, AT(max_outgoing), 1, 64},
    {"migrations", "landing-timeout", NUMBER, AT(landing_timeout), 1, 86400},
    {"migrations", "way-back", NUMBER, AT(way_back), 0, 8760},
    {"migrations", "keep-landed", NUMBER, AT(keep_landed), 0, 8760},
    {"migrations", "bandwidth", RATE, AT(bandwidth), 0, 0},
    {"migrations", "move-bandwidth", RATE, AT(move_bandwidth), 0, 0},
    {"migrations", "latency-guard", FACTOR, AT(latency_guard), 0, 0},
    {"migrations", "latency-patience", NUMBER, AT(latency_patience), 1, 10000},
    {"migrations", "settle", NUMBER, AT(settle), 0, 3600},
    {"migrations", "stall-timeout", NUMBER, AT(stall_timeout), 5, 86400},
    {"migrations", "max-guest-stall", NUMBER, AT(max_guest_stall), 0, 3600},
    {"seeds", "templates", PLACES, AT(seeds_templates), 0, 0},
    {"seeds", "same-name", PLACES, AT(seeds_same_name), 0, 0},
    {"tls", "certificate", PATH, AT(tls.certificate), 0, PATH_MAX - 1},
    {"tls", "key", PATH, AT(tls.key), 0, PATH_MAX - 1},
    {"tls", "client-certificate", PATH, AT(tls.client_certificate), 0, PATH_MAX - 1},
    {"tls", "client-key", PATH, AT(tls.client_key), 0, PATH_MAX - 1},
    {"tls", "ca", PATH, AT(tls.ca), 0, PATH_MAX - 1},
    {"tls", "ca-allow", LIST, AT(tls.ca_allow), 0, 0},
    {"tls", "peers", PATH, AT(tls.peers), 0, PATH_MAX / 2},
};

static gboolean check_peer(const char *name, const char *address, GError **error);

/* Groups whose keys are the user's. */
static const struct {
    const char *group;
    size_t keys, values;
    gboolean (*check)(const char *key, const char *value, GError **error);
} maps[] = {
    {"switch-map", AT(switch_keys), AT(switch_values), request_check_switch},
    {"storage-map", AT(storage_keys), AT(storage_values), request_check_storage},
    {"peers", AT(peer_names), AT(peer_addresses), check_peer},
};

static gboolean expected(GError **error, const char *value, const char *what)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "'%.200s': %s is expected", value,
                what);
    return FALSE;
}

static GStrv split_list(const char *value)
{
    g_auto(GStrv) parts = g_strsplit_set(value, ";,", -1);
    g_autoptr(GStrvBuilder) list = g_strv_builder_new();

    for (char **part = parts; *part; part++)
        if (*g_strstrip(*part))
            g_strv_builder_add(list, *part);
    return g_strv_builder_end(list);
}

static gboolean parse_bool(const char *value, gboolean *result, GError **error)
{
    static const char *const yes[] = {"yes", "on", "true", NULL};
    static const char *const no[] = {"no", "off", "false", NULL};
    g_autofree char *lower = g_ascii_strdown(value, -1);

    *result = g_strv_contains(yes, lower);
    return *result || g_strv_contains(no, lower) ||
           expected(error, value, "yes or no (also on, off, true, false)");
}

/* "512M", "2G", "4096"; units of 1024. */
static gboolean parse_size(const char *value, guint64 maximum, guint64 *result, GError **error)
{
    static const char units[] = "KMGT";
    gsize length = strlen(value);
    const char *unit = length ? strchr(units, g_ascii_toupper(value[length - 1])) : NULL;
    guint shift = unit ? 10 * (guint)(unit - units + 1) : 0;
    g_autofree char *digits = g_strndup(value, length - (unit ? 1 : 0));

    if (!g_ascii_string_to_unsigned(digits, 10, 0, maximum >> shift, result, NULL))
        return expected(error, value, "a size such as 512M or 2G");
    *result <<= shift;
    return TRUE;
}

static gboolean parse_number(const setting *key, const char *value, guint64 *result, GError **error)
{
    g_autofree char *what = g_strdup_printf(
        "a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, key->minimum, key->maximum);

    return g_ascii_string_to_unsigned(value, 10, key->minimum, key->maximum, result, NULL) ||
           expected(error, value, what);
}

static gboolean parse_path(const setting *key, const char *value, GError **error)
{
    if (*value != '/')
        return expected(error, value, "an absolute path");
    if (strlen(value) > key->maximum) {
        g_autofree char *what =
            g_strdup_printf("a path of at most %" G_GUINT64_FORMAT " bytes", key->maximum);
        return expected(error, value, what);
    }
    return TRUE;
}

static void replace_list(GStrv *list, GStrv by)
{
    g_strfreev(*list);
    *list = by;
}

static void replace_text(char **text, const char *by)
{
    g_free(*text);
    *text = g_strdup(by);
}

/* An empty value is refused: it would not be clear whether the default or nothing was meant. */
static gboolean store(settings *self, const setting *key, const char *value, GError **error)
{
    void *at = (char *)self + key->offset;
    g_auto(GStrv) list = NULL;
    networks *parsed;
    guint64 number;

    if (!*value)
        return expected(error, value, "a value (leave the key out for its default)");
    switch (key->kind) {
    case HOST:
        if (!pki_name_ok(value))
            return expected(error, value, "a host name of letters, digits, dots and dashes");
        replace_text(at, value);
        return TRUE;
    case PATH:
        if (!parse_path(key, value, error))
            return FALSE;
        replace_text(at, value);
        return TRUE;
    case TEXT:
        replace_text(at, value);
        return TRUE;
    case ADDRESS:
        list = split_list(value);
        for (char **item = list; *item; item++)
            if (!g_hostname_is_ip_address(*item))
                return expected(error, *item, "an IP address");
        if (!*list)
            return expected(error, value, "at least one IP address");
        replace_list(at, g_steal_pointer(&list));
        return TRUE;
    case PLACES:
        list = split_list(value);
        for (char **item = list; *item; item++)
            if (!request_check_storage("/", *item, NULL))
                return expected(error, *item, "an absolute directory or pool:NAME");
        replace_list(at, g_steal_pointer(&list));
        return TRUE;
    case LIST:
        replace_list(at, split_list(value));
        return TRUE;
    case NETWORK:
        list = split_list(value);
        parsed = networks_parse((const char *const *)list, error);
        if (!parsed)
            return FALSE;
        networks_free(*(networks **)at);
        *(networks **)at = parsed;
        return TRUE;
    case BOOL:
        return parse_bool(value, at, error);
    case SIZE:
        return parse_size(value, key->maximum, at, error);
    case RATE:
        return rate_parse(value, at, error);
    case FACTOR:
        return rate_parse_factor(value, at, error);
    case NUMBER:
    case PORT:
        if (!parse_number(key, value, &number, error))
            return FALSE;
        if (key->kind == PORT)
            *(guint16 *)at = (guint16)number;
        else
            *(guint *)at = (guint)number;
        return TRUE;
    }
    g_assert_not_reached();
}

static char *short_host_name(void)
{
    g_autofree char *name = g_strdup(g_get_host_name());

    return g_strndup(name, strcspn(name, "."));
}

static settings *defaults(void)
{
    static const char *const everywhere[] = {"0.0.0.0", "::", NULL};
    static const char *const nothing[] = {NULL};
    settings *self = g_new0(settings, 1);

    self->name = short_host_name();
    self->state_dir = g_strdup("/var/lib/ferry");
    self->run_dir = g_strdup("/run/ferry");
    self->memory_reserve = 512 * 1024 * 1024;
    self->control = g_strdupv((GStrv)everywhere);
    self->control_port = SETTINGS_CONTROL_PORT;
    self->data_port = SETTINGS_DATA_PORT;
    self->migration = networks_parse(nothing, NULL);
    self->channels = 4;
    self->link_timeout = 900;
    self->hold_link_timeout = 86400;
    self->incoming = self->outgoing = TRUE;
    self->max_incoming = self->max_outgoing = 2;
    self->landing_timeout = 60;
    self->way_back = self->keep_landed = 24;
    self->latency_guard = 1.5;
    self->latency_patience = 10;
    self->settle = 5;
    self->stall_timeout = 300;
    self->max_guest_stall = 2;
    self->tls.certificate = g_strdup(DEFAULT_CERTIFICATE);
    self->tls.key = g_strdup(DEFAULT_KEY);
    self->tls.peers = g_strdup(DEFAULT_PEERS);
    for (guint i = 0; i < G_N_ELEMENTS(maps); i++) {
        *(GStrv *)((char *)self + maps[i].keys) = g_strdupv((GStrv)nothing);
        *(GStrv *)((char *)self + maps[i].values) = g_strdupv((GStrv)nothing);
    }
    return self;
}

static void problem(GPtrArray *problems, const char *file, const char *group, const char *key,
                    const char *text)
{
    g_ptr_array_add(problems, g_strdup_printf("%s: [%s]%s%s: %s", file, group, key ? " " : "",
                                              key ? key : "", text));
}

/* The raw text of a key: GKeyFile's escapes would only surprise in paths. */
static char *value_of(GKeyFile *keys, const char *group, const char *key)
{
    char *value = g_key_file_get_value(keys, group, key, NULL);

    return value ? g_strstrip(value) : g_strdup("");
}

static const setting *find_setting(const char *group, const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(table); i++)
        if (!strcmp(table[i].group, group) && !strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

/* "known are: a, b" for a group's keys, or for all groups (NULL). */
static char *known(const char *group)
{
    g_autoptr(GString) text = g_string_new("known are: ");
    const char *last = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        const char *word = group ? table[i].name : table[i].group;
        if ((group && strcmp(table[i].group, group)) || !g_strcmp0(word, last))
            continue;
        g_string_append_printf(text, "%s%s", last ? ", " : "", word);
        last = word;
    }
    for (guint i = 0; !group && i < G_N_ELEMENTS(maps); i++)
        g_string_append_printf(text, ", %s", maps[i].group);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void read_map(settings *self, guint map, GKeyFile *keys, const char *file,
                     GPtrArray *problems)
{
    const char *group = maps[map].group;
    g_auto(GStrv) names = g_key_file_get_keys(keys, group, NULL, NULL);
    g_autoptr(GStrvBuilder) from = g_strv_builder_new(), to = g_strv_builder_new();

    for (char **name = names; name && *name; name++) {
        g_autofree char *value = value_of(keys, group, *name);
        g_autoptr(GError) error = NULL;
        if (!maps[map].check(*name, value, &error)) {
            problem(problems, file, group, *name, error->message);
            continue;
        }
        g_strv_builder_add(from, *name);
        g_strv_builder_add(to, value);
    }
    replace_list((GStrv *)((char *)self + maps[map].keys), g_strv_builder_end(from));
    replace_list((GStrv *)((char *)self + maps[map].values), g_strv_builder_end(to));
}

static void read_group(settings *self, const char *group, GKeyFile *keys, const char *file,
                       GPtrArray *problems)
{
    g_auto(GStrv) names = g_key_file_get_keys(keys, group, NULL, NULL);
    g_autofree char *help = NULL;
    gboolean is_known = FALSE;

    for (guint i = 0; i < G_N_ELEMENTS(maps); i++)
        if (!strcmp(maps[i].group, group)) {
            read_map(self, i, keys, file, problems);
            return;
        }
    for (guint i = 0; i < G_N_ELEMENTS(table); i++)
        is_known |= !strcmp(table[i].group, group);
    if (!is_known) {
        help = known(NULL);
        g_ptr_array_add(problems,
                        g_strdup_printf("%s: [%s]: no such group; %s", file, group, help));
        return;
    }
    help = known(group);
    for (char **name = names; name && *name; name++) {
        const setting *key = find_setting(group, *name);
        g_autofree char *value = value_of(keys, group, *name);
        g_autoptr(GError) error = NULL;
        if (!key) {
            g_autofree char *text = g_strdup_printf("no such key; %s", help);
            problem(problems, file, group, *name, text);
        } else if (!g_utf8_validate(value, -1, NULL)) {
            problem(problems, file, group, *name, "UTF-8 text is expected");
        } else if (!store(self, key, value, &error)) {
            problem(problems, file, group, *name, error->message);
        }
    }
}

/* What no key alone can be blamed for. */
static void check_together(const settings *self, GKeyFile *keys, const char *file,
                           GPtrArray *problems)
{
    gboolean certificate = g_key_file_has_key(keys, "tls", "certificate", NULL);
    gboolean key = g_key_file_has_key(keys, "tls", "key", NULL);

    if (!pki_name_ok(self->name)) /* only the default can get here */
        problem(
            problems, file, "host", "name",
            "this host's own name cannot be used: give one of letters, digits, dots and dashes");
    if (self->control_port == self->data_port)
        problem(problems, file, "listen", "data-port", "must differ from control-port");
    if (certificate != key)
        problem(problems, file, "tls", certificate ? "key" : "certificate",
                "certificate and key are given together or not at all");
    if (!self->tls.client_certificate != !self->tls.client_key)
        problem(problems, file, "tls", self->tls.client_key ? "client-certificate" : "client-key",
                "client-certificate and client-key are given together or not at all");
    for (guint i = 0; self->storage_directories && self->storage_directories[i]; i++)
        if (!g_path_is_absolute(self->storage_directories[i]))
            problem(problems, file, "host", "storage-directories", "absolute paths are expected");
    if (self->tls.ca && (!self->tls.ca_allow || !*self->tls.ca_allow))
        problem(problems, file, "tls", "ca-allow",
                "ca alone trusts nobody: give the names it may vouch for, such as *.example.com");
    if (!self->tls.ca && self->tls.ca_allow && *self->tls.ca_allow)
        problem(problems, file, "tls", "ca", "ca-allow needs a ca");
}

settings *settings_check(const char *file, GPtrArray *problems)
{
    g_autoptr(settings) self = defaults();
    g_autoptr(GKeyFile) keys = g_key_file_new();
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) groups = NULL;
    g_autofree char *text = NULL;
    gsize length = 0;
    guint before = problems->len;
    const char *path = file ? file : SETTINGS_FILE;

    if (!g_file_get_contents(path, &text, &length, &error)) {
        if (file || !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            g_ptr_array_add(problems, g_strdup(error->message)); /* names the file */
    } else if (!g_key_file_load_from_data(keys, text, length, G_KEY_FILE_NONE, &error)) {
        g_ptr_array_add(problems, g_strdup_printf("%s: %s", path, error->message));
    }
    self->text = g_bytes_new_take(g_steal_pointer(&text), length);
    groups = g_key_file_get_groups(keys, NULL);
    for (char **group = groups; *group; group++)
        read_group(self, *group, keys, path, problems);
    check_together(self, keys, path, problems);
    return problems->len == before ? g_steal_pointer(&self) : NULL;
}

settings *settings_load(const char *file, GError **error)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    settings *self = settings_check(file, problems);

    if (!self)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s%s",
                    (const char *)problems->pdata[0],
                    problems->len > 1 ? " (and more: see 'ferryd --check-config')" : "");
    return self;
}

void settings_free(settings *self)
{
    if (!self)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        void *at = (char *)self + table[i].offset;
        switch (table[i].kind) {
        case TEXT:
        case PATH:
        case HOST:
            g_free(*(char **)at);
            break;
        case LIST:
        case PLACES:
        case ADDRESS:
            g_strfreev(*(GStrv *)at);
            break;
        case NETWORK:
            networks_free(*(networks **)at);
            break;
        default:
            break;
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(maps); i++) {
        g_strfreev(*(GStrv *)((char *)self + maps[i].keys));
        g_strfreev(*(GStrv *)((char *)self + maps[i].values));
    }
    g_clear_pointer(&self->text, g_bytes_unref);
    g_free(self);
}

gboolean settings_own_certificate(const settings *self)
{
    return !strcmp(self->tls.certificate, DEFAULT_CERTIFICATE) &&
           !strcmp(self->tls.key, DEFAULT_KEY);
}

gboolean settings_split_address(const char *text, char **host, guint16 *port, GError **error)
{
    g_autofree char *name = g_strdup(text);
    char *colon = strrchr(name, ':'), *first = strchr(name, ':'), *end;
    guint64 number = SETTINGS_CONTROL_PORT;

    if (*name == '[') {
        end = strchr(name, ']');
        if (!end || (end[1] && end[1] != ':'))
            return expected(error, text, "[IPv6 address]:PORT");
        colon = end[1] ? end + 1 : NULL;
        *end = 0;
        memmove(name, name + 1, (size_t)(end - name));
    } else if (colon != first) {
        colon = NULL; /* a bare IPv6 address */
    }
    if (colon) {
        if (!g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &number, NULL))
            return expected(error, text, "behind the colon a port from 1 to 65535");
        *colon = 0;
    }
    if (!g_hostname_is_ip_address(name) && !pki_name_ok(name))
        return expected(error, text, "a host's name or IP address, with :PORT or without");
    *host = g_steal_pointer(&name);
    *port = (guint16)number;
    return TRUE;
}

static gboolean check_peer(const char *name, const char *address, GError **error)
{
    g_autofree char *host = NULL;
    guint16 port;

    if (!pki_name_ok(name))
        return expected(error, name, "a peer's name of letters, digits, dots and dashes");
    return settings_split_address(address, &host, &port, error);
}

char *settings_address_file(const settings *self, const char *peer)
{
    g_autofree char *lower = g_ascii_strdown(peer, -1);

    return g_strdup_printf("%s/%s.address", self->tls.peers, lower);
}

gboolean settings_peer_address(const settings *self, const char *peer, char **host, guint16 *port,
                               GError **error)
{
    g_autofree char *file = NULL, *text = NULL;

    if (!pki_name_ok(peer)) /* it becomes part of a path */
        return expected(error, peer, "a peer's name of letters, digits, dots and dashes");
    for (guint i = 0; self->peer_names[i]; i++)
        if (!g_ascii_strcasecmp(self->peer_names[i], peer))
            return settings_split_address(self->peer_addresses[i], host, port, error);
    file = settings_address_file(self, peer);
    if (!g_file_get_contents(file, &text, NULL, NULL))
        return settings_split_address(peer, host, port, error);
    if (strlen(text) > ADDRESS_MAX)
        return expected(error, file, "HOST[:PORT] in this file");
    if (!settings_split_address(g_strstrip(text), host, port, error)) {
        g_prefix_error(error, "%s: ", file);
        return FALSE;
    }
    return TRUE;
}

char *settings_job_dir(const settings *self, const char *id)
{
    return g_build_filename(self->run_dir, id, NULL);
}

char *settings_journal(const settings *self)
{
    return g_build_filename(self->state_dir, "journal.db", NULL);
}

char *settings_accepted(const settings *self)
{
    return g_build_filename(self->run_dir, "ferryd.conf", NULL);
}
