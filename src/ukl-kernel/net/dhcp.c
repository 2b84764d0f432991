/* The client of the dynamic host configuration protocol (RFC 2131, options of RFC 2132). */
#include "internal.h"

struct dhcp_message {
	u8 operation, hardware, hardware_size, hops;
	u32 transaction;
	u16 seconds, flags;
	u32 client, yours, server, relay;
	u8 client_mac[16], server_name[64], file[128];
	u32 cookie;
	u8 options[64];		/* sent; what comes may have more or fewer */
} __attribute__((packed));

enum {
	REQUEST = 1, REPLY = 2, CLIENT_PORT = 68, SERVER_PORT = 67, COOKIE = 0x63825363, FLAG_BROADCAST = 0x8000,
	OPTION_PAD = 0, OPTION_MASK = 1, OPTION_ROUTER = 3, OPTION_DNS = 6, OPTION_ADDRESS = 50, OPTION_LEASE = 51,
	OPTION_TYPE = 53, OPTION_SERVER = 54, OPTION_WANTED = 55, OPTION_END = 255,
	DISCOVER = 1, OFFER = 2, ASK = 3, ACK = 5, NAK = 6,
	TRIES = 5,		/* before process 1 begins without an address */
	SERVERS_MAX = 3,
};

static enum { OFF, SELECTING, REQUESTING, BOUND } state;
static u32 transaction, offered, server, tries;
static u64 due, bound_at, lease;	/* ns; lease 0: for ever */

static u8 *option(u8 *at, u8 code, u32 value)
{
	*at++ = code;
	*at++ = 4;
	value = be32(value);
	memcpy(at, &value, 4);
	return at + 4;
}

/* Renewing (the address is in use) is REQUEST with `client` instead of the options 50 and 54 (RFC 2131 4.3.2). */
static void send(u8 type)
{
	bool renewing = state == BOUND;
	struct dhcp_message message = {
		.operation = REQUEST, .hardware = 1, .hardware_size = 6, .transaction = be32(transaction),
		.client = be32(renewing ? network.address : 0), .cookie = be32(COOKIE),
		.flags = be16(renewing ? 0 : FLAG_BROADCAST),
	};
	memcpy(message.client_mac, network.device->mac, 6);
	u8 *at = message.options;
	memcpy(at, (const u8[]){ OPTION_TYPE, 1, type, OPTION_WANTED, 3, OPTION_MASK, OPTION_ROUTER, OPTION_DNS }, 8);
	at += 8;
	if (type == ASK && !renewing) {
		at = option(at, OPTION_ADDRESS, offered);
		at = option(at, OPTION_SERVER, server);
	}
	*at = OPTION_END;
	/* At T1 (half of the lease) to the server, at T2 (seven eighths) to any (RFC 2131 4.4.5). */
	bool known = renewing && time_now() < bound_at + lease / 8 * 7;
	udp_output(renewing ? network.address : 0, CLIENT_PORT, known ? server : BROADCAST, SERVER_PORT, &message,
		   sizeof(message));
}

static void again_in(u64 delay)
{
	due = time_now() + delay;
	network_timer(due);
}

static void discover(void)
{
	state = SELECTING;
	random_fill(&transaction, sizeof(transaction));
	send(DISCOVER);
	again_in(NS_PER_SECOND << MIN(tries, 5U));
}

void dhcp_start(void)
{
	tries = 0;
	discover();
}

u64 dhcp_timer(u64 now)
{
	if (state == OFF || !due)
		return ~0UL;
	if (now < due)
		return due;
	if (state == BOUND && now < bound_at + lease) {
		send(ASK);
		again_in(MAX((bound_at + lease - now) / 2, 30 * NS_PER_SECOND));
		return due;
	}
	if (state == BOUND)
		network_configure(0, 0, 0, NULL, 0);	/* the lease is over */
	if (++tries == TRIES && !network.configured) {
		printk("ukl-kernel: network: expected an answer to DHCP, found none\n");
		network_configure(0, 0, 0, NULL, 0);
	}
	discover();
	return due;
}

struct answer { u32 type, mask, router, server, lease, servers[SERVERS_MAX], server_count; };

/* Options are a byte of code, one of size, the value; false: they run over the end. */
static bool parse(const u8 *at, const u8 *end, struct answer *answer)
{
	while (at < end && *at != OPTION_END) {
		if (*at == OPTION_PAD) {
			at++;
			continue;
		}
		if (end - at < 2 || end - at - 2 < at[1])
			return false;
		u32 value = 0, size = at[1];
		const u8 *from = at + 2;
		memcpy(&value, from, MIN(size, 4U));
		value = be32(value);
		switch (*at) {
		case OPTION_TYPE:
			answer->type = *from;
			break;
		case OPTION_MASK:
			answer->mask = value;
			break;
		case OPTION_ROUTER:
			answer->router = value;
			break;
		case OPTION_SERVER:
			answer->server = value;
			break;
		case OPTION_LEASE:
			answer->lease = value;
			break;
		case OPTION_DNS:
			for (; answer->server_count < SERVERS_MAX && 4 * answer->server_count + 4 <= size;
			     answer->server_count++) {
				memcpy(&value, from + 4 * answer->server_count, 4);
				answer->servers[answer->server_count] = be32(value);
			}
			break;
		}
		at = from + size;
	}
	return true;
}

void dhcp_input(const void *data, u32 size)
{
	const struct dhcp_message *message = data;
	struct answer answer = {};
	if (size < offsetof(struct dhcp_message, options) || message->operation != REPLY || state == OFF ||
	    message->transaction != be32(transaction) || memcmp(message->client_mac, network.device->mac, 6) ||
	    message->cookie != be32(COOKIE) || !parse(message->options, (const u8 *)data + size, &answer))
		return;
	if (state == SELECTING && answer.type == OFFER && message->yours) {
		offered = be32(message->yours);
		server = answer.server;
		state = REQUESTING;
		send(ASK);
		again_in(4 * NS_PER_SECOND);
	} else if (state >= REQUESTING && answer.type == ACK && message->yours) {
		bool first = state != BOUND;
		state = BOUND;
		bound_at = time_now();
		lease = answer.lease == ~0U ? 0 : MAX(answer.lease, 60U) * NS_PER_SECOND;
		if (first)
			network_configure(be32(message->yours), answer.mask ?: 0xffffff00, answer.router, answer.servers,
					  answer.server_count);
		due = 0;
		if (lease)
			again_in(lease / 2);
	} else if (state >= REQUESTING && answer.type == NAK) {
		if (state == BOUND)
			network_configure(0, 0, 0, NULL, 0);
		discover();
	}
}
