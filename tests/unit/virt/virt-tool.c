/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/virt by hand, against a real libvirt: for looking into it and for tests in a lab. */
#include "virt/move.h"
#include "virt/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static GError *failure;

static int fail(void)
{
    fprintf(stderr, "error: %s\n", failure ? failure->message : "?");
    g_clear_error(&failure);
    return 1;
}

static void show(JsonNode *node)
{
    g_autofree char *text = json_to_string(node, TRUE);

    printf("%s\n", text);
    json_node_unref(node);
}

static char *read_file(const char *path)
{
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, &failure);
    return text;
}

/* host: what the host says of itself */
static int show_host(virt_host *host, char **args)
{
    g_autofree char *uuid = virt_host_uuid(host, &failure);
    g_autofree char *libvirt = NULL, *qemu = NULL;
    uid_t uid;
    gid_t gid;

    if (!uuid || !virt_host_versions(host, &libvirt, &qemu, &failure) ||
        !virt_host_qemu_owner(host, &uid, &gid, &failure))
        return fail();
    printf("%s libvirt %s qemu %s owner %u:%u at %s\n", uuid, libvirt, qemu, uid, gid,
           virt_host_socket(host));
    return 0;
}

/* describe VM PREFIX: PREFIX.live, PREFIX.stored and PREFIX.sizes */
static int describe(virt_host *host, char **args)
{
    g_autoptr(virt_domain) domain = virt_domain_find(host, args[0], &failure);
    g_autofree char *live = domain ? virt_domain_live_xml(domain, &failure) : NULL;
    g_autofree char *stored = live ? virt_domain_stored_xml(domain, &failure) : NULL;
    g_autoptr(vm) machine = stored ? vm_parse(live, &failure) : NULL;
    g_autoptr(GString) sizes = g_string_new(NULL);
    g_autofree char *live_path = g_strconcat(args[1], ".live", NULL);
    g_autofree char *stored_path = g_strconcat(args[1], ".stored", NULL);
    g_autofree char *sizes_path = g_strconcat(args[1], ".sizes", NULL);
    gboolean job;

    if (!machine || !virt_domain_measure(domain, machine, &failure) ||
        !virt_domain_has_job(domain, &job, &failure))
        return fail();
    for (guint i = 0; i < machine->disks->len; i++) {
        const vm_disk *disk = machine->disks->pdata[i];
        g_string_append_printf(sizes, "%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %s\n",
                               disk->target, disk->capacity, disk->allocation, disk->source);
    }
    printf("%s %s job %d\n%s", virt_domain_name(domain), virt_domain_uuid(domain), job, sizes->str);
    return g_file_set_contents(live_path, live, -1, &failure) &&
                   g_file_set_contents(stored_path, stored, -1, &failure) &&
                   g_file_set_contents(sizes_path, sizes->str, -1, &failure)
               ? 0
               : fail();
}

static void take_sizes(vm *machine, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(lines[i], " ", -1);
        vm_disk *disk = parts[0] ? vm_find_disk(machine, parts[0]) : NULL;
        if (!disk || g_strv_length(parts) < 3)
            continue;
        disk->capacity = g_ascii_strtoull(parts[1], NULL, 10);
        disk->allocation = g_ascii_strtoull(parts[2], NULL, 10);
    }
}

typedef struct {
    GStrvBuilder *keys, *values;
} map;

static void add_pair(map *m, const char *pair)
{
    g_auto(GStrv) parts = g_strsplit(pair, "=", 2);

    g_strv_builder_add(m->keys, parts[0]);
    g_strv_builder_add(m->values, parts[1] ? parts[1] : "");
}

/* plan PREFIX OUT [switch|storage|format|root|reserve VALUE]…: findings to stdout, the plan to OUT
 */
