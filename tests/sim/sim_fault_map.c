/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The UUID map is a cache in real files. Between two opens it may vanish, be damaged, or have
 * something else in its place: nothing may come of that. What is done to it is drawn from a stream
 * of its own, so that a run without maps is the same. */

#include "tests/sim/sim_fault.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_FILE "data.mdb"
#define STREAM_MAP 200 /* + device; streams of the seed that nothing else has */

static void write_garbage(const char *path, struct sl_sim_random *random)
{
    uint8_t bytes[4096];
    FILE *file = fopen(path, "r+b");
    if (file == NULL) {
        return; /* there is none yet */
    }
    sl_sim_random_fill(random, bytes, sizeof(bytes));
    long at = (long)sl_sim_random_below(random, 65536);
    bool ok = fseek(file, at, SEEK_SET) == 0 && fwrite(bytes, 1, sizeof(bytes), file) > 0;
    if (fclose(file) != 0 || !ok) {
        fprintf(stderr, "sl-sim: %s: %s\n", path, strerror(errno));
    }
}

void sl_sim_fault_map_damage(const struct sl_sim_device *device)
{
    char path[sizeof(device->uuid_map) + sizeof(DATA_FILE) + 1];
    struct sl_sim_random random;
    sl_sim_random_init(&random, device->world->seed ^ (device->opens << 32),
                       STREAM_MAP + (uint64_t)device->index);
    snprintf(path, sizeof(path), "%s/%s", device->uuid_map, DATA_FILE);
    switch (sl_sim_random_below(&random, 6)) {
    case 0:
        (void)unlink(path);
        break;
    case 1:
        write_garbage(path, &random);
        break;
    case 2:
        (void)truncate(path, (off_t)sl_sim_random_below(&random, 65536));
        break;
    case 3: /* no file at all */
        (void)unlink(path);
        (void)mkdir(path, 0700);
        break;
    default:
        break;
    }
}
