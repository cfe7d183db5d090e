/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libxml2 as Ferry uses it: bounded, without network, entities or document types, and a few
 * helpers to walk and change a tree. Only src/virt includes it. Thread-safe on different documents.
 */
#pragma once
#include <gio/gio.h>
#include <libxml/tree.h>

#define XML_OWN_MAX (32 * 1024 * 1024) /* bytes; for what this host's libvirt says */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/* Parses UTF-8 text of at most `max` bytes whose root element is `root`. Anything with a document
 * type, and so every entity of its own, is refused before libxml2 sees it; libxml2 itself refuses
 * more than 256 levels. Errors: G_IO_ERROR_INVALID_DATA. Caller frees with xmlFreeDoc. */
xmlDoc *xml_parse(const char *text, size_t max, const char *root, GError **error);
/* The document without an XML declaration; caller frees. */
char *xml_print(xmlDoc *doc);

/* Elements without a namespace only; NULL when there is none. */
xmlNode *xml_child(const xmlNode *parent, const char *name);
xmlNode *xml_next(const xmlNode *sibling);                     /* the next of the same name */
xmlNode *xml_descend(const xmlNode *parent, const char *path); /* "os/type" */
gboolean xml_is(const xmlNode *node, const char *name);

/* NULL when absent; caller frees. */
char *xml_attr(const xmlNode *node, const char *name);
gboolean xml_attr_is(const xmlNode *node, const char *name, const char *value);
char *xml_text(const xmlNode *node); /* of NULL: NULL */

void xml_set(xmlNode *node, const char *name, const char *value);
void xml_drop_attr(xmlNode *node, const char *name);
/* Removes the element with the white space in front of it; NULL is ignored. */
void xml_drop(xmlNode *node);
/* Adds <name/> behind `after` (a child of parent; NULL: at the end), indented alike. */
xmlNode *xml_add(xmlNode *parent, xmlNode *after, const char *name);
