/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holding a move; see hold.h. */
#include "migrate/hold.h"

#include "base/log.h"

#define LOG_AREA "hold"

#define GUEST_PAGE  4096
/* QEMU stops the guest when it thinks it can send the rest in so long: while held that has to be next to nothing. */
#define DOWNTIME_MS 1
/* Less than this is not worth a look at QEMU: the memory counts as there. */
#define GRANT_MIN   (16ULL << 10)

typedef enum { PREPARING, READY, OVER } hold_state;

struct hold {
    status *shown;
    together *group; /* NULL: it switches over alone */
    const char *group_name, *vm;
    valve *way;
    /* The looking thread's. */
    gboolean narrowed; /* QEMU's downtime limit is ours */
    guint64 downtime;  /* what it was, ms */
    guint64 remained;  /* at the last look that let nothing pass */
    gboolean granted;  /* the last look has let something pass */
    gboolean told;     /* that the group's cutover was withdrawn */

    GMutex lock; /* guards the rest; taken before the status's and the valve's */
    hold_state state;
    gboolean wanted; /* the cutover, at `at` */
    gint64 at;       /* Unix seconds; 0: now, or not said */
};

static JsonObject *to_json(hold_state state, gint64 at, const char *group)
{
    static const char *const names[] = {[PREPARING] = "preparing", [READY] = "ready", [OVER] = "over"};

    return request_hold_json(names[state], at, group);
}

/* What a user can do now, and what happens by itself. Lock held. */
static char *describe(const hold *self)
{
    g_autoptr(GDateTime) when = self->at ? g_date_time_new_from_unix_local(self->at) : NULL;
    g_autofree char *time = when ? g_date_time_format(when, "%Y-%m-%d %H:%M:%S") : NULL;
    const char *peer = status_peer(self->shown);

    if (self->group)
        return g_strdup_printf("held: %s has all but what still changes; 'ferry cutover --group %s' switches all of "
                               "the group over",
                               peer, self->group_name);
    return time ? g_strdup_printf("held: %s has all but what still changes; it switches over at %s, or with 'ferry "
                                  "cutover %s'",
                                  peer, time, self->vm)
                : g_strdup_printf("held: %s has all but what still changes; 'ferry cutover %s' switches over",
                                  peer, self->vm);
}

/* Lock held. */
static void show(hold *self)
{
    g_autofree char *waiting = self->state == READY ? describe(self) : NULL;

    status_set_hold(self->shown, to_json(self->state, self->at, self->group_name));
    if (waiting)
        status_set_waiting(self->shown, waiting);
}

hold *hold_new(status *shown, const request *asked, together *group, void (*dry)(void *user),
               void *user)
{
    hold *self = g_new0(hold, 1);

    g_mutex_init(&self->lock);
    self->shown = shown;
    self->group = group;
    self->group_name = asked->group;
    self->vm = asked->vm;
    self->way = valve_new(dry, user);
    self->at = asked->cutover_at;
    self->wanted = self->at != 0;
    status_set_hold(shown, to_json(PREPARING, self->at, self->group_name));
    return self;
}

void hold_free(hold *self)
{
    if (!self)
        return;
    valve_free(self->way);
    g_mutex_clear(&self->lock);
    g_free(self);
}

valve *hold_valve(hold *self)
{
    return self->way;
}

gboolean hold_suits(guint64 memory, GError **error)
{
    guint64 least = valve_least_memory(GUEST_PAGE);

    if (memory > least)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                "a VM with %" G_GUINT64_FORMAT " MiB of memory cannot be held, for it has to have more than %"
                G_GUINT64_FORMAT " MiB: all of it could be under way before it is stopped; move it without --hold",
                memory >> 20, least >> 20);
    return FALSE;
}

gboolean hold_cutover(hold *self, gint64 at)
{
    gboolean possible;

    g_mutex_lock(&self->lock);
    possible = self->state != OVER && !self->group;
    if (possible) {
        self->wanted = TRUE;
        self->at = at;
        show(self);
    }
    g_mutex_unlock(&self->lock);
    return possible;
}

