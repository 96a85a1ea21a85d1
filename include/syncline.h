/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Syncline keeps the SQLite library of an application equal on all of a person's devices.
 *
 * An application inserts its rows as it always did and makes one call for them, in the same
 * transaction. Everything else - serializing, ordering, logging, sending, applying on the other
 * devices - happens on the engine's own thread, inside the application's process.
 *
 *     static const struct syncline_field tag_fields[] = {
 *         SYNCLINE_ID(struct tag, id),
 *         SYNCLINE_UUID(struct tag, uuid),
 *         SYNCLINE_TEXT(struct tag, name),
 *     };
 *     static const struct syncline_model tag_model =
 *         SYNCLINE_MODEL("tag", "tags", SYNCLINE_SHARED, struct tag, tag_fields);
 *
 * Conventions. Every call that can fail returns a status, 0 is success; on failure nothing is
 * written through a result pointer. Times are milliseconds since 1970 UTC, durations are
 * milliseconds. Pointers given to a call are borrowed for the call only, unless it says otherwise.
 * A library handle may be used by any number of threads at once; a `sqlite3 *` given to a call must
 * belong to the calling thread for that time, as SQLite itself demands. No call may be made from a
 * forked child: it gets SYNCLINE_EFORK.
 *
 * Structs grow at their ends, from one version to the next; start each from its _INIT, which says
 * how large it is where the application was compiled. A library takes the structs of older headers,
 * and those of newer ones as long as what it does not know is zero in them (else EINVAL, for a
 * model EMODEL); what it fills of a struct never goes beyond the caller's size.
 *
 * Rules for the application's database. It is `library.db` in the library's directory, in WAL mode;
 * use the system's SQLite (the copy this library links), one per process. Take the write lock up
 * front (BEGIN IMMEDIATE) in transactions that read before they write, and set a busy timeout: the
 * engine writes there too, for some milliseconds at a time. `synchronous` may be FULL or NORMAL;
 * with OFF a power cut may damage it. Commits that are lost to one come back from the log when the
 * library is opened, if they were in it. A capture changes sqlite3_changes() of the connection;
 * last_insert_rowid is kept. */

#ifndef SYNCLINE_H
#define SYNCLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SYNCLINE_VERSION "0.1.0"

#if defined(__GNUC__)
#define SYNCLINE_API __attribute__((visibility("default")))
#define SYNCLINE_MUST_USE __attribute__((warn_unused_result))
#else
#define SYNCLINE_API
#define SYNCLINE_MUST_USE
#endif

struct sqlite3; /* the application's connection, from sqlite3.h */

/* ---- Status ------------------------------------------------------------------------------- */

/* name, value, what the caller should make of it. Values never change. */
#define SYNCLINE_STATUS_MAP(X)                                                                     \
    X(OK, 0, "success")                                                                            \
    X(AGAIN, 1, "not now; the same call may succeed later")                                        \
    X(TIMEOUT, 2, "the time given ran out before the work was done")                               \
    X(EINVAL, 3, "an argument is not what the call takes")                                         \
    X(EMODEL, 4, "a model contradicts itself or the table in the database")                        \
    X(ENOMEM, 5, "out of memory; nothing was changed")                                             \
    X(EIO, 6, "a file could not be read or written")                                               \
    X(ENOSPC, 7, "the disk is full; work resumes when there is space")                             \
    X(ENOTFOUND, 8, "there is no such thing")                                                      \
    X(EEXIST, 9, "it is there already")                                                            \
    X(EBUSY, 10, "somebody else holds it")                                                         \
    X(EDB, 11, "SQLite refused; the text says why")                                                \
    X(EFORMAT, 12, "a file is not a Syncline file, or was made by a newer version")                \
    X(ECORRUPT, 13, "data is damaged; the handle does nothing more")                               \
    X(EPROTO, 14, "the peer sent something that the protocol does not allow")                      \
    X(EREFUSED, 15, "the peer or the library refused; the text says why")                          \
    X(ENET, 16, "the network could not be used")                                                   \
    X(ETOOBIG, 17, "a record or a name is larger than its limit")                                  \
    X(EUNSUPPORTED, 18, "this version does not do that, and does nothing instead of half of it")   \
    X(ERESTORED, 19, "the database is older than the log beside it, as after a restore")           \
    X(EFORK, 20, "the handle was opened by another process; open your own")                        \
    X(ECLOSED, 21, "the handle is closing")                                                        \
    X(EROLLEDBACK, 22, "the transaction was rolled back, and its changes with it")                 \
    X(ECLONED, 23, "the library is a copy, and its original is there, too")                        \
    X(EPRUNED, 24, "the log does not go back that far any more; a snapshot is needed")

enum syncline_status {
#define X(name, value, text) SYNCLINE_##name = value,
    SYNCLINE_STATUS_MAP(X)
#undef X
};

/* The name ("SYNCLINE_EBUSY") and the general text of a status. Never NULL; live for ever. Any
 * thread; never blocks. */
SYNCLINE_API const char *syncline_status_name(enum syncline_status status);
SYNCLINE_API const char *syncline_status_text(enum syncline_status status);

/* SYNCLINE_VERSION of the library that is linked. Never NULL; lives for ever. Any thread; never
 * blocks. */
SYNCLINE_API const char *syncline_version(void);

/* ---- Values ------------------------------------------------------------------------------- */

struct syncline_uuid {
    uint8_t bytes[16]; /* network order, as RFC 9562 prints it */
};

/* Bytes with a length. data == NULL is SQL NULL (an empty value has a pointer and length 0). */
struct syncline_bytes {
    const void *data;
    size_t len;
};

/* Text with a length, UTF-8, which may hold NUL bytes. data == NULL is SQL NULL. */
struct syncline_text {
    const char *data;
    size_t len;
};

/* Values that may be SQL NULL; all bytes zero is NULL. */
struct syncline_opt_int64 {
    int64_t value;
    bool is_set;
};
struct syncline_opt_double {
    double value;
    bool is_set;
};
struct syncline_opt_bool {
    bool value;
    bool is_set;
};
struct syncline_opt_uuid {
    struct syncline_uuid value;
    bool is_set;
};

/* Fills out[0..n) with version 7 UUIDs: this millisecond, a random start, counting up by one, so
 * that they sort in order and compress to almost nothing. Any thread; never blocks.
 * Errors: EINVAL (n is 0 or out is NULL), EIO (the system gave no randomness). */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_uuid_new(struct syncline_uuid *out,
                                                                      size_t n);

/* The version 5 UUID of a name within a space: the same for the same two, everywhere and always.
 * For records that every device makes by itself and that must be one, like built-in tags. `name`
 * are `len` bytes, of any kind. Any thread; never blocks. Errors: EINVAL (a pointer is NULL; `name`
 * may be, if len is 0). */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_uuid_v5(const struct syncline_uuid *space, const void *name, size_t len,
                 struct syncline_uuid *out);

#define SYNCLINE_UUID_TEXT_SIZE 37 /* bytes of the text of a UUID, with its NUL */

/* Writes "8-4-4-4-12" in lower case hex digits and a NUL. Sorts as the bytes do. Any thread; never
 * blocks. Neither may be NULL. */
SYNCLINE_API void syncline_uuid_text(const struct syncline_uuid *uuid,
                                     char text[SYNCLINE_UUID_TEXT_SIZE]);
/* Reads such a text, in either case, that a NUL ends. Errors: EINVAL (it is none, or a pointer is
 * NULL). Any thread; never blocks. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_uuid_parse(const char *text,
                                                                        struct syncline_uuid *out);

/* When a change was made, by the hybrid logical clock of the device that made it. No two changes
 * have the same; of two changes of a shared record the later one wins. */
struct syncline_hlc {
    uint64_t time;               /* compared first: ms since 1970 UTC << 16 | a counter */
    struct syncline_uuid device; /* compared next */
    uint64_t epoch; /* compared last: of the device; it gets another one when it is restored */
};

#define SYNCLINE_HLC_TEXT_SIZE 71 /* bytes of the text of a clock value, with its NUL */

/* < 0, 0, > 0 as a is earlier than, the same as, or later than b. Any thread; never blocks.
 * Neither may be NULL. */
SYNCLINE_API int syncline_hlc_compare(const struct syncline_hlc *a, const struct syncline_hlc *b);
/* ms since 1970 UTC of a clock value. */
static inline int64_t syncline_hlc_ms(const struct syncline_hlc *hlc)
{
    return (int64_t)(hlc->time >> 16);
}
/* Writes time, device and epoch: 16 hex digits, a UUID, 16 hex digits, with "-" between them, all
 * in lower case, and a NUL. As wide for every value, and strcmp sorts it as the call above
 * compares. Any thread; never blocks. Neither may be NULL. */
SYNCLINE_API void syncline_hlc_text(const struct syncline_hlc *hlc,
                                    char text[SYNCLINE_HLC_TEXT_SIZE]);
/* Reads such a text, in either case, that a NUL ends. Errors: EINVAL (it is none, or a pointer is
 * NULL). Any thread; never blocks. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_hlc_parse(const char *text,
                                                                       struct syncline_hlc *out);

/* ---- Models ------------------------------------------------------------------------------- */

enum syncline_type {
    SYNCLINE_TYPE_ID = 1,       /* int64_t: the INTEGER PRIMARY KEY, different on every device */
    SYNCLINE_TYPE_UUID = 2,     /* struct syncline_uuid: the record's name on all devices */
    SYNCLINE_TYPE_INT64 = 3,    /* int64_t or struct syncline_opt_int64 */
    SYNCLINE_TYPE_DOUBLE = 4,   /* double or struct syncline_opt_double */
    SYNCLINE_TYPE_BOOL = 5,     /* bool or struct syncline_opt_bool, stored as 0 and 1 */
    SYNCLINE_TYPE_TIME = 6,     /* like INT64: ms since 1970 UTC */
    SYNCLINE_TYPE_TEXT = 7,     /* const char * (NUL ends it) or struct syncline_text */
    SYNCLINE_TYPE_BLOB = 8,     /* struct syncline_bytes */
    SYNCLINE_TYPE_KEY = 9,      /* like INT64: id of a record of the model `parent` */
    SYNCLINE_TYPE_UUID_KEY = 10 /* struct syncline_uuid or syncline_opt_uuid: UUID of a record of
                                   the model `parent` */
};

