/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_fold.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sl_sim_change *change_at(const struct sl_sim_fold *fold, uint32_t at)
{
    return &fold->log.changes[at];
}

static struct sl_sim_world *world_of(const struct sl_sim_fold *fold)
{
    return fold->ledger->world;
}

/* ---- Births ------------------------------------------------------------------------------- */

/* What a change says of the births that it names. A birth that no log has can not come any more:
 * nobody may name one. */
static void fold_change(struct sl_sim_fold *fold, uint32_t at)
{
    const struct sl_sim_change *change = change_at(fold, at);
    if (change->kind == SYNCLINE_INSERT) {
        return;
    }
    for (uint32_t i = 0; i < change->births_len; i++) {
        uint32_t birth = fold->log.births[change->births_at + i];
        if (birth == SL_SIM_NONE || change_at(fold, birth)->kind != SYNCLINE_INSERT ||
            change_at(fold, birth)->record != change->record) {
            sl_sim_fail(world_of(fold), SL_SIM_INVARIANT,
                        "device %d: seq %" PRIu64 " of its log names a birth of record %08x that "
                        "is none",
                        change->device, change->seq, change->record);
            sl_sim_blame(world_of(fold), change->record);
            return;
        }
        if (change->kind == SYNCLINE_DELETE) {
            fold->is_dead[birth] = true;
            continue;
        }
        fold->born_as[change->rev - 1] = birth;
        bool is_its_own =
            !change_at(fold, birth)->is_owned || change_at(fold, birth)->device == change->device;
        if (is_its_own &&
            sl_sim_change_is_later(&fold->log, world_of(fold), at, fold->winner[birth])) {
            fold->winner[birth] = at;
        }
    }
}

/* Does the version that a change wrote point at `record`? */
static bool points_at(const struct sl_sim_fold *fold, const struct sl_sim_change *change,
                      uint32_t record)
{
    const struct sl_sim_ledger *ledger = fold->ledger;
    const struct sl_sim_model *model =
        &ledger->world->schema.models[ledger->records[change->record].model];
    const struct sl_sim_value *values = ledger->versions[change->rev - 1].values;
    for (uint32_t i = 0; i < model->columns_len; i++) {
        if (values[i].kind == SL_SIM_REF && values[i].integer == (int64_t)record) {
            return true;
        }
    }
    return false;
}

/* What a birth held when its owner made that change: later ones do not count. */
static const struct sl_sim_change *content_before(const struct sl_sim_fold *fold, uint32_t birth,
                                                  const struct sl_sim_change *change)
{
    const struct sl_sim_change *held = change_at(fold, birth);
    for (uint32_t at = birth + 1; at < fold->log.changes_len; at++) {
        const struct sl_sim_change *next = change_at(fold, at);
        if (next->device != change->device || next->seq >= change->seq) {
            break; /* an origin's changes stand together, in order */
        }
        for (uint32_t i = 0; i < next->births_len && next->kind == SYNCLINE_UPDATE; i++) {
            held = fold->log.births[next->births_at + i] == birth ? next : held;
        }
    }
    return held;
}

/* What a device deleted with `root` by one delete of it: its own records, from child to child. */
static void fold_tree(struct sl_sim_fold *fold, const struct sl_sim_change *delete, uint32_t root)
{
    const struct sl_sim_record *parent = &fold->ledger->records[root];
    for (uint32_t r = 0; r < parent->referrers_len; r++) {
        uint32_t record = parent->referrers[r];
        for (uint32_t at = fold->first_birth[record]; at != SL_SIM_NONE;
             at = fold->next_birth[at]) {
            const struct sl_sim_change *birth = change_at(fold, at);
            if (!birth->is_owned || birth->device != delete->device || fold->is_dead[at] ||
                birth->hlc > delete->hlc) {
                continue;
            }
            if (points_at(fold, content_before(fold, at, delete), root)) {
                fold->is_dead[at] = true;
                fold_tree(fold, delete, record);
            }
        }
    }
}

