/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/models.h"

static const struct syncline_field device_fields[] = {
    SYNCLINE_ID(struct device_row, id),
    SYNCLINE_UUID(struct device_row, uuid),
    SYNCLINE_TEXT(struct device_row, name),
    SYNCLINE_TIME(struct device_row, created_at),
};

static const struct syncline_field location_fields[] = {
    SYNCLINE_ID(struct location_row, id),
    SYNCLINE_UUID(struct location_row, uuid),
    SYNCLINE_KEY(struct location_row, device_id, "device"),
    SYNCLINE_KEY(struct location_row, entry_id, "entry"),
    SYNCLINE_BLOB(struct location_row, path),
    SYNCLINE_TEXT(struct location_row, name),
};

static const struct syncline_field entry_fields[] = {
    SYNCLINE_ID(struct entry_row, id),
    SYNCLINE_UUID(struct entry_row, uuid),
    SYNCLINE_KEY(struct entry_row, parent_id, "entry"),
    SYNCLINE_BLOB(struct entry_row, name),
    SYNCLINE_INT64(struct entry_row, kind),
    SYNCLINE_INT64(struct entry_row, size),
    SYNCLINE_BLOB(struct entry_row, link_target),
    SYNCLINE_TIME(struct entry_row, created_at),
    SYNCLINE_TIME(struct entry_row, modified_at),
};

static const struct syncline_field tag_fields[] = {
    SYNCLINE_ID(struct tag_row, id),
    SYNCLINE_UUID(struct tag_row, uuid),
    SYNCLINE_TEXT(struct tag_row, name),
    SYNCLINE_TEXT(struct tag_row, color),
};

const struct syncline_model indexer_device_model =
    SYNCLINE_MODEL("device", "devices", SYNCLINE_DEVICE_OWNED, struct device_row, device_fields);
const struct syncline_model indexer_location_model = SYNCLINE_MODEL(
    "location", "locations", SYNCLINE_DEVICE_OWNED, struct location_row, location_fields);
const struct syncline_model indexer_entry_model =
    SYNCLINE_MODEL("entry", "entries", SYNCLINE_DEVICE_OWNED, struct entry_row, entry_fields);
const struct syncline_model indexer_tag_model =
    SYNCLINE_MODEL("tag", "tags", SYNCLINE_SHARED, struct tag_row, tag_fields);

const struct syncline_model *const indexer_models[INDEXER_MODELS_COUNT] = {
    &indexer_device_model,
    &indexer_entry_model,
    &indexer_location_model,
    &indexer_tag_model,
};
