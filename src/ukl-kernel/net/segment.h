/* A segment that arrived, as net/tcp-input.c and tcp-open.c tell it each other. */
#ifndef NET_SEGMENT_H
#define NET_SEGMENT_H

#include "internal.h"

struct segment {
	const struct ip_header *ip;
	const struct tcp_header *tcp;
	u32 sequence, acknowledgment, window, flags;
	const u8 *data;
	u32 size;			/* bytes of data */
	u32 mss;			/* options of a SYN; scale 0xff: none */
	u8 scale;
};

void tcp_parse_options(struct segment *segment, const u8 *at, const u8 *end);	/* of a SYN */
void tcp_listen_input(struct socket *listener, const struct segment *segment);
void tcp_syn_sent_input(struct socket *socket, const struct segment *segment);
void tcp_established(struct socket *socket, const struct segment *segment);

#endif