enum syncline_form {                          /* how the row struct holds the value */
                     SYNCLINE_FORM_PLAIN = 0, /* the value itself, never NULL */
                     SYNCLINE_FORM_OPT = 1,   /* struct syncline_opt_* */
                     SYNCLINE_FORM_CSTR = 2,  /* const char *, NULL is SQL NULL */
                     SYNCLINE_FORM_COUNTED =
                         3 /* struct syncline_text or syncline_bytes, NULL data is SQL NULL */
};

enum syncline_ownership {
    SYNCLINE_SHARED = 0,      /* any device may change a record; changes merge */
    SYNCLINE_DEVICE_OWNED = 1 /* only the device that inserted a record changes it */
};

/* One column. Made by the macros below; a struct that grows, so never written by hand. */
struct syncline_field {
    const char *name;   /* of the column, and of the member of the row struct */
    const char *parent; /* for keys: the name of the model it points at; else NULL */
    uint32_t offset;    /* of the member in the row struct, bytes */
    uint16_t type;      /* enum syncline_type */
    uint16_t form;      /* enum syncline_form */
};

/* One syncable table. Static data of the application: it must live as long as the handle. Columns
 * of the table that no field names stay local to each device; they must be nullable or have a
 * default, and may not be foreign keys to tables that sync. syncline_open compares descriptor and
 * table, and refuses what would go wrong later: types that do not fit, a UUID column without a
 * unique index, foreign keys that are not described or described otherwise, models that point at
 * each other in a circle of keys that are all NOT NULL and immediate. Other circles are fine. */
struct syncline_model {
    uint32_t struct_size;                /* sizeof(struct syncline_model) where it was compiled */
    uint32_t field_size;                 /* sizeof(struct syncline_field) there */
    const char *name;                    /* on the wire: the same on all devices and for ever */
    const char *table;                   /* in library.db */
    const struct syncline_field *fields; /* one ID, one UUID, and the rest */
    uint32_t field_count;                /* fields */
    uint32_t row_size;                   /* bytes of the row struct */
    uint32_t ownership;                  /* enum syncline_ownership */
    uint32_t flags;                      /* 0 */
};

/* The member's C type chooses the form; a type that is not listed does not compile. */
#define SYNCLINE_FIELD_(row, member, model, kind, form_)                                           \
    {                                                                                              \
        .name = #member, .parent = (model), .offset = (uint32_t)offsetof(row, member),             \
        .type = (kind), .form = (form_)                                                            \
    }
#define SYNCLINE_MEMBER_(row, member) (((const row *)0)->member)
#define SYNCLINE_INT_FORM_(row, member)                                                            \
    _Generic(SYNCLINE_MEMBER_(row, member), int64_t                                                \
             : SYNCLINE_FORM_PLAIN, struct syncline_opt_int64                                      \
             : SYNCLINE_FORM_OPT)

#define SYNCLINE_ID(row, member)                                                                   \
    SYNCLINE_FIELD_(row, member, NULL, SYNCLINE_TYPE_ID,                                           \
                    _Generic(SYNCLINE_MEMBER_(row, member), int64_t                                \
                             : SYNCLINE_FORM_PLAIN))
#define SYNCLINE_UUID(row, member)                                                                 \
    SYNCLINE_FIELD_(row, member, NULL, SYNCLINE_TYPE_UUID,                                         \
                    _Generic(SYNCLINE_MEMBER_(row, member), struct syncline_uuid                   \
                             : SYNCLINE_FORM_PLAIN))
#define SYNCLINE_INT64(row, member)                                                                \
    SYNCLINE_FIELD_(row, member, NULL, SYNCLINE_TYPE_INT64, SYNCLINE_INT_FORM_(row, member))
#define SYNCLINE_TIME(row, member)                                                                 \
    SYNCLINE_FIELD_(row, member, NULL, SYNCLINE_TYPE_TIME, SYNCLINE_INT_FORM_(row, member))
#define SYNCLINE_DOUBLE(row, member)                                                               \
    SYNCLINE_FIELD_(row, member, NULL, SYNCLINE_TYPE_DOUBLE,                                       \
                    _Generic(SYNCLINE_MEMBER_(row, member), double                                 \
                             : SYNCLINE_FORM_PLAIN, struct syncline_opt_double                     \
                             : SYNCLINE_FORM_OPT))
#define SYNCLINE_BOOL(row, member)                                                                 \
    SYNCLINE_FIELD_(row, member, NULL, SYNCLINE_TYPE_BOOL,                                         \
                    _Generic(SYNCLINE_MEMBER_(row, member), bool                                   \
                             : SYNCLINE_FORM_PLAIN, struct syncline_opt_bool                       \
                             : SYNCLINE_FORM_OPT))
#define SYNCLINE_TEXT(row, member)                                                                 \
    SYNCLINE_FIELD_(row, member, NULL, SYNCLINE_TYPE_TEXT,                                         \
                    _Generic(SYNCLINE_MEMBER_(row, member), const char *                           \
                             : SYNCLINE_FORM_CSTR, struct syncline_text                            \
                             : SYNCLINE_FORM_COUNTED))
#define SYNCLINE_BLOB(row, member)                                                                 \
    SYNCLINE_FIELD_(row, member, NULL, SYNCLINE_TYPE_BLOB,                                         \
                    _Generic(SYNCLINE_MEMBER_(row, member), struct syncline_bytes                  \
                             : SYNCLINE_FORM_COUNTED))
/* A foreign key to the id of a record of `model` (a string: the other model's name). */
#define SYNCLINE_KEY(row, member, model)                                                           \
    SYNCLINE_FIELD_(row, member, model, SYNCLINE_TYPE_KEY, SYNCLINE_INT_FORM_(row, member))
/* The same where the column holds the other record's UUID itself. */
#define SYNCLINE_UUID_KEY(row, member, model)                                                      \
    SYNCLINE_FIELD_(row, member, model, SYNCLINE_TYPE_UUID_KEY,                                    \
                    _Generic(SYNCLINE_MEMBER_(row, member), struct syncline_uuid                   \
                             : SYNCLINE_FORM_PLAIN, struct syncline_opt_uuid                       \
                             : SYNCLINE_FORM_OPT))

#define SYNCLINE_MODEL(name_, table_, ownership_, row, fields_)                                    \
    {                                                                                              \
        .struct_size = (uint32_t)sizeof(struct syncline_model),                                    \
        .field_size = (uint32_t)sizeof(struct syncline_field), .name = (name_), .table = (table_), \
        .fields = (fields_), .field_count = (uint32_t)(sizeof(fields_) / sizeof((fields_)[0])),    \
        .row_size = (uint32_t)sizeof(row), .ownership = (ownership_), .flags = 0                   \
    }

/* ---- Opening ------------------------------------------------------------------------------ */

/* A library handle. */
struct syncline;

enum syncline_role {
    SYNCLINE_ROLE_AUTO = 0,   /* run the engine if no other process does, else capture only */
    SYNCLINE_ROLE_ENGINE = 1, /* run the engine or fail with EBUSY */
    SYNCLINE_ROLE_CAPTURE = 2 /* capture only: changes wait in the outbox for the engine */
};

/* The threads that the engine runs on. */
enum syncline_threads {
    SYNCLINE_THREADS_AUTO = 0,    /* by the number of processors: 1 fused, 2 grouped, 8 per stage */
    SYNCLINE_THREADS_FUSED = 1,   /* one thread */
    SYNCLINE_THREADS_GROUPED = 2, /* three: sender, network, applier */
    SYNCLINE_THREADS_PER_STAGE = 3 /* six: four that send, network, applier */
};

/* Where a host wants Syncline's memory to come from: one function, as realloc. It must work for any
 * thread and for several at once, give blocks aligned for any type, and not call the library. A
 * block goes back to the allocator it came from, in a forked child's syncline_close too.
 *
 * What other libraries allocate for us stays theirs: SQLite (sqlite3_config gives it an allocator),
 * OpenSSL, libuv, LMDB, zstd, jansson (JSON alone) and the C library with its threads. */
struct syncline_allocator {
    /* block NULL: `size` new bytes. size 0: frees the block, and returns NULL. Else the block with
     * room for `size` bytes, moved or not, holding what it held as far as there is room. Nothing
     * need be zeroed. NULL: there is no memory, and the block is as it was; the call that needed it
     * ends with ENOMEM, and the engine tries again later. */
    void *(*resize)(void *ctx, void *block, size_t size);
    void *ctx; /* its first argument */
};

/* ---- The log: the library itself never prints ---- */

enum syncline_log_level {
    SYNCLINE_LOG_DEFAULT = 0, /* as the settings say; by default up to WARNING */
    SYNCLINE_LOG_ERROR = 1,   /* the engine stops, or goes on without something that it needs */
    SYNCLINE_LOG_WARNING = 2, /* a record was set aside, or something fails and is tried again */
    SYNCLINE_LOG_INFO = 3,    /* the engine starts and ends; devices come and go */
    SYNCLINE_LOG_DEBUG = 4    /* how calls were understood */
};

/* Where lines for people go. fn gets one line of UTF-8 text without its end, which dies when fn
 * returns, and is called by any thread of the handle, by several at once: by the engine's, and for
 * lines about a call by the thread that makes it, inside the call. The engine, or that call, waits
 * for it, so it should only take the line away. From before syncline_open returns until
 * syncline_close does.
 *
 * No lock of the library's is held meanwhile. From fn may be called, if the handle is known there:
 * syncline_error, syncline_info, syncline_member_get, syncline_set_aside_get, and the calls that
 * take no handle. No other call: most of them wait for the thread that is in fn.
 *
 * What fails again and again is said once a minute. */
