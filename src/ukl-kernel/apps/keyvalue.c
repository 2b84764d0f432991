/*
 * A key-value server that speaks Redis's protocol, version 2 (RESP2), with Redis's answers for the commands it has:
 * strings, lists, sets, hashes, expiry. Everything is in memory; with more than half of the machine's memory in use,
 * commands that need more are refused.
 *
 *     keyvalue [PORT]		default: 6379
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fnmatch.h>
#include <limits.h>
#include <strings.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "server.h"
#include "store.h"

enum { ARGUMENTS_MAX = 1 << 16, BULK_MAX = 16 << 20, INLINE_MAX = 65536 };

static struct table keys;
static long now;				/* milliseconds since 1970, of this round of events */
static struct client *client;			/* whose command it is */
static struct string *arguments;		/* the command and its arguments */
static size_t argument_count, arguments_room;

static void server_round(void)
{
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	now = time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- Answers ---- */

static void put_line(char kind, const char *text)
{
	put(client, &kind, 1);
	put_text(client, text);
	put(client, "\r\n", 2);
}
static size_t errors;			/* that were answered */
static void put_error(const char *text) { put_line('-', text); errors++; }
static void put_ok(void) { put(client, "+OK\r\n", 5); }
static void put_null(void) { put(client, "$-1\r\n", 5); }

static void put_number(char kind, long number)
{
	char text[32];
	put(client, text, (size_t)snprintf(text, sizeof(text), "%c%ld\r\n", kind, number));
}
static void put_integer(long number) { put_number(':', number); }
static void put_count(size_t count) { put_number('*', (long)count); }

static void put_bulk(const char *bytes, size_t size)
{
	put_number('$', (long)size);
	put(client, bytes, size);
	put(client, "\r\n", 2);
}

static void no_memory(void) { put_error("OOM command not allowed when used memory > 'maxmemory'."); }

/* ---- Keys ---- */

static bool is(struct string s, const char *word) { return s.size == strlen(word) && !strncasecmp(s.bytes, word, s.size); }

/* NULL: not there, or expired. */
static struct entry *find(struct string key)
{
	struct entry *entry = table_find(&keys, key);
	if (entry && entry->expires && entry->expires <= now) {
		table_remove(&keys, entry);
		return NULL;
	}
	return entry;
}

/* As find, of one type; *wrong: the key has another, which the client was told. */
static struct entry *find_type(struct string key, enum type type, bool *wrong)
{
	struct entry *entry = find(key);
	*wrong = entry && entry->type != type;
	if (*wrong)
		put_error("WRONGTYPE Operation against a key holding the wrong kind of value");
	return *wrong ? NULL : entry;
}

/* As find_type, but makes the key with an empty value; NULL: the client was told why not. */
static struct entry *make_type(struct string key, enum type type)
{
	bool wrong, made;
	struct entry *entry = find_type(key, type, &wrong);
	if (entry || wrong)
		return entry;
	entry = table_make(&keys, key, &made);
	void *value = entry && type != STRING ? take(type == LIST ? sizeof(struct list) : sizeof(struct table)) : NULL;
	if (entry && type != STRING && value) {
		memset(value, 0, type == LIST ? sizeof(struct list) : sizeof(struct table));
		entry->type = type;
		if (type == LIST)
			entry->list = value;
		else
			entry->table = value;
	} else if (entry && type != STRING) {
		table_remove(&keys, entry);
		entry = NULL;
	}
	if (!entry)
		no_memory();
	return entry;
}

static void remove_if_empty(struct entry *entry)
{
	if (entry->type == LIST ? !entry->list->count : !entry->table->count)
		table_remove(&keys, entry);
}

static bool number_of(struct string s, long *number)
{
	char text[32], *end;
	if (!s.size || s.size >= sizeof(text) || isspace((unsigned char)s.bytes[0]) || s.bytes[0] == '+')
		return false;
	memcpy(text, s.bytes, s.size);
	text[s.size] = 0;
	errno = 0;
	*number = strtol(text, &end, 10);
	return !errno && end == text + s.size;
}

static bool number_argument(size_t index, long *number)
{
	bool valid = index < argument_count && number_of(arguments[index], number);
	if (!valid)
		put_error("ERR value is not an integer or out of range");
	return valid;
}

/* ---- Commands: any key ---- */

static void ping_command(void)
{
	if (argument_count > 1)
		put_bulk(arguments[1].bytes, arguments[1].size);
	else
		put_line('+', "PONG");
}
static void echo_command(void) { put_bulk(arguments[1].bytes, arguments[1].size); }

static void del_command(void)
{
	long count = 0;
	for (size_t i = 1; i < argument_count; i++) {
		struct entry *entry = find(arguments[i]);
		if (entry)
			table_remove(&keys, entry);
		count += entry != NULL;
	}
	put_integer(count);
}

static void exists_command(void)
{
	long count = 0;
	for (size_t i = 1; i < argument_count; i++)
		count += find(arguments[i]) != NULL;
	put_integer(count);
}

static void type_command(void)
{
	static const char *const names[] = { "string", "list", "set", "hash" };
	struct entry *entry = find(arguments[1]);
	put_line('+', entry ? names[entry->type] : "none");
}

/* EXPIRE and PEXPIRE: a time that has passed ends the key. */
static void expire_command(void)
{
	long time, unit = is(arguments[0], "expire") ? 1000 : 1;
	struct entry *entry = find(arguments[1]);
	if (!number_argument(2, &time))
		return;
	if (time > LONG_MAX / 2000 || time < LONG_MIN / 2000) {
		put_error("ERR invalid expire time in 'expire' command");
		return;
	}
	if (entry && time <= 0)
		table_remove(&keys, entry);
	else if (entry)
		entry->expires = now + time * unit;
	put_integer(entry != NULL);
}

static void persist_command(void)
{
	struct entry *entry = find(arguments[1]);
	bool had = entry && entry->expires;
	if (had)
		entry->expires = 0;
	put_integer(had);
}

static void ttl_command(void)
{
	struct entry *entry = find(arguments[1]);
	bool seconds = is(arguments[0], "ttl");
	long left = entry ? entry->expires - now : 0;
	put_integer(!entry ? -2 : !entry->expires ? -1 : seconds ? (left + 500) / 1000 : left);
}

static void keys_command(void)
{
	char pattern[1024], name[1024];
	size_t count = 0;
	if (arguments[1].size >= sizeof(pattern)) {
		put_error("ERR pattern is too long");
		return;
	}
	memcpy(pattern, arguments[1].bytes, arguments[1].size);
	pattern[arguments[1].size] = 0;
	bool all = !strcmp(pattern, "*");
	for (int told = 0; told < 2; told++) {		/* first how many, then which */
		if (told)
			put_count(count);
		for (struct entry *entry = table_next(&keys, NULL); entry; entry = table_next(&keys, entry)) {
			if ((entry->expires && entry->expires <= now) || (!all && entry->key_size >= sizeof(name)))
				continue;
			if (!all) {
				memcpy(name, entry->key, entry->key_size);
				name[entry->key_size] = 0;
				if (fnmatch(pattern, name, 0))
					continue;
			}
			if (told)
				put_bulk(entry->key, entry->key_size);
			else
				count++;
		}
	}
}

static void dbsize_command(void) { put_integer((long)keys.count); }

static void flushall_command(void)
{
	table_free(&keys);
	put_ok();
}

/* ---- Strings ---- */

static void set_command(void)
{
	long expires = 0;
	bool only_new = false, only_old = false, keep = false, made;
	for (size_t i = 3; i < argument_count; i++) {
		long unit = is(arguments[i], "ex") ? 1000 : is(arguments[i], "px") ? 1 : 0;
		if (unit && !expires && i + 1 < argument_count) {
			if (!number_argument(++i, &expires))
				return;
			if (expires <= 0 || expires > LONG_MAX / 2000) {
				put_error("ERR invalid expire time in 'set' command");
				return;
			}
			expires = now + expires * unit;
		} else if (is(arguments[i], "nx") && !only_old) {
			only_new = true;
		} else if (is(arguments[i], "xx") && !only_new) {
			only_old = true;
		} else if (is(arguments[i], "keepttl")) {
			keep = true;
		} else {
			put_error("ERR syntax error");
			return;
		}
	}
	struct entry *entry = find(arguments[1]);
	if (entry ? only_new : only_old) {
		put_null();
		return;
	}
	if (keep && entry)
		expires = entry->expires;
	if (entry && entry->type != STRING)
		entry_clear(entry);
	made = false;
	if (!entry)
		entry = table_make(&keys, arguments[1], &made);
	if (!entry || !value_set(entry, arguments[2])) {
		if (entry && made)
			table_remove(&keys, entry);
		no_memory();
		return;
	}
	entry->expires = expires;
	put_ok();
}

static void get_command(void)
{
	bool wrong;
	struct entry *entry = find_type(arguments[1], STRING, &wrong);
	if (entry)
		put_bulk(entry->value.bytes, entry->value.size);
	else if (!wrong)
		put_null();
}

static void mset_command(void)
{
	if (argument_count % 2 == 0) {
		put_error("ERR wrong number of arguments for 'mset' command");
		return;
	}
	for (size_t i = 1; i < argument_count; i += 2) {
		bool made;
		struct entry *entry = find(arguments[i]);
		if (entry)
			entry_clear(entry);
		else
			entry = table_make(&keys, arguments[i], &made);
		if (!entry || !value_set(entry, arguments[i + 1])) {
			no_memory();
			return;
		}
	}
	put_ok();
}

static void mget_command(void)
{
	put_count(argument_count - 1);
	for (size_t i = 1; i < argument_count; i++) {
		struct entry *entry = find(arguments[i]);
		if (entry && entry->type == STRING)
			put_bulk(entry->value.bytes, entry->value.size);
		else
			put_null();
	}
}

static void change_by(long change)
{
	char text[32];
	long number = 0;
	bool wrong;
	struct entry *entry = find_type(arguments[1], STRING, &wrong);
	if (wrong)
		return;
	if (entry && !number_of((struct string){ entry->value.bytes, entry->value.size }, &number)) {
		put_error("ERR value is not an integer or out of range");
		return;
	}
	if (__builtin_add_overflow(number, change, &number)) {
		put_error("ERR increment or decrement would overflow");
		return;
	}
	size_t length = (size_t)snprintf(text, sizeof(text), "%ld", number);
	entry = make_type(arguments[1], STRING);
	if (!entry)
		return;
	if (value_set(entry, (struct string){ text, length }))
		put_integer(number);
	else
		no_memory();
}
static void incr_command(void) { change_by(1); }
static void decr_command(void) { change_by(-1); }
static void incrby_command(void)
{
	long change;
	if (!number_argument(2, &change))
		return;
	if (is(arguments[0], "incrby"))
		change_by(change);
	else if (change == LONG_MIN)
		put_error("ERR decrement would overflow");
	else
		change_by(-change);
}

static void append_command(void)
{
	struct entry *entry = make_type(arguments[1], STRING);
	if (entry && value_append(entry, arguments[2]))
		put_integer((long)entry->value.size);
	else if (entry)
		no_memory();
}

static void strlen_command(void)
{
	bool wrong;
	struct entry *entry = find_type(arguments[1], STRING, &wrong);
	if (!wrong)
		put_integer(entry ? (long)entry->value.size : 0);
}

/* ---- Lists ---- */

static void push_command(void)
{
	bool front = is(arguments[0], "lpush"), done = true;
	struct entry *entry = make_type(arguments[1], LIST);
	if (!entry)
		return;
	for (size_t i = 2; i < argument_count && done; i++)
		done = list_push(entry->list, arguments[i], front);
	if (done)
		put_integer((long)entry->list->count);
	else
		no_memory();
	remove_if_empty(entry);
}

static void pop_command(void)
{
	bool front = is(arguments[0], "lpop"), wrong;
	long count = 1;
	if (argument_count == 3 && !number_argument(2, &count))
		return;
	if (count < 0) {
		put_error("ERR value is out of range, must be positive");
		return;
	}
	struct entry *entry = find_type(arguments[1], LIST, &wrong);
	if (wrong)
		return;
	if (!entry) {
		put_text(client, argument_count == 3 ? "*-1\r\n" : "$-1\r\n");
		return;
	}
	if ((size_t)count > entry->list->count)
		count = (long)entry->list->count;
	if (argument_count == 3)
		put_count((size_t)count);
	while (count-- > 0) {
		struct element *element = list_pop(entry->list, front);
		put_bulk(element->bytes, element->size);
		give_back(element);
	}
	remove_if_empty(entry);
}

static void lrange_command(void)
{
	long from, to;
	bool wrong;
	if (!number_argument(2, &from) || !number_argument(3, &to))
		return;
	struct entry *entry = find_type(arguments[1], LIST, &wrong);
	if (wrong)
		return;
	long size = entry ? (long)entry->list->count : 0;
	from = from < 0 ? (from + size < 0 ? 0 : from + size) : from;
	to = to < 0 ? to + size : to >= size ? size - 1 : to;
	put_count(from > to ? 0 : (size_t)(to - from + 1));
	for (; from <= to; from++)
		put_bulk(list_at(entry->list, (size_t)from)->bytes, list_at(entry->list, (size_t)from)->size);
}

static void llen_command(void)
{
	bool wrong;
	struct entry *entry = find_type(arguments[1], LIST, &wrong);
	if (!wrong)
		put_integer(entry ? (long)entry->list->count : 0);
}

/* ---- Sets and hashes: tables without and with values ---- */

static void sadd_command(void)
{
	long added = 0;
	bool made = false;
	struct entry *entry = make_type(arguments[1], SET);
	if (!entry)
		return;
	for (size_t i = 2; i < argument_count; i++) {
		if (!table_make(entry->table, arguments[i], &made)) {
			no_memory();
			remove_if_empty(entry);
			return;
		}
		added += made;
	}
	put_integer(added);
}

/* SREM and HDEL. */
static void remove_members(enum type type)
{
	bool wrong;
	long removed = 0;
	struct entry *entry = find_type(arguments[1], type, &wrong);
	if (wrong)
		return;
	for (size_t i = 2; entry && i < argument_count; i++) {
		struct entry *member = table_find(entry->table, arguments[i]);
		if (member)
			table_remove(entry->table, member);
		removed += member != NULL;
	}
	if (entry)
		remove_if_empty(entry);
	put_integer(removed);
}
static void srem_command(void) { remove_members(SET); }
static void hdel_command(void) { remove_members(HASH); }

static void count_members(enum type type)
{
	bool wrong;
	struct entry *entry = find_type(arguments[1], type, &wrong);
	if (!wrong)
		put_integer(entry ? (long)entry->table->count : 0);
}
static void scard_command(void) { count_members(SET); }
static void hlen_command(void) { count_members(HASH); }

static void has_member(enum type type)
{
	bool wrong;
	struct entry *entry = find_type(arguments[1], type, &wrong);
	if (!wrong)
		put_integer(entry && table_find(entry->table, arguments[2]));
}
static void sismember_command(void) { has_member(SET); }
static void hexists_command(void) { has_member(HASH); }

/* SMEMBERS, HGETALL, HKEYS, HVALS. */
static void put_members(enum type type, bool names, bool values)
{
	bool wrong;
	struct entry *entry = find_type(arguments[1], type, &wrong);
	if (wrong)
		return;
	put_count(entry ? entry->table->count * ((size_t)names + values) : 0);
	for (struct entry *e = entry ? table_next(entry->table, NULL) : NULL; e; e = table_next(entry->table, e)) {
		if (names)
			put_bulk(e->key, e->key_size);
		if (values)
			put_bulk(e->value.bytes, e->value.size);
	}
}
static void smembers_command(void) { put_members(SET, true, false); }
static void hgetall_command(void) { put_members(HASH, true, true); }
static void hkeys_command(void) { put_members(HASH, true, false); }
static void hvals_command(void) { put_members(HASH, false, true); }

static void spop_command(void)
{
	bool wrong;
	struct entry *entry = find_type(arguments[1], SET, &wrong);
	if (wrong)
		return;
	if (!entry) {
		put_null();
		return;
	}
	/* From a bucket by chance on: the first that is not empty. */
	size_t bucket = (size_t)rand();
	while (!entry->table->buckets[bucket & (entry->table->bucket_count - 1)])
		bucket++;
	struct entry *member = entry->table->buckets[bucket & (entry->table->bucket_count - 1)];
	put_bulk(member->key, member->key_size);
	table_remove(entry->table, member);
	remove_if_empty(entry);
}

static void hset_command(void)
{
	long added = 0;
	bool made;
	if (argument_count % 2) {
		put_error("ERR wrong number of arguments for 'hset' command");
		return;
	}
	struct entry *entry = make_type(arguments[1], HASH);
	for (size_t i = 2; entry && i < argument_count; i += 2) {
		struct entry *member = table_make(entry->table, arguments[i], &made);
		if (!member || !value_set(member, arguments[i + 1])) {
			no_memory();
			remove_if_empty(entry);
			return;
		}
		added += made;
	}
	if (entry)
		put_integer(added);
}

static void hget_command(void)
{
	bool wrong;
	struct entry *entry = find_type(arguments[1], HASH, &wrong);
	struct entry *member = entry ? table_find(entry->table, arguments[2]) : NULL;
	if (member)
		put_bulk(member->value.bytes, member->value.size);
	else if (!wrong)
		put_null();
}

/* ---- The server itself ---- */

static void select_command(void)
{
	long number;
	if (!number_argument(1, &number))
		return;
	if (number)
		put_error("ERR DB index is out of range");
	else
		put_ok();
}

static void quit_command(void)
{
	put_ok();
	client->closing = true;
}

static size_t command_statistics(char *to, size_t room);

static void info_command(void)
{
	char text[4096];
	if (argument_count > 1 && is(arguments[1], "commandstats")) {
		put_bulk(text, command_statistics(text, sizeof(text)));
		return;
	}
	int length = snprintf(text, sizeof(text), "# Server\r\nredis_version:5.0.0\r\nredis_mode:standalone\r\n\r\n# Memory\r\n"
			      "used_memory:%zu\r\nmaxmemory:%zu\r\n\r\n# Keyspace\r\ndb0:keys=%zu,expires=0,avg_ttl=0\r\n",
			      memory_used, memory_limit, keys.count);
	put_bulk(text, (size_t)length);
}

/* Of the settings, those that redis-benchmark asks for. */
static void config_command(void)
{
	if (!is(arguments[1], "get")) {
		put_error("ERR nothing can be configured here");
	} else if (argument_count > 2 && (is(arguments[2], "save") || is(arguments[2], "appendonly"))) {
		put_count(2);
		put_bulk(arguments[2].bytes, arguments[2].size);
		put_text(client, is(arguments[2], "save") ? "$0\r\n\r\n" : "$2\r\nno\r\n");
	} else {
		put_count(0);
	}
}

static void command_command(void) { put_count(0); }

/* Arguments with the name: exactly `arity`, or, if negative, at least so many (Redis's COMMAND). */
static const struct command { const char *name; int arity; void (*run)(void); } commands[] = {
	{ "get", 2, get_command }, { "set", -3, set_command }, { "incr", 2, incr_command }, { "ping", -1, ping_command },
	{ "append", 3, append_command }, { "command", -1, command_command }, { "config", -2, config_command },
	{ "dbsize", 1, dbsize_command }, { "decr", 2, decr_command }, { "decrby", 3, incrby_command },
	{ "del", -2, del_command }, { "echo", 2, echo_command }, { "exists", -2, exists_command },
	{ "expire", 3, expire_command }, { "flushall", -1, flushall_command }, { "flushdb", -1, flushall_command },
	{ "hdel", -3, hdel_command }, { "hexists", 3, hexists_command }, { "hget", 3, hget_command },
	{ "hgetall", 2, hgetall_command }, { "hkeys", 2, hkeys_command }, { "hlen", 2, hlen_command },
	{ "hset", -4, hset_command }, { "hvals", 2, hvals_command }, { "incrby", 3, incrby_command },
	{ "info", -1, info_command }, { "keys", 2, keys_command }, { "llen", 2, llen_command },
	{ "lpop", -2, pop_command }, { "lpush", -3, push_command }, { "lrange", 4, lrange_command },
	{ "mget", -2, mget_command }, { "mset", -3, mset_command }, { "persist", 2, persist_command },
	{ "pexpire", 3, expire_command }, { "pttl", 2, ttl_command }, { "quit", 1, quit_command },
	{ "rpop", -2, pop_command }, { "rpush", -3, push_command }, { "sadd", -3, sadd_command },
	{ "scard", 2, scard_command }, { "select", 2, select_command }, { "sismember", 3, sismember_command },
	{ "smembers", 2, smembers_command }, { "spop", 2, spop_command }, { "srem", -3, srem_command },
	{ "strlen", 2, strlen_command }, { "ttl", 2, ttl_command }, { "type", 2, type_command },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };
static struct { size_t calls, failed; } statistics[COMMANDS];

/* A line for each command that was called; gives the bytes. */
static size_t command_statistics(char *to, size_t room)
{
	size_t size = (size_t)snprintf(to, room, "# Commandstats\r\n");
	for (size_t i = 0; i < COMMANDS && room - size > 100; i++)
		if (statistics[i].calls)
			size += (size_t)snprintf(to + size, room - size, "cmdstat_%s:calls=%zu,failed_calls=%zu\r\n",
						 commands[i].name, statistics[i].calls, statistics[i].failed);
	return size;
}

static void run(void)
{
	char text[160];
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!is(arguments[0], commands[i].name))
			continue;
		int arity = commands[i].arity;
		size_t errors_before = errors;
		if (arity < 0 ? argument_count >= (size_t)-arity : argument_count == (size_t)arity) {
			commands[i].run();
			statistics[i].calls++;
			statistics[i].failed += errors != errors_before;
		} else {
			snprintf(text, sizeof(text), "ERR wrong number of arguments for '%s' command", commands[i].name);
			put_error(text);
		}
		return;
	}
	int length = arguments[0].size < 100 ? (int)arguments[0].size : 100;
	snprintf(text, sizeof(text), "ERR unknown command '%.*s'", length, arguments[0].bytes);
	for (char *at = text; *at; at++)
		*at = *at == '\r' || *at == '\n' ? ' ' : *at;
	put_error(text);
}

