/*
 * An HTTP/1.1 server (RFC 9110, RFC 9112): files below /www, with GET and HEAD; /bytes/N is N bytes that are made up,
 * byte i being i mod 251; what PUT and POST send to /upload is answered with its size and CRC-32. Keep-alive and
 * pipelining.
 *
 *     http [PORT [DIRECTORY]]		default: port 80, /www
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "server.h"

enum { HEAD_MAX = 8192, PATH_LONGEST = 1024 };

static const char *directory = "/www";
static char date[64];

/* What is still to be done for a client's request. */
struct work {
	int file;				/* -1: the bytes are made up */
	unsigned long at, left;			/* of the body that is sent */
	unsigned long upload_left, upload_size;	/* of the one that comes */
	unsigned crc;
	bool upload, wanted;			/* wanted: its checksum */
	bool close, keep, head_only;		/* keep: HTTP/1.0 wants to be told that the connection stays */
};

struct request {
	char *method, *target;
	unsigned long length;		/* of the body */
	bool close, old, expects, chunked, malformed;	/* old: HTTP/1.0 */
};

static unsigned crc_table[256];
static void crc_prepare(void)
{
	for (unsigned i = 0; i < 256; i++) {
		unsigned value = i;
		for (int bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ 0xedb88320 : value >> 1;
		crc_table[i] = value;
	}
}

static void server_round(void)
{
	static time_t last;
	time_t now = time(NULL);
	if (now != last)
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
	last = now;
}

static void put_head(struct client *client, struct work *work, const char *status, const char *type, unsigned long size,
		     const char *more)
{
	char head[512];
	int length = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %lu\r\n%s%s\r\n",
			      status, date, type, size, more, work->close ? "Connection: close\r\n" :
			      work->keep ? "Connection: keep-alive\r\n" : "");
	put(client, head, (size_t)length);
}

static void put_answer(struct client *client, struct work *work, const char *status, const char *more)
{
	size_t size = strlen(status);
	put_head(client, work, status, "text/plain", size + 1, more);
	if (!work->head_only) {
		put(client, status, size);
		put(client, "\n", 1);
	}
}

static const char *type_of(const char *path)
{
	static const char *const types[][2] = {
		{ ".html", "text/html" }, { ".txt", "text/plain" }, { ".css", "text/css" }, { ".js", "text/javascript" },
		{ ".json", "application/json" }, { ".png", "image/png" }, { ".svg", "image/svg+xml" },
	};
	const char *dot = strrchr(path, '.');
	for (unsigned i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcasecmp(dot, types[i][0]))
			return types[i][1];
	return "application/octet-stream";
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

/* The path of a target, without query and with %XX decoded; false: there is none, or it leads out of the root. */
static bool decode(const char *target, char path[PATH_LONGEST])
{
	size_t length = 0;
	if (*target != '/')
		return false;
	for (const char *at = target; *at && *at != '?' && *at != '#'; at++) {
		char c = *at;
		if (c == '%') {
			if (hex(at[1]) < 0 || hex(at[2]) < 0)
				return false;
			c = (char)(hex(at[1]) << 4 | hex(at[2]));
			at += 2;
		}
		if (!c || length >= PATH_LONGEST - 16)
			return false;
		path[length++] = c;
	}
	path[length] = 0;
	for (const char *part = path; (part = strstr(part, "/..")); part++)
		if (!part[3] || part[3] == '/')
			return false;
	return true;
}

static void answer_file(struct client *client, struct work *work, char path[PATH_LONGEST])
{
	char name[PATH_LONGEST + 256];
	struct stat found;
	if (path[strlen(path) - 1] == '/')
		strcat(path, "index.html");
	snprintf(name, sizeof(name), "%s%s", directory, path);
	int file = open(name, O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &found) || !S_ISREG(found.st_mode)) {
		if (file >= 0)
			close(file);
		put_answer(client, work, "404 Not Found", "");
		return;
	}
	put_head(client, work, "200 OK", type_of(path), (unsigned long)found.st_size, "");
	work->left = work->head_only ? 0 : (unsigned long)found.st_size;
	work->at = 0;
	work->file = file;
	if (!work->left) {
		close(file);
		work->file = -1;
	}
}

static void answer(struct client *client, struct work *work, const struct request *request)
{
	char path[PATH_LONGEST], *end;
	bool get = !strcmp(request->method, "GET"), head = !strcmp(request->method, "HEAD");
	work->head_only = head;
	if (!decode(request->target, path)) {
		put_answer(client, work, "400 Bad Request", "");
	} else if (!strcmp(path, "/upload")) {
		work->wanted = !strcmp(request->method, "PUT") || !strcmp(request->method, "POST");
		if (!work->wanted)
			put_answer(client, work, "405 Method Not Allowed", "Allow: PUT, POST\r\n");
	} else if (!get && !head) {
		put_answer(client, work, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
	} else if (!strncmp(path, "/bytes/", 7) && path[7] >= '0' && path[7] <= '9') {
		unsigned long size = strtoul(path + 7, &end, 10);
		if (*end || size > 1UL << 40) {
			put_answer(client, work, "404 Not Found", "");
			return;
		}
		put_head(client, work, "200 OK", "application/octet-stream", size, "");
		work->left = head ? 0 : size;
		work->at = 0;
	} else {
		answer_file(client, work, path);
	}
}

/* One header field. What changes how the rest is read is to be understood (RFC 9112 6.3). */
static void field(struct request *request, char *line)
{
	char *colon = strchr(line, ':'), *end;
	if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line)) {
		request->malformed = true;
		return;
	}
	*colon = 0;
	char *value = colon + 1 + strspn(colon + 1, " \t");
	if (!strcasecmp(line, "Content-Length")) {
		unsigned long length = strtoul(value, &end, 10);
		request->malformed |= *value < '0' || *value > '9' || end[strspn(end, " \t")] || length > 1UL << 40 ||
				      (request->length && request->length != length);
		request->length = length;
	} else if (!strcasecmp(line, "Transfer-Encoding")) {
		request->chunked = true;
	} else if (!strcasecmp(line, "Connection")) {
		if (strcasestr(value, "close"))
			request->close = true;
		else if (strcasestr(value, "keep-alive"))
			request->close = false;
	} else if (!strcasecmp(line, "Expect")) {
		request->expects = !strcasecmp(value, "100-continue");
	}
}

