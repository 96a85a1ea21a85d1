/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What became of a change that was to be written into the tables. */

#ifndef SL_OUTCOME_H
#define SL_OUTCOME_H

enum sl_outcome {
    SL_OUTCOME_WRITTEN, /* or superseded, or it waits: it is dealt with */
    SL_OUTCOME_NOT_YET, /* it was in the waiting room already, and a parent is still not here */
    SL_OUTCOME_CANNOT,  /* its table, or the rules, refuse it */
};

#endif
