/* getsockopt and setsockopt. An option of which nothing depends here is taken and told as Linux's default. */
#include "fs/socket.h"

static long time_from_user(u64 *to, const void *user, u32 size)
{
	struct timeval time;
	if (size < sizeof(time))
		return -EINVAL;
	TRY(copy_from_user(&time, user, sizeof(time)));
	if ((u64)time.microseconds >= 1000000)
		return -EDOM;
	*to = time.seconds < 0 ? 0 : MIN((u64)time.seconds, 1UL << 31) * NS_PER_SECOND + time.microseconds * 1000;
	return 0;
}

static long set_socket_option(struct socket *s, u32 name, s32 value, const void *user, u32 size)
{
	struct linger linger;
	switch (name) {
	case SO_REUSEADDR:
		s->reuse = value;
		return 0;
	case SO_BROADCAST:
		s->broadcast = value;
		return 0;
	case SO_KEEPALIVE:
		s->keep_alive = value;
		if (value && tcp_synchronized(s) && s->state != TCP_TIME_WAIT)
			tcp_arm(s, &s->other_at, 7200 * NS_PER_SECOND);
		return 0;
	case SO_LINGER:
		if (size < sizeof(linger))
			return -EINVAL;
		TRY(copy_from_user(&linger, user, sizeof(linger)));
		s->linger = linger.on ? linger.seconds : -1;
		return 0;
	case SO_RCVTIMEO:
		return time_from_user(&s->receive_limit, user, size);
	case SO_SNDTIMEO:
		return time_from_user(&s->send_limit, user, size);
	case SO_SNDBUF:
	case SO_RCVBUF:
	case SO_DONTROUTE:
		return 0;		/* rings have one greatest size */
	}
	return -ENOPROTOOPT;
}

static long set_tcp_option(struct socket *s, u32 name, s32 value)
{
	switch (name) {
	case TCP_NODELAY:
		s->no_delay = value;
		if (value)
			tcp_output(s);
		return 0;
	case TCP_KEEPIDLE:
	case TCP_KEEPINTVL:
	case TCP_KEEPCNT:
	case TCP_QUICKACK:
	case TCP_DEFER_ACCEPT:
		return value < 0 ? -EINVAL : 0;
	}
	return -ENOPROTOOPT;
}

long sys_setsockopt(int descriptor, u32 level, u32 name, const void *user, u32 size)
{
	struct file *file;
	struct socket *s;
	s32 value;
	TRY(socket_get(descriptor, &file, &s));
	if (size < sizeof(value))
		return -EINVAL;
	TRY(copy_from_user(&value, user, sizeof(value)));
	TRY(socket_get(descriptor, &file, &s));
	if (level == SOL_SOCKET) {
		file_ref(file);
		long error = set_socket_option(s, name, value, user, size);
		file_unref(file);
		return error;
	}
	if (level == SOL_TCP && s->stream)
		return set_tcp_option(s, name, value);
	return level == SOL_IP ? 0 : -ENOPROTOOPT;
}

static long get_option(struct socket *s, u32 level, u32 name, s32 *value)
{
	if (level == SOL_TCP && s->stream && name == TCP_NODELAY) {
		*value = s->no_delay;
		return 0;
	}
	if (level == SOL_TCP && s->stream && name == TCP_MAXSEG) {
		*value = s->mss ?: MSS_DEFAULT;
		return 0;
	}
	if (level != SOL_SOCKET)
		return level == SOL_TCP || level == SOL_IP ? -ENOPROTOOPT : -EOPNOTSUPP;
	switch (name) {
	case SO_REUSEADDR:
		*value = s->reuse;
		return 0;
	case SO_BROADCAST:
		*value = s->broadcast;
		return 0;
	case SO_KEEPALIVE:
		*value = s->keep_alive;
		return 0;
	case SO_TYPE:
		*value = s->stream ? SOCK_STREAM : SOCK_DGRAM;
		return 0;
	case SO_DOMAIN:
		*value = AF_INET;
		return 0;
	case SO_PROTOCOL:
		*value = s->stream ? IP_TCP : IP_UDP;
		return 0;
	case SO_ERROR:
		*value = (s32)-socket_error(s);
		return 0;
	case SO_ACCEPTCONN:
		*value = s->state == TCP_LISTEN;
		return 0;
	case SO_SNDBUF:
	case SO_RCVBUF:
		*value = s->stream ? RING_MAX : DATAGRAMS_MAX;
		return 0;
	}
	return -ENOPROTOOPT;
}

long sys_getsockopt(int descriptor, u32 level, u32 name, void *user, u32 *user_size)
{
	struct file *file;
	struct socket *s;
	u32 size;
	s32 value[4] = {};
	TRY(socket_get(descriptor, &file, &s));
	TRY(copy_from_user(&size, user_size, sizeof(size)));
	TRY(socket_get(descriptor, &file, &s));
	u32 whole = sizeof(s32);
	if (level == SOL_SOCKET && name == SO_LINGER) {
		whole = sizeof(struct linger);
		value[0] = s->linger >= 0;
		value[1] = MAX(s->linger, 0);
	} else if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO)) {
		u64 limit = name == SO_RCVTIMEO ? s->receive_limit : s->send_limit;
		whole = sizeof(struct timeval);
		*(struct timeval *)value = (struct timeval){ limit / NS_PER_SECOND, limit % NS_PER_SECOND / 1000 };
	} else {
		TRY(get_option(s, level, name, value));
	}
	size = MIN(size, whole);
	TRY(copy_to_user(user, value, size));
	return copy_to_user(user_size, &size, sizeof(size));
}
