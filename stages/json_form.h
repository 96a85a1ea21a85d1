/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Values and records as JSON, for people and tools: events, and records that come as JSON. Never on
 * the way of a change into the log or out of it.
 *
 *     NULL            null
 *     integers, times a number without fraction
 *     doubles         a number; "Infinity" and "-Infinity", which JSON has no numbers for
 *     booleans        true and false
 *     text, blobs     a string if the bytes are UTF-8, else {"base64": "..."}
 *     keys            the UUID of the record they point at, a string, under the name that travels:
 *                     `x_uuid` for a column `x_id`
 *     a record        an object: its UUID under the name of that column, and its fields
 *
 * jansson allocates by itself. A NULL from these says: no memory. */

#ifndef SL_JSON_FORM_H
#define SL_JSON_FORM_H

#include <jansson.h>

#include "base/group.h"

/* A name or a text of ours: what is no UTF-8 in it, or is cut off in the middle of a character,
 * becomes a question mark. */
json_t *sl_json_of_text(const char *text);
json_t *sl_json_of_uuid(const struct syncline_uuid *uuid);
/* "2026-01-17T09:30:00.123Z"; for years of five digits, too. */
json_t *sl_json_of_time(int64_t ms);
/* The scratch is for the length of the call. */
json_t *sl_json_of_value(const struct sl_value *value, struct sl_arena *scratch);
/* The i-th record of a decoded group; null for a delete, which has none. `uuid_name`: the column.
 */
json_t *sl_json_of_record(const struct sl_group *group, uint32_t i, const char *uuid_name,
                          struct sl_arena *scratch);
/* Puts `value` under `name`, which is UTF-8, and takes it over. false: there is no memory, or was
 * none before, as a NULL value or object says. */
bool sl_json_put(json_t *object, const char *name, json_t *value);
/* Appends the text, and a NUL that does not count. false: no memory. */
bool sl_json_write(const json_t *json, struct sl_buf *out);

#endif
