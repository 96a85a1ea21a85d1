/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls that make, join, open and close a library: arguments, files and threads of the
 * real world around a struct sl_library. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uuid/uuid.h>

#include "net/frame.h"
#include "net/key_file.h"
#include "net/network.h"
#include "net/transport_tcp.h"
#include "pipeline/engine_ask.h"
#include "pipeline/handle.h"
#include "stages/members.h"

#define PATH_SIZE 4096

/* The files of a library. */
struct paths {
    char dir[PATH_SIZE];
    char library_db[PATH_SIZE];
    char sync_db[PATH_SIZE];
    char uuid_map[PATH_SIZE];
    char key[PATH_SIZE];
    char lock[PATH_SIZE];
};

static enum syncline_status join_path(char out[PATH_SIZE], const char *dir, const char *name,
                                      struct sl_error *err)
{
    int len = snprintf(out, PATH_SIZE, "%s/%s", dir, name);
    if (len < 0 || len >= PATH_SIZE) {
        return sl_fail(err, SYNCLINE_ETOOBIG, "the path of the library is longer than %d bytes",
                       PATH_SIZE - 32);
    }
    return SYNCLINE_OK;
}

static enum syncline_status make_paths(struct paths *paths, const char *dir, struct sl_error *err)
{
    if (dir == NULL || dir[0] == '\0') {
        return sl_fail(err, SYNCLINE_EINVAL, "no directory was given");
    }
    enum syncline_status status = join_path(paths->library_db, dir, "library.db", err);
    if (status == SYNCLINE_OK) {
        (void)snprintf(paths->dir, sizeof(paths->dir), "%s", dir);
        status = join_path(paths->sync_db, dir, "sync.db", err);
    }
    if (status == SYNCLINE_OK) {
        status = join_path(paths->uuid_map, dir, "uuid-map", err);
    }
    if (status == SYNCLINE_OK) {
        status = join_path(paths->key, dir, "device.key", err);
    }
    return status == SYNCLINE_OK ? join_path(paths->lock, dir, "engine.lock", err) : status;
}

/* The caller's options in this version's layout. */
static enum syncline_status copy_options(const struct syncline_options *given,
                                         struct syncline_options *options, struct sl_error *err)
{
    memset(options, 0, sizeof(*options));
    return given == NULL ? SYNCLINE_OK
                         : sl_struct_take(options, sizeof(*options), given, given->size,
                                          SL_SIZE_UP_TO(struct syncline_options, models),
                                          "SYNCLINE_OPTIONS_INIT", err);
}

static enum syncline_status take_options(const struct syncline_options *given,
                                         struct syncline_options *options, struct sl_error *err)
{
    enum syncline_status status = copy_options(given, options, err);
    if (status != SYNCLINE_OK) {
        return sl_fail_prefix(err, status, "options");
    }
    if (options->role > SYNCLINE_ROLE_CAPTURE) {
        return sl_fail(err, SYNCLINE_EINVAL, "role %d does not exist", (int)options->role);
    }
    if (options->allocator != NULL && options->allocator->resize == NULL) {
        return sl_fail(err, SYNCLINE_EINVAL, "the allocator has no function");
    }
    struct sl_settings settings;
    sl_settings_init(&settings);
    return sl_settings_take_call(&settings, options, err);
}

/* The real world with the host's allocator, if it gave one, copied to *alloc. */
static struct sl_env make_env(const struct syncline_options *options, struct sl_allocator *alloc)
{
    struct sl_env env = *sl_env_posix();
    if (options->allocator != NULL) {
        *alloc = (struct sl_allocator){.resize = options->allocator->resize,
                                       .ctx = options->allocator->ctx};
        env.alloc = alloc;
    }
    return env;
}

static struct sl_host_log make_host_log(const struct syncline_options *options,
                                        const struct sl_settings *settings)
{
    return (struct sl_host_log){
        .to = options->log,
        .level = (enum syncline_log_level)sl_settings_number(settings, SL_SETTING_LOG_LEVEL)};
}

/* Ends a call without a handle: its text goes where the options say, even if something else that
 * they say is not known here. */