/* An owner that inserts its record again has ended what it had inserted before. */
static void fold_renewal(struct sl_sim_fold *fold, uint32_t insert)
{
    const struct sl_sim_change *birth = change_at(fold, insert);
    for (uint32_t at = fold->first_birth[birth->record]; at != SL_SIM_NONE;
         at = fold->next_birth[at]) {
        const struct sl_sim_change *before = change_at(fold, at);
        fold->is_dead[at] =
            fold->is_dead[at] || (before->is_owned && birth->is_owned &&
                                  before->device == birth->device && before->seq < birth->seq);
    }
}

/* Is the delete of a birth that its device had put another one in the place of by then? */
static bool is_of_renewed(const struct sl_sim_fold *fold, const struct sl_sim_change *delete)
{
    bool renewed = false;
    for (uint32_t i = 0; i < delete->births_len; i++) {
        const struct sl_sim_change *named =
            change_at(fold, fold->log.births[delete->births_at + i]);
        for (uint32_t at = fold->first_birth[delete->record]; at != SL_SIM_NONE;
             at = fold->next_birth[at]) {
            const struct sl_sim_change *birth = change_at(fold, at);
            renewed = renewed || (birth->is_owned && birth->device == delete->device &&
                                  named->device == delete->device && birth->seq > named->seq &&
                                  birth->seq < delete->seq);
        }
    }
    return renewed;
}

/* ---- Records ------------------------------------------------------------------------------ */

static void show(struct sl_sim_fold *fold)
{
    uint32_t *best = sl_sim_alloc((fold->ledger->records_len + 1) * sizeof(*best));
    memset(best, 0xff, fold->ledger->records_len * sizeof(*best));
    for (uint32_t at = 0; at < fold->log.changes_len; at++) {
        const struct sl_sim_change *change = change_at(fold, at);
        if (change->kind != SYNCLINE_INSERT || fold->is_dead[at]) {
            continue;
        }
        uint32_t *is = &best[change->record];
        if (*is == SL_SIM_NONE ||
            sl_sim_change_is_later(&fold->log, world_of(fold), fold->winner[at], *is)) {
            *is = fold->winner[at];
        }
    }
    for (uint32_t i = 0; i < fold->ledger->records_len; i++) {
        fold->shown[i] = best[i] != SL_SIM_NONE ? change_at(fold, best[i])->rev : 0;
    }
    free(best);
}

/* Nothing shown points at what is not: whoever set that key has deleted it. */
static void check_parents(struct sl_sim_fold *fold)
{
    const struct sl_sim_ledger *ledger = fold->ledger;
    for (uint32_t i = 0; i < ledger->records_len; i++) {
        if (fold->shown[i] == 0) {
            continue;
        }
        const struct sl_sim_model *model = &ledger->world->schema.models[ledger->records[i].model];
        const struct sl_sim_version *version = &ledger->versions[fold->shown[i] - 1];
        for (uint32_t k = 0; k < model->columns_len; k++) {
            const struct sl_sim_value *value = &version->values[k];
            if (value->kind == SL_SIM_REF && fold->shown[value->integer] == 0) {
                sl_sim_fail(ledger->world, SL_SIM_STUCK,
                            "record %08x (rev %u of device %d) lives and points at record %08x, "
                            "which does not: nobody deleted it",
                            i, fold->shown[i], version->device, (unsigned)value->integer);
                sl_sim_blame(ledger->world, i);
                return;
            }
        }
    }
}

/* ---- Losing a parent ---------------------------------------------------------------------- */

static bool has_dead_birth(const struct sl_sim_fold *fold, uint32_t record)
{
    for (uint32_t at = fold->first_birth[record]; at != SL_SIM_NONE; at = fold->next_birth[at]) {
        if (fold->is_dead[at]) {
            return true;
        }
    }
    return false;
}

