/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One simulated world: devices with their clocks, randomness, disk, network and engine, all from
 * one seed. Nothing in it asks the real world for anything. One thread, one world at a time
 * (SQLite's default VFS is the world's disk while it exists). */

#ifndef SL_SIM_WORLD_H
#define SL_SIM_WORLD_H

#include "net/transport.h"
#include "pipeline/library.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_random.h"
#include "tests/sim/sim_schema.h"
#include "tests/sim/sim_trace.h"
#include "tests/sim/sim_vfs.h"

#define SL_SIM_DEVICES_MAX 8u
#define SL_SIM_SCAN_MS 60000u /* least between two looks at the tables for what nobody captured */

/* What a run can find. */
enum sl_sim_failure {
    SL_SIM_DIVERGED = 1,  /* devices differ from each other */
    SL_SIM_LOST = 2,      /* a device differs from what was committed */
    SL_SIM_STUCK = 4,     /* it does not come to rest, or rests before all is applied */
    SL_SIM_INVARIANT = 8, /* anything else that must always hold */
};

/* What a device's disk holds. */
enum sl_sim_file { SL_SIM_LIBRARY_DB, SL_SIM_SYNC_DB, SL_SIM_FILES };

struct sl_sim_world;

struct sl_sim_device {
    struct sl_sim_world *world;
    int index;
    struct sl_sim_random random; /* what the engine draws */
    struct sl_env env;           /* the engine's world; ctx is this device */
    int64_t wall_offset_ms;      /* of its wall clock from the world's */
    int64_t wall_drift_ppm;      /* how much faster than the world's it goes, */
    uint64_t wall_drift_from_ns; /* since then */
    uint64_t wall_frozen_ms;     /* it stands still there; 0: it goes */
    uint64_t mono_offset_ns;     /* of its monotonic clock */
    char directory[16];          /* "/d0/" */
    char library_db[32];
    char sync_db[32];
    char uuid_map[256]; /* folder of its UUID map; not on its simulated disk */
    char address[32];
    const char *peers[SL_SIM_DEVICES_MAX]; /* those it dials */
    size_t peers_len;
    unsigned neighbours;       /* devices that it has a link with, whoever dials */
    unsigned linked_to;        /* which, as bits */
    uint32_t batch_len;        /* of its engine's config */
    uint32_t settle_along_len; /* likewise */
    uint32_t scan_len;         /* older rows in a slice of the scan; 0: the default */
    struct sl_identity identity;
    struct sl_transport *transport;      /* while the engine is open */
    struct sl_library *engine;           /* NULL: not running */
    struct sl_library *capture;          /* a second handle, in the capture role; NULL: not open */
    struct sqlite3 *looks[SL_SIM_FILES]; /* sl_sim_look's, while the engine is open */
    bool syncs_commits;                  /* its applications commit with synchronous=FULL */

    /* What the faults do to it (sim_fault.h). They meet it only while it is exposed: inside calls
     * of the product, and in the applications' COMMIT. */
    bool is_exposed;
    uint64_t hits;                   /* errors that it was given, deaths included; */
    uint64_t hits_full;              /* of them: no space, */
    uint64_t hits_error;             /* EIO, */
    uint64_t hits_memory;            /* no memory */
    uint64_t opens;                  /* times that its engine was opened */
    uint64_t deaths;                 /* times that its processes died */
    uint64_t hits_at_open;           /* of them, when its engine was opened */
    enum sl_sim_disk_fate disk_fate; /* of the next operations on its disk */
    bool disk_syncs_only;            /* of its syncs alone */
    uint32_t disk_left;              /* how many */
    uint32_t disk_per_million;       /* operations that begin a series of such; 0: none */
    uint32_t memory_left;            /* allocations that fail, from the next on */
    uint32_t memory_per_million;     /* allocations that begin a series of such */
    uint32_t crash_after;            /* writes until it dies in the middle of one; 0: it does not */
    bool crash_is_power;             /* with its disk's unsynced content */
    bool has_died;                   /* its processes have; they are still to be closed */
    struct sl_allocator alloc;       /* counts and fails */
    uint64_t allocated;              /* bytes that the product holds of it */
    uint64_t allocated_max;          /* most that it held */
};

