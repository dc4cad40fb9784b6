/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* The TUN device: packets from and to the kernel's router. */
#ifndef NATBOX_TUN_H
#define NATBOX_TUN_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NATBOX_TUN_PACKET_MAX 65536u

/*
 * Create or attach to the device and bring it up. With segments, the
 * kernel hands over whole trains of TCP segments as one packet, which is
 * what makes a user-space NAT fast; without, each comes alone, as loss
 * needs it. Returns the descriptor, non-blocking, or -1 with errno set.
 */
int natbox_tun_open(const char *name, bool segments);

/* One packet and the offload header that belongs to it; 0: none waiting. */
ssize_t natbox_tun_read(int fd, struct virtio_net_hdr *offload, uint8_t *data, size_t cap);
bool natbox_tun_write(int fd, const struct virtio_net_hdr *offload, const uint8_t *data,
                      size_t len);

#endif