static int make_plan(virt_host *host, char **args)
{
    g_autofree char *live_path = g_strconcat(args[0], ".live", NULL);
    g_autofree char *stored_path = g_strconcat(args[0], ".stored", NULL);
    g_autofree char *sizes_path = g_strconcat(args[0], ".sizes", NULL);
    g_autofree char *live = read_file(live_path);
    g_autofree char *stored = live ? read_file(stored_path) : NULL;
    g_autofree char *sizes = stored ? read_file(sizes_path) : NULL;
    g_autoptr(vm) machine = sizes ? vm_parse(live, &failure) : NULL;
    g_autoptr(findings) found = findings_new();
    g_autoptr(plan) made = NULL;
    g_autoptr(GStrvBuilder) roots = g_strv_builder_new();
    map maps[3];
    static const char *const kinds[] = {"switch", "storage", "format"};
    plan_rules rules = {0};

    if (!machine)
        return fail();
    take_sizes(machine, sizes);
    for (guint i = 0; i < 3; i++)
        maps[i] = (map){g_strv_builder_new(), g_strv_builder_new()};
    for (char **a = args + 2; a[0] && a[1]; a += 2) {
        for (guint i = 0; i < 3; i++)
            if (!strcmp(a[0], kinds[i]))
                add_pair(&maps[i], a[1]);
        if (!strcmp(a[0], "root"))
            g_strv_builder_add(roots, a[1]);
        if (!strcmp(a[0], "reserve"))
            rules.memory_reserve = g_ascii_strtoull(a[1], NULL, 10);
    }
    GStrv *keys[] = {&rules.switch_keys, &rules.storage_keys, &rules.format_keys};
    GStrv *values[] = {&rules.switch_values, &rules.storage_values, &rules.format_values};
    for (guint i = 0; i < 3; i++) {
        *keys[i] = g_strv_builder_end(maps[i].keys);
        *values[i] = g_strv_builder_end(maps[i].values);
        g_strv_builder_unref(maps[i].keys);
        g_strv_builder_unref(maps[i].values);
    }
    rules.storage_roots = g_strv_builder_end(roots);
    made = plan_make(host, machine, live, stored, &rules, found, &failure);
    for (guint i = 0; i < 3; i++) {
        g_strfreev(*keys[i]);
        g_strfreev(*values[i]);
    }
    g_strfreev(rules.storage_roots);
    if (!made)
        return fail();
    show(json_node_init_array(json_node_alloc(), findings_to_json(found)));
    if (findings_block(found))
        return 2;
    g_autoptr(JsonObject) object = plan_to_json(made);
    g_autofree char *text = json_pretty(object);
    return g_file_set_contents(args[1], text, -1, &failure) ? 0 : fail();
}

static plan *load(const char *path)
{
    g_autofree char *text = read_file(path);
    g_autoptr(JsonObject) object = text ? json_parse(text, -1, &failure) : NULL;

    return object ? plan_from_json(object, &failure) : NULL;
}

/* prepare PLAN */
static int prepare(virt_host *host, char **args)
{
    g_autoptr(plan) made = load(args[0]);

    if (!made || !plan_prepare(made, host, &failure))
        return fail();
    return 0;
}

/* abandon PLAN */
static int abandon(virt_host *host, char **args)
{
    g_autoptr(plan) made = load(args[0]);
    g_auto(GStrv) kept = made ? plan_abandon(made, host, TRUE, NULL, &failure) : NULL;

    if (!kept)
        return fail();
    for (guint i = 0; kept[i]; i++)
        printf("kept %s\n", kept[i]);
    return 0;
}

/* define PLAN; undefine VM; destroy VM; resume VM */
static int define(virt_host *host, char **args)
{
    g_autoptr(plan) made = load(args[0]);

    return made && virt_host_define(host, made->persistent_xml, TRUE, &failure) ? 0 : fail();
}

static int with_domain(virt_host *host, const char *name, gboolean (*act)(virt_domain *, GError **))
{
    g_autoptr(virt_domain) domain = virt_domain_find(host, name, &failure);

    return domain && act(domain, &failure) ? 0 : fail();
}

static int undefine(virt_host *host, char **args)
{
    return with_domain(host, args[0], virt_domain_undefine);
}

