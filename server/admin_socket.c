/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "admin_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

#define BACKLOG     16
#define SOCKET_MODE 0660
/* Who comes is looked at here: a file has one group, and there may be two of them. */
#define SOCKET_MODE_OPEN 0666

static int fail(char *err, size_t err_size, const char *path, const char *what)
{
    snprintf(err, err_size, "admin socket %s: %s: %s", path, what, strerror(errno));
    return -1;
}

static int make_address(const char *path, struct sockaddr_un *out, char *err, size_t err_size)
{
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(out->sun_path)) {
        snprintf(err, err_size, "admin socket %s: the path is longer than %zu characters", path,
                 sizeof(out->sun_path) - 1);
        return -1;
    }
    memcpy(out->sun_path, path, strlen(path));
    return 0;
}

/* Removes what a daemon that was killed has left, and nothing else. */
static int remove_stale(const struct sockaddr_un *address, char *err, size_t err_size)
{
    const char *path = address->sun_path;
    struct stat st;

    if (lstat(path, &st))
        return errno == ENOENT ? 0 : fail(err, err_size, path, "cannot look at it");
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(err, err_size, "admin socket %s: there is a file of that name, not a socket",
                 path);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(err, err_size, path, "cannot make a socket");
    int live = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
               errno == EAGAIN; /* its backlog is full */
    bool refused = !live && errno == ECONNREFUSED;
    close(fd);
    if (live) {
        snprintf(err, err_size, "admin socket %s: another trystd answers there", path);
        return -1;
    }
    if (!refused || unlink(path))
        return fail(err, err_size, path, "cannot remove a stale socket");
    log_info("removed the stale admin socket %s", path);
    return 0;
}

static int bind_at(struct admin *admin, const char *path, char *err, size_t err_size)
{
    struct sockaddr_un address;
    struct stat st;

    if (make_address(path, &address, err, err_size) || remove_stale(&address, err, err_size))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(err, err_size, path, "cannot make a socket");
    /* On Linux the file takes over the descriptor's mode: at no moment is it open to others. */
    (void)fchmod(fd, SOCKET_MODE);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address))) {
        fail(err, err_size, path, errno == ENOENT ? "its directory is missing" : "cannot bind");
    } else if (chmod(path, SOCKET_MODE) || stat(path, &st) || listen(fd, BACKLOG)) {
        fail(err, err_size, path, "cannot listen");
        (void)unlink(path);
    } else {
        admin->fd = fd;
        admin->own_path = true;
        admin->dev = st.st_dev;
        admin->ino = st.st_ino;
        snprintf(admin->path, sizeof(admin->path), "%s", path);
        return 0;
    }
    close(fd);
    return -1;
}

/* A socket from the service manager; its file is the manager's. */
static int take_over(struct admin *admin, int fd, char *err, size_t err_size)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);

    memset(&address, 0, sizeof(address));
    if (getsockname(fd, (struct sockaddr *)&address, &size) || address.sun_family != AF_UNIX) {
        snprintf(err, err_size, "admin socket: the descriptor handed over is no Unix socket");
        return -1;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
        return fail(err, err_size, "handed over", "cannot set it up");
    snprintf(admin->path, sizeof(admin->path), "%.*s", (int)sizeof(admin->path) - 1,
             address.sun_path);
    admin->fd = fd;
    return 0;
}

int admin_socket_open(struct admin *admin, const char *path, int handed_fd, char *err,
                      size_t err_size)
{
    if (handed_fd >= 0)
        return take_over(admin, handed_fd, err, err_size);
    return bind_at(admin, path, err, err_size);
}

void admin_socket_close(struct admin *admin)
{
    struct stat st;

    close(admin->fd);
    /* Somebody else's by now, if it is another inode. */
    if (admin->own_path && lstat(admin->path, &st) == 0 && st.st_dev == admin->dev &&
        st.st_ino == admin->ino)
        (void)unlink(admin->path);
}

/* Supplementary groups; kernels before 4.13 cannot tell. */
static bool in_group(int fd, gid_t gid)
{
    gid_t few[64], *groups = few;
    socklen_t size = sizeof(few);
    bool found = false;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size)) {
        groups = errno == ERANGE ? malloc(size) : NULL;
        if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size)) {
            free(groups);
            return false;
        }
    }
    for (size_t i = 0; i < size / sizeof(gid_t) && !found; i++)
        found = groups[i] == gid;
    if (groups != few)
        free(groups);
    return found;
}

static bool peer_in_group(int fd, const struct ucred *peer, gid_t gid)
{
    return peer->gid == gid || in_group(fd, gid);
}

/* The group that the file has now: an operator may change it while the daemon runs. */
static bool in_group_of_file(const struct admin *admin, int fd, const struct ucred *peer)
{
    struct stat st;

    return admin->path[0] && stat(admin->path, &st) == 0 && peer_in_group(fd, peer, st.st_gid);
}

enum admin_standing admin_socket_standing(const struct admin *admin, int fd, uid_t *uid, pid_t *pid)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    *uid = (uid_t)-1;
    *pid = -1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
        return ADMIN_STRANGER;
    *uid = peer.uid;
    *pid = peer.pid;
    if (peer.uid == 0 || peer.uid == geteuid())
        return ADMIN_OPERATOR;
    if (admin->operators.there ? peer_in_group(fd, &peer, admin->operators.gid)
                               : in_group_of_file(admin, fd, &peer))
        return ADMIN_OPERATOR;
    return admin->readers.there && peer_in_group(fd, &peer, admin->readers.gid) ? ADMIN_READER
                                                                                : ADMIN_STRANGER;
}

/* --- groups --- */

static int find_group(const char *option, const char *text, struct admin_group *out, char *err,
                      size_t err_size)
{
    char *end;

    memset(out, 0, sizeof(*out));
    if (!*text)
        return 0;
    /* cppcheck-suppress getgrnamCalled ; at the start there is one thread that asks for groups */
    const struct group *g = getgrnam(text);
    unsigned long number = strtoul(text, &end, 10);
    if (!g && (*end || text[0] < '0' || text[0] > '9' || number >= (gid_t)-1)) {
        snprintf(err, err_size,
                 "%s: there is no group '%.64s'; make it (groupadd), or give a"
                 " group's name or number",
                 option, text);
        return -1;
    }
    out->there = true;
    out->gid = g ? g->gr_gid : (gid_t)number;
    snprintf(out->name, sizeof(out->name), "%s", text);
    return 0;
}

int admin_set_groups(struct admin *admin, const char *operators, const char *readers, char *err,
                     size_t err_size)
{
    if (find_group("admin-group", operators, &admin->operators, err, err_size) ||
        find_group("readonly-group", readers, &admin->readers, err, err_size))
        return -1;
    bool grouped = admin->operators.there || admin->readers.there;
    if (admin->own_path && grouped && chmod(admin->path, SOCKET_MODE_OPEN))
        return fail(err, err_size, admin->path, "cannot open it to its groups");
    return 0;
}
