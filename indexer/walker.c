/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The happy path: read all names of a folder, sort them, look at each and report it, remember the
 * subfolders; then do the same for each of those. The folders on the way down are a stack on the
 * heap (folder_stack.c), so depth costs memory, not stack, and no name is ever joined to a path
 * that is given to the system. A folder that was moved away while the walk was below it, so that it
 * cannot be found again, is reported as unreadable with what is left of it. */

#include "indexer/walker.h"

#include "indexer/folder_stack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LINK_SIZE_MAX (1024u * 1024u) /* bytes of a link's target */

struct walk {
    const struct indexer_walk_options *options; /* the caller's */
    struct indexer_walk_stats *stats;           /* the caller's */
    const char *path;                           /* of the root, as given */
    struct indexer_folder_stack stack;          /* the way down */
    struct stat *skip;                          /* folders not to enter, ours */
    size_t skip_count;                          /* there */
    char *names;                                /* of the folder being read, ours */
    size_t names_size;                          /* bytes used */
    size_t names_capacity;                      /* bytes there */
    const char **sorted;                        /* pointers into names, ours */
    size_t sorted_capacity;                     /* pointers there */
    char *target;                               /* of a link, ours */
    size_t target_capacity;                     /* bytes there */
    bool no_memory;                             /* ends the walk with ENOMEM */
};

static bool grow(struct walk *walk, void **memory, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity)
        return true;
    size_t more = *capacity < 64 ? 64 : *capacity;
    while (more < need)
        more *= 2;
    void *moved = reallocarray(*memory, more, size);
    if (moved == NULL) {
        walk->no_memory = true;
        return false;
    }
    *memory = moved;
    *capacity = more;
    return true;
}

static bool is_stopped(struct walk *walk)
{
    const atomic_int *stop = walk->options->stop;
    if (stop != NULL && atomic_load_explicit(stop, memory_order_relaxed) != 0)
        walk->stats->stopped = true;
    return walk->stats->stopped || walk->no_memory;
}

static bool is_gone(int error_number)
{
    return error_number == ENOENT || error_number == ENOTDIR || error_number == ELOOP;
}

