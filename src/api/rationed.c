/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GIO streams that are read with a ration; see rationed.h. */
#include "api/rationed.h"

/* The half that is read. */
typedef struct {
    GFilterInputStream parent;
    ration *budget;
} input;
typedef GFilterInputStreamClass inputClass;

static GPollableInputStream *below(gpointer self)
{
    return G_POLLABLE_INPUT_STREAM(g_filter_input_stream_get_base_stream(self));
}

static gboolean may_read(input *self, GError **error)
{
    if (!ration_is_used_up(self->budget))
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                "the other side sent more than this protocol allows");
    return FALSE;
}

static gssize count(input *self, gssize n)
{
    self->budget->taken += (guint64)MAX(n, 0);
    return n;
}

static gssize input_read(GInputStream *stream, void *bytes, gsize size, GCancellable *cancel,
                         GError **error)
{
    input *self = (input *)stream;

    return may_read(self, error)
               ? count(self, g_input_stream_read(G_INPUT_STREAM(below(self)), bytes, size, cancel,
                                                 error))
               : -1;
}

static gssize input_read_nonblocking(GPollableInputStream *stream, void *bytes, gsize size,
                                     GError **error)
{
    input *self = (input *)stream;

    return may_read(self, error)
               ? count(self, g_pollable_input_stream_read_nonblocking(below(self), bytes, size,
                                                                      NULL, error))
               : -1;
}

static gboolean input_can_poll(GPollableInputStream *stream)
{
    return g_pollable_input_stream_can_poll(below(stream));
}

static gboolean input_is_readable(GPollableInputStream *stream)
{
    return g_pollable_input_stream_is_readable(below(stream));
}

static GSource *input_create_source(GPollableInputStream *stream, GCancellable *cancel)
{
    g_autoptr(GSource) source = g_pollable_input_stream_create_source(below(stream), NULL);

    return g_pollable_source_new_full(stream, source, cancel);
}

static void input_pollable(GPollableInputStreamInterface *interface, gpointer data)
{
    interface->can_poll = input_can_poll;
    interface->is_readable = input_is_readable;
    interface->create_source = input_create_source;
    interface->read_nonblocking = input_read_nonblocking;
}

static GType input_get_type(void);
G_DEFINE_TYPE_WITH_CODE(input, input, G_TYPE_FILTER_INPUT_STREAM,
                        G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM, input_pollable))

static void input_class_init(inputClass *klass)
{
    G_INPUT_STREAM_CLASS(klass)->read_fn = input_read;
}

static void input_init(input *self)
{
}

/* Both halves. */
typedef struct {
    GIOStream parent;
    GIOStream *below;
    GInputStream *in;
} rationed;
typedef GIOStreamClass rationedClass;

static GType rationed_get_type(void);
G_DEFINE_TYPE(rationed, rationed, G_TYPE_IO_STREAM)

static GInputStream *rationed_input(GIOStream *stream)
{
    return ((rationed *)stream)->in;
}

static GOutputStream *rationed_output(GIOStream *stream)
{
    return g_io_stream_get_output_stream(((rationed *)stream)->below);
}

static gboolean rationed_close(GIOStream *stream, GCancellable *cancel, GError **error)
{
    return g_io_stream_close(((rationed *)stream)->below, cancel, error);
}

static void rationed_dispose(GObject *object)
{
    rationed *self = (rationed *)object;

    G_OBJECT_CLASS(rationed_parent_class)->dispose(object); /* closes it */
    g_clear_object(&self->in);
    g_clear_object(&self->below);
}

static void rationed_class_init(rationedClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = rationed_dispose;
    klass->get_input_stream = rationed_input;
    klass->get_output_stream = rationed_output;
    klass->close_fn = rationed_close;
}

static void rationed_init(rationed *self)
{
}

GIOStream *rationed_new(GIOStream *stream, ration *budget)
{
    rationed *self = g_object_new(rationed_get_type(), NULL);

    self->below = g_object_ref(stream);
    self->in = g_object_new(input_get_type(), "base-stream", g_io_stream_get_input_stream(stream),
                            "close-base-stream", FALSE, NULL);
    ((input *)self->in)->budget = budget;
    return G_IO_STREAM(self);
}
