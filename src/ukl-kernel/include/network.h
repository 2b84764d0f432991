/* The network as the rest of the kernel sees it (CONFIG_NET). Addresses and ports here are in the host's order. */
#ifndef NETWORK_H
#define NETWORK_H

#include "abi-sockets.h"
#include "file.h"

/* net/network.c. Starts the stack and its thread; `ip=` on the command line says where the address comes from. */
void network_init(const char *command_line);
void network_wait_configured(void);	/* until the address is known, or nobody will tell it */
/* Does what is to be done now: frames that came, timers. Never waits. */
void network_poll(void);
void network_kick(void);		/* has the network's thread do it; from interrupt handlers too */

/* A frame, or part of one on its way through the layers. */
struct packet {
	struct list link;
	u8 *data;			/* of the layer that has it, `size` bytes, with room for lower headers before it */
	u32 size, capacity;
	bool checked;			/* the transport checksum needs no check, or will be filled in by the device */
	u16 checksum_start, checksum_at;	/* sending, if checked: where summing starts, where the sum goes; in data */
	u8 room[];
};
enum { PACKET_HEADROOM = 64, FRAME_MAX = 1514 };
struct packet *packet_create(u32 size);	/* NULL: no memory, or too many */
void packet_free(struct packet *packet);

/* What a driver offers, and what it calls: ethernet_receive() from poll(), with a frame that stays its own. */
struct network_device {
	u8 mac[6];
	u16 mtu;
	bool checksums;			/* it fills in the checksums of TCP and UDP */
	bool (*can_send)(void);
	void (*send)(struct packet *packet);	/* takes the packet; one for which there is no room is lost */
	void (*poll)(void);			/* takes what came, gives back what was sent */
};
void network_device_register(const struct network_device *device);
void ethernet_receive(struct packet *frame);

/* fs/socket.c: what the calls on any descriptor do if it is an Internet socket. */
bool is_inet(const struct file *file);
ssize_t inet_send(struct file *file, const void *buffer, size_t size, u32 flags);
ssize_t inet_vectors(struct file *file, const struct iovec *user, u64 count, bool sending);
ssize_t inet_receive(struct file *file, void *buffer, size_t size, u32 flags);

#endif
