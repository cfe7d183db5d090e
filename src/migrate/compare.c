/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparisons: made, and held against one that was made before. */
#include "migrate/source-inside.h"

#include "migrate/expected.h"
#include "migrate/peer.h"

static JsonObject *machine_json(const vm *machine)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "type", machine->machine ? machine->machine : "");
    json_object_set_string_member(object, "arch", machine->arch);
    json_object_set_int_member(object, "memory", (gint64)machine->memory);
    json_object_set_int_member(object, "vcpus", machine->vcpus);
    return object;
}

/* What was asked for, without what only this move has. */
static JsonObject *request_json(const request *asked)
{
    JsonObject *object = request_to_json(asked);

    json_object_remove_member(object, "id");
    json_object_remove_member(object, "report");
    return object;
}

/* As docs/compare.schema.json has it. */
static JsonObject *comparison(source *self)
{
    g_autoptr(JsonObject) state = status_to_json(self->status);
    const vm *machine = self->landing ? self->landing->machine : NULL;
    gboolean possible = self->landed && self->landed->made;
    JsonObject *body = json_object_new();
    JsonArray *found;

    json_get_array(state, "findings", &found, NULL);
    json_object_set_string_member(body, "vm", self->asked->vm);
    if (machine)
        json_object_set_string_member(body, "vm_uuid", machine->uuid);
    json_object_set_string_member(body, "source", self->work->conf->name);
    json_object_set_string_member(body, "target", self->asked->target);
    if (self->landed)
        json_object_set_string_member(body, "target_uuid", self->landed->host_uuid);
    json_object_set_object_member(body, "request", request_json(self->asked));
    json_object_set_boolean_member(body, "possible", possible);
    if (machine)
        json_object_set_object_member(body, "machine", machine_json(machine));
    json_object_set_array_member(body, "findings", json_array_ref(found));
    if (possible)
        json_object_set_member(body, "changes",
                               json_node_copy(json_object_get_member(state, "changes")));
    return body;
}

void compare_run(source *self)
{
    gboolean answered = source_look(self) && source_land(self);

    /* Findings are an answer; that there is no VM, or no peer to ask, is an error. */
    if (answered || !g_strcmp0(status_error_code(self->status), "blocked") ||
        !g_strcmp0(status_error_code(self->status), "not-running"))
        self->work->answer(200, comparison(self), self->work->user);
    else
        self->work->answer(peer_status_of_code(status_error_code(self->status)),
                           status_error_json(self->status), self->work->user);
}

gboolean compare_is_expected(source *self)
{
    g_autoptr(JsonObject) now = self->asked->report ? comparison(self) : NULL;
    g_auto(GStrv) differences = now ? expected_differences(self->asked->report, now) : NULL;
    g_autofree char *text = differences ? g_strjoinv("; ", differences) : NULL;

    if (!differences || !*differences)
        return TRUE;
    status_set_error(self->status, "changed",
                     "it is not the move of the report any more: %s. Compare again", text);
    return FALSE;
}