/* Did a version ever point at a record that died, or that may have died for that reason? */
static bool may_be_orphaned(const struct sl_sim_fold *fold, const struct sl_sim_version *version)
{
    const struct sl_sim_ledger *ledger = fold->ledger;
    const struct sl_sim_model *model =
        &ledger->world->schema.models[ledger->records[version->record].model];
    for (uint32_t i = 0; i < model->columns_len; i++) {
        const struct sl_sim_value *value = &version->values[i];
        if (value->kind == SL_SIM_REF && value->integer != (int64_t)version->record &&
            (fold->is_orphan[value->integer] || has_dead_birth(fold, (uint32_t)value->integer))) {
            return true;
        }
    }
    return false;
}

/* Records that may have gone with a parent: for the product to delete, or never to be sent. */
static void find_orphans(struct sl_sim_fold *fold)
{
    const struct sl_sim_ledger *ledger = fold->ledger;
    bool is_news = true;
    while (is_news) {
        is_news = false;
        for (uint32_t rev = 0; rev < ledger->versions_len; rev++) {
            const struct sl_sim_version *version = &ledger->versions[rev];
            if (!fold->is_orphan[version->record] && may_be_orphaned(fold, version)) {
                fold->is_orphan[version->record] = true;
                is_news = true;
            }
        }
    }
}

/* ---- Ledger and log ----------------------------------------------------------------------- */

/* The last word of each device on each birth of a record is in the log, or the birth is dead. */
static void check_committed(struct sl_sim_fold *fold)
{
    const struct sl_sim_ledger *ledger = fold->ledger;
    uint8_t *is_logged = sl_sim_alloc(ledger->versions_len + 1);
    /* By device and record: the birth and version of its last committed change. */
    for (uint32_t at = 0; at < fold->log.changes_len; at++) {
        if (change_at(fold, at)->rev != 0) {
            is_logged[change_at(fold, at)->rev - 1] = 1;
        }
    }
    for (uint32_t rev = 1; rev <= ledger->versions_len && world_of(fold)->failures == 0; rev++) {
        const struct sl_sim_version *version = &ledger->versions[rev - 1];
        const struct sl_sim_record *record = &ledger->records[version->record];
        const struct sl_sim_birth *birth = &record->births[version->birth];
        bool is_last = record->last_rev[version->device] == rev;
        if (version->outcome != SL_SIM_COMMITTED || !is_last || is_logged[rev - 1] != 0 ||
            birth->deleted != 0) {
            continue;
        }
        /* Superseded by a delete that the product made, or that came from elsewhere: then some
         * version of the birth is in a log, and that birth is dead. */
        uint32_t born_as = SL_SIM_NONE;
        for (uint32_t other = 0; other < ledger->versions_len; other++) {
            const struct sl_sim_version *same = &ledger->versions[other];
            if (same->record == version->record && same->birth == version->birth &&
                fold->born_as[other] != SL_SIM_NONE) {
                born_as = fold->born_as[other];
            }
        }
        bool is_superseded =
            born_as != SL_SIM_NONE ? fold->is_dead[born_as] : fold->is_orphan[version->record];
        if (!is_superseded) {
            sl_sim_fail(ledger->world, SL_SIM_LOST,
                        "device %d committed rev %u of record %08x, and no log has it",
                        version->device, rev, version->record);
            sl_sim_blame(ledger->world, version->record);
        }
    }
    free(is_logged);
}

/* ---- Deletes ------------------------------------------------------------------------------ */

/* Is one of the births that a change inserts or names dead? */
static bool is_of_dead(const struct sl_sim_fold *fold, uint32_t at)
{
    const struct sl_sim_change *change = change_at(fold, at);
    bool is_dead = change->kind == SYNCLINE_INSERT && fold->is_dead[at];
    for (uint32_t i = 0; i < change->births_len; i++) {
        is_dead = is_dead || fold->is_dead[fold->log.births[change->births_at + i]];
    }
    return is_dead;
}