/* Tells the path of the folder on top, or of `name` in it. */
static void tell_unreadable(struct walk *walk, const char *name, int error_number)
{
    walk->stats->unreadable++;
    if (walk->options->unreadable == NULL)
        return;
    char *path = indexer_folder_stack_path(&walk->stack, walk->path, name);
    if (path == NULL) {
        walk->no_memory = true;
        return;
    }
    struct syncline_bytes bytes = {.data = path, .len = strlen(path)};
    walk->options->unreadable(walk->options->ctx, bytes, error_number);
    free(path);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Reads all names of the folder into walk->names; their count is the result. */
static size_t read_names(struct walk *walk, DIR *dir, int *error_number)
{
    size_t count = 0;
    walk->names_size = 0;
    for (;;) {
        errno = 0;
        const struct dirent *found = readdir(dir);
        if (found == NULL)
            break;
        const char *name = found->d_name;
        if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
            continue;
        size_t size = strlen(name) + 1;
        void *memory = walk->names;
        if (!grow(walk, &memory, &walk->names_capacity, walk->names_size + size, 1))
            return 0;
        walk->names = memory;
        memcpy(walk->names + walk->names_size, name, size);
        walk->names_size += size;
        count++;
    }
    *error_number = errno;
    void *memory = walk->sorted;
    if (!grow(walk, &memory, &walk->sorted_capacity, count, sizeof(*walk->sorted)))
        return 0;
    walk->sorted = memory;
    const char *name = walk->names;
    for (size_t i = 0; i < count; i++) {
        walk->sorted[i] = name;
        name += strlen(name) + 1;
    }
    if (count > 1)
        qsort(walk->sorted, count, sizeof(*walk->sorted), compare_names);
    return count;
}

/* Reads a link's target into walk->target. Returns 0 or an error number. */
static int read_target(struct walk *walk, int fd, const char *name, struct syncline_bytes *target)
{
    size_t need = 256;
    for (;;) {
        void *memory = walk->target;
        if (!grow(walk, &memory, &walk->target_capacity, need, 1))
            return ENOMEM;
        walk->target = memory;
        ssize_t len = readlinkat(fd, name, walk->target, walk->target_capacity);
        if (len < 0)
            return errno;
        if ((size_t)len < walk->target_capacity) {
            *target = (struct syncline_bytes){.data = walk->target, .len = (size_t)len};
            return 0;
        }
        need = walk->target_capacity * 2;
        if (need > LINK_SIZE_MAX)
            return ENAMETOOLONG;
    }
}

static int64_t modified_ms(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

static bool is_skipped(const struct walk *walk, const struct stat *st)
{
    if (walk->stack.count > 0 && st->st_dev != walk->stack.frames[0].dev)
        return true;
    for (size_t i = 0; i < walk->skip_count; i++)
        if (walk->skip[i].st_dev == st->st_dev && walk->skip[i].st_ino == st->st_ino)
            return true;
    return false;
}

/* splitmix64's finalizer: every bit of the input changes half of the output's. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Looks at `name` in the folder, or at the folder itself (""), without following a link: what
 * fstatat gives, of which the members used here are filled in, and the key. 0 or -1 and errno. */
static int look(int fd, const char *name, struct stat *st, struct indexer_walk_entry *entry)
{
    struct statx found;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
    if (statx(fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, &found) != 0)
        return -1;
    *st = (struct stat){
        .st_dev = makedev(found.stx_dev_major, found.stx_dev_minor),
        .st_ino = found.stx_ino,
        .st_mode = found.stx_mode,
        .st_size = (off_t)found.stx_size,
        .st_mtim = {.tv_sec = found.stx_mtime.tv_sec, .tv_nsec = found.stx_mtime.tv_nsec}};
    /* A file system that keeps no time of birth may say that it does, and give 0. */
    uint64_t born = (found.stx_mask & STATX_BTIME) == 0
                        ? 0
                        : (uint64_t)found.stx_btime.tv_sec * 1000000000u + found.stx_btime.tv_nsec;
    uint64_t key = mix(mix(mix(st->st_dev + 1) ^ st->st_ino) ^ born) >> 1;
    entry->file_key = key == 0 ? 1 : (int64_t)key;
    entry->is_key_certain = born != 0;
    return 0;
}

/* Counts the entry and hands it to the callback. */
static void tell_entry(struct walk *walk, struct indexer_walk_entry *entry, const struct stat *st,
                       uint64_t *tag)
{
    struct indexer_walk_stats *stats = walk->stats;
    entry->modified_at = modified_ms(st);
    if (entry->kind == INDEXER_FILE)
        entry->size = st->st_size;
    if (entry->kind == INDEXER_FOLDER)
        entry->is_skipped = is_skipped(walk, st);
    stats->files += entry->kind == INDEXER_FILE;
    stats->folders += entry->kind == INDEXER_FOLDER;
    stats->links += entry->kind == INDEXER_LINK;
    stats->others += entry->kind == INDEXER_OTHER;
    stats->skipped += entry->is_skipped;
    if (walk->options->entry(walk->options->ctx, entry, tag) == INDEXER_WALK_STOP)
        stats->stopped = true;
}

static enum indexer_kind kind_of(const struct stat *st)
{
    if (S_ISREG(st->st_mode))
        return INDEXER_FILE;
    if (S_ISDIR(st->st_mode))
        return INDEXER_FOLDER;
    return S_ISLNK(st->st_mode) ? INDEXER_LINK : INDEXER_OTHER;
}

/* Looks at one name of the folder on top and reports it, or clears *is_whole: it is there and could
 * not be reported. True: a folder to be entered. */
static bool look_at(struct walk *walk, const char *name, uint64_t *tag, bool *is_whole)
{
    const struct indexer_frame *folder = indexer_folder_stack_top(&walk->stack);
    struct stat st;
    struct indexer_walk_entry entry = {.name = {.data = name, .len = strlen(name)},
                                       .folder_tag = folder->tag,
                                       .depth = (uint32_t)walk->stack.count};
    if (look(folder->fd, name, &st, &entry) != 0) {
        if (is_gone(errno)) {
            walk->stats->vanished++;
        } else {
            tell_unreadable(walk, name, errno);
            *is_whole = false;
        }
        return false;
    }
    entry.kind = kind_of(&st);
    if (entry.kind == INDEXER_LINK) {
        int error_number = read_target(walk, folder->fd, name, &entry.link_target);
        if (is_gone(error_number) || error_number == EINVAL) { /* EINVAL: no link any more */
            walk->stats->vanished++;
            return false;
        }
        if (error_number != 0)
            tell_unreadable(walk, name, error_number);
    }
    tell_entry(walk, &entry, &st, tag);
    return entry.kind == INDEXER_FOLDER && !entry.is_skipped;
}

/* Remembers a subfolder; `capacity` is that of folder->subs. The name stays in walk->names until
 * the folder is done. */
static bool add_subfolder(struct walk *walk, size_t *capacity, size_t name_offset, uint64_t tag)
{
    struct indexer_frame *folder = indexer_folder_stack_top(&walk->stack);
    void *memory = folder->subs;
    if (!grow(walk, &memory, capacity, folder->subs_count + 1, sizeof(*folder->subs)))
        return false;
    folder->subs = memory;
    folder->subs[folder->subs_count++] =
        (struct indexer_subfolder){.name_offset = name_offset, .tag = tag};
    return true;
}

/* Moves the names of the subfolders out of walk->names, which the next folder uses. */
static void keep_names(struct walk *walk)
{
    struct indexer_frame *folder = indexer_folder_stack_top(&walk->stack);
    size_t size = 0;
    for (size_t i = 0; i < folder->subs_count; i++)
        size += strlen(walk->names + folder->subs[i].name_offset) + 1;
    if (size == 0)
        return;
    folder->sub_names = malloc(size);
    if (folder->sub_names == NULL) {
        walk->no_memory = true;
        return;
    }
    char *end = folder->sub_names;
    for (size_t i = 0; i < folder->subs_count; i++) {
        const char *name = walk->names + folder->subs[i].name_offset;
        folder->subs[i].name_offset = (size_t)(end - folder->sub_names);
        end = stpcpy(end, name) + 1;
    }
}

/* Reads the folder on top and reports everything in it. */
static void read_folder(struct walk *walk)
{
    const struct indexer_walk_options *options = walk->options;
    struct indexer_frame *folder = indexer_folder_stack_top(&walk->stack);
    int error_number = 0;
    int fd = fcntl(folder->fd, F_DUPFD_CLOEXEC, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        tell_unreadable(walk, NULL, errno);
        if (fd >= 0)
            close(fd);
        return;
    }
    size_t count = read_names(walk, dir, &error_number);
    closedir(dir);
    bool is_whole = error_number == 0;
    if (!is_whole)
        tell_unreadable(walk, NULL, error_number);
    if (is_stopped(walk))
        return;
    if (options->enter != NULL && options->enter(options->ctx, folder->tag) == INDEXER_WALK_STOP)
        walk->stats->stopped = true;
    size_t subs_capacity = 0;
    for (size_t i = 0; i < count && !is_stopped(walk); i++) {
        uint64_t tag = 0;
        if (look_at(walk, walk->sorted[i], &tag, &is_whole) &&
            !add_subfolder(walk, &subs_capacity, (size_t)(walk->sorted[i] - walk->names), tag))
            return;
    }
    if (is_stopped(walk))
        return;
    if (options->leave != NULL &&
        options->leave(options->ctx, folder->tag, is_whole) == INDEXER_WALK_STOP)
        walk->stats->stopped = true;
    keep_names(walk);
}

/* Takes the descriptor of a folder that was reported, and reports what is in it. */
static void enter(struct walk *walk, int fd, const struct stat *st, const char *name, uint64_t tag)
{
    if (indexer_folder_stack_push(&walk->stack, fd, st, name, tag))
        read_folder(walk);
    else
        walk->no_memory = true;
}

/* Enters the next subfolder of the folder on top. */
static void descend(struct walk *walk)
{
    struct indexer_frame *folder = indexer_folder_stack_top(&walk->stack);
    struct indexer_subfolder sub = folder->subs[folder->subs_next++];
    const char *name = folder->sub_names + sub.name_offset;
    struct stat st;
    int fd = indexer_folder_open(folder->fd, name, &st);
    if (fd < 0) {
        if (is_gone(errno))
            walk->stats->vanished++;
        else
            tell_unreadable(walk, name, errno);
        return;
    }
    if (is_skipped(walk, &st)) { /* something was mounted there since it was reported */
        walk->stats->skipped++;
        close(fd);
        return;
    }
    enter(walk, fd, &st, name, sub.tag);
}

static void find_skipped(struct walk *walk)
{
    const struct indexer_walk_options *options = walk->options;
    if (options->skip_count == 0)
        return;
    walk->skip = calloc(options->skip_count, sizeof(*walk->skip));
    walk->no_memory = walk->skip == NULL;
    for (size_t i = 0; i < options->skip_count && walk->skip != NULL; i++)
        walk->skip_count += stat(options->skip[i], &walk->skip[walk->skip_count]) == 0;
}

/* The last part of a path; "/" for the root of the file system. */
static struct syncline_bytes last_part(const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (start == end)
        start = end - 1;
    return (struct syncline_bytes){.data = path + start, .len = end - start};
}

static enum syncline_status fail_path(const char *path, int error_number, struct indexer_error *err)
{
    char name[512];
    indexer_escape(name, sizeof(name), path, strlen(path));
    if (error_number == ENOENT)
        return indexer_fail(err, SYNCLINE_ENOTFOUND, "there is no folder %s: check the path", name);
    if (error_number == ENOTDIR)
        return indexer_fail(err, SYNCLINE_EINVAL, "%s is not a folder: give the folder it is in",
                            name);
    if (error_number == ENAMETOOLONG)
        return indexer_fail(err, SYNCLINE_EINVAL,
                            "the path %s is too long for the system: change into the folder and "
                            "give a path from there",
                            name);
    return indexer_fail_errno(err, error_number, "the folder %s cannot be read", name);
}

static enum syncline_status open_root(const char *path, int *fd, struct stat *st,
                                      struct indexer_walk_entry *root, struct indexer_error *err)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return fail_path(path, errno, err);
    if (look(*fd, "", st, root) == 0)
        return SYNCLINE_OK;
    int error_number = errno;
    close(*fd);
    return fail_path(path, error_number, err);
}

enum syncline_status indexer_walk_resolve(const char *path, char **resolved,
                                          struct indexer_error *err)
{
    char *found = realpath(path, NULL);
    if (found == NULL)
        return fail_path(path, errno, err);
    *resolved = found;
    return SYNCLINE_OK;
}

enum syncline_status indexer_walk(const char *path, const struct indexer_walk_options *options,
                                  struct indexer_walk_stats *stats, struct indexer_error *err)
{
    *stats = (struct indexer_walk_stats){0};
    struct walk walk = {.options = options, .stats = stats, .path = path};
    size_t open_max = options->open_max == 0 ? INDEXER_WALK_OPEN_MAX : options->open_max;
    walk.stack.open_max = open_max < 3 ? 3 : open_max;
    int fd = -1;
    struct stat st = {0};
    struct indexer_walk_entry root = {
        .name = last_part(path), .kind = INDEXER_FOLDER, .is_root = true};
    enum syncline_status status = open_root(path, &fd, &st, &root, err);
    if (status != SYNCLINE_OK)
        return status;
    find_skipped(&walk);

    uint64_t tag = 0;
    if (!is_stopped(&walk))
        tell_entry(&walk, &root, &st, &tag);
    if (is_stopped(&walk) || root.is_skipped)
        close(fd);
    else
        enter(&walk, fd, &st, "", tag);
    while (walk.stack.count > 0 && !is_stopped(&walk)) {
        const struct indexer_frame *top = indexer_folder_stack_top(&walk.stack);
        if (top->subs_next < top->subs_count) {
            descend(&walk);
            continue;
        }
        int error_number = indexer_folder_stack_pop(&walk.stack);
        if (error_number != 0)
            tell_unreadable(&walk, NULL, error_number);
    }

    indexer_folder_stack_fini(&walk.stack);
    free(walk.skip);
    free(walk.names);
    free(walk.sorted);
    free(walk.target);
    if (walk.no_memory)
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory while walking %s", path);
    return SYNCLINE_OK;
}