static int destroy(virt_host *host, char **args)
{
    return with_domain(host, args[0], virt_domain_destroy);
}

static int resume(virt_host *host, char **args)
{
    return with_domain(host, args[0], virt_domain_resume);
}

typedef struct {
    virt_domain *domain;
    const move_terms *terms;
    gint over, suspensions; /* atomic */
    gboolean abort;
} watched;

static void suspended(gboolean stopped, gint64 when, void *user)
{
    watched *w = user;

    if (stopped)
        g_atomic_int_inc(&w->suspensions);
}

static gpointer follow(gpointer data)
{
    watched *w = data;
    g_autofree char *last = NULL;

    while (!g_atomic_int_get(&w->over)) {
        move_progress p;
        g_autoptr(GError) error = NULL;
        g_autofree char *line = NULL;
        if (!move_get_progress(w->domain, w->terms->disks, &p, &error))
            break;
        line = g_strdup_printf("active %d disk %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT
                               " memory %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT
                               " iteration %u ready %d",
                               p.active, p.disk_done, p.disk_total, p.memory_done, p.memory_total,
                               p.iteration, p.disks_ready);
        if (g_strcmp0(line, last))
            printf("%s\n", line);
        g_free(last);
        last = g_steal_pointer(&line);
        if (w->abort && p.disk_done > 0) {
            if (!move_abort(w->domain, &error))
                printf("abort: %s\n", error->message);
            w->abort = FALSE;
        }
        g_usleep(20000);
    }
    return NULL;
}

/* move VM PLAN RPC_SOCKET MEMORY_SOCKET DISK_SOCKET [abort] */
static int move(virt_host *host, char **args)
{
    g_autoptr(virt_domain) domain = virt_domain_find(host, args[0], &failure);
    g_autoptr(plan) made = domain ? load(args[1]) : NULL;
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    g_auto(GStrv) disks = NULL;
    g_autofree char *uri = g_strconcat("unix://", args[3], NULL);
    g_autofree char *disks_uri = g_strconcat("unix://", args[4], NULL);
    gboolean ok;

    if (!made)
        return fail();
    for (guint i = 0; i < made->disks->len; i++)
        g_strv_builder_add(names, ((plan_disk *)made->disks->pdata[i])->target);
    disks = g_strv_builder_end(names);
    move_terms terms = {args[2], uri, disks_uri, (const char *const *)disks, made->live_xml, FALSE};
    watched w = {.domain = domain, .terms = &terms, .abort = args[5] != NULL};
    move_watch *watch = move_watch_suspend(domain, suspended, &w, &failure);
    if (!watch)
        return fail();
    GThread *follower = g_thread_new("follow", follow, &w);
    ok = move_run(domain, &terms, &failure);
    g_atomic_int_set(&w.over, 1);
    g_thread_join(follower);
    move_unwatch(watch);
    printf("moved %d, suspended %d times\n", ok, g_atomic_int_get(&w.suspensions));
    return ok ? 0 : fail();
}

static const struct {
    const char *name;
    int (*run)(virt_host *, char **);
    int least; /* arguments */
} commands[] = {{"host", show_host, 0},    {"describe", describe, 2}, {"plan", make_plan, 2},
                {"prepare", prepare, 1},   {"abandon", abandon, 1},   {"define", define, 1},
                {"undefine", undefine, 1}, {"destroy", destroy, 1},   {"resume", resume, 1},
                {"move", move, 5}};

int main(int argc, char **argv)
{
    g_autoptr(virt_host) host = NULL;

    for (guint i = 0; argc > 1 && i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(argv[1], commands[i].name) || argc - 2 < commands[i].least)
            continue;
        host = virt_host_open(g_getenv("VIRT_SOCKET"), &failure);
        return host ? commands[i].run(host, argv + 2) : fail();
    }
    fprintf(stderr,
            "virt-tool host|describe|plan|prepare|abandon|define|undefine|destroy|resume|move …\n");
    return 64;
}