static bool is_of_birth(const struct sl_sim_fold *fold, uint32_t at, uint32_t birth)
{
    const struct sl_sim_change *change = change_at(fold, at);
    bool is = change->kind == SYNCLINE_INSERT && at == birth;
    for (uint32_t i = 0; i < change->births_len; i++) {
        is = is || fold->log.births[change->births_at + i] == birth;
    }
    return is;
}

/* Do two changes of one record have a birth in common? */
static bool share_birth(const struct sl_sim_fold *fold, uint32_t one, uint32_t other)
{
    const struct sl_sim_change *change = change_at(fold, one);
    bool share = change->kind == SYNCLINE_INSERT && is_of_birth(fold, other, one);
    for (uint32_t i = 0; i < change->births_len; i++) {
        share = share || is_of_birth(fold, other, fold->log.births[change->births_at + i]);
    }
    return share;
}

/* The change that brought a version, or the one before it: of a record that is changed again before
 * it is sent only the last change is in the log. SL_SIM_NONE: none is. */
static uint32_t logged_before(const struct sl_sim_fold *fold, const uint32_t *logged_at,
                              uint32_t rev)
{
    while (rev != 0 && logged_at[rev - 1] == SL_SIM_NONE) {
        rev = fold->ledger->versions[rev - 1].seen;
    }
    return rev != 0 ? logged_at[rev - 1] : SL_SIM_NONE;
}

/* An update names all births that it saw, and the row goes on with another of them when the one it
 * showed is deleted. Of that its application knows nothing: to the ledger its next updates are of
 * the birth that is dead. */
static bool is_of_other(const struct sl_sim_fold *fold, const uint32_t *logged_at, uint32_t at)
{
    const struct sl_sim_version *versions = fold->ledger->versions;
    uint32_t before = at;
    bool shares = true;
    do {
        at = before;
        before = logged_before(fold, logged_at, versions[change_at(fold, at)->rev - 1].seen);
        shares = before != SL_SIM_NONE && share_birth(fold, at, before);
    } while (shares && change_at(fold, before)->births_len <= 1);
    return shares;
}

static void fail_delete(const struct sl_sim_fold *fold, uint32_t at)
{
    const struct sl_sim_change *change = change_at(fold, at);
    sl_sim_fail(world_of(fold), SL_SIM_LOST, "record %08x (rev %u) was deleted, and no log says so",
                change->record, change->rev);
    sl_sim_blame(world_of(fold), change->record);
}

/* What a committed delete saw is of a dead birth, */
static void check_seen_by_deletes(struct sl_sim_fold *fold, const uint32_t *logged_at)
{
    const struct sl_sim_ledger *ledger = fold->ledger;
    for (uint32_t t = 0; t < ledger->txs_len; t++) {
        const struct sl_sim_tx *tx = &ledger->txs[t];
        for (size_t i = 0; i < tx->ops_len && tx->outcome == SL_SIM_COMMITTED; i++) {
            uint32_t at = tx->ops[i].kind == SL_SIM_OP_DELETE
                              ? logged_before(fold, logged_at, tx->ops[i].seen)
                              : SL_SIM_NONE;
            if (at != SL_SIM_NONE && !is_of_dead(fold, at)) {
                fail_delete(fold, at);
                return;
            }
        }
    }
}

/* and so is what was made of it elsewhere. */
static void check_deletes(struct sl_sim_fold *fold)
{
    const struct sl_sim_ledger *ledger = fold->ledger;
    uint32_t *logged_at = sl_sim_alloc((ledger->versions_len + 1) * sizeof(*logged_at));
    memset(logged_at, 0xff, ledger->versions_len * sizeof(*logged_at));
    for (uint32_t at = 0; at < fold->log.changes_len; at++) {
        if (change_at(fold, at)->rev != 0) {
            logged_at[change_at(fold, at)->rev - 1] = at;
        }
    }
    check_seen_by_deletes(fold, logged_at);
    for (uint32_t at = 0; at < fold->log.changes_len && world_of(fold)->failures == 0; at++) {
        uint32_t rev = change_at(fold, at)->rev;
        if (rev == 0) {
            continue;
        }
        const struct sl_sim_version *version = &ledger->versions[rev - 1];
        const struct sl_sim_birth *birth = &ledger->records[version->record].births[version->birth];
        if (birth->deleted != 0 && !is_of_dead(fold, at) && !is_of_other(fold, logged_at, at)) {
            fail_delete(fold, at);
        }
        if (birth->state == SL_SIM_UNDONE && version->outcome == SL_SIM_UNDONE_BY_APP) {
            sl_sim_fail(ledger->world, SL_SIM_INVARIANT, "record %08x: rev %u was rolled back",
                        version->record, rev);
        }
    }
    free(logged_at);
}

