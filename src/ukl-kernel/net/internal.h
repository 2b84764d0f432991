/*
 * What the files of net/ tell each other, and fs/socket*.c. Addresses, ports and sequence numbers are in the host's
 * order everywhere but in headers, whose fields are read and written by be16() and be32().
 */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include "fs/internal.h"
#include "network.h"

static inline u16 be16(u16 value) { return __builtin_bswap16(value); }
static inline u32 be32(u32 value) { return __builtin_bswap32(value); }

struct ethernet_header { u8 to[6], from[6]; u16 type; } __attribute__((packed));
enum { ETHERNET_IPV4 = 0x0800, ETHERNET_ARP = 0x0806 };

struct ip_header {		/* RFC 791 3.1 */
	u8 version_length, service;
	u16 size, identification, fragment;
	u8 lives, protocol;
	u16 checksum;
	u32 source, destination;
} __attribute__((packed));
enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_DONT_FRAGMENT = 0x4000, IP_FRAGMENT = 0x3fff, IP_LIVES = 64 };

struct udp_header { u16 source, destination, size, checksum; } __attribute__((packed));

struct tcp_header {		/* RFC 9293 3.1 */
	u16 source, destination;
	u32 sequence, acknowledgment;
	u8 offset, flags;	/* offset: words in bits 7-4 */
	u16 window, checksum, urgent;
} __attribute__((packed));
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

#define ANY_ADDRESS	0U
#define BROADCAST	0xffffffffU
#define MS		1000000UL	/* ns */

/* net/network.c */
struct network {
	const struct network_device *device;	/* NULL: loopback only */
	u32 address, mask, gateway;		/* address 0: none yet */
	bool configured;			/* nothing more to wait for at boot */
};
extern struct network network;
void network_configure(u32 address, u32 mask, u32 gateway, const u32 *servers, u32 count);
/* A timer of the stack is due at `deadline`. */
void network_timer(u64 deadline);
void loopback_send(struct packet *packet);
void network_settle(void);		/* at the end of a call: what it sent to this machine arrives, as on Linux */
bool is_own(u32 address);
bool is_loopback(u32 address);		/* what goes there does not leave the machine */
bool memory_charge(u32 bytes);		/* for what peers send; false: it would be too much */
void memory_credit(u32 bytes);
bool memory_tight(void);

/* net/packet.c */
void *packet_push(struct packet *packet, u32 size);	/* room for a header in front; where it begins */
u16 checksum(const void *data, u32 size, u64 sum);	/* RFC 1071, as it goes into a header */
u64 pseudo_sum(u32 source, u32 destination, u8 protocol, u32 size);
/* Sends a TCP or UDP packet, its checksum at `at` filled in here or left to the device. */
long transport_output(struct packet *packet, u32 source, u32 destination, u8 protocol, u32 at);
bool transport_check(const struct packet *packet, u32 source, u32 destination, u8 protocol);

/* net/ethernet.c */
void ethernet_output(struct packet *packet, u32 next_hop);

/* net/ip.c, icmp.c. Output takes the packet in failure too. */
void ip_input(struct packet *packet, bool local);	/* local: sent by this machine */
long ip_output(struct packet *packet, u32 source, u32 destination, u8 protocol);
u32 ip_source(u32 destination);		/* the address to send from; 0: no route */
u32 ip_mtu(u32 destination);
void icmp_input(struct packet *packet, const struct ip_header *ip);
void icmp_port_unreachable(const struct ip_header *ip);

/* net/ring.c: bytes of a stream. Grows up to `limit` as it is used. */
struct ring { u8 *bytes; u32 capacity, start, used, pinned; };
bool ring_reserve(struct ring *ring, u32 size);	/* room for `size` bytes in all; false: no memory */
void ring_put(struct ring *ring, u32 offset, const void *from, u32 size);
void ring_get(const struct ring *ring, u32 offset, void *to, u32 size);
long ring_put_user(struct ring *ring, u32 offset, const void *from, u32 size);	/* 0, -EFAULT */
long ring_get_user(struct ring *ring, u32 offset, void *to, u32 size);
void ring_consume(struct ring *ring, u32 size);
void ring_free(struct ring *ring);
enum { RING_MAX = 262144, RING_MIN = 4096 };

/* A socket, and after the application closed it, what is left of its connection. */
enum tcp_state {
	TCP_CLOSED, TCP_LISTEN, TCP_SYN_SENT, TCP_SYN_RECEIVED, TCP_ESTABLISHED, TCP_CLOSE_WAIT, TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2, TCP_CLOSING, TCP_LAST_ACK, TCP_TIME_WAIT,
};
struct range { u32 start, end; };
enum { RANGES_MAX = 8, CONNECTIONS_MAX = 4096, TIME_WAIT_MAX = 1024, DATAGRAMS_MAX = 212992 };

struct socket {
	struct list link;		/* all sockets of the type: tcp_sockets or udp_sockets */
	struct list hash;		/* TCP: listeners, or those with a remote end by addresses and ports */
	bool stream, open;		/* open: a file refers to it */
	bool bound, reuse, broadcast, no_delay, keep_alive;
	bool read_shut, write_shut;	/* by shutdown() */
	bool no_space;			/* somebody waits for room in the send ring */
	u32 local, remote;
	u16 local_port, remote_port;	/* 0: none */
	int error;			/* SO_ERROR: told once; positive */
	int linger;			/* SO_LINGER, seconds; -1: off */
	u64 receive_limit, send_limit;	/* SO_RCVTIMEO, SO_SNDTIMEO, ns; 0: none */
	struct wait_queue can_read, can_write;

	struct list datagrams;		/* UDP */
	u32 datagram_bytes;