struct syncline_log {
    void (*fn)(void *ctx, enum syncline_log_level level, const char *text); /* NULL: nowhere */
    void *ctx;                                                              /* its first argument */
};

/* Options for the calls below. Start from SYNCLINE_OPTIONS_INIT, which sets `size`; everything
 * else may stay zero. The pointers are borrowed for the call; `models` and what they point at, and
 * what the allocator's function needs, for the life of the handle. */
struct syncline_options {
    size_t size;                                /* sizeof(struct syncline_options) */
    const struct syncline_model *const *models; /* what syncs; may be NULL: nothing does */
    size_t models_count;
    enum syncline_role role;
    const char *device_name;  /* create and join: for people to read; NULL: the host's name */
    const char *listen;       /* "127.0.0.1:4400" ("...:0" takes any free port); "": nowhere; NULL:
                                 as the settings say, which is nowhere by default */
    const char *const *peers; /* addresses that are dialled until they answer, for ever; NULL: as
                                 the settings say, which is none by default */
    size_t peers_count;       /* of them */
    bool insecure_loopback;   /* must be true to use the network: nobody is authenticated yet, so
                                 only loopback addresses are accepted */
    uint32_t batch_size;      /* changes per segment; 0: as the settings say, 1000 by default */
    char *error;              /* receives one line of text when the call fails; may be NULL */
    size_t error_size;        /* bytes there */
    enum syncline_threads threads; /* AUTO: as the settings say, which is AUTO by default */
    size_t memory_budget; /* bytes for changes under way, half of them for sending and half for
                             receiving; 0: as the settings say, 32 MiB by default; at least 4 MiB.
                             When it is used up a capture goes into the outbox alone, and is read
                             from there. Not part of it: SQLite's caches, threads' stacks, and the
                             cache of UUIDs (a mapped file) */
    int64_t block_ms;     /* calls outside a transaction, while the engine is more than 1024 calls
                             behind: 0: as the settings say, by default go on as always; more: wait
                             up to so long for it; less: do not wait. If it still is behind they
                             return AGAIN */
    const struct syncline_allocator *allocator; /* copied; NULL: the C library's */
    struct syncline_log log;                    /* of an open handle; what fn needs lives as long */
    enum syncline_log_level log_level;          /* the least that it gets; DEFAULT: as the settings
                                                   say, which is WARNING by default */
    const char *const *settings; /* "key=value" each: any setting (see Settings) for this handle */
    size_t settings_count;       /* of them */
};
#define SYNCLINE_OPTIONS_INIT                                                                      \
    {                                                                                              \
        .size = sizeof(struct syncline_options)                                                    \
    }

/* Makes a new library in the directory `dir` (made if missing; an existing one must be empty of
 * Syncline's files) and names it. A `library.db` that is there already is taken as it is.
 * Blocks on the disk. Errors: EEXIST (a library is there), EFORMAT (its library.db is not a
 * database in WAL mode), EIO, ENOSPC, EDB, ENOMEM, EINVAL. On failure files it made are removed. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_create(const char *dir, const char *name, const struct syncline_options *options);

/* Makes `dir` a further device of the library that a member serves at `address`. Asks that member
 * once; the data comes when the handle is opened with that peer. Blocks up to 10 s on the network.
 * Errors as for syncline_create, and ENET (no answer), EREFUSED, EPROTO. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_join(const char *dir, const char *address, const struct syncline_options *options);

/* Removes everything of Syncline from the library in `dir`: in library.db all tables named
 * _syncline_*, in one transaction, and beside it sync.db, uuid-map/, syncline.conf, device.key,
 * engine.sock and engine.lock. The application's tables and rows stay as they are, and library.db
 * stays in WAL mode, even if nothing else is in it. What was captured and not sent is not sent any
 * more. The other members are not told (syncline_leave tells them): they keep this device in their
 * lists, and a library made or joined here later is another device.
 *
 * Close all handles first; those that only capture are not noticed, and their calls fail with EDB
 * from then on. Interrupted, it is to be called again, and goes on. Of `options` only `error` and
 * `allocator` are used; NULL is allowed. Blocks on the disk, and up to 5 s for SQLite's locks.
 * Errors: ENOTFOUND (no library there), EBUSY (an engine runs, names its pid; or somebody is inside
 * a transaction), EINVAL, ETOOBIG (the path), EFORMAT (library.db is no database), EIO, ENOSPC,
 * EDB, ENOMEM. On an error before the transaction is committed nothing has changed. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_remove(const char *dir, const struct syncline_options *options);

/* Opens a library and, by role, starts its engine. The tables of all models must exist. On success
 * *out is the handle, to be given to syncline_close. Blocks on the disk, and in the engine's role
 * until changes left by an earlier crash are known again.
 * Settings that the options leave open are taken from syncline.conf and the environment (see
 * Settings below); addresses from there need insecure_loopback, too.
 *
 * Rows that are in a table when its model is given for the first time - rows older than the
 * library, in a joined one, too - are taken in as inserts of this device, once each, in the
 * background, by any later open that runs the engine if this one is closed before; syncline_flush
 * waits for it, and info.unscanned says how many are left. The application may write meanwhile. A
 * row without a UUID of 16 bytes is set aside. Rows that are inserted or deleted later without a
 * capture - the process died before it, the call failed or was forgotten, another program wrote -
 * are found by an engine that is idle, soon after open and every `scan_interval_ms` from then on,
 * and captured. Updates are not: capture those again. If most of a large table is gone the deletes
 * are held, with an event, until they are captured, or the library is opened with `scan_deletes` =
 * all. One UUID that two devices hold from before is kept
 * by each as it has it, and set aside: records are not merged by their UUID.
 *
 * A sync.db that is not there, is damaged (it is kept as sync.db.damaged), or is older than what
 * library.db has settled, is mended by the engine: this device goes on in a new epoch, as another
 * origin; what the log lacks comes again from the other devices, and an event says so. So it does
 * where all files were put back from a copy, and where they were moved to another place: the engine
 * keeps how far the log has come in $XDG_STATE_HOME/syncline (else $HOME/.local/state/syncline),
 * outside the library. A copy whose original is still there, on the same machine, is refused.
 *
 * Errors: ENOTFOUND (no library there), EFORMAT (not a library, not in WAL mode, or made by a newer
 * version), EMODEL (names model and field), EBUSY (another process runs the engine; names its
 * pid), ECLONED (names the original), ERESTORED, EREFUSED (a network address that is not loopback,
 * or insecure_loopback is false), ENET (address in use), EIO, EDB, ENOMEM, EINVAL. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_open(const char *dir, const struct syncline_options *options, struct syncline **out);

/* Stops the engine and frees the handle. What was captured stays in the outbox or the log and goes
 * on at the next open. No other call may be running or follow, but those that a subscriber's
 * function makes: these get ECLOSED, where they wait, too. NULL is allowed. Blocks until the
 * engine's threads have ended their slices, and a subscriber's function has returned. In a forked
 * child it frees memory only. */
SYNCLINE_API void syncline_close(struct syncline *lib);

/* How far a change has come; each level includes those before it.
 *
 * SENT is what this engine has handed to its links: a link that breaks may lose it, and then it is
 * sent again. It is known to the handle that runs the engine, since that was opened; elsewhere, and
 * of earlier times, what is acknowledged counts as sent, and nothing else. */
enum syncline_level {
    SYNCLINE_LEVEL_QUEUED = 1,  /* committed, and in the outbox */
    SYNCLINE_LEVEL_DURABLE = 2, /* in this device's log, safe from a power cut */
    SYNCLINE_LEVEL_SENT = 3,    /* handed to the network, for each other member; for one that this
                                   device never meets: in its log */
    SYNCLINE_LEVEL_ACKED = 4,   /* in the log of each other member */
    SYNCLINE_LEVEL_APPLIED = 5  /* in the tables of each other member */
};

/* What is left of the changes that a call waited for. Start from SYNCLINE_LEFT_INIT. */
struct syncline_left {
    size_t size;        /* sizeof(struct syncline_left) */
    uint64_t outbox;    /* changes captured and not in the log */
    uint64_t unacked;   /* changes in the log that some member does not hold; 0: no other member */
    uint64_t unapplied; /* changes in the log that some member has not applied; likewise */
    uint64_t unsent;    /* changes in the log that were not sent to some member; likewise */
    uint64_t unscanned; /* rows that nobody captured and that are still to be looked at */
};
#define SYNCLINE_LEFT_INIT                                                                         \
    {                                                                                              \
        .size = sizeof(struct syncline_left)                                                       \
    }

/* syncline_close with a deadline: refuses captures from now on (ECLOSED), waits until every change
 * committed before has come as far as `level`, at most timeout_ms (< 0: for ever), stops the engine
 * and frees the handle. `left` says what was left; it may be NULL. Nothing is lost: what is left
 * goes on at the next open. Captures and flushes may be running when it is called; those end first,
 * with ECLOSED where they wait. A pause ends if the level is SENT or a later one. No other call may
 * be running or follow. Errors: TIMEOUT (see left), EREFUSED (SENT, ACKED or APPLIED of a library
 * without other members), EDB, ECORRUPT - the handle is gone all the same; EINVAL (no such level;
 * left without its size), EFORK - nothing was done. */
SYNCLINE_API enum syncline_status syncline_close_drained(struct syncline *lib,
                                                         enum syncline_level level,
                                                         int64_t timeout_ms,
                                                         struct syncline_left *left);

/* The text of the calling thread's last call on this handle, if that failed; "" if it succeeded, or
 * there was none. So ask before the next call. What failed in the application's own SQL is no call
 * of ours: sqlite3_errmsg has that, and nothing here. Of the threads that failed the last 16 are
 * remembered. Copies at most size - 1 bytes and a NUL; with text NULL or size 0 it does nothing.
 * Any thread; never blocks. */
