/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /v1/groups/NAME/cutover: held moves from this host that switch over together, or not at all. ferryd only writes into the
 * journal that it begins, and with whom; the workers do the rest (migrate/together.h). */
#include "daemon/routes.h"

#include "base/log.h"

#include <string.h>

#define LOG_AREA "groups"

typedef struct {
    const char *id, *vm, *phase, *state; /* of the status, which lives as long as the list */
    double began, ended;                 /* Unix seconds; ended 0: not yet */
} member;

static const char *text(JsonObject *object, const char *name)
{
    const char *value;

    return json_opt_string(object, name, &value, NULL, NULL) && value ? value : "";
}

/* "without": VMs. Not there: NULL. FALSE: it has been answered. */
static gboolean take_without(exchange *x, GStrv *without)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    GError *error = NULL;
    JsonArray *array;

    if (!json_object_has_member(exchange_body(x), "without"))
        return TRUE;
    if (!json_get_array(exchange_body(x), "without", &array, &error)) {
        exchange_bad(x, error);
        return FALSE;
    }
    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING) {
            exchange_fail(x, 400, "bad-request", "\"without\": names of VMs are expected");
            return FALSE;
        }
        g_strv_builder_add(all, json_node_get_string(node));
    }
    *without = g_strv_builder_end(all);
    return TRUE;
}

static gboolean is_left_out(const char *const *without, const char *vm)
{
    return without && g_strv_contains(without, vm);
}

/* Moves from here in this group that have not moved their VM; of each VM the last. */
static GArray *members_of(JsonArray *all, const char *name, const char *const *without)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    GArray *list = g_array_new(FALSE, FALSE, sizeof(member));

    for (guint i = 0; i < json_array_get_length(all); i++) {
        JsonObject *status = json_array_get_object_element(all, i), *hold;
        member m = {.id = text(status, "id"),
                    .vm = text(status, "vm"),
                    .phase = text(status, "phase"),
                    .began = json_object_get_double_member_with_default(status, "began", 0),
                    .ended = json_object_get_double_member_with_default(status, "ended", 0)};
        if (strcmp(text(status, "role"), "source") || !json_get_object(status, "hold", &hold, NULL) ||
            strcmp(text(hold, "group"), name) || is_left_out(without, m.vm) ||
            !g_hash_table_add(seen, (gpointer)m.vm) || !strcmp(m.phase, "completed"))
            continue;
        m.state = text(hold, "state");
        g_array_append_val(list, m);
    }
    return list;
}

/* Those that ended before any of those under way began are history. */
static void drop_old(GArray *members)
{
    double first = G_MAXDOUBLE;

    for (guint i = 0; i < members->len; i++) {
        const member *m = &g_array_index(members, member, i);
        if (!m->ended)
            first = MIN(first, m->began);
    }
    for (guint i = members->len; i-- > 0;) {
        const member *m = &g_array_index(members, member, i);
        if (m->ended && m->ended < first)
            g_array_remove_index(members, i);
    }
}

/* All that stands in the way, in one sentence; NULL: nothing does. */
static char *obstacles(const GArray *members)
{
    g_autoptr(GString) list = g_string_new(NULL);

    for (guint i = 0; i < members->len; i++) {
        const member *m = &g_array_index(members, member, i);
        const char *between = list->len ? ", " : "";
        if (m->ended)
            g_string_append_printf(list, "%s%s does not move (its move %s)", between, m->vm,
                                   !strcmp(m->phase, "failed") ? "failed" : "was cancelled");
        else if (!strcmp(m->state, "preparing"))
            g_string_append_printf(list, "%s%s is not ready (%s)", between, m->vm, m->phase);
        else if (strcmp(m->state, "ready"))
            g_string_append_printf(list, "%s%s switches over already", between, m->vm);
    }
    return list->len ? g_string_free(g_steal_pointer(&list), FALSE) : NULL;
}

static void begin(ferryd *self, exchange *x, const char *name, const GArray *members)
{
    g_autofree char *path = settings_journal(self->conf);
    g_autoptr(GPtrArray) ids = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(journal) book = journal_open(path, FALSE, &error);
    JsonArray *shown = json_array_new();
    JsonObject *body;

    for (guint i = 0; i < members->len; i++) {
        const char *id = g_array_index(members, member, i).id;
        g_ptr_array_add(ids, (gpointer)id);
        json_array_add_string_element(shown, id);
    }
    g_ptr_array_add(ids, NULL);
    if (!book || !journal_cutover_begin(book, name, (const char *const *)ids->pdata, &error)) {
        gboolean ours = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_EXISTS) ||
                        g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
        json_array_unref(shown);
        if (ours) /* one has ended, or been told, since it showed us what it is */
            exchange_fail(x, 409, "conflict", "the group has changed just now (%s); look at 'ferry list'",
                          error->message);
        else
            exchange_fail(x, 500, "internal", "%s", error->message);
        return;
    }
    log_notice("group %s: the cutover of %u moves begins", name, members->len);
    body = json_object_new();
    json_object_set_string_member(body, "group", name);
    json_object_set_array_member(body, "migrations", shown);
    exchange_answer(x, 202, body);
}

void routes_cutover_group(exchange *x, gpointer user)
{
    static const char *const known[] = {"without", NULL};
    ferryd *self = user;
    const char *name = exchange_part(x, 0);
    g_autoptr(JsonArray) all = NULL;
    g_autoptr(GArray) members = NULL;
    g_autofree char *why = NULL;
    g_auto(GStrv) without = NULL;

    if (!exchange_only(x, known) || !take_without(x, &without))
        return;
    all = moves_list(self->known, TRUE);
    members = members_of(all, name, (const char *const *)without);
    drop_old(members);
    why = obstacles(members);
    if (!members->len)
        exchange_fail(x, 404, "unknown-group",
                      "no move from this host waits for the cutover of a group '%.64s': 'ferry migrate --hold "
                      "--group' makes them",
                      name);
    else if (why)
        exchange_fail(x, 409, "conflict",
                      "the group does not switch over: %s; wait, begin those again, or leave them out "
                      "('--without VM')",
                      why);
    else
        begin(self, x, name, members);
}