/* ---- The protocol ---- */

static bool argument_add(const char *bytes, size_t size)
{
	if (argument_count == arguments_room) {
		size_t room = arguments_room ? 2 * arguments_room : 16;
		struct string *more = realloc(arguments, room * sizeof(*more));
		if (!more)
			return false;
		arguments = more;
		arguments_room = room;
	}
	arguments[argument_count++] = (struct string){ bytes, size };
	return true;
}

enum parsed { INCOMPLETE, COMPLETE, MALFORMED };

static enum parsed malformed(const char *what)
{
	put_error(what);
	client->closing = true;
	return MALFORMED;
}

/* A line's number behind the character that says its kind; *at moves behind the line. */
static enum parsed parse_number(const char **at, const char *end, long *number)
{
	const char *line_end = memchr(*at, '\r', (size_t)(end - *at));
	if (!line_end || line_end + 1 >= end)
		return end - *at > 64 ? MALFORMED : INCOMPLETE;
	bool valid = line_end[1] == '\n' && number_of((struct string){ *at + 1, (size_t)(line_end - *at - 1) }, number);
	*at = line_end + 2;
	return valid ? COMPLETE : MALFORMED;
}

/* Words in a line, as somebody types them. */
static enum parsed parse_inline(const char **at, const char *end)
{
	const char *line_end = memchr(*at, '\n', (size_t)(end - *at)), *word = *at;
	if (!line_end)
		return end - *at > INLINE_MAX ? malformed("ERR Protocol error: too big inline request") : INCOMPLETE;
	while (word < line_end) {
		const char *start = word;
		while (word < line_end && !isspace((unsigned char)*word))
			word++;
		if (word > start && !argument_add(start, (size_t)(word - start)))
			return malformed("ERR out of memory");
		while (word < line_end && isspace((unsigned char)*word))
			word++;
	}
	*at = line_end + 1;
	return COMPLETE;
}