SYNCLINE_API void syncline_error(struct syncline *lib, char *text, size_t size);

/* ---- Changes ------------------------------------------------------------------------------ */

enum syncline_change { SYNCLINE_INSERT = 1, SYNCLINE_UPDATE = 2, SYNCLINE_DELETE = 3 };

/* Names what one call captured, for syncline_wait. Start from SYNCLINE_TICKET_INIT. A plain value:
 * copy it, keep it, hand it to any thread; there is nothing to free. */
struct syncline_ticket {
    size_t size;    /* sizeof(struct syncline_ticket) */
    int64_t row;    /* its outbox row; 0: the call had no rows */
    uint64_t token; /* of that row: after a rollback another call may get the same number */
    uint64_t epoch; /* of this device's log; 0: no call has filled it yet */
};
#define SYNCLINE_TICKET_INIT                                                                       \
    {                                                                                              \
        .size = sizeof(struct syncline_ticket)                                                     \
    }

/* Per-call options of syncline_sync_models_batch; start from SYNCLINE_BATCH_OPTIONS_INIT. */
struct syncline_batch_options {
    size_t size;                    /* sizeof(struct syncline_batch_options) */
    uint32_t batch_size;            /* changes per segment for this call; 0: the library's */
    struct syncline_ticket *ticket; /* receives what to ask syncline_wait with, when the changes are
                                       captured (AGAIN included); NULL: nobody will ask */
};
#define SYNCLINE_BATCH_OPTIONS_INIT                                                                \
    {                                                                                              \
        .size = sizeof(struct syncline_batch_options)                                              \
    }

/* The three calls. Each says: these rows, as the structs hold them, were just inserted, updated or
 * deleted. With `db` inside a transaction the capture belongs to that transaction: it commits with
 * it and is rolled back with it (ROLLBACK TO included). With `db` in autocommit, or without one,
 * the row is committed already and the capture is made on the library's own connection, at once. It
 * outlives a crash of the process; a power cut in the milliseconds until the engine has it (in the
 * capture role: until the database is next synced) may take it, so that the change is not sent.
 *
 * Capture changes in the order in which they were made, each before an id is used again.
 *
 * A delete says that this record is gone, on all devices. Records here that pointed at it are to be
 * deleted, or pointed elsewhere, in the same transaction. Device-owned records of this device are
 * best deleted without a call: on the other devices they go with it, the whole tree, so one delete
 * is enough for a folder and all that is in it. All others need calls of their own: what ON DELETE
 * does to them is not seen. On the other devices ON DELETE decides nothing either: where another
 * device has pointed a record at it that this one did not know of, that record becomes invisible
 * everywhere, until that device hears of the delete and deletes it, too - or has pointed it
 * elsewhere meanwhile.
 *
 * Fill every member of a struct as its row is, id and UUID included: in a transaction the struct is
 * what is sent, and a member left empty empties the column on the other devices; in autocommit the
 * row is read again. Only a delete needs no more than id and UUID; the other members are ignored.
 * For a model with keys use the forms with `db`. `rows` is an array of the model's row struct, `n`
 * records.
 *
 * While a program is written, let the setting check_captures be on: in a transaction each struct is
 * then compared with its row, but for deletes, and a difference is refused, by model, UUID and
 * field (EINVAL). It costs a query for each record, and wants each change of a row captured before
 * the next one is made: an insert that is captured after an update of the same row is refused by
 * it, and is right without.
 *
 * Any thread. Never waits for the engine, the network or another device; in a transaction it only
 * does two or three statements on `db`. Outside one it may wait for SQLite's write lock (5 s), and
 * for an engine that is far behind, if the option block_ms says so: AGAIN says that it still is,
 * and that the change was captured all the same. All other errors say that nothing was. Errors:
 * EINVAL (also: another thread attached `db`; `db` is not a connection to the handle's library.db;
 * a UUID that is all zero; check_captures), EMODEL (a model that was not given at open), ETOOBIG (a
 * record over 1 MiB; the text names it), EBUSY (no write lock: another connection is inside a
 * transaction - give the connection with `db`), EDB, EIO, ENOSPC, ENOMEM, ECLOSED (the handle is
 * being closed), EFORK.
 */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_sync_model(struct syncline *lib, const struct syncline_model *model, const void *row,
                    enum syncline_change change);
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_sync_model_with_db(struct syncline *lib, const struct syncline_model *model,
                            const void *row, enum syncline_change change, struct sqlite3 *db);
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_sync_models_batch(struct syncline *lib, const struct syncline_model *model,
                           const void *rows, size_t n, enum syncline_change change,
                           struct sqlite3 *db, const struct syncline_batch_options *options);

/* The foundation: captures one record that comes as JSON, `len` bytes at `json`, of a device-owned
 * or of a shared model. For code that has its records as JSON; the calls above do the same with
 * less and several times faster, see docs/MOVING.md.
 *
 * The row was written on `db`, in its open transaction or committed; the JSON says which it is, by
 * its UUID, and may say what it holds: {"uuid": "...", "name": "...", "parent_uuid": "..."}, in the
 * form that events have as `data`. Members that are left out are those of the row. The row is what
 * is sent, and JSON that says something else of it is refused. For a delete that comes after its
 * row was deleted give the local id as well, {"uuid": "...", "id": 12}.
 *
 * As to transactions, threads and blocking as the calls above, with `db`, and with the errors of
 * those. Also EINVAL (json or db is NULL; no JSON, or not an object; a member that is no field,
 * like a key under the name of its column, or of another type, or the UUID is missing: all by
 * name), EREFUSED (the model is of the other ownership, or the record belongs to another device;
 * the row holds something else than a member, which is named), ENOTFOUND (there is no such row). */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_commit_device_owned(struct syncline *lib, const struct syncline_model *model,
                             enum syncline_change change, const char *json, size_t len,
                             struct sqlite3 *db);
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_commit_shared(struct syncline *lib, const struct syncline_model *model,
                       enum syncline_change change, const char *json, size_t len,
                       struct sqlite3 *db);

/* Binds a connection of the application to the handle, and to the calling thread: what the calls
 * above need on it stays prepared between them, which makes single calls in a transaction several
 * times faster. Results are the same with and without. Nothing else of the connection is touched:
 * no hook, no handler, no setting. It may be inside a transaction.
 *
 * Until it is detached, give an attached connection to the calls above from this thread only: from
 * another one they are refused with EINVAL. To hand a connection on, detach it here and attach it
 * there. Finalize your own statements only (no loop over sqlite3_next_stmt).
 *
 * Detach before sqlite3_close: with our statements on it, that fails with SQLITE_BUSY, and
 * sqlite3_close_v2 leaves the connection and its files open until it is detached. syncline_close
 * detaches what is left, but for connections of other threads that were opened with
 * SQLITE_OPEN_NOMUTEX: these may be at work, keep our statements, and cannot be closed any more.
 *
 * Never waits for the engine. Errors: EINVAL (db is NULL, is not a connection to the handle's
 * library.db, or is read-only), EEXIST (it is attached already), EREFUSED (64 are attached), EBUSY
 * (SQLite's schema is locked), EDB, EIO, ENOMEM, EFORK. On an error nothing is attached. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_attach(struct syncline *lib,
                                                                    struct sqlite3 *db);

/* Undoes syncline_attach: no statement of ours is left. Any thread that may use the connection at
 * this time; inside a transaction, too, whose captures stay in it. Does not block.
 * Errors: ENOTFOUND (it is not attached to this handle), EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_detach(struct syncline *lib,
                                                                    struct sqlite3 *db);

/* Waits until every change committed before the call, by any connection, and every row that is
 * older than the library (syncline_open) has come as far as `level`: QUEUED is true at once. A
 * library without other members has no SENT, ACKED or APPLIED: EREFUSED says so. Also works in the
 * capture role, as long as another process runs the engine. timeout_ms < 0 waits for ever, 0 only
 * looks. `left` receives what is left of those changes, on success (level QUEUED or DURABLE may
 * leave something to send), TIMEOUT and EREFUSED; NULL: nobody wants to know.
 *
 * Any thread; sleeps while it waits, and looks again when the engine has moved.
 * Errors: TIMEOUT (the text says what is left), EREFUSED, EINVAL (no such level; left without its
 * size), ECLOSED (another thread closes the handle), EFORK, EDB, ECORRUPT. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_flush(struct syncline *lib,
                                                                   enum syncline_level level,
                                                                   int64_t timeout_ms,
                                                                   struct syncline_left *left);

/* Which other members a wait is about. */
enum syncline_whose {
    SYNCLINE_WHO_ALL = 0,   /* each of those there are when it is looked at */
    SYNCLINE_WHO_ANY = 1,   /* one of them, whichever is first */
    SYNCLINE_WHO_MEMBER = 2 /* the one named */
};

/* Start from SYNCLINE_WHO_INIT, which is all. */
struct syncline_who {
    size_t size; /* sizeof(struct syncline_who) */
    enum syncline_whose whose;
    struct syncline_uuid device_id; /* the member named; see syncline_member_get */
};
#define SYNCLINE_WHO_INIT                                                                          \
    {                                                                                              \
        .size = sizeof(struct syncline_who)                                                        \
    }

