/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A record that comes as JSON (stages/json_record.h), and is captured.
 *
 * Happy path: the JSON is an object that names the record by its UUID; its members are fields of
 * the model and have their types; the record is in the table, as the connection given sees it, and
 * holds what the JSON says of it. Then the record is captured as if by id and UUID alone: the row
 * is the truth, and intake reads it. Members that are missing are taken from the row.
 *
 * - A member that is no field, or not of its type: EINVAL, with its name.
 * - The row holds something else: EREFUSED, with the name of the first such field.
 * - A delete's row may be gone: then the JSON names its local id, too. What else it says is checked
 *   for its type, and not used. */

#ifndef SL_COMMIT_RECORD_H
#define SL_COMMIT_RECORD_H

#include "stages/capture.h"

/* A record as the calls behind this name it. */
struct sl_commit {
    const struct syncline_model *model; /* as described by the application */
    enum syncline_ownership class;      /* that the call is for */
    enum syncline_change change;
    const char *json; /* UTF-8 */
    size_t len;       /* bytes there */
};

/* The call behind syncline_commit_device_owned and syncline_commit_shared. Any thread that db
 * belongs to. Errors as there. */
enum syncline_status sl_commit_record(struct sl_capture *capture, const struct sl_commit *commit,
                                      struct sqlite3 *db, struct sl_error *err);

#endif
