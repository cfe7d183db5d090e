/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that looks; see tidy.h. */
#include "daemon/tidy.h"

#include "base/log.h"
#include "daemon/spawn.h"
#include "migrate/orphans.h"

#include <signal.h>
#include <sys/stat.h>

#define LOG_AREA "orphans"

#define DAY   (24 * 3600 * G_TIME_SPAN_SECOND)
#define AGAIN (10 * 60 * G_TIME_SPAN_SECOND) /* after one that failed: libvirt was not up yet, say */

struct tidy {
    char *program, *config, *file;
    GPid pid; /* 0: none */
    guint child;
    gint64 due; /* monotonic µs; 0: now */
    JsonArray *found;
};

tidy *tidy_new(const char *program, const char *config)
{
    tidy *self = g_new0(tidy, 1);

    self->program = g_strdup(program);
    self->config = g_strdup(config);
    return self;
}

void tidy_free(tidy *self)
{
    if (!self)
        return;
    if (self->pid) {
        kill(self->pid, SIGKILL);
        g_source_remove(self->child);
        g_spawn_close_pid(self->pid);
    }
    g_clear_pointer(&self->found, json_array_unref);
    g_free(self->program);
    g_free(self->config);
    g_free(self->file);
    g_free(self);
}

static const char *text_of(JsonNode *node, const char *member)
{
    const char *text;

    return JSON_NODE_HOLDS_OBJECT(node) &&
                   json_opt_string(json_node_get_object(node), member, &text, NULL, NULL) && text
               ? text
               : "";
}

static gboolean was_there(JsonArray *list, const char *text)
{
    for (guint i = 0; list && i < json_array_get_length(list); i++)
        if (!g_strcmp0(text_of(json_array_get_element(list, i), "text"), text))
            return TRUE;
    return FALSE;
}

/* What is new is logged once. */
static void take(tidy *self)
{
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) object = NULL;
    JsonArray *found;
    gsize length;

    if (g_file_get_contents(self->file, &text, &length, NULL))
        object = json_parse(text, (gssize)length, NULL);
    if (!object || !json_get_array(object, "findings", &found, NULL))
        return;
    for (guint i = 0; i < json_array_get_length(found); i++) {
        JsonNode *node = json_array_get_element(found, i);
        if (!was_there(self->found, text_of(node, "text")))
            log_warning("left behind: %s %s", text_of(node, "text"), text_of(node, "fix"));
    }
    g_clear_pointer(&self->found, json_array_unref);
    self->found = json_array_ref(found);
}

static void on_end(GPid pid, gint status, gpointer user)
{
    tidy *self = user;
    gboolean good = g_spawn_check_wait_status(status, NULL);

    g_spawn_close_pid(pid);
    self->child = 0;
    self->pid = 0;
    self->due = g_get_monotonic_time() + (good ? DAY : AGAIN);
    if (good)
        take(self);
}

void tidy_offer(tidy *self, const settings *conf)
{
    g_autoptr(GError) error = NULL;

    if (self->pid || g_get_monotonic_time() < self->due)
        return;
    g_free(self->file);
    self->file = orphans_file(conf);
    if (spawn_once(self->program, self->config, "--tidy", &self->pid, &error)) {
        self->child = g_child_watch_add(self->pid, on_end, self);
        return;
    }
    log_warning("what moves have left behind cannot be looked for: %s", error->message);
    self->due = g_get_monotonic_time() + AGAIN;
}

JsonArray *tidy_found(const tidy *self)
{
    return self->found;
}