/* Waits until what the ticket's call captured has come as far as `level`, with those members (NULL:
 * all; of levels up to DURABLE nobody is asked). timeout_ms < 0 waits for ever, 0 only looks.
 *
 * QUEUED means committed: while the call's transaction is open it waits, and once that is rolled
 * back, by ROLLBACK TO as well, the answer is EROLLEDBACK. An open transaction is told from one
 * rolled back by SQLite's write lock, which it holds: who finds the lock free, for a moment, or the
 * row's number taken by another call, knows that it is over. So do not wait in the thread whose
 * transaction it is before its end (that can only time out), and a ROLLBACK TO is known when its
 * whole transaction ends.
 *
 * What is never sent is done as soon as it is dealt with, and then at every level: changes
 * superseded by later ones of the same record before they were sent, and records that cannot be
 * sent (those are set aside, see syncline_set_aside_get). APPLIED is what the member says: it may
 * have superseded the change, too. A member that this device does not meet says it by its
 * signature, over those that it does meet.
 *
 * The ticket may be of any handle of this device's library, in any process, open at the time or
 * closed since; in the capture role the answer comes from the files, and moves as long as another
 * process runs the engine. Of calls the last 32,768 that came into the log can be asked about;
 * of older ones nothing is known any more.
 *
 * Any thread; sleeps while it waits, and looks again when the engine has moved. Errors: TIMEOUT
 * (the text says how far it is), EROLLEDBACK, EREFUSED (SENT, ACKED or APPLIED in a library without
 * other members), ENOTFOUND (the ticket is too old, or of another library or an earlier life of
 * this one; or no member has that device id), EINVAL (no such level or `whose`; a ticket that no
 * call has filled), ECLOSED (another thread closes the handle), EFORK, EDB, ECORRUPT. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_wait(struct syncline *lib, const struct syncline_ticket *ticket, enum syncline_level level,
              const struct syncline_who *who, int64_t timeout_ms);

/* ---- Pausing ---- */

/* Lets the engine of this handle send no changes and apply none until syncline_resume: when it
 * returns, the last slice of both has ended, and the application's tables are nobody's but its own.
 * Everything else goes on: captures are taken into the log, links stay up, and what others send is
 * held in the log and acknowledged as held. What was handed to the network before may still arrive.
 * Nothing is lost by it, and no order changes. It is not remembered: a library is opened unpaused.
 * Paused already: nothing more happens; one resume ends it.
 *
 * Any thread but one that is in a transaction on library.db: it blocks until the slice under way
 * has ended, some 25 ms, and longer while that waits for the disk. Errors: EREFUSED (this handle
 * does not run the engine), ECLOSED (another thread closes the handle), EINVAL, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_pause(struct syncline *lib);

/* Undoes syncline_pause; what has gathered goes on at once. Not paused: nothing happens. Any
 * thread; never blocks. Errors: EREFUSED (this handle does not run the engine), EINVAL, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_resume(struct syncline *lib);

/* ---- Members ------------------------------------------------------------------------------ */

/* What a device is to the library. */
enum syncline_standing {
    SYNCLINE_STANDING_MEMBER = 1,
    SYNCLINE_STANDING_LEFT = 2,   /* by its own word: syncline_leave */
    SYNCLINE_STANDING_REVOKED = 3 /* by another member's: syncline_revoke */
};

/* A device that is or was a member, as the membership log has it: every member has the same.
 * Start from SYNCLINE_DEVICE_INIT. */
struct syncline_device {
    size_t size; /* sizeof(struct syncline_device) */
    struct syncline_uuid device_id;
    char name[128];
    enum syncline_standing standing;
    bool is_self;                   /* this device */
    struct syncline_uuid let_in_by; /* who let it in; all zero: it made the library, or this device
                                       has not heard */
    int64_t since_ms; /* ms since 1970 UTC, by that device's clock: when; 0: likewise */
    int64_t out_ms;   /* when it left or was revoked, by that device's clock; 0: neither */
    struct syncline_uuid out_by; /* who revoked it; all zero: nobody */
    uint64_t kept_seq;           /* changes of one that is out that count: all up to there, and none
                                    after it */
};
#define SYNCLINE_DEVICE_INIT                                                                       \
    {                                                                                              \
        .size = sizeof(struct syncline_device)                                                     \
    }

/* Fills *device with the index-th device of the library, this one first. Any role. Errors:
 * ENOTFOUND (there are not that many), EINVAL, ENOMEM, EDB, EFORK. Blocks on the disk shortly. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_device_get(struct syncline *lib, size_t index, struct syncline_device *device);

/* Leaves the library: waits until some other member holds all changes captured here, at most
 * timeout_ms (< 0: for ever), and then signs that this device has left; what is captured after that
 * stays on this device. Members are told as soon as one is connected, and wait for this device no
 * more. There is no way back: another directory can join. Blocks; not inside a transaction. Errors:
 * TIMEOUT (no member holds everything; nothing has happened), EREFUSED (there is no other member,
 * this device is out already, or nobody runs the engine), EBUSY (the engine does not come to it),
 * ENOSPC, EIO, EDB, ECLOSED, EINVAL, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_leave(struct syncline *lib,
                                                                   int64_t timeout_ms);

/* Puts a device out of the library, for ever, as when it is lost or stolen. What it wrote stays, as
 * far as this device or another member had it when it learned of this; nothing that it writes
 * afterwards is taken, whoever brings it, and nobody waits for it. Durable when it returns; members
 * learn of it as soon as they are connected, and the device itself when it reaches one that knows.
 * Until a member has learned of it, the device is a member there. Blocks. Errors: ENOTFOUND (no
 * device has this id), EREFUSED (it is revoked already, or is this device; this device is out
 * itself; nobody runs the engine), EBUSY (the engine does not come to it), ENOSPC, EIO, EDB,
 * EINVAL, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_revoke(struct syncline *lib, const struct syncline_uuid *device_id);

/* ---- Events ------------------------------------------------------------------------------- */

enum syncline_event_kind {
    SYNCLINE_EVENT_STATE_CHANGE = 1,       /* "sync:state_change": one device-owned record */
    SYNCLINE_EVENT_STATE_CHANGE_BATCH = 2, /* "sync:state_change_batch": several, of one call */
    SYNCLINE_EVENT_SHARED_CHANGE = 4,      /* "sync:shared_change": one shared record */
    SYNCLINE_EVENT_ERROR = 8               /* "sync:error" */
};

/* What was changed, here or elsewhere, or what failed. Which of the first three kinds it is follows
 * from the ownership that the model has on the device that made the change. The strings and arrays
 * die when the subscriber's function returns.
 *
 * With JSON, by kind (uuids and times are strings, times of the form "2026-01-17T09:30:00.123Z"):
 *
 *     sync:state_change        {library_id, model_type, record_uuid, device_id, change_type, own,
 *                               data, timestamp}
 *     sync:state_change_batch  {library_id, model_type, device_id, change_type, own,
 *                               records: [[record_uuid, data], ...], timestamp}
 *     sync:shared_change       {library_id, own, entry: {hlc, model_type, record_uuid, change_type,
 *                               data}}
 *     sync:error               {library_id, status, text, timestamp}, and {model_type, record_uuid}
 *                               if a record was set aside
 *
 * change_type is "insert", "update" or "delete"; hlc is the text of syncline_hlc_text; status is
 * the name of a status. data is null for a delete, else the whole record: its UUID under the name
 * of that column, and its fields, a key `x_id` as `x_uuid` with the UUID of the other record. Bytes
 * that are no UTF-8 are {"base64": "..."}, SQL NULL is null, infinite numbers are "Infinity" and
 * "-Infinity". Members may be added in later versions. */
struct syncline_event {
    size_t size; /* of the version that is linked */
    enum syncline_event_kind kind;
    const char *name; /* as above; lives for ever */
    struct syncline_uuid library_id;
    int64_t
        timestamp;    /* ms since 1970 UTC by the clock of who made the change; of an error, here */
    const char *json; /* NULL unless the subscription asked for it; a NUL ends it */
    size_t json_len;  /* bytes there */
    /* Changes. Errors about a record have model_type and record_uuids, too. */
    bool own;                                 /* made on this device */
    enum syncline_change change;              /* what was done */
    const char *model_type;                   /* the model's name; NULL: none */
    uint32_t record_count;                    /* 1, but for a batch */
    const struct syncline_uuid *record_uuids; /* record_count */
    struct syncline_uuid device_id;           /* that made the change */
    struct syncline_hlc hlc;                  /* of the first record; the others count up by one */
    uint64_t seq;                             /* of the first, among the changes of its device */
    /* Errors. */
    enum syncline_status status;
    const char *text; /* one line */
};

/* Per subscription; start from SYNCLINE_SUBSCRIBE_OPTIONS_INIT. */
struct syncline_subscribe_options {
    size_t size;    /* sizeof(struct syncline_subscribe_options) */
    uint32_t kinds; /* bits of enum syncline_event_kind; 0: all */
    bool json;      /* events get their JSON, which costs several times what they cost without */
};
#define SYNCLINE_SUBSCRIBE_OPTIONS_INIT                                                            \
    {                                                                                              \
        .size = sizeof(struct syncline_subscribe_options)                                          \
    }

typedef void (*syncline_event_fn)(void *ctx, const struct syncline_event *event);

/* Calls fn for what happens from now on: for changes of this device once they are in its log, for
 * those of others once they are dealt with here - applied, or set aside, superseded by later
 * ones, or waiting for a record that has not come. The changes of a device come in their order,
 * each once; between devices there is no order. What was not told when the handle is closed is not
 * told later. Errors are failures of the engine, of which several may come as the last of them, and
 * records set aside; syncline_set_aside_get has them all. One that could not be sent goes out by
 * itself once it can, and is in that list no more.
 *
 * fn runs on a thread of the handle's own, which the first subscription starts, for all of them one
 * after the other. It reads the log again by itself: a slow function delays other subscribers and
 * nothing else, and nothing is kept for it in memory. In the capture role events come too, whoever
 * runs the engine, up to some tenths of a second later; the engine's failures are told by its own
 * process then.
 *
 * From fn any call may be made but syncline_close, which does nothing there, and
 * syncline_close_drained, which is refused (EINVAL). `options` may be NULL. *subscription is its
 * name for the call below; it is set before fn is called first. Blocks on the disk shortly. Errors:
 * EINVAL, ENOMEM, EDB, EIO, EBUSY, ECLOSED, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_subscribe(struct syncline *lib, syncline_event_fn fn, void *ctx,
                   const struct syncline_subscribe_options *options, uint64_t *subscription);

/* Ends a subscription. Any thread, also from its own function; there fn is not called again, and
 * anywhere else it is not running any more either, when this returns: it blocks until fn has
 * returned. So hold no lock meanwhile that fn needs. syncline_close ends what is left.
 * Errors: ENOTFOUND (no such subscription, or it is ended already), ECLOSED, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_unsubscribe(struct syncline *lib,
                                                                         uint64_t subscription);

/* Calls fn, on this thread, for what stands in the log now: for each change of this device, and for
 * those of others that are dealt with here, device after device or in turns, those of one device in
 * their order. A damaged segment is told as an error; what failed earlier is not. `options` as for
 * syncline_subscribe. From fn any call may be made but those that close the handle. Any thread;
 * blocks while it reads, and on fn. Errors: EINVAL, ENOMEM, EDB, EIO, EBUSY, ECLOSED, EFORK; some
 * of it may have been told then. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_log_read(struct syncline *lib, syncline_event_fn fn, void *ctx,
                  const struct syncline_subscribe_options *options);

/* ---- The event log ------------------------------------------------------------------------ */

