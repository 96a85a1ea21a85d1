/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_tree.h"

#include <sqlite3.h>
#include <string.h>

struct members {
    struct sl_sim_found rows[SL_SIM_TREE_MAX]; /* the root first, then by distance from it */
    size_t len;
    bool is_closed; /* all of them are there, and may go */
};

static const struct sl_sim_model *model_of(const struct sl_sim_workload *work,
                                           const struct sl_sim_found *row)
{
    return &work->world->schema.models[work->ledger.records[row->record].model];
}

static bool is_member(const struct members *members, uint32_t record)
{
    for (size_t i = 0; i < members->len; i++) {
        if (members->rows[i].record == record) {
            return true;
        }
    }
    return false;
}

/* Adds what points at `parent` by one key. */
static void add_children(struct sl_sim_workload *work, struct sl_sim_session *session,
                         const struct sl_sim_model *model, const struct sl_sim_column *key,
                         const struct sl_sim_found *parent, struct members *members)
{
    char *sql =
        sqlite3_mprintf("SELECT id,uuid,rev FROM \"%w\" WHERE \"%w\"=?1", model->table, key->name);
    sqlite3_stmt *stmt = sl_sim_prepare(session->db, sql);
    sqlite3_free(sql);
    if (key->type == SYNCLINE_TYPE_UUID_KEY) {
        sqlite3_bind_blob(stmt, 1, &work->ledger.records[parent->record].uuid,
                          sizeof(struct syncline_uuid), SQLITE_STATIC);
    } else {
        sqlite3_bind_int64(stmt, 1, parent->id);
    }
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const struct sl_sim_record *record =
            sl_sim_record_find(&work->ledger, sqlite3_column_blob(stmt, 1));
        if (record == NULL) {
            members->is_closed = false;
            break;
        }
        struct sl_sim_found row = {.id = sqlite3_column_int64(stmt, 0),
                                   .record = sl_sim_record_number(&work->ledger, record),
                                   .rev = (uint32_t)sqlite3_column_int64(stmt, 2)};
        if (is_member(members, row.record)) {
            continue;
        }
        bool may_go = model->shared || record->owner == session->device->index;
        if (!may_go || members->len == SL_SIM_TREE_MAX) {
            members->is_closed = false;
            break;
        }
        members->rows[members->len++] = row;
    }
    sqlite3_finalize(stmt);
}

static void find_members(struct sl_sim_workload *work, struct sl_sim_session *session,
                         const struct sl_sim_found *root, struct members *members)
{
    const struct sl_sim_schema *schema = &work->world->schema;
    members->rows[0] = *root;
    members->len = 1;
    members->is_closed = true;
    for (size_t at = 0; at < members->len && members->is_closed; at++) {
        struct sl_sim_found parent = members->rows[at];
        for (uint32_t m = 0; m < schema->models_len; m++) {
            for (uint32_t c = 0; c < schema->models[m].columns_len; c++) {
                const struct sl_sim_column *column = &schema->models[m].columns[c];
                if (column->parent == work->ledger.records[parent.record].model) {
                    add_children(work, session, &schema->models[m], column, &parent, members);
                }
            }
        }
    }
}

/* From the last to the root. */
static bool delete_rows(struct sl_sim_workload *work, struct sl_sim_session *session,
                        const struct members *members)
{
    for (size_t i = members->len; i-- > 0;) {
        const struct sl_sim_model *model = model_of(work, &members->rows[i]);
        sqlite3_stmt *stmt = sl_sim_session_statement(
            session, &session->statements[model->index].delete, model->delete_sql);
        sqlite3_bind_int64(stmt, 1, members->rows[i].id);
        int rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        if (rc != SQLITE_DONE) {
            return false;
        }
    }
    return true;
}

/* Of the tree's batches the last one of this model, or a new one. */
static struct sl_sim_batch *batch_of(struct sl_sim_tree *tree, const struct sl_sim_model *model)
{
    for (size_t i = 0; i < tree->batches_len; i++) {
        if (tree->batches[i].model == model) {
            return &tree->batches[i];
        }
    }
    struct sl_sim_batch *batch = &tree->batches[tree->batches_len++];
    sl_sim_batch_init(batch, model, SL_SIM_TREE_MAX);
    return batch;
}

static void add(struct sl_sim_workload *work, struct sl_sim_tree *tree,
                const struct sl_sim_model *model, const struct sl_sim_found *row, bool is_root)
{
    struct sl_sim_op op = {.kind = SL_SIM_OP_DELETE, .seen = row->rev};
    if (!model->shared && !is_root) {
        tree->silent[tree->silent_len++] = op;
        return;
    }
    struct sl_sim_batch *batch =
        is_root ? &tree->batches[tree->batches_len++] : batch_of(tree, model);
    if (is_root) {
        sl_sim_batch_init(batch, model, 1);
    }
    uint8_t *out = sl_sim_batch_row(batch, batch->len);
    memset(out, 0xaa, model->row_size); /* only id and uuid count */
    memcpy(out + model->id_offset, &row->id, sizeof(row->id));
    memcpy(out + model->uuid_offset, &work->ledger.records[row->record].uuid,
           sizeof(struct syncline_uuid));
    batch->ops[batch->len++] = op;
}

bool sl_sim_tree_delete(struct sl_sim_tree *tree, struct sl_sim_workload *work,
                        struct sl_sim_session *session, const struct sl_sim_model *model,
                        const struct sl_sim_found *root)
{
    struct members members;
    memset(tree, 0, sizeof(*tree));
    if (!model->shared && work->ledger.records[root->record].owner != session->device->index) {
        return false;
    }
    find_members(work, session, root, &members);
    if (!members.is_closed || !sl_sim_exec(session->device, session->db, "SAVEPOINT tree")) {
        return false;
    }
    bool ok = delete_rows(work, session, &members);
    if (!ok) {
        (void)sl_sim_exec(session->device, session->db, "ROLLBACK TO tree");
    }
    if (!sl_sim_exec(session->device, session->db, "RELEASE tree") || !ok) {
        return false;
    }
    for (size_t i = members.len; i-- > 0;) {
        sl_sim_ledger_begin_delete(&work->ledger, session->device->index, members.rows[i].rev);
        add(work, tree, model_of(work, &members.rows[i]), &members.rows[i], i == 0);
        work->counts.deletes++;
    }
    work->counts.trees += members.len > 1 ? 1 : 0;
    return true;
}

void sl_sim_tree_fini(struct sl_sim_tree *tree)
{
    for (size_t i = 0; i < tree->batches_len; i++) {
        sl_sim_batch_fini(&tree->batches[i]);
    }
}
