/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings: defaults, the installed sample, and that every mistake is named. */
#include "migrate/settings.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>

static char *path; /* of the file under test */

static settings *load(const char *text, GError **error)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    return settings_load(path, error);
}

static gboolean allows(const settings *s, const char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET};

    g_assert_cmpint(inet_pton(AF_INET, address, &at.sin_addr), ==, 1);
    return networks_allow(s->migration, (struct sockaddr *)&at);
}

static void assert_defaults(const settings *s)
{
    g_assert_cmpstr(s->state_dir, ==, "/var/lib/ferry");
    g_assert_cmpstr(s->run_dir, ==, "/run/ferry");
    g_assert_cmpuint(s->memory_reserve, ==, 512u << 20);
    g_assert_cmpstr(s->control[0], ==, "0.0.0.0");
    g_assert_cmpstr(s->control[1], ==, "::");
    g_assert_null(s->control[2]);
    g_assert_cmpint(s->control_port, ==, 16550);
    g_assert_cmpint(s->data_port, ==, 16551);
    g_assert_cmpint(s->channels, ==, 4);
    g_assert_cmpint(s->link_timeout, ==, 900);
    g_assert_cmpint(s->hold_link_timeout, ==, 86400);
    g_assert_true(s->incoming && s->outgoing);
    g_assert_cmpint(s->max_incoming, ==, 2);
    g_assert_cmpint(s->max_outgoing, ==, 2);
    g_assert_cmpint(s->landing_timeout, ==, 60);
    g_assert_cmpint(s->way_back, ==, 24);
    g_assert_cmpint(s->keep_landed, ==, 24);
    g_assert_cmpuint(s->bandwidth, ==, 0);
    g_assert_cmpuint(s->move_bandwidth, ==, 0);
    g_assert_cmpfloat(s->latency_guard, ==, 1.5);
    g_assert_cmpint(s->stall_timeout, ==, 300);
    g_assert_cmpint(s->max_guest_stall, ==, 2);
    g_assert_cmpstr(s->tls.certificate, ==, "/etc/ferry/pki/host.crt");
    g_assert_cmpstr(s->tls.key, ==, "/etc/ferry/pki/host.key");
    g_assert_cmpstr(s->tls.peers, ==, "/etc/ferry/peers");
    g_assert_true(settings_own_certificate(s));
}

static void an_empty_file_means_defaults(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(settings) s = load("# nothing\n", &error);
    g_autofree char *job = NULL, *book = NULL;

    g_assert_no_error(error);
    assert_defaults(s);
    g_assert_true(networks_empty(s->migration));
    g_assert_null(s->libvirt_socket);
    g_assert_null(s->api_group);
    g_assert_null(s->tls.ca);
    g_assert_null(s->switch_keys[0]);
    g_assert_null(s->peer_names[0]);
    job = settings_job_dir(s, "ID");
    book = settings_journal(s);
    g_assert_cmpstr(job, ==, "/run/ferry/ID");
    g_assert_cmpstr(book, ==, "/var/lib/ferry/journal.db");
}

