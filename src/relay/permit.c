/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a landing lets the peer's libvirt client do; see permit.h. */
#include "relay/permit.h"
#include "base/bytes.h"
#include "relay/unpack.h"

#include <string.h>

/* libvirt: src/remote/remote_protocol.x */
#define REMOTE_VERSION   1
#define STRING_MAX       (4 * 1024 * 1024) /* REMOTE_STRING_MAX */
#define COOKIE_MAX       (4 * 1024 * 1024) /* REMOTE_MIGRATE_COOKIE_MAX */
#define PARAMETERS_MAX   64                /* REMOTE_DOMAIN_MIGRATE_PARAM_LIST_MAX */
#define PARAMETER_STRING 7                 /* VIR_TYPED_PARAM_STRING */
#define UUID_BYTES       16
#define FEATURES_MAX     64 /* questions; libvirt 9 asks four */

typedef enum {
    PERMIT_NEW,      /* AUTH_LIST */
    PERMIT_GREETED,  /* CONNECT_SUPPORTS_FEATURE, CONNECT_OPEN, CONNECT_CLOSE */
    PERMIT_OPEN,     /* CONNECT_SUPPORTS_FEATURE, MIGRATE_PREPARE3_PARAMS, CONNECT_CLOSE */
    PERMIT_PREPARED, /* MIGRATE_FINISH3_PARAMS, CONNECT_CLOSE */
    PERMIT_DONE,     /* CONNECT_CLOSE: prepare was refused, or finish was answered */
    PERMIT_CLOSED    /* nothing */
} permit_state;

struct permit {
    char *name, *open_name, *xml, *uri, *disks_uri;
    char **disks;
    guint64 flags_required, flags_allowed;

    permit_state state; /* by what has been answered */
    gboolean asked;     /* a call has not been answered */
    int32_t procedure;  /* that call's */
    uint32_t serial;
    gboolean cancelled; /* the source asked to finish, but not to start */
    gboolean prepared, declined, finished;
    unsigned features;
    unpack_bytes their_xml; /* in the call at hand: what ours takes the place of */
};

static const struct {
    int32_t procedure;
    const char *name;
    unsigned legal; /* states, as bits */
} procedures[] = {
    {RPC_AUTH_LIST, "AUTH_LIST", 1 << PERMIT_NEW},
    {RPC_CONNECT_SUPPORTS_FEATURE, "CONNECT_SUPPORTS_FEATURE",
     1 << PERMIT_GREETED | 1 << PERMIT_OPEN},
    {RPC_CONNECT_OPEN, "CONNECT_OPEN", 1 << PERMIT_GREETED},
    {RPC_MIGRATE_PREPARE3_PARAMS, "DOMAIN_MIGRATE_PREPARE3_PARAMS", 1 << PERMIT_OPEN},
    {RPC_MIGRATE_FINISH3_PARAMS, "DOMAIN_MIGRATE_FINISH3_PARAMS", 1 << PERMIT_PREPARED},
    {RPC_CONNECT_CLOSE, "CONNECT_CLOSE",
     1 << PERMIT_GREETED | 1 << PERMIT_OPEN | 1 << PERMIT_PREPARED | 1 << PERMIT_DONE},
};

permit *permit_new(const permit_terms *terms)
{
    permit *self = g_new0(permit, 1);

    self->name = g_strdup(terms->name);
    self->open_name = g_strdup(terms->open_name);
    self->xml = g_strdup(terms->xml);
    self->uri = g_strdup(terms->uri);
    self->disks_uri = g_strdup(terms->disks_uri);
    self->disks = terms->disks ? g_strdupv((char **)terms->disks) : g_new0(char *, 1);
    self->flags_required = terms->flags_required;
    self->flags_allowed = terms->flags_allowed;
    return self;
}