static enum syncline_status finish(const struct syncline_options *given,
                                   enum syncline_status status, const struct sl_error *err)
{
    bool has_place = given != NULL && given->size <= SL_STRUCT_SIZE_MAX &&
                     given->size >= SL_SIZE_UP_TO(struct syncline_options, error_size);
    if (status != SYNCLINE_OK && has_place && given->error != NULL && given->error_size > 0) {
        (void)snprintf(given->error, given->error_size, "%s", err->text);
    }
    return status;
}

static enum syncline_status check_address(bool insecure_loopback, const char *address,
                                          struct sl_error *err)
{
    if (!insecure_loopback) {
        return sl_fail(
            err, SYNCLINE_EREFUSED,
            "the network cannot be used yet but for trying it on this machine: nobody is "
            "authenticated. Set insecure_loopback and use a loopback address");
    }
    return sl_address_check_loopback(address, err);
}

/* An address that is refused, with where it comes from unless that is the call at hand. */
static enum syncline_status check_setting(const struct sl_settings *settings, enum sl_setting_id id,
                                          bool insecure_loopback, const char *address,
                                          struct sl_error *err)
{
    char where[64];
    enum syncline_status status = check_address(insecure_loopback, address, err);
    if (status == SYNCLINE_OK || settings->values[id].source == SYNCLINE_SETTING_CALL) {
        return status;
    }
    sl_settings_where(settings, id, where, sizeof(where));
    return sl_fail_prefix(err, status, "%s: %s = %.*s", where, sl_setting_at(id)->key,
                          (int)SL_ADDRESS_SIZE_MAX, address);
}

static enum syncline_status check_addresses(const struct sl_settings *settings,
                                            bool insecure_loopback, struct sl_error *err)
{
    char text[SL_PEERS_SIZE];
    const char *peers[SL_LINK_COUNT_MAX];
    enum syncline_status status = SYNCLINE_OK;
    if (settings->listen[0] != '\0') {
        status =
            check_setting(settings, SL_SETTING_LISTEN, insecure_loopback, settings->listen, err);
    }
    size_t count = sl_settings_peers(settings, text, peers);
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        status = check_setting(settings, SL_SETTING_PEERS, insecure_loopback, peers[i], err);
    }
    return status;
}

/* ---- Create and join ---- */

/* Names travel in frames; one that cannot would make a library that nobody can open. */
static enum syncline_status check_name(const char *whose, const char *name, struct sl_error *err)
{
    size_t len = strlen(name);
    if (len > SL_NAME_SIZE_MAX) {
        return sl_fail(err, SYNCLINE_ETOOBIG, "the name of the %s has %zu bytes, %u are allowed",
                       whose, len, SL_NAME_SIZE_MAX);
    }
    if (!sl_frame_text_is_valid((const uint8_t *)name, len)) {
        return sl_fail(err, SYNCLINE_EINVAL, "the name of the %s is not UTF-8 text", whose);
    }
    return SYNCLINE_OK;
}

/* The device's name as the options give it, or the host's. */
static enum syncline_status name_device(const struct syncline_options *options,
                                        char name[SL_NAME_SIZE_MAX + 1], struct sl_error *err)
{
    if (options->device_name != NULL) {
        enum syncline_status status = check_name("device", options->device_name, err);
        if (status == SYNCLINE_OK) {
            (void)snprintf(name, SL_NAME_SIZE_MAX + 1, "%s", options->device_name);
        }
        return status;
    }
    memset(name, 0, SL_NAME_SIZE_MAX + 1);
    if (gethostname(name, SL_NAME_SIZE_MAX) != 0 || check_name("host", name, err) != SYNCLINE_OK) {
        (void)snprintf(name, SL_NAME_SIZE_MAX + 1, "device");
    }
    return SYNCLINE_OK;
}

/* What create has made so far, for a failure to remove. */
struct made {
    bool dir;
    bool key;
    bool library_db;
    bool sync_db;
};

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void remove_database(const char *path)
{
    char side[PATH_SIZE + 8];
    (void)unlink(path);
    (void)snprintf(side, sizeof(side), "%s-wal", path);
    (void)unlink(side);
    (void)snprintf(side, sizeof(side), "%s-shm", path);
    (void)unlink(side);
}

