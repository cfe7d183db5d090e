/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of qcow2 (QEMU: docs/interop/qcow2.txt); see qcow2.h. */
#include "virt/qcow2.h"

#include "base/bytes.h"
#include "base/fdio.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_MAX   (64 * 1024) /* the first cluster, unless somebody asked for larger ones */
#define NAME_MOST  1023
#define VERSION    4 /* bytes from the start, here and below */
#define BACKING    8 /* place and length of a name */
#define V2_LENGTH  72
#define FEATURES   72 /* incompatible ones; from version 3 on */
#define FEATURE_EXTERNAL_DATA 4
#define EXT_FORMAT 0xe2792acaU
#define EXT_DATA   0x44415441U

void qcow2_names_clear(qcow2_names *self)
{
    g_clear_pointer(&self->backing, g_free);
    g_clear_pointer(&self->data, g_free);
}

/* "json:{…}" as QEMU writes it for what a name alone does not say: {"driver": "qcow2", "file":
 * {"driver": "file", "filename": NAME}}, or the same with dots. */
static char *name_in_json(const char *text)
{
    static const char *const members[] = {"file.filename", "filename"};
    g_autoptr(JsonObject) root = json_parse(text, -1, NULL);
    JsonObject *at = root;

    while (at) {
        JsonNode *file = json_object_get_member(at, "file");
        for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
            JsonNode *name = json_object_get_member(at, members[i]);
            if (name && JSON_NODE_HOLDS_VALUE(name) &&
                json_node_get_value_type(name) == G_TYPE_STRING)
                return json_node_dup_string(name);
        }
        at = file && JSON_NODE_HOLDS_OBJECT(file) ? json_node_get_object(file) : NULL;
    }
    return NULL;
}

/* Takes `name`; the path QEMU opens for it, if it is a file of this host. */
static char *resolve(const char *image, char *name)
{
    g_autofree char *given = name, *inside = NULL, *directory = NULL;
    const char *plain = given;

    if (g_str_has_prefix(given, "json:"))
        plain = inside = name_in_json(given + strlen("json:"));
    else if (g_str_has_prefix(given, "file:"))
        plain = given + strlen("file:");
    else if (given[strcspn(given, "/:")] == ':') /* a protocol */
        return NULL;
    if (!plain || !*plain)
        return NULL;
    if (*plain == '/')
        return g_strdup(plain);
    directory = g_path_get_dirname(image);
    return g_build_filename(directory, plain, NULL);
}

static void read_extensions(const char *path, const guint8 *head, size_t length, size_t at,
                            qcow2_names *names)
{
    while (at + 8 <= length) {
        guint32 type = get_be32(head + at), size = get_be32(head + at + 4);
        const char *text = (const char *)head + at + 8;

        if (type == 0 || size > length - at - 8)
            return;
        if (type == EXT_FORMAT)
            names->backing_is_raw = size == 3 && !memcmp(text, "raw", 3);
        else if (type == EXT_DATA && size <= NAME_MOST && !names->data)
            names->data = resolve(path, g_strndup(text, size));
        at += 8 + ((size_t)size + 7) / 8 * 8;
    }
}

gboolean qcow2_read_names(const char *path, qcow2_names *names, GError **error)
{
    g_autofree guint8 *head = g_malloc(HEAD_MAX);
    char name[NAME_MOST + 1] = "";
    fdio_auto fd = -1;
    struct stat st;
    ssize_t length;
    guint64 place;
    guint32 size;

    *names = (qcow2_names){0};
    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG ||
               fdio_error(error, errno, "%s", path);
    if (!S_ISREG(st.st_mode)) /* to open a device may do something */
        return TRUE;
    fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    length = fd < 0 ? -1 : pread(fd, head, HEAD_MAX, 0);
    if (length < 0)
        return (fd < 0 && errno == ENOENT) || fdio_error(error, errno, "%s", path);
    if (length < V2_LENGTH || memcmp(head, "QFI\xfb", 4))
        return TRUE;
    read_extensions(path, head, (size_t)length,
                    get_be32(head + VERSION) < 3 ? V2_LENGTH
                                       : (length >= 104 ? get_be32(head + 100) : HEAD_MAX),
                    names);
    place = get_be64(head + BACKING);
    size = get_be32(head + BACKING + 8);
    if (place == 0 || place > G_MAXINT64 || size > NAME_MOST)
        return TRUE;
    length = pread(fd, name, size, (off_t)place);
    if (length < 0)
        return fdio_error(error, errno, "%s", path);
    name[length] = '\0';
    names->backing = resolve(path, g_strdup(name));
    return TRUE;
}

gboolean qcow2_stands_alone(const char *path)
{
    guint8 head[FEATURES + 8];
    fdio_auto fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    return fd >= 0 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
           !memcmp(head, "QFI\xfb", 4) && get_be64(head + BACKING) == 0 &&
           (get_be32(head + VERSION) < 3 || !(get_be64(head + FEATURES) & FEATURE_EXTERNAL_DATA));
}
