/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libxml2 as Ferry uses it; see xml.h. */
#include "virt/xml.h"

#include <libxml/parser.h>
#include <string.h>

xmlDoc *xml_parse(const char *text, size_t max, const char *root, GError **error)
{
    size_t length = strnlen(text, max + 1);
    g_autoptr(xmlDoc) doc = NULL;
    xmlNode *top;

    if (length > max) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "the XML is longer than %zu KiB",
                    max / 1024);
        return NULL;
    }
    if (!g_utf8_validate(text, (gssize)length, NULL)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "the XML is not UTF-8");
        return NULL;
    }
    if (strstr(text, "<!DOCTYPE")) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the XML has a document type, which is not allowed");
        return NULL;
    }
    /* The encoding is given, so that none the text declares can hide a document type. */
    doc = xmlReadMemory(text, (int)length, NULL, "UTF-8",
                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!doc) {
        const xmlError *last = xmlGetLastError();
        g_autofree char *why = g_strdup(last && last->message ? last->message : "not XML");
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "line %d of the XML: %s",
                    last ? last->line : 0, g_strstrip(why));
        return NULL;
    }
    top = xmlDocGetRootElement(doc);
    if (doc->intSubset || !top || !xml_is(top, root)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "the XML is not a <%s>", root);
        return NULL;
    }
    return g_steal_pointer(&doc);
}

char *xml_print(xmlDoc *doc)
{
    xmlBuffer *buffer = xmlBufferCreate();
    char *text;

    xmlNodeDump(buffer, doc, xmlDocGetRootElement(doc), 0, 0);
    text = g_strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

gboolean xml_is(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && !node->ns && !strcmp((const char *)node->name, name);
}

static xmlNode *find(xmlNode *node, const char *name)
{
    while (node && !xml_is(node, name))
        node = node->next;
    return node;
}

xmlNode *xml_child(const xmlNode *parent, const char *name)
{
    return parent ? find(parent->children, name) : NULL;
}

xmlNode *xml_next(const xmlNode *sibling)
{
    return find(sibling->next, (const char *)sibling->name);
}

xmlNode *xml_descend(const xmlNode *parent, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    xmlNode *node = NULL;

    for (guint i = 0; names[i] && parent; i++)
        parent = node = xml_child(parent, names[i]);
    return node;
}

static char *take(xmlChar *text)
{
    char *copy = g_strdup((const char *)text);

    xmlFree(text);
    return copy;
}

char *xml_attr(const xmlNode *node, const char *name)
{
    return node ? take(xmlGetNoNsProp(node, (const xmlChar *)name)) : NULL;
}

gboolean xml_attr_is(const xmlNode *node, const char *name, const char *value)
{
    g_autofree char *have = xml_attr(node, name);

    return !g_strcmp0(have, value);
}

char *xml_text(const xmlNode *node)
{
    return node ? take(xmlNodeGetContent(node)) : NULL;
}

void xml_set(xmlNode *node, const char *name, const char *value)
{
    xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

void xml_drop_attr(xmlNode *node, const char *name)
{
    xmlUnsetProp(node, (const xmlChar *)name);
}

void xml_drop(xmlNode *node)
{
    xmlNode *space;

    if (!node)
        return;
    space = node->prev;
    if (space && xmlIsBlankNode(space)) {
        xmlUnlinkNode(space);
        xmlFreeNode(space);
    }
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

xmlNode *xml_add(xmlNode *parent, xmlNode *after, const char *name)
{
    xmlNode *node = xmlNewDocNode(parent->doc, NULL, (const xmlChar *)name, NULL);
    xmlNode *first = parent->children;

    if (!after)
        return xmlAddChild(parent, node);
    xmlAddNextSibling(after, node);
    if (first && xmlIsBlankNode(first))
        xmlAddNextSibling(after, xmlCopyNode(first, 1));
    return node;
}