void permit_free(permit *self)
{
    if (!self)
        return;
    g_free(self->name);
    g_free(self->open_name);
    g_free(self->xml);
    g_free(self->uri);
    g_free(self->disks_uri);
    g_strfreev(self->disks);
    g_free(self);
}

gboolean permit_prepared(const permit *self)
{
    return self->prepared;
}

gboolean permit_declined(const permit *self)
{
    return self->declined;
}

gboolean permit_finished(const permit *self)
{
    return self->finished;
}

static gboolean forbid(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean forbid(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error)
        *error = g_error_new_valist(G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, format, args);
    va_end(args);
    return FALSE;
}

/* Typed parameters: { string field; int type; value }. All that a landing knows are strings,
 * each once but for migrate_disks, which comes once for each disk. */
typedef struct {
    const char *field, *value;
    gboolean needed, replaced, seen; /* replaced: any value will do, ours is used */
} parameter;

static gboolean check_disk(const permit *self, unpack_bytes value, gboolean *seen, GError **error)
{
    for (guint i = 0; self->disks[i]; i++)
        if (unpack_is(value, self->disks[i]) && !seen[i]) {
            seen[i] = TRUE;
            return TRUE;
        }
    g_autofree char *shown = unpack_show(value);
    return forbid(error, "migrate_disks names %s, which this landing does not expect (again)",
                  shown);
}

static gboolean check_parameter(permit *self, parameter *known, unpack_bytes field,
                                unpack_bytes value, gboolean *disks_seen, GError **error)
{
    g_autofree char *shown = NULL;

    if (unpack_is(field, "migrate_disks"))
        return check_disk(self, value, disks_seen, error);
    for (parameter *p = known; p->field; p++) {
        if (!unpack_is(field, p->field))
            continue;
        if (p->seen)
            return forbid(error, "parameter %s comes twice", p->field);
        p->seen = TRUE;
        if (p->replaced) {
            self->their_xml = value;
            return TRUE;
        }
        if (p->value && unpack_is(value, p->value))
            return TRUE;
        shown = unpack_show(value);
        return forbid(error, "parameter %s is \"%s\", not what was agreed on%s%.80s", p->field,
                      shown, p->value ? ": " : "", p->value ? p->value : "");
    }
    shown = unpack_show(field);
    return forbid(error, "parameter \"%s\" is not part of a landing", shown);
}

static gboolean check_parameters(permit *self, unpack *in, GError **error)
{
    parameter known[] = {
        {.field = "migrate_uri", .value = self->uri, .needed = TRUE},
        {.field = "destination_xml", .needed = TRUE, .replaced = TRUE},
        {.field = "destination_name", .value = self->name},
        {.field = "disks_uri", .value = self->disks_uri, .needed = self->disks_uri != NULL},
        {.field = NULL}};
    g_autofree gboolean *disks_seen = g_new0(gboolean, g_strv_length(self->disks) + 1);
    uint32_t count = unpack_u32(in);

    if (count > PARAMETERS_MAX)
        return forbid(error, "%u parameters; at most %d are allowed", count, PARAMETERS_MAX);
    while (count-- > 0 && !in->bad) {
        unpack_bytes field = unpack_opaque(in, STRING_MAX);
        uint32_t type = unpack_u32(in);
        if (!in->bad && type != PARAMETER_STRING) {
            g_autofree char *shown = unpack_show(field);
            return forbid(error, "parameter \"%s\" is not a string; a landing has no others",
                          shown);
        }
        unpack_bytes value = unpack_opaque(in, STRING_MAX);
        if (!in->bad && !check_parameter(self, known, field, value, disks_seen, error))
            return FALSE;
    }
    if (in->bad)
        return TRUE; /* the caller says so */
    for (const parameter *p = known; p->field; p++)
        if (p->needed && !p->seen)
            return forbid(error, "parameter %s is missing", p->field);
    for (guint i = 0; self->disks[i]; i++)
        if (!disks_seen[i])
            return forbid(error, "migrate_disks does not name %s", self->disks[i]);
    return TRUE;
}

