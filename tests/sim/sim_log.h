/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What the devices' own logs hold, or held before it was pruned, read back from their sync.db:
 * which change is whose, its place and its stamp. Of its content only the `rev` is taken: what a
 * version is, the ledger says. */

#ifndef SL_SIM_LOG_H
#define SL_SIM_LOG_H

#include "tests/sim/sim_ledger.h"

#define SL_SIM_NONE UINT32_MAX

struct sl_sim_change {
    int device; /* whose log it is of */
    uint64_t epoch;
    uint64_t seq;
    uint64_t hlc;
    enum syncline_change kind;
    bool is_owned;       /* the class it states */
    uint32_t record;     /* number in the ledger */
    uint32_t rev;        /* of the version; 0 of deletes */
    uint32_t births_at;  /* in the list of births, of updates and deletes */
    uint32_t births_len; /* how many it names */
};

struct sl_sim_log_origin {
    struct sl_origin origin;
    int device;
    uint32_t first; /* its changes, in order of seq, begin there */
    uint32_t len;
};

struct sl_sim_log {
    struct sl_sim_change *changes;
    uint32_t changes_len;
    struct sl_sim_log_origin origins[64];
    uint32_t origins_len;
    struct sl_birth_name *names; /* as read */
    uint32_t *births;            /* the change that is the birth; SL_SIM_NONE: no log has it */
    uint32_t births_len;
};

/* Reads every device's own log. What cannot be there - a gap, clock values that do not rise, a
 * record or version that nobody made - is a failure. */
void sl_sim_log_read(struct sl_sim_log *log, struct sl_sim_ledger *ledger);
void sl_sim_log_fini(struct sl_sim_log *log);

/* Is `a` later than `b`? By clock, device, epoch. */
bool sl_sim_change_is_later(const struct sl_sim_log *log, const struct sl_sim_world *world,
                            uint32_t a, uint32_t b);

#endif
