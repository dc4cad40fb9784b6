/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_ADMIN_SOCKET_H
#define TRYST_ADMIN_SOCKET_H

#include "admin_internal.h"

/* The admin socket's file, and who may use it. */

/* Fills in fd and path. 0, or -1 with a sentence in err. */
int admin_socket_open(struct admin *admin, const char *path, int handed_fd, char *err,
                      size_t err_size);
void admin_socket_close(struct admin *admin);
/* What the process at the other end may do: root, our own user and the operators' group all, the
 * readers' group look. */
enum admin_standing admin_socket_standing(const struct admin *admin, int fd, uid_t *uid,
                                          pid_t *pid);

#endif