static gboolean check_flags(const permit *self, uint32_t flags, GError **error)
{
    if (flags & ~self->flags_allowed)
        return forbid(error, "migration flags 0x%" G_GINT64_MODIFIER "x are not allowed",
                      flags & ~self->flags_allowed);
    if (self->flags_required & ~(guint64)flags)
        return forbid(error, "migration flags 0x%" G_GINT64_MODIFIER "x are missing",
                      self->flags_required & ~(guint64)flags);
    return TRUE;
}

/* remote_domain_migrate_prepare3_params_args; ..._finish3_params_args has one more. */
static gboolean check_migrate(permit *self, unpack *in, gboolean finish, GError **error)
{
    uint32_t flags;

    if (!check_parameters(self, in, error))
        return FALSE;
    (void)unpack_opaque(in, COOKIE_MAX);
    flags = unpack_u32(in);
    if (!in->bad && !check_flags(self, flags, error))
        return FALSE;
    self->cancelled = finish && unpack_bool(in);
    return TRUE;
}

/* remote_connect_open_args: an optional name and flags. */
static gboolean check_open(const permit *self, unpack *in, GError **error)
{
    gboolean named = unpack_bool(in);
    unpack_bytes name = named ? unpack_opaque(in, STRING_MAX) : (unpack_bytes){.bytes = ""};
    uint32_t flags = unpack_u32(in);

    if (in->bad)
        return TRUE;
    if (!unpack_is(name, self->open_name)) {
        g_autofree char *shown = unpack_show(name);
        return forbid(error, "opens \"%s\" instead of %s", shown, self->open_name);
    }
    return flags == 0 || forbid(error, "opens with flags 0x%x", flags);
}

static gboolean check_arguments(permit *self, const rpc_packet *packet, GError **error)
{
    unpack in = unpack_start(packet->body, packet->body_length);
    gboolean good = TRUE;

    switch (packet->procedure) {
    case RPC_CONNECT_SUPPORTS_FEATURE:
        (void)unpack_u32(&in);
        if (++self->features > FEATURES_MAX)
            return forbid(error, "asks for more than %d features", FEATURES_MAX);
        break;
    case RPC_CONNECT_OPEN:
        good = check_open(self, &in, error);
        break;
    case RPC_MIGRATE_PREPARE3_PARAMS:
        good = check_migrate(self, &in, FALSE, error);
        break;
    case RPC_MIGRATE_FINISH3_PARAMS:
        good = check_migrate(self, &in, TRUE, error);
        break;
    }
    return good && (unpack_end(&in) || forbid(error, "malformed arguments"));
}

static size_t padded(size_t length)
{
    return (length + 3) & ~(size_t)3;
}

/* The arguments with our XML where theirs was. libvirt's client does not send the XML it was
 * given, but what its own libvirtd made of it, so there is nothing to compare with; and what is
 * not compared must not be used. */
static GBytes *with_our_xml(const permit *self, const rpc_packet *packet)
{
    static const uint8_t zeros[4];
    const uint8_t *theirs = (const uint8_t *)self->their_xml.bytes;
    const uint8_t *behind = theirs + padded(self->their_xml.length);
    GByteArray *body = g_byte_array_new();
    size_t length = strlen(self->xml);
    uint8_t prefix[4];

    put_be32(prefix, (uint32_t)length);
    g_byte_array_append(body, packet->body, (guint)(theirs - 4 - packet->body));
    g_byte_array_append(body, prefix, sizeof prefix);
    g_byte_array_append(body, (const uint8_t *)self->xml, (guint)length);
    g_byte_array_append(body, zeros, (guint)(padded(length) - length));
    g_byte_array_append(body, behind, (guint)(packet->body + packet->body_length - behind));
    return g_byte_array_free_to_bytes(body);
}