static void unmake(const struct paths *paths, const struct made *made)
{
    if (made->sync_db) {
        remove_database(paths->sync_db);
    }
    if (made->library_db) {
        remove_database(paths->library_db);
    }
    if (made->key) {
        (void)unlink(paths->key);
    }
    if (made->dir) {
        (void)rmdir(paths->dir);
    }
}

static enum syncline_status make_dir(const struct paths *paths, struct made *made,
                                     struct sl_error *err)
{
    if (mkdir(paths->dir, 0700) == 0) {
        made->dir = true;
        return SYNCLINE_OK;
    }
    int code = errno;
    struct stat st;
    if (code == EEXIST && stat(paths->dir, &st) == 0 && S_ISDIR(st.st_mode)) {
        return SYNCLINE_OK;
    }
    if (code == EEXIST) {
        return sl_fail(err, SYNCLINE_EIO, "%s is not a directory: a library is one", paths->dir);
    }
    return sl_fail(err, code == ENOSPC ? SYNCLINE_ENOSPC : SYNCLINE_EIO,
                   "directory %s cannot be made: %s", paths->dir, strerror(code));
}

/* Directory and key: what does not need the library's id. */
static enum syncline_status make_device(const struct sl_env *env, const struct paths *paths,
                                        struct made *made, struct sl_identity *identity,
                                        struct sl_error *err)
{
    enum syncline_status status = make_dir(paths, made, err);
    if (status == SYNCLINE_OK && (exists(paths->sync_db) || exists(paths->key))) {
        return sl_fail(err, SYNCLINE_EEXIST,
                       "there is a library in %s already: take another directory", paths->dir);
    }
    if (status == SYNCLINE_OK) {
        status = sl_identity_new(env, identity, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_key_file_write(paths->key, identity, err);
        made->key = status == SYNCLINE_OK;
    }
    return status;
}

static enum syncline_status make_files(const struct sl_env *env, const struct paths *paths,
                                       struct made *made, const struct sl_identity *identity,
                                       const struct syncline_uuid *library_id, const char *name,
                                       const char *device_name, struct sl_error *err)
{
    struct sl_library_config config = {.env = env,
                                       .library_db = paths->library_db,
                                       .sync_db = paths->sync_db,
                                       .identity = identity};
    made->library_db = !exists(paths->library_db);
    made->sync_db = true;
    return sl_library_create(&config, library_id, name, device_name, err);
}

enum syncline_status syncline_create(const char *dir, const char *name,
                                     const struct syncline_options *given)
{
    struct sl_error err = {.text = ""};
    struct paths paths;
    struct made made = {0};
    struct syncline_options options;
    struct sl_identity identity;
    struct syncline_uuid library_id;
    char device_name[SL_NAME_SIZE_MAX + 1];
    enum syncline_status status = take_options(given, &options, &err);
    if (status == SYNCLINE_OK && (name == NULL || name[0] == '\0')) {
        status = sl_fail(&err, SYNCLINE_EINVAL, "the library needs a name");
    }
    if (status == SYNCLINE_OK) {
        status = check_name("library", name, &err);
    }
    if (status == SYNCLINE_OK) {
        status = name_device(&options, device_name, &err);
    }
    if (status == SYNCLINE_OK) {
        status = make_paths(&paths, dir, &err);
    }
    if (status != SYNCLINE_OK) {
        return finish(given, status, &err);
    }
    struct sl_allocator alloc;
    struct sl_env env = make_env(&options, &alloc);
    uuid_generate_random(library_id.bytes);
    status = make_device(&env, &paths, &made, &identity, &err);
    if (status == SYNCLINE_OK) {
        status = make_files(&env, &paths, &made, &identity, &library_id, name, device_name, &err);
    }
    if (status != SYNCLINE_OK) {
        unmake(&paths, &made);
    }
    return finish(given, status, &err);
}

static enum syncline_status ask_member(const struct sl_env *env, const struct sl_identity *identity,
                                       const char *address, const char *device_name,
                                       struct sl_welcome *welcome, struct sl_error *err)
{
    struct sl_hello self = {.device_id = identity->device_id};
    memcpy(self.public_key, identity->public_key, sizeof(self.public_key));
    (void)snprintf(self.device_name, sizeof(self.device_name), "%s", device_name);
    struct sl_transport *transport = NULL;
    enum syncline_status status = sl_transport_tcp_new(env->alloc, &transport, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_network_join(env, transport, &self, address, welcome, err);
    transport->ops->free(transport);
    return status;
}

/* Who answered is the first member known here. */
static enum syncline_status keep_member(const struct sl_env *env, const struct paths *paths,
                                        const struct sl_identity *identity,
                                        const struct sl_welcome *welcome, struct sl_error *err)
{
    struct sl_peer_log log;
    enum syncline_status status = sl_peer_log_open(&log, env, paths->sync_db, SL_DB_WRITE, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_members_begin(&log, env, identity, &welcome->member, err);
    sl_peer_log_fini(&log);
    return status;
}

enum syncline_status syncline_join(const char *dir, const char *address,
                                   const struct syncline_options *given)
{
    struct sl_error err = {.text = ""};
    struct paths paths;
    struct made made = {0};
    struct syncline_options options;
    struct sl_identity identity;
    struct sl_welcome welcome;
    char device_name[SL_NAME_SIZE_MAX + 1];
    enum syncline_status status = take_options(given, &options, &err);
    if (status == SYNCLINE_OK && address == NULL) {
        status = sl_fail(&err, SYNCLINE_EINVAL, "no address was given");
    }
    if (status == SYNCLINE_OK) {
        status = check_address(options.insecure_loopback, address, &err);
    }
    if (status == SYNCLINE_OK) {
        status = name_device(&options, device_name, &err);
    }
    if (status == SYNCLINE_OK) {
        status = make_paths(&paths, dir, &err);
    }
    if (status != SYNCLINE_OK) {
        return finish(given, status, &err);
    }
    struct sl_allocator alloc;
    struct sl_env env = make_env(&options, &alloc);
    status = make_device(&env, &paths, &made, &identity, &err);
    if (status == SYNCLINE_OK) {
        status = ask_member(&env, &identity, address, device_name, &welcome, &err);
    }
    if (status == SYNCLINE_OK) {
        status = make_files(&env, &paths, &made, &identity, &welcome.library_id,
                            welcome.library_name, device_name, &err);
    }
    if (status == SYNCLINE_OK) {
        status = keep_member(&env, &paths, &identity, &welcome, &err);
    }
    if (status != SYNCLINE_OK) {
        unmake(&paths, &made);
    }
    return finish(given, status, &err);
}

enum syncline_status syncline_remove(const char *dir, const struct syncline_options *given)
{
    struct sl_error err = {.text = ""};
    struct syncline_options options;
    enum syncline_status status = take_options(given, &options, &err);
    if (status == SYNCLINE_OK) {
        struct sl_allocator alloc;
        struct sl_env env = make_env(&options, &alloc);
        status = sl_library_remove(&env, dir, &err);
    }
    return finish(given, status, &err);
}

/* ---- Open and close ---- */

/* Takes the engine's lock as the role wants it. */
static enum syncline_status take_role(struct syncline *lib, const struct paths *paths,
                                      enum syncline_role role, struct sl_error *err)
{
    lib->lock.fd = -1;
    if (role == SYNCLINE_ROLE_CAPTURE) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_engine_lock_open(
        &lib->lock, paths->lock,
        "; or work beside it, with SYNCLINE_ROLE_AUTO or SYNCLINE_ROLE_CAPTURE", err);
    if (status == SYNCLINE_EBUSY && role == SYNCLINE_ROLE_AUTO) {
        return SYNCLINE_OK;
    }
    return status;
}

static enum syncline_status check_is_library(const struct paths *paths, struct sl_error *err)
{
    struct stat st;
    if (stat(paths->dir, &st) != 0) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "%s: %s; create or join a library there first",
                       paths->dir, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return sl_fail(err, SYNCLINE_EFORMAT, "%s is not a directory: a library is one",
                       paths->dir);
    }
    if (!exists(paths->library_db) && (exists(paths->sync_db) || exists(paths->key))) {
        return sl_fail(
            err, SYNCLINE_ENOTFOUND,
            "library.db is missing in %s, which holds the rest of a library: put it back "
            "from a backup, or join anew in another directory (docs/RECOVERY.md)",
            paths->dir);
    }
    /* With its key the engine makes the log anew from library.db (stages/epoch). */
    if (!exists(paths->sync_db) && !exists(paths->key)) {
        return sl_fail(err, SYNCLINE_ENOTFOUND,
                       "there is no library in %s (%s is missing): create or join one there first",
                       paths->dir,
                       exists(paths->library_db) ? "sync.db" : "library.db and sync.db");
    }
    return SYNCLINE_OK;
}

/* What other processes ask of the engine. On the socket's thread. */
static void answer_engine(void *ctx, const char *question, struct sl_buf *out)
{
    struct syncline *lib = ctx;
    if (strcmp(question, SL_ENGINE_VIEW_QUESTION) == 0) {
        struct sl_engine_view view;
        sl_engine_view_read(lib->library, &view);
        sl_engine_view_write(&view, out);
        return;
    }
    (void)sl_engine_ask_answer(lib->library, question, out);
}

static enum syncline_status start_engine(struct syncline *lib, struct sl_error *err)
{
    if (lib->lock.fd < 0) {
        return SYNCLINE_OK;
    }
    enum syncline_threads threads =
        (enum syncline_threads)sl_settings_number(&lib->settings, SL_SETTING_THREADS);
    enum syncline_status status = sl_worker_start(&lib->worker, lib->library, threads, err);
    lib->has_worker = status == SYNCLINE_OK;
    struct sl_error unheard;
    if (status == SYNCLINE_OK &&
        sl_engine_socket_start(&lib->socket, lib->dir, lib->env.alloc, answer_engine, lib,
                               &unheard) != SYNCLINE_OK) {
        (void)sl_core_notice(sl_library_core(lib->library), SYNCLINE_EIO, unheard.text);
    }
    return status;
}

static void free_handle(struct syncline *lib)
{
    sl_engine_socket_stop(&lib->socket);
    sl_events_free(lib);
    if (lib->has_worker) {
        sl_worker_stop(&lib->worker);
    }
    sl_library_close(lib->library);
    if (lib->transport != NULL) {
        lib->transport->ops->free(lib->transport);
    }
    sl_engine_lock_close(&lib->lock);
    if (lib->dir >= 0) {
        (void)close(lib->dir);
    }
    (void)pthread_mutex_destroy(&lib->error_lock);
    (void)pthread_mutex_destroy(&lib->asked_lock);
    sl_free(lib->env.alloc, lib);
}

/* Is the file no database, or one that SQLite finds damaged? What is a database and no log, or a
 * newer one, is somebody's, and stays. */
static bool is_damaged(const struct sl_env *env, const char *path)
{
    static const char magic[16] = "SQLite format 3";
    char head[sizeof(magic)] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, head, sizeof(head)) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (len < 0 || (len > 0 && memcmp(head, magic, sizeof(magic)) != 0)) {
        return len > 0;
    }
    struct sl_peer_log log;
    struct sl_library_identity who;
    struct sl_error ignored;
    enum syncline_status status = sl_peer_log_open(&log, env, path, SL_DB_READ, &ignored);
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_identity(&log, &who, &ignored);
        sl_peer_log_fini(&log);
    }
    return status == SYNCLINE_ECORRUPT;
}

