/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings of this host: /etc/ferry/ferryd.conf (ferryd.conf(5)), read by ferryd, and by each
 * worker from the copy of what ferryd has accepted. Every key is known and checked: an unknown group or key, a bad number or network is an
 * error that names file, group, key and what is expected. Immutable once loaded.
 */
#pragma once
#include "net/networks.h"
#include "net/pki.h"

#define SETTINGS_FILE         "/etc/ferry/ferryd.conf"
#define SETTINGS_CONTROL_PORT 16550
#define SETTINGS_DATA_PORT    16551

typedef struct {
    GBytes *text; /* the whole file; empty if there is none */
    /* [host] */
    char *name;             /* name; default: the host name up to the first dot */
    char *state_dir;        /* state-directory; default /var/lib/ferry */
    char *run_dir;          /* runtime-directory; default /run/ferry */
    char *libvirt_socket;   /* libvirt-socket; NULL: found */
    guint64 memory_reserve; /* memory-reserve, bytes ("512M", "2G"); default 512M */
    GStrv storage_directories; /* storage-directories: where arriving disks may land, with all below;
                                  NULL: anywhere but the system's own places (plan_rules) */
    char *api_group;        /* api-group: who besides root may use the API socket; NULL: nobody */
    /* [listen] */
    GStrv control;        /* control: addresses; default {"0.0.0.0", "::"} */
    guint16 control_port; /* control-port; default 16550 */
    guint16 data_port;    /* data-port; default 16551 */
    /* [networks] */
    networks *migration; /* migration: CIDRs; default none: no migration is possible */
    guint channels;      /* channels, 1 to 16; default 4 */
    guint link_timeout;  /* link-timeout, seconds, 1 to 86400; default 900 */
    guint hold_link_timeout; /* hold-link-timeout, the same while a move is held, 1 to 2000000; default 86400 */
    /* [migrations] */
    gboolean incoming, outgoing;      /* default yes */
    guint max_incoming, max_outgoing; /* 1 to 64; default 2 */
    guint landing_timeout; /* landing-timeout, seconds a landing waits for its first channel;
                              default 60 */
    guint way_back;        /* way-back, hours, 0 to 8760; default 24 */
    guint keep_landed;     /* keep-landed, hours; default 24 */
    /* bandwidth, bytes/s (rate.h): of all moves from and to this host together; move-bandwidth: of
     * each that leaves and says nothing itself. Default 0: no limit */
    guint64 bandwidth, move_bandwidth;
    double latency_guard; /* latency-guard, factor (rate.h); 0: off; default 1.5 */
    guint latency_patience; /* latency-patience, ms, 1 to 10000; default 10 */
    guint settle; /* settle, seconds a guest that came here must be seen running, 0 to 3600; default 5 */
    guint stall_timeout;   /* stall-timeout, seconds, 5 to 86400; default 300 */
    guint max_guest_stall; /* max-guest-stall, seconds, 0 (for ever) to 3600; default 2 */
    /* [seeds]: directories or "pool:NAME", NULL: none. Images there may help any VM; same_name: only
     * one with a disk of that file name */
    GStrv seeds_templates, seeds_same_name;
    /* [tls] certificate, key, client-certificate, client-key, ca, ca-allow, peers; with defaults
     * filled in, so that certificate, key and peers are never NULL */
    pki_paths tls;
    /* [switch-map], [storage-map]: this host's own rules as a target, "OLD=NEW[:VLAN]" */
    GStrv switch_keys, switch_values;
    GStrv storage_keys, storage_values;
    /* [peers] NAME=HOST[:PORT]; where a peer is reached if its name alone does not say */
    GStrv peer_names, peer_addresses;
} settings;

/* `file` NULL: SETTINGS_FILE, which may be absent (all defaults). */
settings *settings_load(const char *file, GError **error);
void settings_free(settings *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(settings, settings_free)
/* The same, but with one sentence for each thing that is wrong (appended to `problems`, owned
 * strings); NULL if there is any. */
settings *settings_check(const char *file, GPtrArray *problems);
/* Do certificate and key stand at their default place, where ferryd makes them if they do not
 * exist? */
gboolean settings_own_certificate(const settings *self);

/* Where `peer`'s control port is: [peers], then PEERS/NAME.address (written by `ferry pair`), then
 * the name itself. Host caller frees. */
gboolean settings_peer_address(const settings *self, const char *peer, char **host, guint16 *port,
                               GError **error);
/* "zulu", "zulu:16550", "10.0.0.2:16550", "fd00::2", "[fd00::2]:16550". Host caller frees. */
gboolean settings_split_address(const char *text, char **host, guint16 *port, GError **error);
/* PEERS/NAME.address; caller frees. */
char *settings_address_file(const settings *self, const char *peer);
/* RUN_DIR/ID and STATE_DIR/journal.db; callers free. */
char *settings_job_dir(const settings *self, const char *id);
char *settings_journal(const settings *self);
/* RUN_DIR/ferryd.conf: where ferryd leaves what it has accepted, for workers; caller frees. */
char *settings_accepted(const settings *self);
