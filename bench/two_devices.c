/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/two_devices.h"

#include "bench/clock.h"

#define IDLE_US 100000 /* after the handshake, for both engines to come to rest */

enum syncline_status bench_two_open(struct bench_two *two, struct bench_run *run,
                                    struct indexer_error *err)
{
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_folder_next(&run->folder, two->b_dir, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_device_serve(&two->a, &run->folder, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_receiver_start(&two->b, two->b_dir, two->a.listen, err);
    if (status != SYNCLINE_OK) {
        bench_device_close(&two->a);
        return status;
    }
    bench_nap_us(IDLE_US);
    return SYNCLINE_OK;
}

void bench_two_close(struct bench_two *two)
{
    bench_receiver_stop(&two->b);
    bench_device_close(&two->a);
}