/* A damaged log is put away, and its WAL with it, so that a new one is made. The engine's lock is
 * held. */
static enum syncline_status put_damaged_away(const struct sl_env *env, const struct paths *paths,
                                             bool *away, struct sl_error *err)
{
    static const char *const ends[] = {"-shm", "-wal", ""}; /* the file itself last */
    *away = exists(paths->sync_db) && is_damaged(env, paths->sync_db);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]) && *away; i++) {
        char from[PATH_SIZE + 8];
        char to[PATH_SIZE + 16];
        (void)snprintf(from, sizeof(from), "%s%s", paths->sync_db, ends[i]);
        (void)snprintf(to, sizeof(to), "%s.damaged%s", paths->sync_db, ends[i]);
        if (rename(from, to) != 0 && errno != ENOENT) {
            return sl_fail(err, SYNCLINE_EIO, "sync.db is damaged, and cannot be put away: %s",
                           strerror(errno));
        }
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_handle_check_alone(const struct sl_mark_file *mark, struct sl_error *err)
{
    char original[SL_MARK_PATH_SIZE];
    char key[SL_MARK_PATH_SIZE + 16];
    struct sl_identity there;
    struct sl_error ignored;
    if (!sl_mark_file_original(mark, original)) {
        return SYNCLINE_OK;
    }
    (void)snprintf(key, sizeof(key), "%s/device.key", original);
    if (sl_key_file_read(key, &there, &ignored) != SYNCLINE_OK ||
        !sl_uuid_equal(&there.device_id, &mark->device)) {
        return SYNCLINE_OK;
    }
    return sl_fail(
        err, SYNCLINE_ECLONED,
        "this is a copy of the library in %.200s, which is there, too: one device cannot "
        "be in two places. Use that one, or move it away to go on with this one",
        original);
}

/* Where the library is, and where its mark; a copy beside its original goes no further. */
static enum syncline_status find_place(struct syncline *lib, const struct paths *paths,
                                       const struct syncline_uuid *device,
                                       char place[SL_PLACE_SIZE], struct sl_error *err)
{
    enum syncline_status status = sl_mark_file_init(&lib->mark, paths->dir, device, err);
    if (status == SYNCLINE_OK) {
        status = sl_handle_check_alone(&lib->mark, err);
    }
    return status == SYNCLINE_OK ? sl_place_of(paths->dir, place, err) : status;
}

static enum syncline_status open_handle(struct syncline *lib, const struct paths *paths,
                                        const struct syncline_options *options,
                                        struct sl_error *err)
{
    struct sl_identity identity;
    lib->dir = open(paths->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    enum syncline_status status =
        lib->dir >= 0
            ? SYNCLINE_OK
            : sl_fail(err, SYNCLINE_EIO, "%s cannot be opened: %s", paths->dir, strerror(errno));
    if (status == SYNCLINE_OK) {
        status = sl_key_file_read(paths->key, &identity, err);
    }
    if (status == SYNCLINE_OK) {
        status = take_role(lib, paths, options->role, err);
    }
    bool engine = lib->lock.fd >= 0;
    bool damaged = false;
    char place[SL_PLACE_SIZE];
    if (status == SYNCLINE_OK && engine) {
        status = find_place(lib, paths, &identity.device_id, place, err);
    }
    if (status == SYNCLINE_OK && engine) {
        status = put_damaged_away(&lib->env, paths, &damaged, err);
    }
    if (status == SYNCLINE_OK && engine) {
        status = sl_transport_tcp_new(lib->env.alloc, &lib->transport, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    char text[SL_PEERS_SIZE];
    const char *peers[SL_LINK_COUNT_MAX];
    const struct sl_settings *settings = &lib->settings;
    struct sl_library_config config = {
        .env = &lib->env,
        .settings = settings,
        .library_db = paths->library_db,
        .sync_db = paths->sync_db,
        .uuid_map = paths->uuid_map,
        .identity = &identity,
        .models = options->models,
        .models_count = options->models_count,
        .transport = lib->transport,
        .listen = settings->listen[0] != '\0' ? settings->listen : NULL,
        .peers = peers,
        .peers_count = sl_settings_peers(settings, text, peers),
        .engine = engine,
        .log_was_damaged = damaged,
        .keeper = engine ? sl_mark_file_keeper(&lib->mark, &lib->keeper) : NULL,
        .place = engine ? place : NULL,
        .host_log = make_host_log(options, settings)};
    status = sl_library_open(&config, &lib->library, err);
    if (status != SYNCLINE_OK && !engine && is_damaged(&lib->env, paths->sync_db)) {
        char why[SL_ERROR_SIZE];
        (void)snprintf(why, sizeof(why), "%s", err->text);
        return sl_fail(err, status,
                       "%s. Nothing of the application's data is lost: open the library with its "
                       "engine (syncline serve), which keeps the file as sync.db.damaged and makes "
                       "a new one",
                       why);
    }
    if (status == SYNCLINE_OK) {
        status = sl_events_new(lib, err);
    }
    if (status == SYNCLINE_OK) {
        status = start_engine(lib, err);
    }
    if (status == SYNCLINE_OK) {
        sl_host_log_say(&config.host_log, SYNCLINE_LOG_INFO, "%s is open%s", paths->dir,
                        engine ? ", and the engine runs"
                               : " for captures; the engine is another process's");
    }
    return status;
}

enum syncline_status syncline_open(const char *dir, const struct syncline_options *given,
                                   struct syncline **out)
{
    struct sl_error err = {.text = ""};
    struct paths paths;
    struct syncline_options options;
    enum syncline_status status = take_options(given, &options, &err);
    if (status == SYNCLINE_OK && out == NULL) {
        status = sl_fail(&err, SYNCLINE_EINVAL, "out is NULL");
    }
    if (status == SYNCLINE_OK) {
        status = make_paths(&paths, dir, &err);
    }
    if (status == SYNCLINE_OK) {
        status = check_is_library(&paths, &err);
    }
    if (status != SYNCLINE_OK) {
        return finish(given, status, &err);
    }
    struct sl_allocator alloc;
    struct sl_env env = make_env(&options, &alloc);
    struct sl_settings settings;
    status = sl_settings_take_all(&settings, env.alloc, dir, &options, &err);
    if (status == SYNCLINE_OK && options.role != SYNCLINE_ROLE_CAPTURE) {
        status = check_addresses(&settings, options.insecure_loopback, &err);
    }
    if (status != SYNCLINE_OK) {
        return finish(given, status, &err);
    }
    struct syncline *lib = sl_calloc(env.alloc, 1, sizeof(*lib));
    if (lib == NULL || pthread_mutex_init(&lib->error_lock, NULL) != 0 ||
        pthread_mutex_init(&lib->asked_lock, NULL) != 0) {
        sl_free(env.alloc, lib);
        return finish(given, sl_fail(&err, SYNCLINE_ENOMEM, "no memory for the handle"), &err);
    }
    lib->env = make_env(&options, &lib->alloc);
    lib->pid = getpid();
    lib->settings = settings;
    lib->opened_ns = lib->env.mono_ns(lib->env.ctx);
    atomic_init(&lib->closing, false);
    atomic_init(&lib->running, 0);
    lib->lock.fd = -1;
    lib->dir = -1;
    lib->socket.listening = -1;
    status = open_handle(lib, &paths, &options, &err);
    if (status != SYNCLINE_OK) {
        free_handle(lib);
        return finish(given, status, &err);
    }
    *out = lib;
    return SYNCLINE_OK;
}

void syncline_close(struct syncline *lib)
{
    if (lib == NULL) {
        return;
    }
    if (lib->pid != getpid()) {
        (void)close(lib->dir);
        sl_free(lib->env.alloc, lib); /* what it points at belongs to the parent */
        return;
    }
    if (sl_events_is_own_thread(lib)) {
        return; /* a thread cannot wait for its own end */
    }
    sl_handle_shut(lib); /* a subscriber's function may be waiting for something */
    free_handle(lib);
}

enum syncline_status syncline_close_drained(struct syncline *lib, enum syncline_level level,
                                            int64_t timeout_ms, struct syncline_left *left)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    status = sl_handle_check_level(level, &err);
    if (status == SYNCLINE_OK && left != NULL) {
        status = sl_handle_check_out(&left->size, &err);
    }
    if (status == SYNCLINE_OK && sl_events_is_own_thread(lib)) {
        status = sl_fail(&err, SYNCLINE_EINVAL,
                         "a subscriber's function cannot close the handle that calls it");
    }
    if (status != SYNCLINE_OK) {
        return sl_handle_keep(lib, status, &err);
    }
    sl_handle_shut(lib);
    if (level >= SYNCLINE_LEVEL_SENT && lib->has_worker) {
        sl_library_pause(lib->library, false); /* else it would wait in vain */
        sl_worker_wake(&lib->worker);
    }
    status = sl_handle_flush(lib, level, timeout_ms, true, left, &err);
    free_handle(lib);
    return status;
}
