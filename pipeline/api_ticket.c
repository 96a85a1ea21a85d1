/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Waiting for what one call captured.
 *
 * A ticket names an outbox row by id and token. Where that row is says how far it is:
 *
 *     in library.db's outbox, committed   queued
 *     in sync.db's `drained`              durable, and the row says which change was its last
 *     another token in either place       rolled back, and the id was given to a later call
 *     in neither, below the newest        rolled back: drained rows with a ticket stay there, as
 *     drained row                         long as they are kept
 *     in neither, above it                its transaction is open, or was rolled back
 *
 * The last is decided by SQLite's write lock, which an open transaction holds from its capture to
 * its end: whoever gets the lock, and sees neither row while it holds it, knows that the
 * transaction has ended without it. The outbox is always looked at before `drained`, because rows
 * go from there to here: one that moves in between is seen in the second place. */

#include <sqlite3.h>

#include "base/limits.h"
#include "pipeline/handle.h"

/* What has become of a ticket's outbox row. */
enum fate {
    FATE_UNKNOWN, /* its transaction is open, or was rolled back */
    FATE_ROLLED_BACK,
    FATE_FORGOTTEN,
    FATE_QUEUED,
    FATE_DURABLE
};

struct waiting {
    struct syncline_ticket ticket;
    enum syncline_level level;
    struct syncline_who who;
    enum fate fate;
    uint64_t seq; /* once durable: its last change; 0: nothing of it is sent */
};