/* What went wrong, and what was mended. A failure that lasts is one event when it begins, however
 * often it is met, and WORKS_AGAIN when it is over. Later versions have more of them. */
#define SYNCLINE_EVENT_CODE_MAP(X)                                                                 \
    X(CLOCK_AHEAD, 1, "this device's changes are stamped ahead of its clock")                      \
    X(CLOCK_RIGHT, 2, "they are not any more")                                                     \
    X(CLOCK_HELD, 3, "changes of a device are held: its clock is too far ahead")                   \
    X(CLOCK_RELEASED, 4, "they are applied now")                                                   \
    X(HELD, 5, "changes of a device cannot be applied here, and are held")                         \
    X(SET_ASIDE, 6, "a record could not be sent or applied")                                       \
    X(NO_SPACE, 7, "a disk is full; work resumes when there is space")                             \
    X(NO_MEMORY, 8, "there was no memory; it is tried again")                                      \
    X(IO_FAILED, 9, "a file could not be read or written; it is tried again")                      \
    X(FAILED, 10, "something else failed; it is tried again")                                      \
    X(WORKS_AGAIN, 11, "that failure is over")                                                     \
    X(STOPPED, 12, "the engine stopped: data is damaged")                                          \
    X(LINK_REFUSED, 13, "a connection was refused, by this device or by the other")                \
    X(MEMBER_ADDED, 14, "a device became a member")                                                \
    X(EVENTS_LOST, 15, "more events came than could be written")                                   \
    X(DEGRADED, 16, "a sync failed: that handle is finished, and its file is opened again")        \
    X(REOPENED, 17, "it was opened again and checked, and work goes on")                           \
    X(LOG_GAP, 18, "changes came without those before them, which were asked for")                 \
    X(LOG_SPLIT, 19, "a device was restored or copied: nothing more is taken of it")               \
    X(COMMITS_LOST, 20, "library.db was older than the log, which was applied to it again")        \
    X(DELETES_HELD, 21, "most records of a model are gone without a capture: nobody is told")      \
    X(NOT_OURS, 22, "records of other devices were deleted here without a capture")                \
    X(NEW_EPOCH, 23, "the log had lost changes of this device, which goes on as another origin")   \
    X(MEMBER_LEFT, 24, "a device left the library")                                                \
    X(MEMBER_REVOKED, 25, "a device was revoked")                                                  \
    X(SELF_LEFT, 26, "this device left the library")                                               \
    X(SELF_REVOKED, 27, "this device was revoked: nothing is sent or taken any more")              \
    X(CHANGES_REFUSED, 28, "changes came that a device made after it was out: they are not taken") \
    X(SNAPSHOT_NEEDED, 29, "what a device lacks is in no log any more: it needs a snapshot")       \
    X(MEMBER_AWAY, 30, "nothing is kept any more for a device that was away for too long")         \
    X(MEMBER_BACK, 31, "it is back, and what it lacks is kept for it again")                       \
    X(LOG_LIMIT, 32, "sync.db has passed its limit, and nothing can be pruned")

enum syncline_event_code {
#define X(name, value, text) SYNCLINE_CODE_##name = value,
    SYNCLINE_EVENT_CODE_MAP(X)
#undef X
};

/* The name ("CLOCK_AHEAD") of a code. Never NULL; lives for ever. Any thread; never blocks. */
SYNCLINE_API const char *syncline_event_code_name(enum syncline_event_code code);

/* An entry of the event log. */
struct syncline_event_entry {
    size_t size;       /* of the version that is linked */
    int64_t number;    /* rises from entry to entry */
    int64_t timestamp; /* ms since 1970 UTC, by this device's clock */
    enum syncline_event_code code;
    enum syncline_status status;             /* what failed; OK where nothing did */
    const char *text;                        /* one line */
    const struct syncline_uuid *device_id;   /* whom it is about; NULL: nobody */
    const char *model_type;                  /* of a record that it is about; NULL: none */
    const struct syncline_uuid *record_uuid; /* of it; NULL: none */
};

typedef void (*syncline_event_entry_fn)(void *ctx, const struct syncline_event_entry *entry);

/* Calls fn, on this thread, for each entry of the event log after the one with that number (0: from
 * the first that is kept), oldest first. The newest 1000 are kept, in sync.db; the engine writes
 * them when it has time, some at once, so one may be there a second after what it tells of, or
 * later while the disk fails. What the pointers point at dies when fn returns. From fn any call may
 * be made but those that close the handle. Any thread, any role; blocks while it reads, and on fn.
 * Errors: EINVAL (fn is NULL), ENOMEM, EDB, EIO, EBUSY, ECLOSED, EFORK; some may have been told. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_events_read(struct syncline *lib, int64_t after, syncline_event_entry_fn fn, void *ctx);

/* ---- Looking at it ------------------------------------------------------------------------ */

/* What a library is and how it stands. Start from SYNCLINE_INFO_INIT. */
struct syncline_info {
    size_t size; /* sizeof(struct syncline_info) */
    struct syncline_uuid library_id;
    struct syncline_uuid device_id; /* first 16 bytes of SHA-256 of the public key */
    char library_name[128];         /* UTF-8, NUL-terminated */
    char device_name[128];
    char listen[64];  /* the address served, with its port; "" if none */
    bool runs_engine; /* this handle does */
    bool paused;      /* the engine is; see syncline_pause */
    bool degraded;    /* a sync has failed, and its file is not opened again and checked yet: what
                         needs it waits; see the event log */
    uint32_t members; /* other devices */
    uint32_t links;   /* of them connected now */
    enum syncline_standing standing; /* of this device: if it is no member any more, nothing is sent
                                        or taken */
    uint64_t outbox;                 /* changes committed here that are not in the log yet */
    uint64_t own_seq;                /* changes of this device in its log */
    uint64_t acked_seq;              /* of those, in the log of every member */
    uint64_t applied_seq;            /* of those, in the tables of every member */
    uint64_t received;               /* changes of others in this log */
    uint64_t received_applied;       /* of those, dealt with here */
    uint64_t announced;              /* changes of others that they say they have */
    uint64_t set_aside;       /* records that could not be sent or applied; each has a reason */
    uint64_t wire_bytes_sent; /* by the engine since it was opened, frames included */
    uint64_t wire_bytes_received;
    uint64_t segments_sent;
    int64_t
        engine_pid;   /* of the process that runs the engine; 0: none does, or it does not answer */
    char notice[512]; /* the last thing the engine found worth telling; "" if nothing */
    uint64_t unscanned;      /* rows that nobody captured and that are still to be looked at */
    uint64_t clock_ahead_ms; /* this device's changes are stamped so far ahead of its clock, which
                                was set back: others may hold them as long. 0: it is not much */
    uint64_t waiting;       /* records received whose parent, or who themselves, are not here yet: a
                               record that points at them or brings them lets them out */
    uint64_t waiting_bytes; /* of their content */
    int64_t waiting_since_ms; /* ms since 1970 UTC: when the oldest began to wait; 0: none does */
};
#define SYNCLINE_INFO_INIT                                                                         \
    {                                                                                              \
        .size = sizeof(struct syncline_info)                                                       \
    }

/* Fills *info. Where another process runs the engine, what only that knows - listen, links, notice,
 * and what went over the wire - is asked of it through engine.sock. Blocks on the disk shortly, and
 * on an engine that does not answer up to 2 s. Errors: EINVAL, EDB, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_info(struct syncline *lib,
                                                                  struct syncline_info *info);

/* Another member of the library. Start from SYNCLINE_MEMBER_INIT. */
struct syncline_member {
    size_t size; /* sizeof(struct syncline_member) */
    struct syncline_uuid device_id;
    char name[128];
    bool linked;             /* connected to the engine now */
    uint64_t acked_seq;      /* of this device's changes: in its log */
    uint64_t applied_seq;    /* of this device's changes: in its tables */
    uint64_t held_seq;       /* of its changes: in this log */
    uint64_t own_seq;        /* of its changes: how many it says it made */
    uint64_t behind;         /* of this device's changes: logged here and not in its tables */
    uint64_t behind_bytes;   /* of the segments that hold them */
    int64_t behind_since_ms; /* when the oldest of these segments was made; 0: it is not behind */
    struct syncline_uuid introduced_by; /* who let it in; all zero: this device, or nobody */
    int64_t split_since_ms; /* ms since 1970 UTC: its log has split, as after it was restored or
                               copied, and nothing more is taken of it; 0: it has not */
    uint32_t absent_days;   /* days since it was heard of last, on which others were met */
    uint32_t days_left;     /* such days until nothing is kept for it any more, with log_prune on */
    int64_t away_since_ms;  /* ms since 1970 UTC: nothing is; 0: what it lacks is kept */
};
#define SYNCLINE_MEMBER_INIT                                                                       \
    {                                                                                              \
        .size = sizeof(struct syncline_member)                                                     \
    }