/* ---- What was made, and by whom ----------------------------------------------------------- */

/* A delete in a log that no application of that device made is the product's own: of a child whose
 * parent is dead. */
static void check_made_deletes(struct sl_sim_fold *fold)
{
    const struct sl_sim_ledger *ledger = fold->ledger;
    for (uint32_t at = 0; at < fold->log.changes_len; at++) {
        const struct sl_sim_change *change = change_at(fold, at);
        if (change->kind != SYNCLINE_DELETE) {
            continue;
        }
        const struct sl_sim_record *record = &ledger->records[change->record];
        bool is_asked_for = false;
        for (uint32_t i = 0; i < record->births_len; i++) {
            unsigned by = record->births[i].deleted | record->births[i].lost_deletes;
            is_asked_for = is_asked_for || (by & (1u << change->device)) != 0;
        }
        is_asked_for = is_asked_for || fold->is_orphan[change->record];
        if (!is_asked_for) {
            sl_sim_fail(ledger->world, SL_SIM_INVARIANT,
                        "device %d: seq %" PRIu64 " of its log deletes record %08x, which nobody "
                        "there did",
                        change->device, change->seq, change->record);
            return;
        }
    }
}

/* Nothing is sent twice, and nothing received as if it were the device's own. */
static void check_counts(struct sl_sim_fold *fold)
{
    uint64_t made[SL_SIM_DEVICES_MAX] = {0};
    for (uint32_t at = 0; at < fold->log.changes_len; at++) {
        made[change_at(fold, at)->device] += change_at(fold, at)->kind != SYNCLINE_DELETE ? 1 : 0;
    }
    for (unsigned d = 0; d < world_of(fold)->devices_len; d++) {
        if (made[d] > fold->ledger->changes[d]) {
            sl_sim_fail(world_of(fold), SL_SIM_INVARIANT,
                        "device %u: %" PRIu64 " inserts and updates in its log, and its "
                        "applications made %" PRIu64,
                        d, made[d], fold->ledger->changes[d]);
        }
    }
}

void sl_sim_fold_init(struct sl_sim_fold *fold, struct sl_sim_ledger *ledger)
{
    memset(fold, 0, sizeof(*fold));
    fold->ledger = ledger;
    sl_sim_log_read(&fold->log, ledger);
    uint32_t changes = fold->log.changes_len;
    fold->winner = sl_sim_alloc((changes + 1) * sizeof(*fold->winner));
    fold->is_dead = sl_sim_alloc((changes + 1) * sizeof(*fold->is_dead));
    fold->shown = sl_sim_alloc((ledger->records_len + 1) * sizeof(*fold->shown));
    fold->is_orphan = sl_sim_alloc((ledger->records_len + 1) * sizeof(*fold->is_orphan));
    fold->next_birth = sl_sim_alloc((changes + 1) * sizeof(*fold->next_birth));
    fold->first_birth = sl_sim_alloc((ledger->records_len + 1) * sizeof(*fold->first_birth));
    memset(fold->first_birth, 0xff, ledger->records_len * sizeof(*fold->first_birth));
    fold->born_as = sl_sim_alloc((ledger->versions_len + 1) * sizeof(*fold->born_as));
    memset(fold->born_as, 0xff, ledger->versions_len * sizeof(*fold->born_as));
    if (ledger->world->failures != 0) {
        return;
    }
    for (uint32_t at = 0; at < changes; at++) {
        const struct sl_sim_change *change = change_at(fold, at);
        fold->winner[at] = at;
        if (change->kind == SYNCLINE_INSERT) {
            fold->born_as[change->rev - 1] = at;
            fold->next_birth[at] = fold->first_birth[change->record];
            fold->first_birth[change->record] = at;
        }
    }
    for (uint32_t at = 0; at < changes && ledger->world->failures == 0; at++) {
        fold_change(fold, at);
    }
    for (uint32_t at = 0; at < changes; at++) {
        const struct sl_sim_change *change = change_at(fold, at);
        if (change->kind == SYNCLINE_INSERT) {
            fold_renewal(fold, at);
        } else if (change->kind == SYNCLINE_DELETE && !is_of_renewed(fold, change)) {
            fold_tree(fold, change, change->record);
        }
    }
    if (ledger->world->failures != 0) {
        return;
    }
    show(fold);
    find_orphans(fold);
    check_counts(fold);
    check_made_deletes(fold);
    check_committed(fold);
    check_deletes(fold);
    check_parents(fold);
}