static void a_named_file_must_exist(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(settings_load("/nonexistent/ferryd.conf", &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/ferryd.conf"));
}

static void every_key_is_read(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(settings) s =
        load("[host]\nname=yankee\nstate-directory=/s\nruntime-directory=/r\nlibvirt-socket=/l\n"
             "memory-reserve=2G\nstorage-directories=/srv/a;/srv/b\napi-group=ops\n"
             "[listen]\ncontrol = 127.0.0.1 , ::1 ;\ncontrol-port=1\ndata-port=65535\n"
             "[networks]\nmigration=10.70.0.0/24;10.71.0.0/24\nchannels=16\nlink-timeout=1\nhold-link-timeout=2\n"
             "[migrations]\nincoming=Off\noutgoing=false\nmax-incoming=64\nmax-outgoing=1\n"
             "landing-timeout=86400\nway-back=0\nkeep-landed=8760\n"
             "bandwidth=1Gbit/s\nmove-bandwidth=50M\nlatency-guard=off\nsettle=0\nmax-guest-stall=0\nstall-timeout=5\n"
             "[seeds]\ntemplates=/srv/t;pool:golden\nsame-name=/backup\n"
             "[tls]\ncertificate=/c\nkey=/k\nclient-certificate=/cc\nclient-key=/ck\nca=/ca\n"
             "ca-allow=*.a.example;b\npeers=/p\n"
             "[switch-map]\nvSwitch-VLAN500=Converged:500,501\n52:54:00:00:00:05 = br0\n"
             "[storage-map]\n/var/lib/libvirt/images=/srv/ssd\nvdb=pool:fast\n"
             "[peers]\nzulu=192.0.2.7\nxray=[fd00::2]:99\n",
             &error);

    g_assert_no_error(error);
    g_assert_cmpstr(s->name, ==, "yankee");
    g_assert_cmpstr(s->state_dir, ==, "/s");
    g_assert_cmpstr(s->run_dir, ==, "/r");
    g_assert_cmpstr(s->libvirt_socket, ==, "/l");
    g_assert_cmpuint(s->memory_reserve, ==, G_GUINT64_CONSTANT(2) << 30);
    g_assert_cmpstr(s->storage_directories[0], ==, "/srv/a");
    g_assert_cmpstr(s->storage_directories[1], ==, "/srv/b");
    g_assert_cmpstr(s->api_group, ==, "ops");
    g_assert_cmpstr(s->control[1], ==, "::1");
    g_assert_cmpint(g_strv_length(s->control), ==, 2);
    g_assert_cmpint(s->control_port, ==, 1);
    g_assert_cmpint(s->data_port, ==, 65535);
    g_assert_true(allows(s, "10.71.0.9"));
    g_assert_false(allows(s, "10.72.0.9"));
    g_assert_cmpint(s->channels, ==, 16);
    g_assert_cmpint(s->link_timeout, ==, 1);
    g_assert_cmpint(s->hold_link_timeout, ==, 2);
    g_assert_false(s->incoming || s->outgoing);
    g_assert_cmpint(s->max_incoming, ==, 64);
    g_assert_cmpint(s->max_outgoing, ==, 1);
    g_assert_cmpint(s->landing_timeout, ==, 86400);
    g_assert_cmpint(s->way_back, ==, 0);
    g_assert_cmpint(s->keep_landed, ==, 8760);
    g_assert_cmpuint(s->bandwidth, ==, 125000000);
    g_assert_cmpuint(s->move_bandwidth, ==, 50u << 20);
    g_assert_cmpfloat(s->latency_guard, ==, 0);
    g_assert_cmpint(s->max_guest_stall, ==, 0);
    g_assert_cmpint(s->stall_timeout, ==, 5);
    g_assert_cmpstr(s->seeds_templates[0], ==, "/srv/t");
    g_assert_cmpstr(s->seeds_templates[1], ==, "pool:golden");
    g_assert_cmpstr(s->seeds_same_name[0], ==, "/backup");
    g_assert_cmpstr(s->tls.certificate, ==, "/c");
    g_assert_cmpstr(s->tls.client_key, ==, "/ck");
    g_assert_cmpstr(s->tls.ca, ==, "/ca");
    g_assert_cmpstr(s->tls.ca_allow[1], ==, "b");
    g_assert_cmpstr(s->tls.peers, ==, "/p");
    g_assert_false(settings_own_certificate(s));
    g_assert_cmpstr(s->switch_values[0], ==, "Converged:500,501");
    g_assert_cmpstr(s->switch_keys[1], ==, "52:54:00:00:00:05");
    g_assert_cmpstr(s->storage_keys[1], ==, "vdb");
    g_assert_cmpstr(s->peer_addresses[1], ==, "[fd00::2]:99");
}

/* Each line alone is a mistake; the sentence names group and key. */
static void every_mistake_is_named(void)
{
    static const char *const mistakes[][3] = {
        {"host", "nam", "x"},
        {"hosts", "name", "x"},
        {"host", "name", "-x"},
        {"host", "name", ""},
        {"host", "state-directory", "relative"},
        {"host", "runtime-directory", "/01234567890123456789012345678901234567890123456789"},
        {"host", "storage-directories", "/srv; vms"},
        {"host", "memory-reserve", "2X"},
        {"host", "memory-reserve", "G"},
        {"host", "memory-reserve", "-1"},
        {"host", "memory-reserve", "99999999999T"},
        {"listen", "control", "localhost"},
        {"listen", "control", ";"},
        {"listen", "control-port", "0"},
        {"listen", "data-port", "65536"},
        {"listen", "data-port", "16550"},
        {"networks", "migration", "10.70.0.1/24"},
        {"networks", "migration", "10.70.0.0/33"},
        {"networks", "migration", "everything"},
        {"networks", "channels", "17"},
        {"networks", "channels", "four"},
        {"networks", "link-timeout", "0"},
        {"migrations", "incoming", "maybe"},
        {"migrations", "max-incoming", "65"},
        {"migrations", "max-outgoing", "0"},
        {"migrations", "landing-timeout", "0"},
        {"migrations", "way-back", "8761"},
        {"migrations", "keep-landed", "1.5"},
        {"migrations", "bandwidth", "100"},
        {"migrations", "move-bandwidth", "100Mb"},
        {"migrations", "latency-guard", "1"},
        {"migrations", "settle", "3601"},
        {"migrations", "max-guest-stall", "3601"},
        {"migrations", "stall-timeout", "4"},
        {"seeds", "templates", "relative"},
        {"seeds", "same-name", "/a;pool:"},
        {"tls", "certificate", "/only"},
        {"tls", "client-key", "/only"},
        {"tls", "ca", "/without/allow"},
        {"tls", "ca-allow", "*.without.ca"},
        {"switch-map", "a", "b:4095"},
        {"storage-map", "a/b", "/c"},
        {"peers", "zu_lu", "10.0.0.1"},
        {"peers", "zulu", "10.0.0.1:0"},
        {"peers", "zulu", "[fd00::2"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        g_autofree char *text =
            g_strdup_printf("[%s]\n%s=%s\n", mistakes[i][0], mistakes[i][1], mistakes[i][2]);
        g_autofree char *group = g_strdup_printf("[%s]", mistakes[i][0]);
        g_autoptr(GError) error = NULL;
        g_autoptr(settings) s = load(text, &error);
        if (s)
            g_error("taken: %s", text);
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, path));
        g_assert_nonnull(strstr(error->message, group));
        /* The pair's other half is named where one half is missing. */
        if (strcmp(mistakes[i][0], "tls") && strcmp(mistakes[i][0], "hosts"))
            g_assert_nonnull(strstr(error->message, mistakes[i][1]));
    }
}

static void all_mistakes_are_told_at_once(void)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    g_assert_null(
        load("[host]\nnam=x\nmemory-reserve=y\n[other]\na=b\n[networks]\nchannels=0\n", &error));
    g_assert_nonnull(strstr(error->message, "--check-config"));
    g_assert_null(settings_check(path, problems));
    g_assert_cmpint(problems->len, ==, 4);
}