/* Looks for the row in both places. */
static enum syncline_status look(struct sl_view *view, struct waiting *waiting,
                                 struct sl_error *err)
{
    const struct syncline_ticket *ticket = &waiting->ticket;
    bool queued = false;
    uint64_t token = 0;
    struct sl_drained_look drained = {.found = false};
    enum syncline_status status =
        sl_outbox_token(&view->rows->ldb, ticket->row, &queued, &token, err);
    if (status == SYNCLINE_OK && queued && token != ticket->token) {
        waiting->fate = FATE_ROLLED_BACK;
        return SYNCLINE_OK;
    }
    if (status == SYNCLINE_OK) {
        status = sl_drained_find(view->log, ticket->row, &drained, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (drained.found && drained.row.token != ticket->token) {
        waiting->fate = FATE_ROLLED_BACK;
    } else if (drained.found) {
        waiting->fate = drained.row.complete ? FATE_DURABLE : FATE_QUEUED;
        waiting->seq = drained.row.seq;
    } else if (ticket->row < drained.kept_from) {
        waiting->fate = FATE_FORGOTTEN;
    } else if (queued) {
        waiting->fate = FATE_QUEUED;
    } else {
        waiting->fate = ticket->row < drained.newest ? FATE_ROLLED_BACK : FATE_UNKNOWN;
    }
    return SYNCLINE_OK;
}

/* Looks again under SQLite's write lock, if nobody has it. */
static enum syncline_status look_locked(struct sl_view *view, struct waiting *waiting,
                                        struct sl_error *err)
{
    struct sl_library_db *ldb = &view->rows->ldb;
    (void)sqlite3_busy_timeout(ldb->db.handle, 0);
    enum syncline_status status = sl_library_db_begin_write(ldb, err);
    (void)sqlite3_busy_timeout(ldb->db.handle, (int)SL_BUSY_TIMEOUT_MS);
    if (status != SYNCLINE_OK) {
        return status == SYNCLINE_EBUSY ? SYNCLINE_OK : status; /* as before: it may be open */
    }
    status = look(view, waiting, err);
    if (status == SYNCLINE_OK && waiting->fate == FATE_UNKNOWN) {
        waiting->fate = FATE_ROLLED_BACK;
    }
    sl_library_db_rollback(ldb);
    return status;
}

static enum syncline_status find_out(struct syncline *lib, struct waiting *waiting,
                                     struct sl_error *err)
{
    struct sl_view view = sl_library_view_lock(lib->library);
    enum syncline_status status = look(&view, waiting, err);
    if (status == SYNCLINE_OK && waiting->fate == FATE_UNKNOWN) {
        status = look_locked(&view, waiting, err);
    }
    sl_library_view_unlock(lib->library);
    if (status == SYNCLINE_OK && waiting->fate == FATE_ROLLED_BACK) {
        return sl_fail(err, SYNCLINE_EROLLEDBACK,
                       "the transaction of the ticket was rolled back: nothing of it is sent");
    }
    if (status == SYNCLINE_OK && waiting->fate == FATE_FORGOTTEN) {
        return sl_fail(err, SYNCLINE_ENOTFOUND,
                       "the ticket is older than the last %u, and nothing is known of it any more",
                       SL_DRAINED_KEPT);
    }
    return status;
}

static enum syncline_status ticket_reached(struct syncline *lib, void *ctx, bool *reached,
                                           struct sl_error *err)
{
    struct waiting *waiting = ctx;
    struct sl_standing standing;
    uint64_t seq = 0;
    enum syncline_status status = SYNCLINE_OK;
    *reached = waiting->ticket.row == 0; /* of a call without rows */
    if (*reached) {
        return SYNCLINE_OK;
    }
    if (waiting->fate != FATE_DURABLE) { /* that stays */
        status = find_out(lib, waiting, err);
    }
    if (status == SYNCLINE_OK && waiting->level >= SYNCLINE_LEVEL_SENT) {
        status = sl_library_standing(lib->library, &standing, err);
        if (status == SYNCLINE_OK) {
            status = sl_standing_seq(&standing, waiting->level, &waiting->who, &seq, err);
        }
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (waiting->fate == FATE_UNKNOWN) {
        (void)sl_fail(err, SYNCLINE_TIMEOUT,
                      "the ticket's transaction has not ended, or another one is under way");
    } else if (waiting->level == SYNCLINE_LEVEL_QUEUED) {
        *reached = true;
    } else if (waiting->fate == FATE_QUEUED) {
        (void)sl_fail(err, SYNCLINE_TIMEOUT, "the changes are still in the outbox (row %lld)",
                      (long long)waiting->ticket.row);
    } else {
        *reached = waiting->level == SYNCLINE_LEVEL_DURABLE || seq >= waiting->seq;
        (void)sl_fail(err, SYNCLINE_TIMEOUT,
                      "changes up to %llu have come that far, the ticket's last one is %llu",
                      (unsigned long long)seq, (unsigned long long)waiting->seq);
    }
    return SYNCLINE_OK;
}

/* What the caller asks, in this version's layout. */
static enum syncline_status take_question(const struct syncline_ticket *ticket,
                                          const struct syncline_who *who, struct waiting *waiting,
                                          struct sl_error *err)
{
    if (ticket == NULL) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "no ticket was given: take one that a call has filled");
    }
    enum syncline_status status =
        sl_struct_take(&waiting->ticket, sizeof(waiting->ticket), ticket, ticket->size,
                       SL_TICKET_FIRST_SIZE, "SYNCLINE_TICKET_INIT", err);
    if (status == SYNCLINE_OK && who != NULL) {
        status =
            sl_struct_take(&waiting->who, sizeof(waiting->who), who, who->size,
                           SL_SIZE_UP_TO(struct syncline_who, device_id), "SYNCLINE_WHO_INIT", err);
    }
    return status;
}

static enum syncline_status check_wait(struct syncline *lib, const struct waiting *waiting,
                                       struct sl_error *err)
{
    if (waiting->ticket.epoch == 0) {
        return sl_fail(err, SYNCLINE_EINVAL, "no call has filled this ticket");
    }
    if (waiting->who.whose > SYNCLINE_WHO_MEMBER) {
        return sl_fail(err, SYNCLINE_EINVAL, "`whose` is %d: take all, any or a member",
                       (int)waiting->who.whose);
    }
    if (waiting->ticket.epoch != sl_library_core(lib->library)->self.epoch) {
        return sl_fail(err, SYNCLINE_ENOTFOUND,
                       "the ticket is of another library, or of an earlier life of this one");
    }
    return sl_handle_check_level(waiting->level, err);
}

enum syncline_status syncline_wait(struct syncline *lib, const struct syncline_ticket *ticket,
                                   enum syncline_level level, const struct syncline_who *who,
                                   int64_t timeout_ms)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    struct waiting waiting = {.level = level, .who = SYNCLINE_WHO_INIT};
    status = take_question(ticket, who, &waiting, &err);
    if (status == SYNCLINE_OK) {
        status = check_wait(lib, &waiting, &err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_handle_wait(lib, ticket_reached, &waiting, timeout_ms, false, &err);
    }
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}