/* Fills *member with the index-th other member, in order of admission. Errors: ENOTFOUND (there are
 * not that many), EINVAL, EDB, EFORK. Blocks on the disk shortly. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_member_get(struct syncline *lib, size_t index, struct syncline_member *member);

/* What is kept here of the log of one device, in one of its epochs. Start from SYNCLINE_KEPT_INIT.
 */
struct syncline_kept {
    size_t size;                    /* sizeof(struct syncline_kept) */
    struct syncline_uuid device_id; /* whose changes they are */
    uint64_t epoch;
    uint64_t floor_seq;            /* changes up to here were pruned; 0: none */
    uint64_t held_seq;             /* and those up to here are kept */
    uint64_t segments;             /* that hold them */
    uint64_t bytes;                /* of these */
    struct syncline_uuid kept_for; /* the member that holds least of it; all zero: none counts, or
                                      log_prune is off */
    uint64_t kept_for_seq;         /* up to here */
};
#define SYNCLINE_KEPT_INIT                                                                         \
    {                                                                                              \
        .size = sizeof(struct syncline_kept)                                                       \
    }

/* Fills *kept with the index-th log. Errors: ENOTFOUND (there are not that many), EINVAL, EDB,
 * EFORK. Blocks on the disk, longer the more is kept. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_kept_get(struct syncline *lib, size_t index, struct syncline_kept *kept);

/* A record that could not be sent or applied. Start from SYNCLINE_SET_ASIDE_INIT. */
struct syncline_set_aside {
    size_t size; /* sizeof(struct syncline_set_aside) */
    char model[128];
    struct syncline_uuid uuid;
    char reason[256]; /* one line */
};
#define SYNCLINE_SET_ASIDE_INIT                                                                    \
    {                                                                                              \
        .size = sizeof(struct syncline_set_aside)                                                  \
    }

/* Fills *record with the index-th record set aside, oldest first. Errors: ENOTFOUND, EINVAL, EDB,
 * EFORK. Blocks on the disk shortly. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_set_aside_get(struct syncline *lib, size_t index, struct syncline_set_aside *record);

/* ---- What has become of a change ---------------------------------------------------------- */

enum syncline_fate {
    SYNCLINE_FATE_CAPTURED = 1,   /* committed here, on its way into the log */
    SYNCLINE_FATE_RECEIVED = 2,   /* in the log here, still to be applied */
    SYNCLINE_FATE_SET_ASIDE = 3,  /* it could not be sent or applied; `why` is the reason */
    SYNCLINE_FATE_SHOWN = 4,      /* the row is what it says */
    SYNCLINE_FATE_SUPERSEDED = 5, /* a later change of the record won */
    SYNCLINE_FATE_DELETED = 6,    /* a delete, carried out */
    SYNCLINE_FATE_DEAD = 7,       /* it is of a record that was deleted */
    SYNCLINE_FATE_WAITING = 8,    /* it came before what it needs: `why` says what that is */
    SYNCLINE_FATE_HELD = 9,       /* in the log here; its device's changes cannot be applied */
    SYNCLINE_FATE_HIDDEN = 10     /* its record lives behind another one of the same UUID, which two
                                     devices have inserted; it is shown when that goes */
};

#define SYNCLINE_WHY_SIZE 256

/* One change of a record, and what has become of it here. */
struct syncline_why {
    size_t size; /* sizeof(struct syncline_why), of the library's version */
    enum syncline_change change;
    enum syncline_fate fate;
    char why[SYNCLINE_WHY_SIZE];       /* one line for people */
    bool own;                          /* made on this device */
    struct syncline_hlc hlc;           /* with the device; its time is 0 where the log has none */
    uint64_t seq;                      /* among the changes of its device; 0: not in the log */
    struct syncline_uuid birth_device; /* of the change that inserted the record that it is about */
    uint64_t birth_seq;                /* likewise; 0: not known yet */
    /* Own changes in the log: how many members there are, and how many have it. */
    uint32_t members;
    uint32_t sent;
    uint32_t acked;
    uint32_t applied;
    /* What won against it: the later change (SUPERSEDED), the delete (DEAD), the change that the
       row shows (HIDDEN). Its time is 0 where nothing did, or where that is not in the log. */
    struct syncline_hlc winner;
    uint64_t winner_seq; /* among the changes of its device */
};

typedef void (*syncline_why_fn)(void *ctx, const struct syncline_why *why);

/* Calls fn for each change of one record that this device knows of, in the order of their clock
 * values and those on their way into the log last; *is_here (may be NULL) says whether the record
 * is in its table. Reads the whole log, which takes about a second for a million changes; no stage
 * and no other call waits for it. *why is the library's until fn returns; fn runs on this thread,
 * and may make any call but those that close the handle. Any thread. Errors: ENOTFOUND (nothing is
 * known of such a record), EMODEL (no model of that name was given), EINVAL, ENOMEM, EDB, EIO,
 * EBUSY, ECORRUPT, EPROTO, EUNSUPPORTED (a segment of the log cannot be read), ECLOSED, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_why(struct syncline *lib, const char *model, const struct syncline_uuid *uuid,
             syncline_why_fn fn, void *ctx, bool *is_here);

/* ---- What is stuck ------------------------------------------------------------------------- */

enum syncline_stuck_kind {
    SYNCLINE_STUCK_CAPTURED = 1, /* changes made here that have not come into the log: nobody runs
                                    the engine, or it has not got to them for 10 s */
    SYNCLINE_STUCK_RECEIVED = 2, /* changes of a device in the log here that nobody applies: no
                                    engine runs, or it is paused */
    SYNCLINE_STUCK_HELD = 3,     /* changes of a device in the log here that cannot be applied; or
                                    that come no more, since its log has split */
    SYNCLINE_STUCK_WAITING = 4,  /* a received change that lacks another record, or its own */
    SYNCLINE_STUCK_SET_ASIDE = 5 /* a record that could not be sent or applied */
};

/* Something that waits on this device, and why. Of a version of the library that is newer it may be
 * of another kind. */
struct syncline_stuck {
    size_t size; /* sizeof(struct syncline_stuck), of the library's version */
    enum syncline_stuck_kind kind;
    int64_t since_ms;  /* ms since 1970 UTC, by this device's clock; of changes in the log, until
                          they  were found to be held, by that of their device; 0: not known */
    uint64_t changes;  /* 1; CAPTURED, RECEIVED and HELD: how many; HELD 0: its log has split */
    const char *model; /* its name, the library's until the function returns; NULL: of a device's
                          changes, which are told together */
    struct syncline_uuid uuid; /* of the record; CAPTURED: the first; all zero: no one record */
    struct syncline_uuid device_id; /* that made the change */
    bool own;                       /* this device */
    uint64_t seq; /* of the change, or the first of them, among those of its device; 0: not in the
                     log, or not known */
    /* WAITING: what is not here. */
    const char *lacks_model;           /* a record of this model, the library's as above; NULL: the
                                          change that inserted the record itself */
    struct syncline_uuid lacks_uuid;   /* that record */
    struct syncline_uuid birth_device; /* who made the change that inserted the record itself */
    uint64_t birth_seq;                /* which it is; of other kinds 0 */
    char why[SYNCLINE_WHY_SIZE];       /* one line for people */
};

/* Returns false for: no more. */
typedef bool (*syncline_stuck_fn)(void *ctx, const struct syncline_stuck *stuck);

/* Calls fn for everything that waits on this device, those that have waited longest first; not at
 * all if nothing does. `model` names the one that it is about, NULL: all; held changes of a device
 * are told in any case, since they may be of it. What the engine is at work on is not stuck.
 *
 * Reads library.db and sync.db over connections of its own, in any process, whoever runs the
 * engine. It holds a read transaction meanwhile, so fn should only take it down. fn runs on this
 * thread, and may make any call but those that close the handle. Any thread; blocks on the disk,
 * and on an engine in another process that does not answer up to 2 s. Errors: EMODEL (no model of
 * that name was given), EINVAL (fn is NULL), ENOMEM, EDB, EIO, EBUSY, ECORRUPT, ECLOSED, EFORK;
 * some may have been told. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_stuck(struct syncline *lib, const char *model, syncline_stuck_fn fn, void *ctx);

/* ---- Content ------------------------------------------------------------------------------- */

/* Count and SHA-256 of what syncs of one model: every record in UUID order with its columns, keys
 * as UUIDs. Equal on two devices means equal content. One read transaction; blocks while it reads
 * the table. Errors: EMODEL, EDB, EINVAL, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_digest(struct syncline *lib, const struct syncline_model *model, uint64_t *count,
                uint8_t hash[32]);

/* ---- Comparing with another device ------------------------------------------------------- */

enum syncline_difference_kind {
    SYNCLINE_DIFFERENCE_ONLY_HERE = 1,  /* the member does not have the record */
    SYNCLINE_DIFFERENCE_ONLY_THERE = 2, /* only the member has it */
    SYNCLINE_DIFFERENCE_CONTENT = 3,    /* both have it, and not the same values */
    SYNCLINE_DIFFERENCE_MODEL = 4       /* the member does not know the model; uuid is all zero */
};

/* What syncline_verify found. */
struct syncline_difference {
    size_t size; /* sizeof(struct syncline_difference), of the library's version */
    enum syncline_difference_kind kind;
    const char *model; /* its name; the library's until the function returns */
    struct syncline_uuid uuid;
};

/* Returns false for: no more. */
typedef bool (*syncline_difference_fn)(void *ctx, const struct syncline_difference *difference);

