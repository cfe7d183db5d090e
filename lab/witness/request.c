/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be asked of a witness. */
#include "request.h"
#include "readback.h"
#include "tell.h"

#include <signal.h>
#include <string.h>

/* One request that takes its time: a thread does the work, the watch's own judges. */
struct request {
    struct watch *watch;
    JsonObject *object;
    char *vm, *address;
    guint64 last_seq; /* when it was asked */
    control_done done;
    gpointer to;
};

static void request_free(struct request *r)
{
    json_object_unref(r->object);
    g_free(r->vm);
    g_free(r->address);
    g_free(r);
}

/* A member that is an array of strings, NULL-terminated; or NULL. */
static char **strings_of(JsonObject *o, const char *name)
{
    JsonNode *n = json_object_get_member(o, name);
    g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);

    if (!n || !JSON_NODE_HOLDS_ARRAY(n))
        return NULL;
    JsonArray *a = json_node_get_array(n);
    for (guint i = 0; i < json_array_get_length(a); i++) {
        JsonNode *e = json_array_get_element(a, i);
        if (!JSON_NODE_HOLDS_VALUE(e) || json_node_get_value_type(e) != G_TYPE_STRING)
            return NULL;
        g_ptr_array_add(strings, g_strdup(json_node_get_string(e)));
    }
    g_ptr_array_add(strings, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&strings), FALSE);
}

static JsonNode *answer(gboolean good, GError *error)
{
    JsonNode *n = good ? control_ok() : control_error(error->message);
    g_clear_error(&error);
    return n;
}

static JsonNode *run_watch(struct watch *w, JsonObject *o)
{
    const char *vm = control_string(o, "vm");
    g_auto(GStrv) addresses = strings_of(o, "addresses");
    GError *error = NULL;

    if (!vm || !addresses)
        return control_error("watch needs \"vm\" and \"addresses\", an array of IPv4 addresses");
    gboolean good = watch_probe(w, vm, (const char *const *)addresses, &error);
    return answer(good, error);
}

static JsonNode *run_forget(struct watch *w, JsonObject *o)
{
    const char *vm = control_string(o, "vm");

    if (!vm)
        return control_error("forget needs \"vm\"");
    watch_forget(w, vm);
    return control_ok();
}

static JsonNode *run_begin(struct watch *w, JsonObject *o)
{
    const char *window = control_string(o, "window");
    GError *error = NULL;
    gboolean good = watch_begin(w, window ? window : "", &error);
    return answer(good, error);
}

static JsonNode *run_end(struct watch *w, JsonObject *o)
{
    const char *window = control_string(o, "window");
    GError *error = NULL;
    gboolean good = watch_end(w, window ? window : "", &error);
    return answer(good, error);
}

static JsonNode *run_stats(struct watch *w, JsonObject *o)
{
    JsonNode *stats = tell_stats(w, control_string(o, "vm"));
    return stats ? stats
                 : control_error("this VM was never heard of; is its name right, and is it up?");
}

/* The end is the same as by a signal; the answer is on its way before. */
static JsonNode *run_quit(struct watch *w, JsonObject *o)
{
    raise(SIGTERM);
    return control_ok();
}

static void verify_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    struct request *r = data;
    g_auto(GStrv) images = strings_of(r->object, "images");
    GError *error = NULL;
    GArray *entries = images ? readback_from_images((const char *const *)images, r->vm, &error)
                             : readback_from_guest(r->address, r->vm, &error);
    if (entries)
        g_task_return_pointer(task, entries, (GDestroyNotify)g_array_unref);
    else
        g_task_return_error(task, error);
}

static JsonNode *judge_entries(struct request *r, GArray *entries)
{
    struct watch_vm *vm = watch_find(r->watch, r->vm);
    g_autoptr(JsonBuilder) b = json_builder_new();
    struct judge_verdict verdict;

    if (!vm)
        return control_error("this VM was forgotten while it was verified");
    judge_verify(vm->judge, (const struct entry *)entries->data, entries->len, r->last_seq,
                 r->watch->now_us, &verdict);
    json_builder_begin_object(b);
    json_builder_set_member_name(b, "ok");
    json_builder_add_boolean_value(b, TRUE);
    tell_verdict(b, &verdict);
    json_builder_end_object(b);
    judge_verdict_clear(&verdict);
    return json_builder_get_root(b);
}

