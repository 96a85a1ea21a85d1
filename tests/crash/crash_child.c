/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/crash/crash_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "net/transport_tcp.h"
#include "pipeline/worker.h"
#include "tests/crash/crash_vfs.h"

#define TXNS_PER_OPENING 60u /* then the application closes everything, and starts anew */
#define TXNS_PER_OPENING_MIN 6u
#define PAUSE_MS 1 /* between transactions */

struct state {
    const struct crash_child *child;
    struct sl_worker worker;
    struct sl_sim_random random;
    bool writes;
    uint32_t txns; /* since it was opened */
};

static void tell(const struct crash_child *child, const struct crash_record *record)
{
    if (write(child->records, record, sizeof(*record)) != (ssize_t)sizeof(*record)) {
        _exit(3); /* nobody listens any more */
    }
}

static void tell_intend(void *ctx, const struct crash_txn *txn)
{
    const struct state *state = ctx;
    struct crash_record record = {.kind = CRASH_INTEND, .txn = *txn};
    tell(state->child, &record);
}

static void tell_committed(void *ctx, const struct crash_txn *txn)
{
    const struct state *state = ctx;
    struct crash_record record = {.kind = CRASH_COMMITTED, .txn = *txn};
    tell(state->child, &record);
}

/* Before anything runs, what the device said in its life before must be true of its files. */
static void open_all(struct state *state)
{
    struct crash_device *device = state->child->device;
    struct sl_transport *tcp = NULL;
    struct sl_error err;
    if (sl_transport_tcp_new(&sl_allocator_libc, &tcp, &err) != SYNCLINE_OK ||
        crash_device_open(device, tcp, &err) != SYNCLINE_OK) {
        crash_give_up("device %u does not open: %s", device->number, err.text);
    }
    struct crash_record verdict = {.kind = CRASH_VERDICT, .verdict = {.lost = 0}};
    crash_device_check_log_word(device, &verdict.verdict);
    (void)crash_device_check_applied_word(device, &verdict.verdict);
    if (verdict.verdict.text[0] != '\0') {
        tell(state->child, &verdict);
    }
    if (sl_worker_start(&state->worker, device->library, SYNCLINE_THREADS_GROUPED, &err) !=
        SYNCLINE_OK) {
        crash_give_up("device %u: %s", device->number, err.text);
    }
    struct crash_record ready = {.kind = CRASH_READY, .txn = {.id = device->txns}};
    tell(state->child, &ready);
    state->txns = 0;
}

static void close_all(struct state *state)
{
    sl_worker_stop(&state->worker);
    crash_device_close(state->child->device);
}

static void write_one(struct state *state)
{
    const struct crash_teller teller = {
        .intend = tell_intend, .committed = tell_committed, .ctx = state};
    if (!crash_device_write(state->child->device, &state->random, &teller)) {
        crash_give_up("device %u cannot write: %s", state->child->device->number,
                      sqlite3_errmsg(state->child->device->db));
    }
    sl_worker_nudge(&state->worker);
    state->txns++;
    /* Some points are passed when nobody writes for a while, or at the end of a process alone. */
    uint32_t opening =
        sl_crashpoint_is_armed(SL_CRASHPOINT_S14) ? TXNS_PER_OPENING_MIN : TXNS_PER_OPENING;
    if (state->txns >= opening) {
        close_all(state);
        open_all(state);
    }
}

static void obey(struct state *state, const struct crash_command *command)
{
    struct crash_record paused = {.kind = CRASH_PAUSED, .txn = {.id = 0}};
    switch ((enum crash_command_kind)command->kind) {
    case CRASH_WRITE:
        state->writes = true;
        return;
    case CRASH_PAUSE:
        state->writes = false;
        tell(state->child, &paused);
        return;
    case CRASH_ARM:
        sl_crashpoint_arm((enum sl_crashpoint)command->point, (enum sl_crash_side)command->side,
                          command->nth);
        return;
    case CRASH_QUIT:
        close_all(state);
        _exit(0);
    }
}

void crash_child_run(const struct crash_child *child)
{
    struct state state = {.child = child};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    sl_sim_random_init(&state.random, child->seed, child->device->number);
    crash_vfs_application(1);
    if (child->first.kind == CRASH_ARM) {
        obey(&state, &child->first);
    }
    open_all(&state);
    for (;;) {
        struct pollfd poll_fd = {.fd = child->commands, .events = POLLIN};
        int ready = poll(&poll_fd, 1, state.writes ? PAUSE_MS : -1);
        struct crash_command command;
        if (ready > 0) {
            if (read(child->commands, &command, sizeof(command)) != (ssize_t)sizeof(command)) {
                _exit(3);
            }
            obey(&state, &command);
        } else if (ready == 0) {
            write_one(&state);
        }
    }
}