void sl_sim_fold_fini(struct sl_sim_fold *fold)
{
    sl_sim_log_fini(&fold->log);
    free(fold->winner);
    free(fold->is_dead);
    free(fold->shown);
    free(fold->born_as);
    free(fold->first_birth);
    free(fold->next_birth);
    free(fold->is_orphan);
}

/* ---- Telling ------------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static void tell(char *out, size_t size, const char *format,
                                                       ...)
{
    size_t len = strlen(out);
    va_list args;
    va_start(args, format);
    vsnprintf(out + len, size - len, format, args);
    va_end(args);
}

static void tell_change(const struct sl_sim_fold *fold, uint32_t at, char *out, size_t size)
{
    static const char *const kinds[] = {"", "insert", "update", "delete"};
    const struct sl_sim_change *change = change_at(fold, at);
    tell(out, size, "    log of device %d, seq %" PRIu64 ": %s, clock %" PRIu64 ".%u",
         change->device, change->seq, kinds[change->kind], change->hlc >> 16,
         (unsigned)(change->hlc & 0xffff));
    if (change->rev != 0) {
        tell(out, size, ", rev %u", change->rev);
    }
    for (uint32_t i = 0; i < change->births_len; i++) {
        uint32_t birth = fold->log.births[change->births_at + i];
        if (birth != SL_SIM_NONE) {
            tell(out, size, ", of the birth %" PRIu64 " of device %d", change_at(fold, birth)->seq,
                 change_at(fold, birth)->device);
        }
    }
    tell(out, size, "%s\n", change->kind == SYNCLINE_INSERT && fold->is_dead[at] ? ", dead" : "");
}

void sl_sim_fold_tell(const struct sl_sim_fold *fold, uint32_t record, char *out, size_t size)
{
    static const char *const outcomes[] = {"open", "committed", "rolled back", "lost by its disk"};
    static const char *const kinds[] = {"", "insert", "update", "delete"};
    const struct sl_sim_ledger *ledger = fold->ledger;
    tell(out, size, "  record %08x:\n", record);
    for (uint32_t t = 0; t < ledger->txs_len; t++) {
        const struct sl_sim_tx *tx = &ledger->txs[t];
        for (size_t i = 0; i < tx->ops_len; i++) {
            uint32_t rev = tx->ops[i].rev != 0 ? tx->ops[i].rev : tx->ops[i].seen;
            if (ledger->versions[rev - 1].record == record) {
                tell(out, size, "    device %d, transaction %u (%s): %s rev %u, seen %u\n",
                     tx->device, t + 1, outcomes[tx->outcome], kinds[tx->ops[i].kind],
                     tx->ops[i].rev, tx->ops[i].seen);
            }
        }
    }
    for (uint32_t at = 0; at < fold->log.changes_len; at++) {
        if (change_at(fold, at)->record == record) {
            tell_change(fold, at, out, size);
        }
    }
}