/* One command at *at, which moves behind it if it is complete. */
static enum parsed parse_command(const char **at, const char *end)
{
	long count, size;
	argument_count = 0;
	if (**at != '*')
		return parse_inline(at, end);
	enum parsed parsed = parse_number(at, end, &count);
	if (parsed == MALFORMED || (parsed == COMPLETE && count > ARGUMENTS_MAX))
		return malformed("ERR Protocol error: invalid multibulk length");
	for (; parsed == COMPLETE && count > 0; count--) {
		if (*at == end)
			return INCOMPLETE;
		if (**at != '$')
			return malformed("ERR Protocol error: expected '$'");
		parsed = parse_number(at, end, &size);
		if (parsed == MALFORMED || (parsed == COMPLETE && (size < 0 || size > BULK_MAX)))
			return malformed("ERR Protocol error: invalid bulk length");
		if (parsed == INCOMPLETE || end - *at < size + 2)
			return INCOMPLETE;
		if (!argument_add(*at, (size_t)size))
			return malformed("ERR out of memory");
		*at += size + 2;
	}
	return parsed;
}

static void client_serve(struct client *of)
{
	client = of;
	while (input_size(client) && !client->closing) {
		const char *at = input(client), *start = at;
		if (client->out.used >= OUT_ENOUGH) {
			client->more = true;
			return;
		}
		if (parse_command(&at, start + input_size(client)) != COMPLETE)
			return;
		request_begin();
		if (argument_count)
			run();
		client->taken += (size_t)(at - start);
		request_end();
	}
}

static void client_end(struct client *of) { (void)of; }

int main(int count, char **words)
{
	struct sysinfo info;
	in_limit = 2UL * BULK_MAX;
	sysinfo(&info);
	memory_limit = info.totalram * info.mem_unit / 2;
	server_round();
	return server_run(count > 1 ? atoi(words[1]) : 6379);
}
