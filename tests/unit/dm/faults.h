/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that is slow or broken when the test wants it: the calls from devices/ to loop_read(), loop_write(),
 * loop_allocate() and loop_sync(), and to fsync(), come here first (linker option --wrap).
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* Requests that come from now on wait until faults_release(), which starts them. */
void faults_hold(void);
void faults_release(void);
void faults_release_one(void); /* the oldest of them, if there is one; the others, and new ones, still wait */
unsigned int faults_held(void);

/* Reads that come from now on read this pipe, in which nothing is: the loop has them, and they hang. -1: no more. */
void faults_hang(int pipe);

/* Forgets everything that was asked for, and the requests that are held. */
void faults_reset(void);

/* The next request, or sync, that at the end included, fails with `result`, a negative errno value, untried. */
void faults_fail(int result);
void faults_fail_sync(int result);

/* The next read or write transfers at most so many bytes. */
void faults_cut(uint64_t bytes);

/* Called by the next sync at the end, which may take as long as the storage likes. */
void faults_meanwhile(void (*meanwhile)(void *opaque), void *opaque);

/* How many there were: */
unsigned int faults_calls(void); /* requests of all kinds that came here */
unsigned int faults_syncs(void);

#endif