	enum tcp_state state;
	struct socket *listener;	/* not accepted yet: whose it is */
	struct list waiting, accepting;	/* of a listener: handshakes under way, connections to accept; as a member: */
	struct list in_listener;
	u32 backlog, pending;		/* of a listener: how many of both lists there may be, and are */

	struct ring send, receive;	/* send begins at snd_una; receive ends at rcv_nxt */
	/* RFC 9293 3.3.1. snd_max: the highest sent, where snd_nxt was before a retransmission. */
	u32 snd_una, snd_nxt, snd_max, snd_wnd, snd_wnd_max, snd_wl1, snd_wl2, iss;
	u32 rcv_nxt, rcv_edge;		/* rcv_edge: the end of the window that the peer knows */
	struct range ranges[RANGES_MAX];	/* out of order, behind rcv_nxt */
	u32 range_count;
	u32 fin_at;			/* where the peer's FIN is, if fin_known */
	bool fin_known, fin_received, fin_queued, fin_acked;
	u8 snd_scale, rcv_scale;
	u16 mss;
	/* Congestion (RFC 5681, RFC 6582): bytes. */
	u32 cwnd, ssthresh, recover, duplicates;
	bool recovering;
	/* Round trips (RFC 6298), ns; one segment is timed, up to the sequence number timed_end. */
	u64 srtt, rttvar, rto, timed_since;
	u32 timed_end;
	bool timed;
	/* Retransmissions in a row; bytes received since the last ACK was sent; ACKs that were sent at once. */
	u32 retries, unacknowledged, quick_acks;
	bool ack_now, stalled;		/* stalled: the device had no room */
	/* Deadlines, ns; 0: off. `other`: end of TIME_WAIT and of an orphan's FIN_WAIT_2, or keep-alive. */
	u64 retransmit_at, ack_at, other_at;
};
extern struct list tcp_sockets, udp_sockets, tcp_listeners;
struct socket *socket_create(bool stream);	/* net/sockets.c; NULL: no memory, or too many */
void socket_free(struct socket *socket);
/* 0, -EADDRINUSE, -EADDRNOTAVAIL; port 0: a free one. */
long socket_bind(struct socket *socket, u32 address, u16 port);
void socket_wake(struct socket *socket);
long socket_error(struct socket *socket);	/* takes it: 0 or negative */

/* net/udp.c. `from` and `port` where the datagram comes from. */
struct datagram { struct list link; u32 from, size; u16 port; u8 bytes[]; };
void udp_input(struct packet *packet, const struct ip_header *ip);
long udp_send(struct socket *socket, const struct iovec *vectors, u32 count, u32 size, u32 to, u16 port);
long udp_output(u32 source, u16 source_port, u32 to, u16 port, const void *data, u32 size);
void udp_refused(const struct ip_header *ip, const struct udp_header *udp);
void udp_datagram_free(struct socket *socket, struct datagram *datagram);
void udp_close(struct socket *socket);

/* net/tcp.c: the application's side. */
long tcp_connect(struct socket *socket, u32 address, u16 port);	/* begins; 0 or negative */
long tcp_listen(struct socket *socket, u32 backlog);
struct socket *tcp_accept(struct socket *listener);	/* NULL: none yet */
void tcp_shutdown_write(struct socket *socket);
void tcp_after_read(struct socket *socket);		/* tells the peer of new room, if it is worth it */
void tcp_close(struct socket *socket);			/* the file is gone */
void tcp_end(struct socket *socket, int error);		/* no connection any more; frees it if nobody has it */
void tcp_abort(struct socket *socket, int error);	/* with a RST to the peer */
void tcp_time_wait(struct socket *socket);
struct socket *tcp_find(u32 local, u16 local_port, u32 remote, u16 remote_port);
void tcp_hash(struct socket *socket);			/* now that both ends are known */
void tcp_setup(struct socket *socket, u32 peer_mss);	/* both ends known: numbers, windows, MSS */
static inline bool tcp_synchronized(const struct socket *socket) { return socket->state >= TCP_ESTABLISHED; }

/* net/tcp-input.c, tcp-output.c, tcp-timer.c */
void tcp_input(struct packet *packet, const struct ip_header *ip);
bool tcp_transmit(struct socket *socket, u32 sequence, u32 flags, u32 offset, u32 size);
void tcp_acknowledge(struct socket *socket);		/* a segment without data */
void tcp_send_syn(struct socket *socket);
void tcp_output(struct socket *socket);			/* all that may be sent now */
void tcp_send_reset(const struct ip_header *ip, const struct tcp_header *tcp, u32 size);
/* The most that the window can be: without scaling its field has 16 bits. */
static inline u32 window_most(const struct socket *s) { return MIN((u32)RING_MAX, 65535U << s->rcv_scale); }
u32 tcp_window(const struct socket *socket);		/* what can be received from rcv_nxt on */
void tcp_resume(void);					/* the device has room again */
u64 tcp_timers(u64 now);				/* runs those that are due; the next deadline, ~0: none */
void tcp_arm(struct socket *socket, u64 *timer, u64 delay);
void tcp_round_trip(struct socket *socket, u64 sample);
enum { WINDOW_SCALE = 3, MSS_DEFAULT = 536, MSS_MAX = 16384, CWND_MAX = 1 << 20 };

/* Sequence numbers are compared modulo 2^32 (RFC 9293 3.4). */
static inline bool before(u32 a, u32 b) { return (s32)(a - b) < 0; }
static inline bool after(u32 a, u32 b) { return (s32)(a - b) > 0; }

/* net/dhcp.c */
void dhcp_start(void);
void dhcp_input(const void *data, u32 size);
u64 dhcp_timer(u64 now);				/* as tcp_timers */

#endif
