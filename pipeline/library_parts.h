/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What a library is made of. For the files library_*.c alone; everybody else has library.h. */

#ifndef SL_LIBRARY_PARTS_H
#define SL_LIBRARY_PARTS_H

#include <pthread.h>

#include "pipeline/library.h"
#include "stages/acknowledge.h"
#include "stages/apply.h"
#include "stages/capture.h"
#include "stages/compare.h"
#include "stages/epoch.h"
#include "stages/event_log.h"
#include "stages/fk_resolve.h"
#include "stages/intake.h"
#include "stages/log_append.h"
#include "stages/log_hold.h"
#include "stages/net_flush.h"
#include "stages/prune.h"
#include "stages/scan.h"
#include "stages/serialize.h"
#include "stages/settle.h"
#include "stages/shared.h"
#include "stages/snapshot_give.h"
#include "stages/snapshot_take.h"
#include "stages/sweep.h"
#include "stages/verify.h"

/* A stage as the executor sees it. */
struct sl_library_stage {
    bool (*run)(void *self);
    void *self;
};

struct sl_library {
    struct sl_core core;
    struct sl_capture capture;
    struct sl_intake intake;
    struct sl_fk_resolve fk_resolve;
    struct sl_serialize serialize;
    struct sl_log_append log_append;
    struct sl_settle settle;
    struct sl_scan scan;
    struct sl_sweep sweep;
    struct sl_event_log event_log;
    struct sl_net_flush net_flush;
    struct sl_verify verify;
    struct sl_log_hold log_hold;
    struct sl_prune prune;
    struct sl_snapshot_give give;
    struct sl_snapshot_take take;
    struct sl_apply apply;
    struct sl_acknowledge acknowledge;
    struct sl_compare compare;
    struct sl_library_stage stages[SL_STAGE_COUNT];
    size_t stage_count;

    /* Reading for people: own connections, under their lock. */
    pthread_mutex_t view_lock;
    struct sl_rows view;
    struct sl_peer_log view_log;

    struct sl_identity identity;
    char bound[SL_ADDRESS_SIZE_MAX + 1];
    struct sl_epoch_check epoch; /* whether a new one began at open, and why */
    bool log_is_new;             /* there was no sync.db, */
    bool log_was_bad;            /* or a damaged one, which was put away */
    bool shared_ready;           /* what open must undo: locks and pools are made */
    bool capture_ready;
    bool engine_ready;
    bool apply_ready;
    bool append_ready;
    bool view_ready;
};
/* Makes core->network, listens and adds the peers, as the configuration says; nothing without a
 * transport. What then comes in goes to the stages that take it. (library_network.c)
 * Errors: ENOMEM, and those of listening and of addresses. */
enum syncline_status sl_library_open_network(struct sl_library *library,
                                             const struct sl_library_config *config,
                                             struct sl_error *err);

#endif