/* The head of a request, whose lines it takes apart; `end` is behind its last line. */
static void parse(struct request *request, char *head, char *end)
{
	char *line_end = strstr(head, "\r\n"), *space, *version;
	*request = (struct request){ .method = head, .malformed = true };
	if (memchr(head, 0, (size_t)(end - head)))
		return;
	*line_end = 0;
	if (!(space = strchr(head, ' ')) || space == head || !(version = strchr(space + 1, ' ')) ||
	    strncmp(version + 1, "HTTP/1.", 7) || !version[8] || version[9] || strlen(head) != (size_t)(line_end - head))
		return;
	request->malformed = false;
	*space = *version = 0;
	request->target = space + 1;
	request->close = request->old = version[8] == '0';
	for (char *line = line_end + 2; line < end; line = line_end + 2) {
		line_end = strstr(line, "\r\n");
		*line_end = 0;
		field(request, line);
	}
}

/* false: it is not complete yet. */
static bool next_request(struct client *client, struct work *work)
{
	struct request request;
	char *start = input(client), *end = memmem(start, input_size(client), "\r\n\r\n", 4);
	if (!end) {
		if (input_size(client) < HEAD_MAX)
			return false;
		work->close = true;
		put_answer(client, work, "431 Request Header Fields Too Large", "");
		return true;
	}
	request_begin();
	client->taken += (size_t)(end + 4 - start);
	end[2] = 0;
	*work = (struct work){ .file = -1 };
	parse(&request, start, end + 2);
	work->close = request.close;
	work->keep = request.old && !request.close;
	if (request.malformed || request.chunked) {
		work->close = true;
		put_answer(client, work, request.malformed ? "400 Bad Request" : "501 Not Implemented", "");
		request_end();
		return true;
	}
	if (request.expects && request.length)
		put_text(client, "HTTP/1.1 100 Continue\r\n\r\n");
	work->upload = request.length > 0;
	work->upload_left = work->upload_size = request.length;
	work->crc = ~0U;
	answer(client, work, &request);
	if (work->wanted && !work->upload)
		put_answer(client, work, "411 Length Required", "");
	request_end();
	return true;
}

static void take_upload(struct client *client, struct work *work)
{
	size_t piece = input_size(client) < work->upload_left ? input_size(client) : work->upload_left;
	const unsigned char *at = (unsigned char *)input(client);
	for (size_t i = 0; work->wanted && i < piece; i++)
		work->crc = work->crc >> 8 ^ crc_table[(work->crc ^ at[i]) & 255];
	client->taken += piece;
	work->upload_left -= piece;
	if (work->upload_left)
		return;
	work->upload = false;
	if (work->wanted) {
		char text[64];
		int length = snprintf(text, sizeof(text), "%lu %08x\n", work->upload_size, ~work->crc);
		put_head(client, work, "200 OK", "text/plain", (unsigned long)length, "");
		put(client, text, (size_t)length);
	}
}

static void send_body(struct client *client, struct work *work)
{
	size_t room = OUT_ENOUGH - client->out.used, piece = work->left < room ? work->left : room;
	if (!buffer_reserve(&client->out, piece)) {
		client->closing = true;
		return;
	}
	unsigned char *to = (unsigned char *)client->out.bytes + client->out.used;
	if (work->file >= 0) {
		ssize_t got = read(work->file, to, piece);
		client->closing |= got <= 0;		/* the file has shrunk: nothing true can follow */
		piece = got > 0 ? (size_t)got : 0;
	} else {
		unsigned value = work->at % 251;
		for (size_t i = 0; i < piece; i++) {
			to[i] = (unsigned char)value;
			value = value == 250 ? 0 : value + 1;
		}
	}
	client->out.used += piece;
	work->at += piece;
	work->left -= piece;
	if (!work->left && work->file >= 0) {
		close(work->file);
		work->file = -1;
	}
}

static void client_serve(struct client *client)
{
	struct work *work = client->state;
	if (!work && !(work = client->state = calloc(1, sizeof(*work)))) {
		client->closing = true;
		return;
	}
	for (;;) {
		client->more = client->out.used >= OUT_ENOUGH;
		if (client->more || client->closing)
			return;
		if (work->left)
			send_body(client, work);
		else if (work->upload && !input_size(client))
			return;
		else if (work->upload)
			take_upload(client, work);
		else if (work->close)
			client->closing = true;
		else if (!next_request(client, work))
			return;
	}
}

static void client_end(struct client *client)
{
	struct work *work = client->state;
	if (work && work->left && work->file >= 0)
		close(work->file);
	free(work);
}

int main(int count, char **arguments)
{
	in_limit = 4 * READ_PIECE;
	if (count > 2)
		directory = arguments[2];
	crc_prepare();
	return server_run(count > 1 ? atoi(arguments[1]) : 80);
}