struct sl_sim_world {
    uint64_t seed;
    uint64_t now_ns;        /* since the world began */
    uint64_t clock_cost_ns; /* reading a monotonic clock takes up to this */
    uint64_t scan_ms; /* between two looks at the tables: more where one takes longer for that,
                         as the devices must be at rest together at times */
    struct sl_sim_trace trace;
    struct sl_sim_random schedule; /* what is stepped next */
    struct sl_sim_random workload; /* what the applications do */
    struct sl_sim_random clocks;   /* how time passes */
    struct sl_sim_random faults;   /* what breaks */
    uint64_t wall_max_ms;          /* latest that any device's wall clock ever said */
    struct sl_sim_disk *disk;
    struct sl_sim_net *net;
    struct sl_sim_schema schema;
    bool may_wait;               /* changes may wait, though everything has come */
    struct sl_settings settings; /* of all devices */
    struct sl_sim_device devices[SL_SIM_DEVICES_MAX];
    unsigned devices_len;
    struct syncline_uuid library_id;
    unsigned out;          /* devices that were revoked, as bits */
    bool relayed_acks;     /* devices without a link learn what each other has */
    const char *uuid_maps; /* directory for UUID maps, on the real disk; NULL: there are none */
    unsigned failures;     /* bits of enum sl_sim_failure */
    char text[600];        /* the first failure, one line */
    uint32_t blamed;       /* record number + 1 that it is about; 0: no certain one */
    char about[2000];      /* what happened to that, a line each */
};

/* Makes the world of `seed`; with relays not every two devices have a link. `trace_out` gets a line
 * per event, or is NULL. Nothing is opened yet.
 */
void sl_sim_world_init(struct sl_sim_world *world, uint64_t seed, unsigned devices, bool has_relays,
                       FILE *trace_out);
/* Logs give up what every member holds. There are no snapshots: so nobody is away for so long that
 * it is not waited for, though clocks may jump by years, and each is a member on all devices from
 * the beginning. After the devices were created, before anything is opened. */
bool sl_sim_world_prunes(struct sl_sim_world *world);
/* Closes every handle of every device. */
void sl_sim_world_close(struct sl_sim_world *world);
/* Frees a closed world; with files still open its disk is left to leak, as they point into it. */
void sl_sim_world_fini(struct sl_sim_world *world);

/* Notes a failure; the first one's text is kept. */
void sl_sim_fail(struct sl_sim_world *world, enum sl_sim_failure failure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says which record the first failure is about. */
void sl_sim_blame(struct sl_sim_world *world, uint32_t record);

void sl_sim_advance(struct sl_sim_world *world, uint64_t ns);

/* Lets faults meet the device until it is covered again. Returns its hits so far: a call that
 * failed may have done so if they are more now, or if the device has died. */
uint64_t sl_sim_expose(struct sl_sim_device *device);
void sl_sim_cover(struct sl_sim_device *device);
bool sl_sim_may_fail(const struct sl_sim_device *device, uint64_t hits,
                     enum syncline_status status);
/* Kills its processes, or cuts its power: every handle does nothing but fail from now on. They are
 * still to be closed. */
void sl_sim_device_die(struct sl_sim_device *device, bool is_power);
/* Is the engine as it should be? False: it was hit and has stopped, and is to be opened again. One
 * that stopped by itself is a failure. */
bool sl_sim_engine_is_well(struct sl_sim_device *device);

/* Makes the files of a device, with the tables of the schema. False: a failure was noted. */
bool sl_sim_device_create(struct sl_sim_device *device);
/* Starts and stops the engine (false: a failure was noted, or it was hit), and opens and closes the
 * handle in the capture role. */
bool sl_sim_engine_open(struct sl_sim_device *device);
void sl_sim_engine_close(struct sl_sim_device *device);
bool sl_sim_capture_open(struct sl_sim_device *device);
void sl_sim_capture_close(struct sl_sim_device *device);
/* One slice of one stage, or a poll, of an open engine; true if it did something. An engine that
 * stopped without being hit is a failure. */
bool sl_sim_step(struct sl_sim_device *device, size_t stage);
bool sl_sim_poll(struct sl_sim_device *device);
/* The engine's own account. False: a failure was noted. */
bool sl_sim_info(struct sl_sim_device *device, struct syncline_info *info);

/* An application's connection to the device's library.db; ends the program when it cannot be had.
 */
struct sqlite3 *sl_sim_db_open(struct sl_sim_device *device);
/* A connection of the judges', to be given back by sl_sim_look_end. One is kept while the engine
 * runs: to parse a schema takes longer than to look. It is closed before the engine's, so that the
 * last one to be closed is the product's. NULL: a failure was noted. */
struct sqlite3 *sl_sim_look(struct sl_sim_device *device, enum sl_sim_file file);
void sl_sim_look_end(struct sl_sim_device *device, enum sl_sim_file file, struct sqlite3 *db);
/* Runs statements without results. False: a failure was noted. */
bool sl_sim_exec(struct sl_sim_device *device, struct sqlite3 *db, const char *sql);
/* Prepares a statement; ends the program when the SQL is wrong. */
struct sqlite3_stmt *sl_sim_prepare(struct sqlite3 *db, const char *sql);

/* malloc and realloc that end the program when there is no memory: there is no run to save. */
void *sl_sim_alloc(size_t size);
void *sl_sim_realloc(void *memory, size_t size);

#endif