gboolean permit_call(permit *self, const rpc_packet *packet, GBytes **instead, GError **error)
{
    if (packet->program != RPC_PROGRAM_REMOTE || packet->version != REMOTE_VERSION)
        return forbid(error,
                      "the peer's libvirt client calls program 0x%08x version %u, which a "
                      "landing does not allow",
                      packet->program, packet->version);
    for (guint i = 0; i < G_N_ELEMENTS(procedures); i++) {
        if (procedures[i].procedure != packet->procedure)
            continue;
        if (packet->type != RPC_CALL || packet->status != RPC_OK)
            forbid(error, "not a call (type %d, status %d)", packet->type, packet->status);
        else if (self->asked)
            forbid(error, "comes before the answer to the last call");
        else if (!(procedures[i].legal & 1u << self->state))
            forbid(error, "comes out of turn");
        else if (check_arguments(self, packet, error)) {
            self->asked = TRUE;
            self->procedure = packet->procedure;
            self->serial = packet->serial;
            if (packet->procedure == RPC_MIGRATE_PREPARE3_PARAMS ||
                packet->procedure == RPC_MIGRATE_FINISH3_PARAMS)
                *instead = with_our_xml(self, packet);
            return TRUE;
        }
        g_prefix_error(error, "the peer's libvirt client is refused %s: ", procedures[i].name);
        return FALSE;
    }
    return forbid(error,
                  "the peer's libvirt client calls procedure %d, which a landing does not "
                  "allow",
                  packet->procedure);
}

gboolean permit_reply(permit *self, const rpc_packet *packet, GError **error)
{
    gboolean good = packet->status == RPC_OK;

    if (packet->program != RPC_PROGRAM_REMOTE || packet->version != REMOTE_VERSION ||
        packet->type != RPC_REPLY || (!good && packet->status != RPC_FAILED) || !self->asked ||
        packet->procedure != self->procedure || packet->serial != self->serial)
        return forbid(error,
                      "the local libvirtd sends what nobody asked for (procedure %d, type "
                      "%d, serial %u)",
                      packet->procedure, packet->type, packet->serial);
    self->asked = FALSE;
    switch (packet->procedure) {
    case RPC_AUTH_LIST:
        self->state = good ? PERMIT_GREETED : PERMIT_CLOSED;
        break;
    case RPC_CONNECT_OPEN:
        self->state = good ? PERMIT_OPEN : PERMIT_DONE;
        break;
    case RPC_MIGRATE_PREPARE3_PARAMS:
        self->prepared = good;
        self->declined = !good;
        self->state = good ? PERMIT_PREPARED : PERMIT_DONE;
        break;
    case RPC_MIGRATE_FINISH3_PARAMS:
        self->finished = !self->cancelled && permit_finish_reply(packet) == FINISH_LOADED;
        self->state = PERMIT_DONE;
        break;
    case RPC_CONNECT_CLOSE:
        self->state = PERMIT_CLOSED;
        break;
    }
    return TRUE;
}

permit_finish permit_finish_reply(const rpc_packet *packet)
{
    unpack in = unpack_start(packet->body, packet->body_length);

    if (packet->program != RPC_PROGRAM_REMOTE || packet->version != REMOTE_VERSION ||
        packet->procedure != RPC_MIGRATE_FINISH3_PARAMS || packet->type != RPC_REPLY)
        return FINISH_NOT_IT;
    if (packet->status != RPC_OK)
        return FINISH_FAILED;
    /* remote_domain_migrate_finish3_params_ret: domain { name, uuid, id } and cookie */
    unpack_bytes name = unpack_opaque(&in, STRING_MAX);
    (void)unpack_fixed(&in, UUID_BYTES);
    (void)unpack_u32(&in);
    (void)unpack_opaque(&in, COOKIE_MAX);
    return unpack_end(&in) && name.length > 0 ? FINISH_LOADED : FINISH_FAILED;
}
