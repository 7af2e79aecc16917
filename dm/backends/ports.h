/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports of a guest's sockets as UNIX stream sockets, by Firecracker's convention: a program of the host that wants a
 * port of the guest connects to PATH, writes "CONNECT PORT\n" and gets "OK PORT\n", with another port; one that serves a
 * port for the guest listens at PATH_PORT.
 *
 * ports_open() is for before the process gives up its privileges. Afterwards there is no file system; a copy of the
 * mount of PATH's directory, which is in no other one, is kept, so that nothing outside it can be reached from it.
 *
 * Nothing here waits. One thread.
 */
#ifndef BACKENDS_PORTS_H
#define BACKENDS_PORTS_H

#include <stdint.h>
#include <sys/un.h>

#define PORTS_ERROR_MAX 160u
#define PORTS_NAME_MAX  (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("_4294967295"))

struct ports {
    int listener;
    int directory;
    char name[PORTS_NAME_MAX + 1]; /* the last part of PATH */
};

/* Negative errno value, and `error` has a sentence; nothing is open. -EBUSY: somebody listens at PATH. */
int ports_open(struct ports *ports, const char *path, char error[PORTS_ERROR_MAX]);

/* A program that has connected to PATH: a descriptor that does not block, or a negative errno value; -EAGAIN: none. */
int ports_accept(const struct ports *ports);

/* Connects to who listens at PATH_PORT, likewise. Changes the current directory. */
int ports_connect(const struct ports *ports, uint32_t port);

#endif
