/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Tables and models drawn from a seed: what the macros of the public header make at compile time is
 * made here at run time, with offsets computed as a compiler would. */

#ifndef SL_SIM_SCHEMA_H
#define SL_SIM_SCHEMA_H

#include "include/syncline.h"
#include "tests/sim/sim_random.h"

#define SL_SIM_MODELS_MAX 4u
#define SL_SIM_COLUMNS_MAX 12u
#define SL_SIM_NO_MODEL UINT32_MAX

/* A column that syncs, besides id and uuid. Column 0 of every table is `rev`, an integer that no
 * two versions of anything share: it tells which version a row is. */
struct sl_sim_column {
    char name[16];
    enum syncline_type type;
    enum syncline_form form;
    bool nullable;   /* values may be NULL */
    uint32_t parent; /* of keys: index of the model; else SL_SIM_NO_MODEL */
    uint32_t offset; /* in the row struct */
};

struct sl_sim_model {
    uint32_t index;
    char name[24];
    char table[16];
    bool shared;
    bool has_local; /* has a column `local_note` that does not sync, default 7 */
    bool has_keys;
    uint32_t columns_len;
    struct sl_sim_column columns[SL_SIM_COLUMNS_MAX];
    uint32_t id_offset;
    uint32_t uuid_offset;
    uint32_t row_size;
    struct syncline_field fields[SL_SIM_COLUMNS_MAX + 2]; /* in an order of their own */
    struct syncline_model described;                      /* what the engine is given */
    char *create_sql;                                     /* CREATE TABLE */
    char *
        insert_sql; /* ?1 id or NULL, ?2 uuid, ?3... the columns, then local_note if there is one */
    char *update_sql; /* ?1 id, ?2 unused, ?3... the columns */
    char *delete_sql; /* ?1 id */
    char *count_sql;  /* how many rows, and the highest id */
    char *page_sql;   /* id, uuid, rev of ?1 rows from the ?2nd on, by id */
    char *find_sql;   /* id of uuid ?1 */
};

struct sl_sim_schema {
    struct sl_sim_model models[SL_SIM_MODELS_MAX];
    const struct syncline_model *list[SL_SIM_MODELS_MAX];
    uint32_t models_len;
};

/* Draws tables, columns and keys. The struct must not be moved afterwards. */
void sl_sim_schema_init(struct sl_sim_schema *schema, struct sl_sim_random *random);
void sl_sim_schema_fini(struct sl_sim_schema *schema);

/* What syncs of a table, keys as UUIDs of their parents, as one SELECT on the attached database
 * `database`; with `typed` each column is followed by its typeof. Free the text. */
char *sl_sim_synced_sql(const struct sl_sim_schema *schema, const struct sl_sim_model *model,
                        const char *database, bool typed);

#endif
