/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A device as a process of its own: its engine on threads, TCP on loopback, files of the real
 * world, and an application that writes one transaction after another. It tells of each in a pipe,
 * obeys commands from another one, and dies where it is told to. */

#ifndef CRASH_CHILD_H
#define CRASH_CHILD_H

#include "base/crashpoint.h"
#include "tests/crash/crash_device.h"

enum crash_record_kind {
    CRASH_READY,     /* opened: txn.id is the newest transaction in its tables */
    CRASH_INTEND,    /* txn is about to be committed */
    CRASH_COMMITTED, /* txn.id was committed */
    CRASH_PAUSED,    /* nothing is written until it is told to go on */
    CRASH_VERDICT    /* something is not as it must be */
};

/* One write into the pipe, of less than PIPE_BUF. */
struct crash_record {
    uint32_t kind;
    uint32_t unused;
    union {
        struct crash_txn txn;
        struct crash_verdict verdict;
    };
};

enum crash_command_kind { CRASH_WRITE, CRASH_PAUSE, CRASH_ARM, CRASH_QUIT };

struct crash_command {
    uint32_t kind;
    uint32_t point; /* ARM: enum sl_crashpoint, */
    uint32_t side;  /*      enum sl_crash_side, */
    uint32_t nth;   /*      as sl_crashpoint_arm takes them */
};

struct crash_child {
    struct crash_device *device;
    uint64_t seed;
    struct crash_command first; /* obeyed before anything is opened */
    int commands;               /* to read from */
    int records;                /* to write into */
};

/* Runs it and ends the process: with 0 when it was told to quit. */
_Noreturn void crash_child_run(const struct crash_child *child);

#endif
