/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-vsock (virtio 1.2, section 5.10): stream sockets between programs of the guest and of this host, which has
 * them as UNIX sockets (backends/ports.h). So it serves a bridge with grants as well.
 *
 * There are VSOCK_CONNECTIONS at most, each with VSOCK_BUFFER bytes for what a program of the host does not read yet:
 * that is the credit that the guest has. What the guest has no room for stays in the UNIX socket. When the process was
 * killed its connections are gone, of which the next one tells the guest (TRANSPORT_RESET).
 */
#ifndef DEVICES_VSOCK_H
#define DEVICES_VSOCK_H

#include "kind.h"

#define VSOCK_QUEUE_SIZE  128u
#define VSOCK_CONNECTIONS 64u
#define VSOCK_BUFFER      0x10000u /* bytes; a power of two */
#define VSOCK_HOST        2u       /* the host's CID */
#define VSOCK_CID_DEFAULT 3u

struct vsock_options {
    const char *path;
    unsigned int cid; /* of the guest; 0: VSOCK_CID_DEFAULT */
};

extern const struct kind vsock_kind;

#endif
