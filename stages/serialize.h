/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* serialize: the live changes of a batch as groups of columns (base/group.h), all but their clock
 * values, which hlc_stamp gives when the log takes them. A new group begins where the kind of
 * change does. No input makes it fail but a lack of memory, and then it tries again. */

#ifndef SL_SERIALIZE_H
#define SL_SERIALIZE_H

#include "stages/shared.h"

struct sl_serialize {
    struct sl_core *core;
    struct sl_batch *batch;  /* taken and not finished; kept over a failure */
    struct sl_arena scratch; /* reused for every column */
};

void sl_serialize_init(struct sl_serialize *serialize, struct sl_core *core);
void sl_serialize_fini(struct sl_serialize *serialize);
bool sl_serialize_run(void *stage);

#endif