/* What it took. Start from SYNCLINE_VERIFIED_INIT. */
struct syncline_verified {
    size_t size;             /* sizeof(struct syncline_verified) */
    uint64_t models;         /* compared */
    uint64_t records;        /* of this device, in them */
    uint64_t differences;    /* told */
    uint64_t round_trips;    /* questions that were answered */
    uint64_t bytes_sent;     /* of the questions, with their frames */
    uint64_t bytes_received; /* of the answers, likewise */
    bool complete;           /* all was compared; false after an error, or if fn wanted no more */
    bool set_aside_here;     /* records are set aside on this device: those differ by right */
    bool set_aside_there;    /* or on the member */
    bool waiting_here;       /* received records wait for what they need, and so are in no table */
    bool waiting_there;      /* or on the member */
};
#define SYNCLINE_VERIFIED_INIT                                                                     \
    {                                                                                              \
        .size = sizeof(struct syncline_verified)                                                   \
    }

/* Compares the tables of all models here with those of one other member, which must be connected to
 * the engine of this library - of this handle, or of another process -, and calls fn for each
 * record that differs, or model that the member does not know. Nothing is changed by it.
 *
 * Only digests of ranges are sent, and then only of ranges that differ: 10 records of 1,000,000
 * take four round trips and about 40 KB. Both sides read the whole of their tables once and the
 * ranges that differ again, which takes some seconds for a million records; the application and the
 * engine go on meanwhile. Memory does not depend on the number of records or differences.
 *
 * What is on its way from one to the other is no difference: what differs while one of them has
 * something captured that is not in its log, or has applied other changes, is asked about again
 * until it has arrived or the time is over. What the call tells was different when both had applied
 * the same changes.
 *
 * timeout_ms < 0: takes as long as it takes. *verified (may be NULL) is filled on errors, too. fn
 * runs on this thread, and may make any call but those that close the handle. Any thread; blocks
 * on the disk, the network and the member, and until an earlier comparison of this library, of any
 * process, has ended. Errors: AGAIN (the time is over, and what is left cannot be compared yet: the
 * text says what is on its way), TIMEOUT (the member has not answered in time), EREFUSED (nobody
 * runs the engine, or the member is not connected, or could not read its tables), ENOTFOUND (no
 * other member has this id), ENET (the connection was lost meanwhile), EPROTO (the answer cannot
 * be), EINVAL, ENOMEM, EDB, EIO, EBUSY, ECLOSED, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_verify(struct syncline *lib, const struct syncline_uuid *member, int64_t timeout_ms,
                syncline_difference_fn fn, void *ctx, struct syncline_verified *verified);

/* What this handle has done since it was opened. Start from SYNCLINE_STATS_INIT. In the capture
 * role only the first three are more than 0. Numbers only rise, and each is true by itself: two of
 * them may be of slightly different moments. */
struct syncline_stats {
    size_t size;       /* sizeof(struct syncline_stats) */
    uint64_t open_ms;  /* since it was opened */
    uint64_t captures; /* calls that captured something, in transactions rolled back, too */
    uint64_t captured; /* changes in them */
    uint64_t logged;   /* changes of this device that came into its log */
    uint64_t logged_segments;
    uint64_t logged_bytes; /* of those segments, compressed */
    uint64_t sent;         /* changes sent, to each member counted by itself */
    uint64_t sent_segments;
    uint64_t sent_bytes;
    uint64_t received; /* changes of others that came into the log */
    uint64_t received_segments;
    uint64_t received_bytes;
    uint64_t applied; /* changes of others dealt with: written, superseded or set aside */
    uint64_t settled; /* changes of this device whose births and stamps are written back */
    uint64_t errors;  /* slices of stages that failed; they are tried again, unless it is damage */
};
#define SYNCLINE_STATS_INIT                                                                        \
    {                                                                                              \
        .size = sizeof(struct syncline_stats)                                                      \
    }

/* Fills *stats. Any thread; never blocks, and costs the engine nothing. Errors: EINVAL, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status syncline_stats(struct syncline *lib,
                                                                   struct syncline_stats *stats);

/* One stage of the engine, since that was opened. Start from SYNCLINE_STAGE_INIT. The
 * order is that of a change's way; see docs/ARCHITECTURE.md for what each does. */
struct syncline_stage {
    size_t size; /* sizeof(struct syncline_stage) */
    char name[32];
    uint64_t runs;     /* slices in which it did something */
    uint64_t batches;  /* batches dealt with; from log_append on segments, or slices of them */
    uint64_t changes;  /* in them */
    uint64_t bytes;    /* of them: as serialized, or of segments; 0 where none are handled */
    uint64_t errors;   /* slices that failed */
    uint64_t busy_ns;  /* time in slices that did something */
    uint32_t fill;     /* batches that wait for it in memory now */
    uint32_t capacity; /* room for so many; 0: it takes its work from the log or the network */
};
#define SYNCLINE_STAGE_INIT                                                                        \
    {                                                                                              \
        .size = sizeof(struct syncline_stage)                                                      \
    }

/* Fills *stage with the index-th stage. Any thread; costs the engine nothing. Does not block, but
 * for a handle that does not run the engine: it asks the process that does, as syncline_info.
 * Errors: ENOTFOUND (there are not that many; none where nobody runs the engine), EINVAL, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_stage_get(struct syncline *lib, size_t index, struct syncline_stage *stage);

/* ---- Settings ----------------------------------------------------------------------------- */

/* What a person may change, by key and value as text: docs/CONFIG.md lists all of it. The value in
 * force comes from the last of these that has one:
 *
 *     the default
 *     the preset              which the setting `preset` names, in any of the following
 *     syncline.conf           in the library's directory: lines "key = value"
 *     the environment         SYNCLINE_ and the key in capitals: SYNCLINE_LINGER_MS=20ms
 *     the call                the members of struct syncline_options
 *
 * syncline_open reads them, once: what is changed later is in force from the next open on. A value
 * that is not what a setting takes ends syncline_open with EINVAL, and the text names key, value,
 * what it takes, and where it stands (file and line, or the variable). The environment's variables
 * that name no setting are nobody's business here.
 *
 * Sizes take B, KiB, MiB and GiB; durations ms, s, min, h and d; bare numbers are bytes and ms. */

enum syncline_setting_type {
    SYNCLINE_SETTING_NUMBER = 1,   /* a whole number */
    SYNCLINE_SETTING_SIZE = 2,     /* bytes: "32MiB" */
    SYNCLINE_SETTING_DURATION = 3, /* milliseconds: "50ms" */
    SYNCLINE_SETTING_CHOICE = 4,   /* one of some words */
    SYNCLINE_SETTING_TEXT = 5
};

enum syncline_setting_source {
    SYNCLINE_SETTING_DEFAULT = 0,
    SYNCLINE_SETTING_PRESET = 1,
    SYNCLINE_SETTING_FILE = 2,
    SYNCLINE_SETTING_ENVIRONMENT = 3,
    SYNCLINE_SETTING_CALL = 4
};

/* A setting and its value. Start from SYNCLINE_SETTING_INIT. The pointers live for ever. */
struct syncline_setting {
    size_t size; /* sizeof(struct syncline_setting) */
    const char *key;
    const char *description; /* one line */
    const char *unit;        /* of `number`: "ms", "bytes", "changes"; "" if there is none */
    const char *option;      /* member of struct syncline_options that says the same, or NULL: then
                                its member `settings` takes it */
    enum syncline_setting_type type;
    enum syncline_setting_source source; /* of the value */
    char where[64];                      /* the same for people: "syncline.conf:3" */
    char variable[64];                   /* of the environment */
    char range[160];                     /* what it takes, in words */
    int64_t min;                         /* numbers, sizes and durations: least number */
    int64_t max;                         /* and greatest */
    int64_t number;                      /* value in force; choices: the enum's; texts: 0 */
    char default_value[32];              /* and by preset: */
    char aggressive[32];
    char conservative[32];
    char mobile[32];
    char value[4096]; /* in force */
};
#define SYNCLINE_SETTING_INIT                                                                      \
    {                                                                                              \
        .size = sizeof(struct syncline_setting)                                                    \
    }

/* Fills *setting with the index-th setting as the handle has it; lib NULL: with its default. A
 * later version may have more of them, at any place: keep keys, not indices. Errors: ENOTFOUND
 * (there are not that many), EINVAL, EFORK. Any thread; never blocks. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_setting_get(struct syncline *lib, size_t index, struct syncline_setting *setting);
/* The same by key. Errors: ENOTFOUND (there is none of that name), EINVAL, EFORK. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_setting_find(struct syncline *lib, const char *key, struct syncline_setting *setting);

/* Fills *setting with the value that a handle would have which this process opened now on the
 * library in `dir`, with options that set none; syncline_setting_get(NULL, ..) gives the keys.
 * `error` (may be NULL) receives one line of text of at most error_size bytes when the call fails.
 * Any thread; blocks on the disk.
 * Errors: ENOTFOUND (no such setting, or no library there), EINVAL (a setting in the file or the
 * environment is not what it takes), EIO, ENOMEM. */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_config_get(const char *dir, const char *key, struct syncline_setting *setting, char *error,
                    size_t error_size);
/* Sets one setting in the syncline.conf of the library in `dir`, or removes it there (value NULL).
 * Order, comments and all else in the file stay; a file that is not there is made. The new file
 * takes the place of the old one at once and after it is safe on the disk: whoever opens a library
 * meanwhile, or after a power cut, finds the one or the other. Wrong values of other settings in
 * the file stand in the way of opening, not of this. Any thread and any process, which take turns;
 * blocks on the disk. Errors: ENOTFOUND (no such setting, or no library there), EINVAL (the value
 * is not what the setting takes, or a line of the file cannot be read as one), EREFUSED (the file
 * is a symbolic link), EIO, ENOSPC, ENOMEM. On an error the file is as it was - but where the
 * directory cannot be synced: then it is as it was to be (EIO). */
SYNCLINE_API SYNCLINE_MUST_USE enum syncline_status
syncline_config_set(const char *dir, const char *key, const char *value, char *error,
                    size_t error_size);

#ifdef __cplusplus
}
#endif

#endif