static void what_is_no_key_file_is_refused(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(load("name = x\n", &error));
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    g_assert_null(load("[host]\njust words\n", &error));
    g_assert_nonnull(strstr(error->message, "just words"));
    g_clear_error(&error);
    g_assert_null(load("[host]\napi-group=\xff\xfe\n", &error));
    g_assert_nonnull(strstr(error->message, "api-group"));
}

/* The sample as installed means the defaults; with every comment sign of a key removed it still
 * loads. */
static void the_sample_is_right(void)
{
    const char *file = g_getenv("FERRY_SAMPLE");
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL, *active = NULL;
    g_autoptr(settings) s = NULL, all = NULL;
    g_autoptr(GRegex) keys = g_regex_new("^#([^ #\\n]+ =)", G_REGEX_MULTILINE, 0, NULL);
    g_autoptr(GRegex) empty = g_regex_new("^migration =$", G_REGEX_MULTILINE, 0, NULL);
    g_autofree char *filled = NULL;
    static const char *const known[] = {"name",
                                        "state-directory",
                                        "runtime-directory",
                                        "libvirt-socket",
                                        "memory-reserve",
                                        "storage-directories",
                                        "api-group",
                                        "control",
                                        "control-port",
                                        "data-port",
                                        "migration",
                                        "channels",
                                        "link-timeout",
                                        "hold-link-timeout",
                                        "incoming",
                                        "outgoing",
                                        "max-incoming",
                                        "max-outgoing",
                                        "landing-timeout",
                                        "way-back",
                                        "keep-landed",
                                        "bandwidth",
                                        "move-bandwidth",
                                        "latency-guard",
                                        "settle",
                                        "stall-timeout",
                                        "max-guest-stall",
                                        "templates",
                                        "same-name",
                                        "certificate",
                                        "key",
                                        "client-certificate",
                                        "client-key",
                                        "ca",
                                        "ca-allow",
                                        "peers"};

    g_assert_nonnull(file);
    g_assert_true(g_file_get_contents(file, &text, NULL, &error));
    s = load(text, &error);
    g_assert_no_error(error);
    assert_defaults(s);
    active = g_regex_replace(keys, text, -1, 0, "\\1", 0, NULL);
    filled = g_regex_replace_literal(empty, active, -1, 0, "migration = 10.70.0.0/24", 0, NULL);
    all = load(filled, &error);
    g_assert_no_error(error);
    assert_defaults(all); /* of all that has a default */
    g_assert_cmpstr(all->name, ==, "alpha");
    g_assert_cmpstr(all->peer_names[0], ==, "zulu");
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        g_autofree char *line = g_strdup_printf("\n%s =", known[i]);
        if (!strstr(filled, line))
            g_error("%s is missing in the sample", known[i]);
    }
}