static void verify_done(GObject *source, GAsyncResult *result, gpointer data)
{
    struct request *r = g_task_get_task_data(G_TASK(result));
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) entries = g_task_propagate_pointer(G_TASK(result), &error);

    r->done(r->to, entries ? judge_entries(r, entries) : control_error(error->message));
}

static void guest_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    struct request *r = data;
    const char *line = control_string(r->object, "line");
    GError *error = NULL;
    char *reply = readback_ask(r->address, line ? line : "state", &error);

    if (reply)
        g_task_return_pointer(task, reply, g_free);
    else
        g_task_return_error(task, error);
}

static void guest_done(GObject *source, GAsyncResult *result, gpointer data)
{
    struct request *r = g_task_get_task_data(G_TASK(result));
    g_autoptr(GError) error = NULL;
    g_autofree char *reply = g_task_propagate_pointer(G_TASK(result), &error);
    JsonNode *n = reply ? json_from_string(reply, &error) : NULL;

    if (n && !JSON_NODE_HOLDS_OBJECT(n))
        g_clear_pointer(&n, json_node_unref);
    r->done(r->to,
            n ? n : control_error(error ? error->message : "the guest's answer is no JSON object"));
}

static void run_slowly(struct watch *w, JsonObject *o, GTaskThreadFunc work,
                       GAsyncReadyCallback ready, control_done done, gpointer to)
{
    const char *name = control_string(o, "vm"), *address = control_string(o, "address");
    struct watch_vm *vm = name ? watch_find(w, name) : NULL;
    struct judge_summary summary;

    if (!vm) {
        done(to, control_error("name a \"vm\" that is watched or was heard of"));
        return;
    }
    if (!address && vm->n_series)
        address = vm->series[0].address;
    if (!address && !json_object_has_member(o, "images")) {
        done(to,
             control_error("give the guest's \"address\", or watch it with its addresses first"));
        return;
    }
    struct request *r = g_new0(struct request, 1);
    *r = (struct request){.watch = w,
                          .object = json_object_ref(o),
                          .vm = g_strdup(name),
                          .address = g_strdup(address),
                          .done = done,
                          .to = to};
    watch_settle(w);
    judge_get_summary(vm->judge, &summary);
    r->last_seq = summary.last_seq;
    g_autoptr(GTask) task = g_task_new(NULL, NULL, ready, NULL);
    g_task_set_task_data(task, r, (GDestroyNotify)request_free);
    g_task_run_in_thread(task, work);
}

static const struct {
    const char *op;
    JsonNode *(*run)(struct watch *w, JsonObject *o); /* answers at once */
    GTaskThreadFunc work;                             /* or is worked on in a thread */
    GAsyncReadyCallback ready;
} operations[] = {
    {"watch", run_watch, NULL, NULL},
    {"forget", run_forget, NULL, NULL},
    {"begin", run_begin, NULL, NULL},
    {"end", run_end, NULL, NULL},
    {"stats", run_stats, NULL, NULL},
    {"quit", run_quit, NULL, NULL},
    {"verify", NULL, verify_thread, verify_done},
    {"guest", NULL, guest_thread, guest_done},
};

void request_run(gpointer watch, const char *line, control_done done, gpointer to)
{
    struct watch *w = watch;
    g_autoptr(JsonNode) n = json_from_string(line, NULL);
    JsonObject *o = n && JSON_NODE_HOLDS_OBJECT(n) ? json_node_get_object(n) : NULL;
    const char *op = o ? control_string(o, "op") : NULL;

    for (guint i = 0; op && i < G_N_ELEMENTS(operations); i++) {
        if (strcmp(operations[i].op, op) != 0)
            continue;
        if (operations[i].run)
            done(to, operations[i].run(w, o));
        else
            run_slowly(w, o, operations[i].work, operations[i].ready, done, to);
        return;
    }
    done(to, control_error("ask with a line {\"op\": …}; operations are watch, forget, begin, end, "
                           "stats, verify, guest and quit"));
}
