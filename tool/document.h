/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What --json prints: one document, whose form is in the manual page. Numbers are numbers, addresses too; all text is
 * printable ASCII, as messages are.
 *
 *   {"sidebridge": "0.1.0", "format": 1, "files": [{"file": ..., "messages": [...], "domains": [...]}]}
 */
#ifndef TOOL_DOCUMENT_H
#define TOOL_DOCUMENT_H

#include <json-c/json.h>
#include <stdbool.h>

#include "domain.h"
#include "space.h"

struct document;

/* NULL when there is no memory for it. */
struct document *document_create(void);

void document_destroy(struct document *document);

/* Begins a file. From now on its messages go into the document: report is the file's, until document_end_file(). */
void document_begin_file(struct document *document, struct report *report, const char *xen);

/* The domains of the file; to be called after all their messages. */
void document_add_domains(struct document *document, const struct domains *domains);

/* What more there is to say of a domain of the file: its address space, ... */
void document_add_space(struct document *document, const struct domain *domain, const struct space *space);

/* ... or the guest's nodes, a flattened device tree that this program has made. */
void document_add_nodes(struct document *document, const struct domain *domain, const void *fdt);

void document_end_file(struct document *document, const struct report *report);

/* To the standard output. False, with a message, when there was no memory for all of it. */
bool document_print(const struct document *document);

#endif