static void addresses_are_split(void)
{
    static const struct {
        const char *text, *host;
        int port;
    } cases[] = {
        {"zulu", "zulu", 16550},
        {"zulu:7", "zulu", 7},
        {"10.0.0.2:65535", "10.0.0.2", 65535},
        {"fd00::2", "fd00::2", 16550},
        {"[fd00::2]", "fd00::2", 16550},
        {"[fd00::2]:7", "fd00::2", 7},
        {"zulu:", NULL, 0},
        {"zulu:0", NULL, 0},
        {"zulu:65536", NULL, 0},
        {"", NULL, 0},
        {":7", NULL, 0},
        {"[fd00::2", NULL, 0},
        {"[fd00::2]7", NULL, 0},
        {"zu lu", NULL, 0},
        {"http://zulu", NULL, 0},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *host = NULL;
        guint16 port = 0;
        gboolean good = settings_split_address(cases[i].text, &host, &port, NULL);
        g_test_message("%s", cases[i].text);
        g_assert_true(good == (cases[i].host != NULL));
        g_assert_cmpstr(host, ==, cases[i].host);
        if (good)
            g_assert_cmpint(port, ==, cases[i].port);
    }
}

static void peers_are_found_in_order(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_path_get_dirname(path);
    g_autofree char *text = g_strdup_printf("[tls]\npeers=%s\n[peers]\nZulu=10.0.0.2:7\n", dir);
    g_autoptr(settings) s = load(text, &error);
    g_autofree char *file = NULL, *host = NULL;
    guint16 port;

    g_assert_no_error(error);
    g_assert_true(settings_peer_address(s, "zulu", &host, &port, &error));
    g_assert_cmpstr(host, ==, "10.0.0.2");
    g_assert_cmpint(port, ==, 7);
    g_clear_pointer(&host, g_free);
    g_assert_true(settings_peer_address(s, "xray", &host, &port, &error));
    g_assert_cmpstr(host, ==, "xray");
    g_clear_pointer(&host, g_free);
    file = settings_address_file(s, "Xray");
    g_assert_true(g_file_set_contents(file, "10.0.0.3:8\n", -1, NULL));
    g_assert_true(settings_peer_address(s, "xray", &host, &port, &error));
    g_assert_cmpstr(host, ==, "10.0.0.3");
    g_assert_cmpint(port, ==, 8);
    g_clear_pointer(&host, g_free);
    g_assert_false(settings_peer_address(s, "../xray", &host, &port, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    g_remove(file);
}

int main(int argc, char **argv)
{
    g_autofree char *dir = g_dir_make_tmp("ferry-settings-XXXXXX", NULL);
    int result;

    path = g_build_filename(dir, "ferryd.conf", NULL);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/settings/defaults", an_empty_file_means_defaults);
    g_test_add_func("/settings/named_file", a_named_file_must_exist);
    g_test_add_func("/settings/every_key", every_key_is_read);
    g_test_add_func("/settings/mistakes", every_mistake_is_named);
    g_test_add_func("/settings/all_at_once", all_mistakes_are_told_at_once);
    g_test_add_func("/settings/no_key_file", what_is_no_key_file_is_refused);
    g_test_add_func("/settings/sample", the_sample_is_right);
    g_test_add_func("/settings/addresses", addresses_are_split);
    g_test_add_func("/settings/peers", peers_are_found_in_order);
    result = g_test_run();
    g_remove(path);
    g_rmdir(dir);
    g_free(path);
    return result;
}