guint64 hold_arrived(hold *self)
{
    return valve_arrived(self->way);
}

static void set_state(hold *self, hold_state state)
{
    g_mutex_lock(&self->lock);
    if (self->state != state) {
        self->state = state;
        show(self);
        log_notice("%s", state == READY ? "held: all but what still changes is at the target"
                                        : "the cutover begins");
    }
    g_mutex_unlock(&self->lock);
}

/* The wall clock decides, wherever somebody has set it meanwhile. */
static gboolean time_has_come(hold *self)
{
    gboolean come;

    g_mutex_lock(&self->lock);
    come = self->state != OVER && self->wanted && g_get_real_time() / G_USEC_PER_SEC >= self->at;
    g_mutex_unlock(&self->lock);
    return come;
}

/* Before anything passes: else QEMU might stop the guest with much still to be sent. */
static gboolean narrow(hold *self, virt_domain *domain)
{
    g_autoptr(GError) error = NULL;

    if (self->narrowed)
        return TRUE;
    if (move_get_downtime(domain, &self->downtime, &error) &&
        move_set_downtime(domain, DOWNTIME_MS, &error))
        return self->narrowed = TRUE;
    log_warning("%s (trying again)", error->message);
    return FALSE;
}

static void begin_cutover(hold *self, virt_domain *domain)
{
    g_autoptr(GError) error = NULL;

    if (self->narrowed && !move_set_downtime(domain, self->downtime, &error)) {
        log_warning("%s (trying again)", error->message);
        return;
    }
    self->narrowed = FALSE;
    status_set_waiting(self->shown, NULL);
    set_state(self, OVER);
    valve_open(self->way);
}

/* What its group does. Once it takes part, it has to hear of a withdrawal too. */
static gboolean look_at_group(hold *self, virt_domain *domain, GError **error)
{
    gboolean begun, go;
    hold_state state;

    g_mutex_lock(&self->lock);
    state = self->state;
    g_mutex_unlock(&self->lock);
    if (state == PREPARING || self->told)
        return TRUE;
    go = together_look(self->group, &begun, error);
    self->told = !go;
    if (go && begun && state == READY)
        begin_cutover(self, domain);
    return go;
}

/* Lets pass what may. */
static void let_pass(hold *self, guint64 arrived, const move_progress *progress)
{
    guint64 limit =
        valve_limit(arrived, progress->memory_remaining, progress->page, valve_room());

    self->granted = valve_allow(self->way, limit, GRANT_MIN);
    if (self->granted)
        self->remained = 0;
    else if (progress->memory_remaining && self->remained == progress->memory_remaining)
        set_state(self, READY); /* QEMU waits for us, and there is nothing we may take */
    else
        self->remained = progress->memory_remaining;
}

gboolean hold_look(hold *self, virt_domain *domain, gboolean sending, guint64 arrived,
                   const move_progress *progress, GError **error)
{
    self->granted = FALSE;
    if (self->group && !look_at_group(self, domain, error))
        return FALSE;
    if (time_has_come(self))
        begin_cutover(self, domain);
    else if (sending && valve_is_dry(self->way) && narrow(self, domain))
        let_pass(self, arrived, progress);
    return TRUE;
}

gboolean hold_is_ready(hold *self)
{
    gboolean is;

    g_mutex_lock(&self->lock);
    is = self->state == READY;
    g_mutex_unlock(&self->lock);
    return is;
}

gboolean hold_is_due(hold *self)
{
    return self->granted && valve_is_dry(self->way);
}

gboolean hold_holds(hold *self)
{
    gboolean holds;

    g_mutex_lock(&self->lock);
    holds = self->state != OVER;
    g_mutex_unlock(&self->lock);
    return holds;
}

void hold_end(hold *self)
{
    g_mutex_lock(&self->lock);
    self->state = OVER;
    status_set_hold(self->shown, to_json(OVER, self->at, self->group_name));
    g_mutex_unlock(&self->lock);
    valve_open(self->way);
}
